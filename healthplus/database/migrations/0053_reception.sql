-- What happens at a clinic's desk on the day (docs/decisions/0063-reception.md).
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'called_in';    -- their token was called
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'entered';      -- they are in the room
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'left_unseen';  -- they went before they were seen
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'taken_back';   -- one of these three was recorded by mistake

CREATE SCHEMA reception;

-- How many booked patients are called in a row while somebody with a token only, or who came late, waits.
ALTER TABLE directory.clinic ADD COLUMN walk_in_every smallint NOT NULL DEFAULT 4;
ALTER TABLE directory.clinic ADD CONSTRAINT clinic_walk_in_every_check CHECK (walk_in_every BETWEEN 1 AND 100) NOT VALID;

-- One shift of a provider on a day, from the first arrival on. It keeps its tokens and its order when the shift is changed meanwhile.
CREATE TABLE reception.session (
    provider_id bigint NOT NULL,
    session_id uuid NOT NULL DEFAULT gen_random_uuid(),
    clinic_id bigint NOT NULL,
    during booking.finite_range NOT NULL,
    last_token integer NOT NULL DEFAULT 0,
    PRIMARY KEY (provider_id, session_id)
);
CREATE INDEX session_clinic ON reception.session USING gist (clinic_id, during);

CREATE TYPE reception.act AS ENUM ('arrive', 'call', 'enter', 'finish', 'leave', 'miss');

-- What the desk recorded of one appointment.
CREATE TABLE reception.attendance (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    session_id uuid NOT NULL,
    token integer,                               -- in order of arrival; NULL: did not come
    arrived_at timestamptz,
    calls timestamptz[] NOT NULL DEFAULT '{}',
    called_from text CHECK (called_from IN ('booked', 'token', 'end')),  -- the line that the first call found them in
    entered_at timestamptz,
    finished_at timestamptz,
    left_at timestamptz,                         -- unseen
    -- What was recorded last, by whom, and what an undo brings back: this row, and what else it changed.
    act reception.act NOT NULL,
    act_at timestamptz NOT NULL,
    actor text NOT NULL,
    before jsonb,
    PRIMARY KEY (provider_id, booking_id),
    FOREIGN KEY (provider_id, session_id) REFERENCES reception.session,
    UNIQUE (provider_id, session_id, token)
);
