-- What the office keeps besides accounts: what the front desk asks to have changed, and breaches of personal data, as the Digital Personal
-- Data Protection Act, 2023, has them told to its Board and to those concerned (docs/decisions/0061-audit-pages.md).

ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'attendance_undone';  -- it is booked again: who recorded it was wrong
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'refunded';           -- the clinic forgoes its fee

CREATE TYPE staff.ask_kind AS ENUM ('move', 'cancel', 'refund', 'correct', 'edit_patient');
CREATE TYPE staff.ask_state AS ENUM (
    'open',
    'done',     -- confirmed, and done with it
    'refused',
    'over'      -- the appointment changed before anybody answered
);

-- What the front desk asks to have changed of an appointment, as it may change nothing that is recorded.
CREATE TABLE staff.ask (
    ask_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id bigint NOT NULL,
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    patient_id bigint,                             -- with whom it is erased
    kind staff.ask_kind NOT NULL,
    wish jsonb NOT NULL,                           -- what it is to be changed to: `starts_at`; `state`; or `name`, `birth_year`, `sex`
    seen jsonb NOT NULL,                           -- how it was when this was asked (booking.as_seen)
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    asked_by bigint NOT NULL REFERENCES staff.account,
    asked_at timestamptz NOT NULL,
    state staff.ask_state NOT NULL DEFAULT 'open',
    answered_by bigint,                            -- NULL of what is over: nobody did
    answered_at timestamptz,
    found jsonb,                                   -- how it was when this was over
    CHECK ((state = 'open') = (answered_at IS NULL) AND (state = 'over') = (found IS NOT NULL))
);
CREATE UNIQUE INDEX ask_open ON staff.ask (clinic_id, booking_id, kind) WHERE state = 'open';  -- one of a kind at a time
CREATE INDEX ask_answered ON staff.ask (clinic_id, answered_at) WHERE state <> 'open';
CREATE INDEX ask_patient ON staff.ask (patient_id);
CREATE INDEX ask_asked ON staff.ask (asked_at);

-- A breach of personal data. What is known of it, and who was told of it when, are entries: none is ever changed.
CREATE TABLE staff.breach (
    breach_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    known_at timestamptz NOT NULL,                 -- from then on the 72 hours count
    noted_at timestamptz NOT NULL,
    noted_by text NOT NULL
);
CREATE TYPE staff.breach_entry_kind AS ENUM (
    'described',      -- what is known of it now, in place of what was
    'board_told',     -- the Data Protection Board, without delay
    'people_told',    -- those concerned, without delay
    'board_reported', -- the Board, in detail, within 72 hours
    'closed'
);
CREATE TABLE staff.breach_entry (
    breach_id bigint NOT NULL REFERENCES staff.breach,
    entry integer NOT NULL,
    kind staff.breach_entry_kind NOT NULL,
    at timestamptz NOT NULL,                       -- when it was written here
    actor text NOT NULL,
    told_at timestamptz,                           -- when they were told
    happened text NOT NULL DEFAULT '',             -- what happened, when and where; of other kinds: what was told, and how
    data text NOT NULL DEFAULT '',                 -- which personal data
    people integer CHECK (people >= 0),            -- whom it concerns; NULL: not known yet
    measures text NOT NULL DEFAULT '',             -- what was done about it
    PRIMARY KEY (breach_id, entry),
    CHECK ((kind IN ('board_told', 'people_told', 'board_reported')) = (told_at IS NOT NULL))
);
