-- What functions take and answer. Function files made these types until now, and release 1 renames some of their attributes: this
-- once they are made again, with the functions that use them. From here on they grow by ALTER TYPE ... ADD ATTRIBUTE.
DROP TYPE IF EXISTS booking.outcome CASCADE;
DROP TYPE IF EXISTS search.wanted CASCADE;

-- What every verb answers. `code` says what happened; the rest is filled as far as it applies.
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
    fee_minor integer,
    funding directory.funding,
    version bigint,               -- of the book, afterwards
    can_wait boolean,             -- for a refusal: joining the queue makes sense
    alternatives timestamptz[],   -- for a refusal: starts free near by, nearest first
    conflicts uuid[]              -- bookings in the way of a change of schedule
);
-- Results stored under the attribute's old name.
UPDATE booking.idempotency SET outcome = outcome - 'fee_paise' || jsonb_build_object('fee_minor', outcome -> 'fee_paise')
WHERE outcome ? 'fee_paise';

-- What a search is for; NULL where it does not matter.
CREATE TYPE search.criteria AS (
    terms tsquery,                -- what every listing must have
    city_id bigint,
    name_terms tsquery,           -- what the names of those that come first must have, in the order 'best'
    latitude double precision,
    longitude double precision,
    radius_m double precision,
    starts_from timestamptz,      -- a free slot must start at this instant or later
    starts_before timestamptz,    -- and before this one
    fee_min integer,              -- whole units of the clinic's currency
    fee_max integer,
    practising_since_max integer, -- a year
    rating_min real,
    gender directory.gender,
    language text,
    accepts_new_patients boolean,
    ordering text                 -- best; rating, distance, date, type_date or date_type, with `_asc` or `_desc`
);
