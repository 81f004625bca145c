-- When the next hold, offer or ticket of a book may run out, at the earliest, and whether anybody may be queueing there: what lets a
-- verb see at one glance that time has changed nothing (docs/decisions/0041). Of a book there is already, neither is known yet.
ALTER TABLE booking.book
    ADD COLUMN next_due timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN is_queued boolean NOT NULL DEFAULT false;

-- First results as columns, in half the bytes of a document; `outcome` is what the release before wrote.
ALTER TABLE booking.idempotency
    ALTER COLUMN outcome DROP NOT NULL,
    ADD COLUMN code text,
    ADD COLUMN booking_id uuid,
    ADD COLUMN ticket_id uuid,
    ADD COLUMN clinic_id bigint,
    ADD COLUMN number bigint,
    ADD COLUMN version bigint,
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN ends_at timestamptz,
    ADD COLUMN deadline timestamptz,
    ADD COLUMN fee_minor integer,
    ADD COLUMN state text,
    ADD COLUMN funding directory.funding;
