-- Today's board, and the letters of tokens (docs/decisions/0067-board.md).

-- The letter of a doctor's tokens at a clinic on a day, kept so that it stays when others come or go meanwhile.
CREATE TABLE reception.letter (
    clinic_id bigint NOT NULL,
    day date NOT NULL,
    provider_id bigint NOT NULL,
    letter text NOT NULL,
    looked_at timestamptz,  -- when it was last looked into for delays
    PRIMARY KEY (clinic_id, day, provider_id),
    UNIQUE (clinic_id, day, letter)
);
ALTER TABLE reception.session ADD COLUMN day date;     -- in the clinic's zone; NULL, as letter: a session of before there were letters
ALTER TABLE reception.session ADD COLUMN letter text;

-- The key of a clinic's board, as its hash: who has the address of the board sees tokens, and nobody's name.
CREATE TABLE reception.board (
    clinic_id bigint PRIMARY KEY,
    key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
    made_at timestamptz NOT NULL
);

-- When a patient was told to come, on their page or by text, for the time that they have booked.
CREATE TABLE reception.told (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    told_at timestamptz NOT NULL,
    expected_at timestamptz NOT NULL,  -- when their visit was expected to begin
    come_at timestamptz NOT NULL,      -- the latest that they were told
    texted_at timestamptz,             -- NULL: not by text
    PRIMARY KEY (provider_id, booking_id)
);
CREATE INDEX told_told_at ON reception.told USING brin (told_at);

-- What happened in the order of a session, as everybody may check it: tokens and times, and nobody's name.
CREATE TABLE reception.call_entry (
    provider_id bigint NOT NULL,
    session_id uuid NOT NULL,
    entry integer NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('arrived', 'called', 'entered', 'done', 'left', 'taken_back', 'corrected')),
    token integer NOT NULL,
    booked_at timestamptz,  -- of an arrival: for when they had booked (NULL: nothing), and to when they were told to come (NULL: to no other time)
    come_at timestamptz,
    every smallint,         -- of a call: after how many booked in a row one of the line of tokens is called
    hash bytea NOT NULL,
    PRIMARY KEY (provider_id, session_id, entry)
);
CREATE INDEX call_entry_at ON reception.call_entry USING brin (at);

-- Appointments whose clinic runs so late that changing them costs nothing (booking.has_terms).
CREATE TABLE booking.delay (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, booking_id)
);
CREATE INDEX delay_starts_at ON booking.delay USING brin (starts_at);

ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'running_late';
