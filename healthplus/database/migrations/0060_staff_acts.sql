-- What staff change can be undone for three minutes, and who did not come often pays online (docs/decisions/0068-staff-acts.md).
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'uncancelled';    -- who cancelled it took that back: it is booked again
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'moved_back';     -- who moved it took that back
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'refund_undone';  -- who gave its fee back took that back

-- The last change of an appointment by one of the staff that they can undo, and what it was before. It is gone soon after.
CREATE TABLE booking.staff_act (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('booked', 'moved', 'cancelled', 'refunded')),
    seq bigint NOT NULL,                           -- of its event: who did more since cannot undo it
    actor text NOT NULL,
    until timestamptz NOT NULL,                    -- then the patient is told, and money goes
    during booking.finite_range NOT NULL,
    fee_minor integer NOT NULL,
    funding directory.funding NOT NULL,
    terms_id bigint,
    kept_min_minor integer,
    needs_rebooking boolean NOT NULL,
    extra booking.extra,
    PRIMARY KEY (provider_id, booking_id)
);

-- Before when money that staff give back does not go: they may take that back until then.
ALTER TABLE ledger.payment ADD COLUMN returns_from timestamptz;

-- The appointments whose patients did not come, by person and clinic. A table of its own, so that confirming writes no index for it, and
-- holding reads a table that is as small as such people are few.
CREATE TABLE booking.no_show (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    clinic_id bigint NOT NULL,
    patient_id bigint NOT NULL,
    person_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, booking_id)
);
CREATE INDEX no_show_person ON booking.no_show (person_id, clinic_id, starts_at);
CREATE INDEX no_show_patient_id ON booking.no_show (patient_id);

-- After how many times in twelve months that somebody did not come they pay online only (NULL: never), and for how many months.
ALTER TABLE directory.clinic ADD COLUMN no_shows_max smallint DEFAULT 3;
ALTER TABLE directory.clinic ADD COLUMN no_show_months smallint NOT NULL DEFAULT 4;
ALTER TABLE directory.clinic ADD CONSTRAINT clinic_no_shows_check
    CHECK (no_shows_max BETWEEN 1 AND 20 AND no_show_months BETWEEN 1 AND 24) NOT VALID;
