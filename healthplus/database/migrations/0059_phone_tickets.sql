-- Which tickets are of callers (docs/decisions/0065-phone-tickets.md): at which clinic the desk answers for them, and who of its staff had them
-- join. A table of its own, so that no other ticket costs more than it did.
CREATE TABLE booking.phone_ticket (
    provider_id bigint NOT NULL,
    ticket_id uuid NOT NULL,
    clinic_id bigint NOT NULL,
    staff_id bigint NOT NULL,
    joined_at timestamptz NOT NULL,
    called_at timestamptz,                         -- when the desk last said that it calls them; NULL: it never did
    PRIMARY KEY (provider_id, ticket_id)
);
CREATE INDEX phone_ticket_clinic ON booking.phone_ticket (clinic_id, joined_at);
CREATE INDEX phone_ticket_staff ON booking.phone_ticket (provider_id, staff_id, joined_at);

ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'queued';  -- the desk had a caller join
