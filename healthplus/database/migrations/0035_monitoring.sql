-- What an operator looks at: faults, the app processes, and money as far as it has been counted.
CREATE SCHEMA monitoring;

-- Faults of ours, by what went wrong where, and by the hour: no values, and no texts of errors, which may quote some.
CREATE TABLE monitoring.error (
    fingerprint text NOT NULL,                     -- of the type and the functions of ours in which it happened
    hour timestamptz NOT NULL,
    times bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    type text NOT NULL,
    place text NOT NULL,                           -- the innermost functions of ours, the innermost first
    route text NOT NULL,                           -- or the background task
    request_id text,                               -- of the last request that met it
    release integer NOT NULL,
    PRIMARY KEY (fingerprint, hour)
);
CREATE INDEX error_hour ON monitoring.error (hour);

-- The app processes, each of which says every few seconds that it lives, and when its background tasks last did their work.
CREATE TABLE monitoring.process (
    machine text NOT NULL,
    pid integer NOT NULL,
    release integer NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    tasks jsonb NOT NULL,                          -- seconds since then, by the task's name
    PRIMARY KEY (machine, pid)
) WITH (fillfactor = 50);

-- How often money reached each state, and how much, as far as `until`; every minute what came since is added.
CREATE TABLE monitoring.money (
    currency text NOT NULL,
    state ledger.payment_state NOT NULL,
    payments bigint NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (currency, state)
);
CREATE TABLE monitoring.money_counted (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    until timestamptz NOT NULL
);
INSERT INTO monitoring.money_counted (until) VALUES ('-infinity');
