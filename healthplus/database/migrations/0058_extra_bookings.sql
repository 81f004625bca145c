-- Appointments beyond what the shifts have room for (docs/decisions/0066-extra-bookings.md).
CREATE TYPE booking.extra AS ENUM (
    'walk_in',     -- came without an appointment when no time was free: a token
    'overbooked'   -- at a time that was taken already, for a reason that its event has
);
ALTER TABLE booking.booking ADD COLUMN extra booking.extra;  -- NULL: it has a seat of its shift; others take no time from anybody

-- How many of either a session may have.
ALTER TABLE directory.clinic
    ADD COLUMN walk_in_cap smallint NOT NULL DEFAULT 0,
    ADD COLUMN overbook_cap smallint NOT NULL DEFAULT 0;
ALTER TABLE directory.clinic
    ADD CONSTRAINT clinic_extra_caps CHECK (walk_in_cap BETWEEN 0 AND 100 AND overbook_cap BETWEEN 0 AND 100) NOT VALID;  -- all are 0

ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'token';  -- who came without an appointment wants it as a text
