-- What people are to be told, and have been.
CREATE SCHEMA notices;

-- No more is checked here than what no address lacks: a failing row would be shown in the server's log.
ALTER TABLE people.patient ADD COLUMN email text CHECK (email LIKE '%_@_%');

CREATE TYPE notices.kind AS ENUM ('booked', 'expired', 'offered', 'cancelled', 'moved', 'needs_rebooking', 'refunded');
CREATE TYPE notices.channel AS ENUM ('sms', 'email');

-- The outbox: one message by one way. No address and no text is kept here: both are looked up when it is sent.
CREATE TABLE notices.notice (
    provider_id bigint NOT NULL,
    notice_id uuid NOT NULL DEFAULT gen_random_uuid(),
    channel notices.channel NOT NULL,
    kind notices.kind NOT NULL,
    patient_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    ticket_id uuid,
    created_at timestamptz NOT NULL,
    until timestamptz NOT NULL,                    -- afterwards nobody wants to be told any more
    due_at timestamptz,                            -- when to try next; NULL: sent, given up, or true no longer
    tries smallint NOT NULL DEFAULT 0,
    sent_at timestamptz,
    failed_at timestamptz,
    PRIMARY KEY (provider_id, notice_id),
    CHECK (sent_at IS NULL OR failed_at IS NULL),
    CHECK (due_at IS NULL OR (sent_at IS NULL AND failed_at IS NULL))
);
CREATE INDEX notice_due ON notices.notice (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notice_patient_id ON notices.notice (patient_id, created_at);
CREATE INDEX notice_created_at ON notices.notice USING brin (created_at);

-- What the sandbox shows instead of sending it; only the last few.
CREATE TABLE notices.sandbox_message (
    message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    channel notices.channel NOT NULL,
    masked_address text NOT NULL,
    text text NOT NULL
);
