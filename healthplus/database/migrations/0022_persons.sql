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

-- What bounds what one account can do (docs/decisions/0034): when holds were given back, ran out or were moved in the last day, oldest
-- first. Pruned at each claim, and at most a day's budget of them.
ALTER TABLE booking.claim ADD COLUMN spent timestamptz[] NOT NULL DEFAULT '{}';

-- A booking that replaces another of the same person, which is cancelled once this one is confirmed.
ALTER TABLE booking.booking ADD COLUMN instead_of_provider_id bigint, ADD COLUMN instead_of_id uuid;

-- The outbox of that: written by `confirm`, emptied by a background task that cancels at the other provider.
CREATE TABLE booking.replacement (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,                      -- the new booking
    replaced_provider_id bigint NOT NULL,
    replaced_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, booking_id)
);

ALTER TYPE booking.outcome
    ADD ATTRIBUTE provider_id bigint,              -- for a refusal: of the patient's own booking in the way, with its booking_id
    ADD ATTRIBUTE limit_max integer,               -- for a refusal: the limit that is reached
    ADD ATTRIBUTE retry_at timestamptz;            -- for a refusal: when it would not be refused for this any more

-- For a day, whose number it was that now signs in as somebody new: erasing oneself sheds no lapses. `phone_hash` is an HMAC under
-- the product's secret key.
CREATE TABLE accounts.former_account (
    patient_id bigint PRIMARY KEY,                 -- the erased
    phone_hash bytea NOT NULL,
    erased_at timestamptz NOT NULL,
    successor_id bigint                            -- the account that the number has now
);
CREATE INDEX former_account_phone_hash ON accounts.former_account (phone_hash);
CREATE INDEX former_account_successor_id ON accounts.former_account (successor_id) WHERE successor_id IS NOT NULL;
