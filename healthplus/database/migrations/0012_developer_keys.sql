-- Developers, who call the API from their own programs: a key each, what it may be used for, and how often.
CREATE TYPE people.developer_scope AS ENUM (
    'search',  -- find providers
    'book'     -- hold, book and wait, for patients who have given the program their token
);

-- An account is its key. Kept only as its SHA-256: reading this table lets nobody in.
CREATE TABLE people.developer_key (
    key_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    key_hash bytea NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    scopes people.developer_scope[] NOT NULL CHECK (cardinality(scopes) > 0),
    per_minute integer NOT NULL CHECK (per_minute > 0),
    per_day integer NOT NULL CHECK (per_day > 0),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,             -- NULL: good until it is revoked
    revoked_at timestamptz
);

-- How often a key was used on a day of UTC, and in the latest minute of that day in which it was: one row for both
-- quotas, so that no minutes are left to tidy away. It is written again at every request; nothing that changes is indexed,
-- so the new version lies beside the old one and the index does not grow (HOT).
CREATE TABLE people.developer_key_use (
    day date NOT NULL,
    key_id bigint NOT NULL REFERENCES people.developer_key,
    requests integer NOT NULL,
    minute_at timestamptz NOT NULL,
    minute_requests integer NOT NULL,
    PRIMARY KEY (day, key_id)
);
