-- What every verb answers. `code` says what happened; the rest is filled as far as it applies.
DROP TYPE IF EXISTS booking.outcome CASCADE;
CREATE TYPE booking.outcome AS (
    code text,
    reason text,                  -- which of several causes, for a refusal
    booking_id uuid,
    ticket_id uuid,
    number bigint,                -- the ticket's
    state text,                   -- the booking's or ticket's, afterwards
    clinic_id bigint,
    starts_at timestamptz,
    ends_at timestamptz,
    deadline timestamptz,         -- the server's
    fee_paise integer,
    funding directory.funding,
    version bigint,               -- of the book, afterwards
    can_wait boolean,             -- for a refusal: joining the queue makes sense
    alternatives timestamptz[],   -- for a refusal: starts free near by, nearest first
    conflicts uuid[]              -- bookings in the way of a change of schedule
);

-- The product's figures, each in this one place. The server grants five seconds more than the client is shown.
CREATE FUNCTION booking.hold_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '305 seconds' $$;
CREATE FUNCTION booking.offer_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '65 seconds' $$;
CREATE FUNCTION booking.presence_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '60 seconds' $$;
CREATE FUNCTION booking.wait_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 hour' $$;
CREATE FUNCTION booking.idempotency_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '24 hours' $$;
CREATE FUNCTION booking.lapse_memory_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 day' $$;
CREATE FUNCTION booking.lapses_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;
