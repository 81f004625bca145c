-- How far back a ticket was when it joined, for the odds; 100: there or further back. NULL: joined before this was kept.
ALTER TABLE booking.ticket ADD COLUMN joined_position smallint;
CREATE INDEX ticket_joined_position ON booking.ticket (provider_id, joined_position, joined_at);

-- What happened in a provider's queue, for all to see: no patient is in it. Each entry's hash covers the one before
-- (docs/decisions/0018), the book has the last. Never changed.
CREATE TABLE booking.queue_entry (
    provider_id bigint NOT NULL,
    entry bigint NOT NULL,                         -- from 1, without gaps
    at timestamptz NOT NULL,
    kind text NOT NULL,
    number bigint NOT NULL,                        -- the ticket's
    clinic_id bigint,                              -- of `during`; NULL: any
    during tstzrange,                              -- what was wanted (joined), or offered, accepted, withheld
    slots_needed integer NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (provider_id, entry)
);
CREATE INDEX queue_entry_number ON booking.queue_entry (provider_id, number, entry);
ALTER TABLE booking.book ADD COLUMN queue_entries bigint NOT NULL DEFAULT 0, ADD COLUMN queue_hash bytea;
