-- What finding a provider reads: derived from the directory, the schedule and the ratings, and never the truth about them.
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;

-- The days on which a provider's last slot at a clinic cannot be had. On all others the weekly template alone tells whether
-- something is free; written by the verbs, so that search need not look into the book of every provider it lists.
CREATE TABLE booking.scarce_day (
    provider_id bigint NOT NULL,
    clinic_id bigint NOT NULL,
    day date NOT NULL,                                -- in the clinic's city
    last_free_at timestamptz,                         -- start of the last slot that is free for all; NULL: there is none
    PRIMARY KEY (provider_id, clinic_id, day)
);

CREATE SCHEMA search;

-- A provider at a clinic, as search sees them. See search.listing_of for where each column comes from.
CREATE TABLE search.listing (
    provider_id bigint NOT NULL,
    clinic_id bigint NOT NULL,
    city_id bigint NOT NULL,
    type directory.provider_type NOT NULL,
    terms tsvector NOT NULL,                          -- words and, as `city:7`, what is chosen from a list
    place cube,                                       -- NULL: nobody knows where
    score real NOT NULL,                              -- directory.rating_score
    rating real,                                      -- directory.rating_mean; NULL: nobody has rated
    fee_paise integer NOT NULL,
    gender directory.gender,
    languages text[] NOT NULL,                        -- in small letters
    practising_since smallint,
    accepts_new_patients boolean NOT NULL,
    max_booking_days smallint NOT NULL,
    lead_minutes smallint NOT NULL,
    -- Whether the template below is the same every week, in a zone whose clocks do not change.
    regular boolean NOT NULL,
    utc_offset_minutes smallint NOT NULL,
    first_starts smallint[] NOT NULL,                 -- minute of the day of the first slot, Monday first; -1: none that day
    last_starts smallint[] NOT NULL,                  -- and of the last
    next_days smallint[] NOT NULL,                    -- days from each weekday to the next that has slots; NULL: none has
    scarce boolean NOT NULL,                          -- whether booking.scarce_day has any day of it
    PRIMARY KEY (provider_id, clinic_id)
) WITH (fillfactor = 90);
CREATE INDEX listing_terms ON search.listing USING gin (terms);
CREATE INDEX listing_place ON search.listing USING gist (place);
CREATE INDEX listing_score ON search.listing (score DESC, provider_id, clinic_id);
CREATE INDEX listing_city_score ON search.listing (city_id, score DESC, provider_id, clinic_id);

-- Those near a postal code.
CREATE INDEX clinic_postal_code ON directory.clinic (postal_code);
