-- The people who book.
CREATE SCHEMA people;

CREATE TABLE people.patient (
    patient_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    phone text UNIQUE CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'),  -- E.164
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A bearer token, kept only as its SHA-256: reading this table lets nobody in.
CREATE TABLE people.patient_token (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    patient_id bigint NOT NULL REFERENCES people.patient ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX patient_token_patient_id ON people.patient_token (patient_id);
