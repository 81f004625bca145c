-- The clinic's people: their accounts, what they may do where, how they log in, and what they did (docs/decisions/0057-staff.md).
CREATE SCHEMA staff;

CREATE TYPE staff.role AS ENUM (
    'desk',
    'practitioner',  -- of the days of `provider_id`
    'ward',          -- ward administrator of the clinic
    'administrator'  -- of every clinic
);

-- One row for each person, for good: bookings and the audit name them by its id. `version` rises with whatever is to end all sessions
-- that began before, so each process ends them at their next request.
CREATE TABLE staff.account (
    staff_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    handle uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),  -- what passkeys call the account: it says nothing of the person
    log_on text UNIQUE CHECK (log_on ~ '^[a-z0-9][a-z0-9._-]{2,39}$'),  -- NULL once the person is forgotten, as name is ''
    name text NOT NULL,
    provider_id bigint,                            -- whom a practitioner is
    version integer NOT NULL DEFAULT 1,
    password_hash text,                            -- argon2id; NULL until one was chosen
    password_is_long boolean NOT NULL DEFAULT false,  -- long enough to be used without a second factor
    totp_secret bytea,                             -- sealed with the product's secret key; NULL: no app
    totp_step bigint NOT NULL DEFAULT 0,           -- of the last code that was used: none counts twice
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    CHECK (disabled_at IS NULL OR (password_hash IS NULL AND totp_secret IS NULL)),
    CHECK (log_on IS NOT NULL OR (name = '' AND disabled_at IS NOT NULL))
);
CREATE INDEX account_disabled ON staff.account (disabled_at) WHERE log_on IS NOT NULL;

-- At which clinics somebody works, and as what.
CREATE TABLE staff.membership (
    staff_id bigint NOT NULL REFERENCES staff.account,
    clinic_id bigint,                              -- NULL: every clinic
    role staff.role NOT NULL,
    CHECK ((role = 'administrator') = (clinic_id IS NULL)),
    UNIQUE NULLS NOT DISTINCT (staff_id, clinic_id)
);
CREATE INDEX membership_clinic ON staff.membership (clinic_id);

CREATE TABLE staff.passkey (
    credential_id bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff.account,
    passkey_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    agent text NOT NULL,                           -- what it was made with, such as "Chrome on Windows"
    created_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX passkey_staff ON staff.passkey (staff_id);

-- Links with which one chooses a password: for the first log-in, and after a reset. Reading this table lets nobody in.
CREATE TABLE staff.link (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    staff_id bigint NOT NULL REFERENCES staff.account,
    ends_factors boolean NOT NULL,                 -- app and passkeys end with its use, as they may be in a thief's hands
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX link_staff ON staff.link (staff_id);
CREATE INDEX link_expires ON staff.link (expires_at);

CREATE TABLE staff.session (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    session_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    staff_id bigint NOT NULL REFERENCES staff.account,
    version integer NOT NULL,                      -- the account's, when it began
    agent text NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    proven_at timestamptz NOT NULL,                -- when password or passkey was given last
    locked_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX session_staff ON staff.session (staff_id);
CREATE INDEX session_created ON staff.session (created_at);

-- Browsers in which somebody has logged in: there a wrong guess of others does not slow that person. The hash stands for both.
CREATE TABLE staff.device (
    device_hash bytea PRIMARY KEY CHECK (length(device_hash) = 32),
    staff_id bigint NOT NULL REFERENCES staff.account,
    seen_at timestamptz NOT NULL
);
CREATE INDEX device_staff ON staff.device (staff_id);
CREATE INDEX device_seen ON staff.device (seen_at);

-- How many guesses were made lately: for an account, from an address, by a device. All keys are HMACs; of an account that there is not, too.
CREATE TABLE staff.guess (
    key_hash bytea PRIMARY KEY CHECK (length(key_hash) = 32),
    used double precision NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX guess_at ON staff.guess (at);

-- Challenges to passkeys that were answered, so that none is twice.
CREATE TABLE staff.spent_challenge (
    challenge_hash bytea PRIMARY KEY CHECK (length(challenge_hash) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX spent_challenge_expires ON staff.spent_challenge (expires_at);

-- Who did and saw what: a row in the transaction of the deed, never changed. Whom and what it was about stands in columns of its own.
CREATE TABLE staff.audit_entry (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,                           -- as accounts/actors.py writes it; '' where nobody knows
    session_id uuid,
    address text,                                  -- where the request came from
    action text NOT NULL,
    is_refused boolean NOT NULL,
    detail text NOT NULL,
    staff_id bigint,
    clinic_id bigint,
    patient_id bigint,
    provider_id bigint,
    booking_id uuid,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id() -- of its transaction: in what order the chain has it
);
CREATE INDEX audit_entry_xid ON staff.audit_entry (xid);
CREATE INDEX audit_entry_at ON staff.audit_entry (at);
CREATE INDEX audit_entry_staff ON staff.audit_entry (staff_id, at);

-- The chain of the audit: each link stands for the entries of all transactions from the `upto` of the one before to its own, and for the
-- link before, so that no entry can be changed, taken out or put in later without all further links telling so.
CREATE TABLE staff.audit_link (
    link bigint PRIMARY KEY,
    upto xid8 NOT NULL,
    entries bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    at timestamptz NOT NULL
);
CREATE INDEX audit_link_at ON staff.audit_link (at);
