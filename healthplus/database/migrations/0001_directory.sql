-- Who can be booked, and where. Small, slowly changing tables: on Citus they become reference tables.
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE EXTENSION IF NOT EXISTS cube;
CREATE EXTENSION IF NOT EXISTS earthdistance;

-- Empty in production. A row moves the product's only clock, app_now(), so that trials need not wait.
CREATE TABLE public.app_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    clock_offset interval NOT NULL
);

CREATE SCHEMA directory;

CREATE TABLE directory.city (
    city_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    name text NOT NULL CHECK (name <> ''),
    state text NOT NULL DEFAULT '',
    time_zone text NOT NULL DEFAULT 'Asia/Kolkata',
    latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CHECK (longitude BETWEEN -180 AND 180)
);

CREATE TABLE directory.speciality (
    speciality_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    name text NOT NULL CHECK (name <> '')
);

-- A place. `identifier` is its name in the source it came from: importing again finds it by that.
CREATE TABLE directory.clinic (
    clinic_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identifier text NOT NULL UNIQUE,
    city_id bigint NOT NULL REFERENCES directory.city,
    name text NOT NULL CHECK (name <> ''),
    address text NOT NULL DEFAULT '',
    postal_code text,
    phone text,
    latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CHECK (longitude BETWEEN -180 AND 180),
    -- At least seven minutes: an offer (65 s) accepted at its end and then held (305 s) must still be over before the slot starts.
    lead_minutes smallint NOT NULL DEFAULT 10 CHECK (lead_minutes BETWEEN 7 AND 1440)
);
CREATE INDEX clinic_city_id ON directory.clinic (city_id);

CREATE TYPE directory.provider_type AS ENUM ('doctor', 'hospital', 'clinic', 'lab');
CREATE TYPE directory.gender AS ENUM ('female', 'male', 'other');

-- Anyone or anything that can be booked: the person or resource itself, not the person at one clinic.
CREATE TABLE directory.provider (
    provider_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identifier text NOT NULL UNIQUE,
    type directory.provider_type NOT NULL,
    salutation text NOT NULL DEFAULT '',
    given_name text NOT NULL DEFAULT '',
    family_name text NOT NULL DEFAULT '',
    name text NOT NULL CHECK (name <> ''),
    gender directory.gender,
    bio text NOT NULL DEFAULT '',
    image_url text NOT NULL DEFAULT '',
    email text,
    phone text,
    languages text[] NOT NULL DEFAULT '{}',
    practising_since smallint CHECK (practising_since BETWEEN 1900 AND 2200),
    rating numeric(2, 1) CHECK (rating BETWEEN 1 AND 5),
    rating_count integer NOT NULL DEFAULT 0 CHECK (rating_count >= 0),
    accepts_new_patients boolean NOT NULL DEFAULT true,
    -- How many days ahead an appointment can be had (the brief's max_bok_day).
    max_booking_days smallint NOT NULL DEFAULT 60 CHECK (max_booking_days BETWEEN 0 AND 366)
);

CREATE TABLE directory.provider_speciality (
    provider_id bigint NOT NULL REFERENCES directory.provider ON DELETE CASCADE,
    speciality_id bigint NOT NULL REFERENCES directory.speciality,
    PRIMARY KEY (provider_id, speciality_id)
);
CREATE INDEX provider_speciality_speciality_id ON directory.provider_speciality (speciality_id);

-- How a visit is paid for: online before it is booked, at the clinic's desk, or not at all.
CREATE TYPE directory.funding AS ENUM ('online', 'clinic', 'free');

-- A provider at a clinic (FHIR's PractitionerRole), with what a visit there costs, however many slots it takes.
CREATE TABLE directory.provider_clinic (
    provider_id bigint NOT NULL REFERENCES directory.provider ON DELETE CASCADE,
    clinic_id bigint NOT NULL REFERENCES directory.clinic,
    fee_paise integer NOT NULL DEFAULT 0 CHECK (fee_paise BETWEEN 0 AND 100000000),
    funding directory.funding NOT NULL DEFAULT 'online',
    PRIMARY KEY (provider_id, clinic_id),
    CHECK (funding <> 'online' OR fee_paise > 0),  -- this prevents an online payment of nothing
    CHECK (funding <> 'free' OR fee_paise = 0)  -- at the clinic, 0 means that the clinic says what it costs
);
CREATE INDEX provider_clinic_clinic_id ON directory.provider_clinic (clinic_id);
