-- What laboratories offer, and where postal codes are.
CREATE TABLE directory.lab_test (
    lab_test_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    name text NOT NULL CHECK (name <> '')
);

-- A test costs the same at all of a laboratory's clinics.
CREATE TABLE directory.provider_lab_test (
    provider_id bigint NOT NULL REFERENCES directory.provider ON DELETE CASCADE,
    lab_test_id bigint NOT NULL REFERENCES directory.lab_test,
    price_paise integer NOT NULL CHECK (price_paise >= 0),
    PRIMARY KEY (provider_id, lab_test_id)
);
-- Who offers a test, cheapest first.
CREATE INDEX provider_lab_test_lab_test_id ON directory.provider_lab_test (lab_test_id, price_paise, provider_id);

-- The middle of each postal code's area.
CREATE TABLE directory.postal_code (
    postal_code text PRIMARY KEY CHECK (postal_code <> ''),
    latitude double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180)
);
