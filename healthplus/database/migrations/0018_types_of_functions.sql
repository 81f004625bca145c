-- What functions are given and answer. Function files made these types until now: a database that has them keeps them, with the
-- functions that use them. They grow by ALTER TYPE ... ADD ATTRIBUTE.
DO $$
BEGIN
    -- What every verb answers. `code` says what happened; the rest is filled as far as it applies.
    IF to_regtype('booking.outcome') IS NULL THEN
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
    END IF;
    -- What is looked for. NULL where nothing is said.
    IF to_regtype('search.wanted') IS NULL THEN
        CREATE TYPE search.wanted AS (
            terms tsquery,                -- what every listing found has
            city_id bigint,
            name_terms tsquery,           -- with what in their names they come first, in the order 'best'
            latitude double precision,
            longitude double precision,
            radius_m double precision,
            starts_from timestamptz,      -- a slot that is free starts at this instant or later
            starts_before timestamptz,    -- and before this one
            fee_paise_min integer,
            fee_paise_max integer,
            practising_since_max integer, -- a year
            rating_min real,
            gender directory.gender,
            language text,
            accepts_new_patients boolean,
            ordering text                 -- best; rating, distance, date, type_date or date_type, with `_asc` or `_desc`
        );
    END IF;
END $$;
