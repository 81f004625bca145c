-- The book. Every table starts with provider_id and no verb touches two providers, so that each can be distributed by it.
-- There are no foreign keys out of these tables: checking one would lock rows that many providers share;
-- `healthplus check` looks for references that dangle.
CREATE SCHEMA booking;

-- Domains, since a table's own checks are parsed anew by every statement that writes to it.
CREATE DOMAIN booking.finite_range AS tstzrange CHECK (
    NOT isempty(VALUE) AND lower_inc(VALUE) AND NOT upper_inc(VALUE) AND isfinite(lower(VALUE)) AND isfinite(upper(VALUE)));
CREATE DOMAIN booking.positive AS smallint CHECK (VALUE >= 1);

CREATE TYPE booking.booking_state AS ENUM (
    'reserved',   -- held until `deadline`, waiting for payment; an offer while `offer`
    'booked',     -- paid for, or to be paid at the clinic
    'expired',    -- the hold or offer ran out
    'released',   -- given back before it ran out
    'cancelled',  -- given back after it was booked
    'arrived',    -- the patient is there
    'fulfilled',  -- the visit took place
    'no_show'     -- the patient did not come
);

CREATE TYPE booking.ticket_state AS ENUM (
    'waiting',
    'offered',    -- a hold was made for it: `offer_id`
    'accepted',   -- took its offer
    'lapsed',     -- had its turn and let it pass
    'left',       -- the patient left
    'timed_out',  -- one hour passed
    'full'        -- nothing that would satisfy it can be had any more
);

-- The head of one provider's book: the row that every verb locks, and its counters.
CREATE TABLE booking.book (
    provider_id bigint PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0,             -- seq of the last event
    last_ticket_number bigint NOT NULL DEFAULT 0,
    next_free_at timestamptz,                      -- earliest start free for all when last touched; NULL: none within reach
    touched_at timestamptz NOT NULL DEFAULT '-infinity', -- when next_free_at was last worked out
    -- The version at which the queue was served and found nothing free, and when; NULL when it found something.
    served_version bigint,
    served_at timestamptz
) WITH (fillfactor = 50);

CREATE TABLE booking.booking (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL DEFAULT gen_random_uuid(),
    clinic_id bigint NOT NULL,
    patient_id bigint NOT NULL,
    during booking.finite_range NOT NULL,
    seat booking.positive NOT NULL,
    slots_needed booking.positive NOT NULL,
    state booking.booking_state NOT NULL,
    -- A predicate on two states let a second patient in after 'arrived'.
    occupies boolean NOT NULL GENERATED ALWAYS AS (
        state IN ('reserved', 'booked', 'arrived', 'fulfilled', 'no_show')) STORED,
    deadline timestamptz,                          -- the server's: the client is shown five seconds less
    offer boolean NOT NULL DEFAULT false,          -- made by the queue and not accepted yet
    ticket_id uuid,                                -- the ticket it was made for
    needs_rebooking boolean NOT NULL DEFAULT false,
    fee_paise integer NOT NULL,
    funding directory.funding NOT NULL,            -- with fee_paise, the payment intent of a hold
    created_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, booking_id),
    CHECK ((state <> 'reserved' OR deadline IS NOT NULL) AND (NOT offer OR ticket_id IS NOT NULL)),
    -- this prevents a double booking, whatever the code above it does
    CONSTRAINT booking_overlap EXCLUDE USING gist (provider_id WITH =, seat WITH =, during WITH &&) WHERE (occupies)
) WITH (fillfactor = 80);
-- The brief's ordered map of live holds: its head is the next to lapse.
CREATE INDEX booking_deadline ON booking.booking (deadline) WHERE state = 'reserved';
CREATE INDEX booking_provider_deadline ON booking.booking (provider_id, deadline) WHERE state = 'reserved';
CREATE INDEX booking_patient_id ON booking.booking (patient_id);

CREATE TABLE booking.ticket (
    provider_id bigint NOT NULL,
    ticket_id uuid NOT NULL DEFAULT gen_random_uuid(),
    number bigint NOT NULL,                        -- order of arrival, given under the lock
    patient_id bigint NOT NULL,
    clinic_id bigint,                              -- NULL: any of the provider's clinics
    wanted booking.finite_range NOT NULL,
    slots_needed booking.positive NOT NULL,
    state booking.ticket_state NOT NULL,
    joined_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    present_at timestamptz NOT NULL,               -- last known by a verb to be present; see booking.presence
    absent boolean NOT NULL DEFAULT false,         -- passed over since last seen: only the verb `resume` ends that
    offers_unfetched smallint NOT NULL DEFAULT 0,  -- offers that lapsed without the client ever seeing them
    offer_id uuid,                                 -- the booking made for it
    withheld_seat smallint,                        -- the one run kept for a present ticket that does not fit yet
    withheld_during tstzrange,
    PRIMARY KEY (provider_id, ticket_id),
    UNIQUE (provider_id, number),
    CHECK ((state NOT IN ('offered', 'accepted') OR offer_id IS NOT NULL)
        AND (withheld_seat IS NULL) = (withheld_during IS NULL) AND (withheld_during IS NULL OR state = 'waiting'))
) WITH (fillfactor = 80);
CREATE INDEX ticket_waiting ON booking.ticket (provider_id, number) WHERE state = 'waiting';
CREATE INDEX ticket_waiting_expires_at ON booking.ticket (provider_id, expires_at) WHERE state = 'waiting';

-- When each waiting client was last seen. Flushed in key order by each process; verbs only read it. Unlogged, because
-- after a restart everyone counts as present anyway.
CREATE UNLOGGED TABLE booking.presence (
    provider_id bigint NOT NULL,
    ticket_id uuid NOT NULL,
    seen_at timestamptz NOT NULL,
    fetched_offer_id uuid,                         -- the last offer that this ticket's client was shown
    PRIMARY KEY (provider_id, ticket_id)
) WITH (fillfactor = 50);

-- Since when presence has been noted: emptied with it by a crash, and filled again by the first who looks at a queue.
CREATE UNLOGGED TABLE booking.presence_since (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    at timestamptz NOT NULL
);
INSERT INTO booking.presence_since (at) VALUES ('-infinity');

-- One live hold or ticket a patient. Written only by its owner's verbs, as the last lock they take.
CREATE TABLE booking.claim (
    patient_id bigint PRIMARY KEY,
    provider_id bigint NOT NULL,
    booking_id uuid,
    ticket_id uuid,
    lapses timestamptz[] NOT NULL DEFAULT '{}',    -- when this patient's recent holds ran out unpaid, oldest first
    CHECK ((booking_id IS NULL) <> (ticket_id IS NULL))
) WITH (fillfactor = 70);

-- What happened, in order, without gaps. Never changed.
CREATE TABLE booking.event (
    provider_id bigint NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,                            -- a state that was reached, or what was done to the schedule
    booking_id uuid,
    ticket_id uuid,
    actor text NOT NULL,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (provider_id, seq)
);

-- First results of changing requests, for 24 hours.
CREATE TABLE booking.idempotency (
    provider_id bigint NOT NULL,
    caller text NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    outcome jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, caller, operation, key)
);
