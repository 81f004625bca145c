-- People identified by their phone: codes, sessions, consent.

-- Who signs in by phone is asked for a name later. Of an erased patient the visits stay, with nobody attached to them.
ALTER TABLE people.patient
    DROP CONSTRAINT patient_name_check,
    ALTER COLUMN name SET DEFAULT '',
    ADD COLUMN erased_at timestamptz,
    ADD COLUMN takes_sms boolean NOT NULL DEFAULT true,  -- not a landline, which is only to be called at
    ADD CHECK (erased_at IS NULL OR (name = '' AND phone IS NULL));

-- Who is let in, by which token. Reading this table lets nobody in.
ALTER TABLE people.patient_token RENAME TO session;
ALTER TABLE people.session RENAME CONSTRAINT patient_token_pkey TO session_pkey;
ALTER INDEX people.patient_token_patient_id RENAME TO session_patient_id;
ALTER TABLE people.session
    ADD COLUMN session_id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN expires_at timestamptz,                  -- NULL: a program's token, good until it is revoked
    ADD COLUMN used_on date NOT NULL DEFAULT current_date,
    ADD COLUMN agent text NOT NULL DEFAULT '';          -- such as "Firefox on Android", to tell one's devices apart

-- A code sent to a number. Every *_hash is an HMAC under the product's secret key; codes are kept in no other form, and
-- numbers only here and only until the code is used, replaced or over.
CREATE TABLE people.challenge (
    challenge_id uuid PRIMARY KEY,
    serial bigint NOT NULL UNIQUE,                      -- numbers the messages in a row, to count them by looking at one
    phone text,
    phone_hash bytea NOT NULL,
    prefix_hash bytea NOT NULL,
    requester_hash bytea NOT NULL,
    key_hash bytea NOT NULL,                            -- the request's Idempotency-Key, and what was asked for with it
    request_hash bytea NOT NULL,
    code_hash bytea NOT NULL,
    consent_version text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    tries smallint NOT NULL DEFAULT 0,                  -- wrong ones, and those being compared just now
    tried_at timestamptz,
    used_at timestamptz,
    used_key_hash bytea,
    CHECK ((used_at IS NULL) = (used_key_hash IS NULL) AND (used_at IS NULL OR phone IS NULL))
);
CREATE INDEX challenge_phone ON people.challenge (phone_hash, created_at);
CREATE INDEX challenge_prefix ON people.challenge (prefix_hash, created_at);
CREATE INDEX challenge_requester ON people.challenge (requester_hash, created_at);
CREATE INDEX challenge_live ON people.challenge (expires_at) WHERE phone IS NOT NULL;

-- What a patient agreed to, and when. Rows are added and withdrawn, never changed; erasing a patient removes them.
CREATE TABLE people.consent (
    patient_id bigint NOT NULL REFERENCES people.patient,
    purpose text NOT NULL,
    version text NOT NULL,
    given_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    PRIMARY KEY (patient_id, purpose, version, given_at)
);
CREATE UNIQUE INDEX consent_live ON people.consent (patient_id, purpose, version) WHERE withdrawn_at IS NULL;

-- Requests about oneself that were carried out, for 24 hours. No results: a repeat shows how things stand.
CREATE TABLE people.idempotency (
    patient_id bigint NOT NULL REFERENCES people.patient,
    operation text NOT NULL,
    key_hash bytea NOT NULL,
    request_hash bytea NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (patient_id, operation, key_hash)
);
