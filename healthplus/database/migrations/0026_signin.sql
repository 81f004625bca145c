-- Sign-in stays open under attack: devices that are known, what a code costs a stranger, and the budget of messages.

-- Which devices have signed in with which number. Both are hashes: of a token of 256 random bits, and under the product's
-- secret key. Time to live: 400 days without a sign-in (accounts.device_time); signing out everywhere and erasure delete them.
CREATE TABLE accounts.device (
    phone_hash bytea NOT NULL,
    device_hash bytea NOT NULL CHECK (length(device_hash) = 32),
    signed_in_at timestamptz NOT NULL,
    PRIMARY KEY (phone_hash, device_hash)
);
CREATE INDEX device_signed_in ON accounts.device (signed_in_at);

-- Proofs of work and of waiting that were used, so that none is used twice. Time to live: until `expires_at`, two hours at most,
-- after which the proof itself is refused.
CREATE TABLE accounts.spent_proof (
    proof_hash bytea PRIMARY KEY CHECK (length(proof_hash) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX spent_proof_expires ON accounts.spent_proof (expires_at);

-- How many messages are left of each part of the budget (accounts.sms_share), as of an instant: it refills by the minute.
-- Time to live: for good; it has a row a part.
CREATE TABLE accounts.sms_budget (
    part text PRIMARY KEY,
    messages double precision NOT NULL,
    at timestamptz NOT NULL
);

-- The new columns of a challenge live as long as it does: a day, or 30 days where somebody guessed.
ALTER TABLE accounts.challenge
    ADD COLUMN network_hash bytea,                      -- the wider network a request came from
    ADD COLUMN device_hash bytea,                       -- the device that asked, where it is known for this number
    ADD COLUMN is_known boolean NOT NULL DEFAULT false, -- asked for by a known device or by the desk, not by a stranger
    ADD COLUMN is_waited boolean NOT NULL DEFAULT false, -- paid for by waiting
    ADD COLUMN tries_max smallint NOT NULL DEFAULT 5,
    ADD COLUMN issued_by text;                          -- the member of the staff, where a code was told at the desk
CREATE INDEX challenge_network ON accounts.challenge (network_hash, created_at);
CREATE UNIQUE INDEX challenge_issued ON accounts.challenge (code_hash) WHERE issued_by IS NOT NULL;

-- When the patient showed that the address is theirs. Notices go to no other; it ends with the address (accounts.unverify_email),
-- also where a process of the release before changes that.
ALTER TABLE accounts.patient ADD COLUMN email_verified_at timestamptz;

-- Changing a booking by program needs a key for it from now on; the developers there are have asked for no scope by name.
UPDATE accounts.developer_key SET scopes = scopes || 'book'::accounts.developer_scope WHERE 'book' <> ALL (scopes);
