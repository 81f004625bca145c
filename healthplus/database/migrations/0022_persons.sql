-- A household shares a phone, and so an account: a booking is for one of its persons, whose name it keeps as it was.
CREATE TYPE accounts.sex AS ENUM ('male', 'female', 'other', 'unknown');  -- FHIR AdministrativeGender

CREATE TABLE accounts.person (
    person_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    patient_id bigint NOT NULL REFERENCES accounts.patient,
    name text NOT NULL CHECK (length(name) <= 200),  -- the holder's is empty until the account has one
    birth_year smallint,
    sex accounts.sex,
    is_holder boolean NOT NULL DEFAULT false,         -- the person whose account it is
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    CHECK (is_holder OR name <> '' OR removed_at IS NOT NULL)
);
CREATE INDEX person_patient_id ON accounts.person (patient_id);
CREATE UNIQUE INDEX person_holder ON accounts.person (patient_id) WHERE is_holder;

INSERT INTO accounts.person (patient_id, name, is_holder, created_at, removed_at)
SELECT patient_id, name, true, created_at, erased_at FROM accounts.patient;

-- NULL: made by the release before, for the holder unless it has another's name. `patient_name` is the person's when the hold was
-- made and, for good, when it was confirmed.
ALTER TABLE booking.booking ADD COLUMN person_id uuid;
ALTER TABLE booking.ticket ADD COLUMN person_id uuid;
