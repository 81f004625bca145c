-- What is paid at a clinic's desk, and the tills that it goes into (docs/decisions/0074-till.md).
CREATE SCHEMA till;

CREATE TYPE till.method AS ENUM ('cash', 'card', 'upi');
CREATE TYPE till.kind AS ENUM (
    'payment',
    'undo',    -- of what the same person recorded within the last minutes
    'return'   -- money that is given back later, for a reason
);

-- The till of a member of the staff at a clinic on one of its days.
CREATE TABLE till.session (
    clinic_id bigint NOT NULL,
    session_id uuid NOT NULL DEFAULT gen_random_uuid(),
    staff_id bigint NOT NULL,
    day date NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    float_minor integer NOT NULL CHECK (float_minor >= 0),  -- the cash that it began with
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, session_id),
    UNIQUE (clinic_id, day, staff_id)
);

-- Each time that a till was closed: what should have been there, by what was recorded, and what was counted. One that was opened again gets
-- another row when it is closed.
CREATE TABLE till.closing (
    clinic_id bigint NOT NULL,
    session_id uuid NOT NULL,
    number smallint NOT NULL,
    cash_minor bigint NOT NULL,
    card_minor bigint NOT NULL,
    upi_minor bigint NOT NULL,
    cash_counted_minor bigint NOT NULL,
    card_counted_minor bigint NOT NULL,
    upi_counted_minor bigint NOT NULL,
    note text NOT NULL,
    closed_at timestamptz NOT NULL,
    closed_by text NOT NULL,
    reopened_at timestamptz,
    reopened_by text,
    reopened_why text,
    PRIMARY KEY (clinic_id, session_id, number)
);

-- Money that a desk took for a booking, or (below zero) gave back. Never changed.
CREATE TABLE till.payment (
    provider_id bigint NOT NULL,
    payment_id uuid NOT NULL DEFAULT gen_random_uuid(),
    booking_id uuid NOT NULL,
    clinic_id bigint NOT NULL,
    session_id uuid NOT NULL,
    kind till.kind NOT NULL,
    of_id uuid CHECK ((kind = 'payment') = (of_id IS NULL)),  -- which payment is given back, or which row is undone
    method till.method NOT NULL,
    amount_minor integer NOT NULL CHECK (amount_minor <> 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    reference text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    actor text NOT NULL,
    key text NOT NULL,
    paid_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, payment_id),
    UNIQUE (provider_id, actor, key)
);
CREATE INDEX payment_booking ON till.payment (provider_id, booking_id);
CREATE INDEX payment_session ON till.payment (clinic_id, session_id);
CREATE INDEX payment_at ON till.payment (clinic_id, paid_at);
CREATE UNIQUE INDEX payment_undone ON till.payment (provider_id, of_id) WHERE kind = 'undo';

-- Where a clinic is paid by UPI, in rupees; NULL: it did not say.
ALTER TABLE directory.clinic ADD COLUMN upi_id text;
ALTER TABLE directory.clinic ADD CONSTRAINT clinic_upi_id_check
    CHECK (upi_id ~ '^[A-Za-z0-9._-]{2,64}@[A-Za-z][A-Za-z0-9]{1,63}$') NOT VALID;

ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'pay_link';  -- where to pay a fee of the clinic from a phone

-- Desk payments have receipts, too.
ALTER TABLE receipts.document DROP CONSTRAINT document_source_kind_check;
ALTER TABLE receipts.document ADD CONSTRAINT document_source_kind_check CHECK (source_kind IN ('online', 'desk')) NOT VALID;
