-- Receipts for what was paid, and credit notes for what went back (docs/decisions/0072-receipts.md).
CREATE SCHEMA receipts;

CREATE TYPE receipts.kind AS ENUM ('receipt', 'credit_note');

-- The last number of each series: one a clinic, kind and financial year (2026 is April 2026 to March 2027).
CREATE TABLE receipts.series (
    clinic_id bigint NOT NULL,
    kind receipts.kind NOT NULL,
    financial_year smallint NOT NULL,
    last_number integer NOT NULL CHECK (last_number > 0),
    PRIMARY KEY (clinic_id, kind, financial_year)
);

-- A receipt for a payment, or a credit note (refund_id) for what went back of one. All that it says is as it was when it was issued, and
-- never changes but for the names, which go with their account.
CREATE TABLE receipts.document (
    clinic_id bigint NOT NULL,
    kind receipts.kind NOT NULL,
    financial_year smallint NOT NULL,
    number integer NOT NULL,
    source_kind text NOT NULL CHECK (source_kind IN ('online')),  -- which payment: by which way it came, and what it is called there
    provider_id bigint NOT NULL,
    source_id uuid NOT NULL,
    source_name text NOT NULL,
    refund_id uuid CHECK ((kind = 'credit_note') = (refund_id IS NOT NULL)),
    booking_id uuid NOT NULL,
    amount_minor integer NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    at timestamptz NOT NULL,         -- when the money moved: the day of the document, in the clinic's zone
    issued_at timestamptz NOT NULL,
    person_name text,
    payer_name text,
    said jsonb NOT NULL,
    PRIMARY KEY (clinic_id, kind, financial_year, number)
);
CREATE UNIQUE INDEX document_source ON receipts.document (provider_id, source_id, hashtextextended(source_name, 0), refund_id)
NULLS NOT DISTINCT;
-- By the booking first: a plan that was made while the table was small must not take this for the other.
CREATE INDEX document_booking ON receipts.document (booking_id, provider_id);

-- Money that moved and has no document yet.
CREATE TABLE receipts.due (
    source_kind text NOT NULL,
    provider_id bigint NOT NULL,
    source_id uuid NOT NULL,
    source_name text NOT NULL,
    refund_id uuid,                  -- NULL: that it was taken
    since timestamptz NOT NULL
);
CREATE UNIQUE INDEX due_source ON receipts.due (provider_id, source_id, hashtextextended(source_name, 0), refund_id) NULLS NOT DISTINCT;
CREATE INDEX due_since ON receipts.due (since);
