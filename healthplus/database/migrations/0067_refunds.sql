-- Money that goes back, each order of it in a row: several of one payment, in parts, and tried again (docs/decisions/0073-refunds.md).
CREATE TYPE ledger.refund_state AS ENUM ('ordered', 'pending', 'processed', 'failed', 'withdrawn');

CREATE TABLE ledger.refund (
    provider_id bigint NOT NULL,
    refund_id uuid NOT NULL DEFAULT gen_random_uuid(),
    hold_id uuid NOT NULL,                         -- with authorisation, the payment
    authorisation text NOT NULL,
    booking_id uuid NOT NULL,
    key text,                                      -- with which the gateway is asked; NULL: somebody gave it back by hand there
    is_rest boolean NOT NULL,                      -- all that is left of the payment, but for what is kept; else a part of it
    amount_minor integer NOT NULL,
    why text NOT NULL,
    ordered_by text NOT NULL,                      -- an actor, or the gateway
    ordered_at timestamptz NOT NULL,
    from_at timestamptz NOT NULL,                  -- not before then: until then it can be taken back
    state ledger.refund_state NOT NULL DEFAULT 'ordered',
    name text,                                     -- the gateway's
    reference text,                                -- by which the person's bank finds it (ARN, RRN)
    tries smallint NOT NULL DEFAULT 1,             -- which try this is, of those for one amount
    is_last boolean NOT NULL DEFAULT true,         -- no later try has taken its place
    next_at timestamptz,                           -- when the gateway is asked, or asked again
    pending_at timestamptz,                        -- when each was learnt, once
    processed_at timestamptz,
    failed_at timestamptz,
    paid_at timestamptz,                           -- one that failed: when it was paid by bank transfer instead
    paid_by text,
    paid_reference text,
    PRIMARY KEY (provider_id, refund_id),
    CONSTRAINT refund_amount_minor_check CHECK (amount_minor > 0),
    CONSTRAINT refund_why_check CHECK (why IN ('cancelled', 'lost', 'twice', 'desk', 'gateway')),
    CONSTRAINT refund_tries_check CHECK (tries BETWEEN 1 AND 1000),
    CONSTRAINT refund_paid_check CHECK (
        paid_at IS NULL OR (state = 'failed' AND is_last AND paid_by IS NOT NULL AND paid_reference IS NOT NULL))
);
CREATE UNIQUE INDEX refund_key ON ledger.refund (provider_id, hold_id, authorisation, key);
CREATE UNIQUE INDEX refund_name ON ledger.refund (provider_id, hold_id, authorisation, name);
CREATE UNIQUE INDEX refund_rest ON ledger.refund (provider_id, hold_id, authorisation) WHERE is_rest AND is_last;
CREATE INDEX refund_booking_id ON ledger.refund (provider_id, booking_id);
CREATE INDEX refund_next_at ON ledger.refund (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX refund_open ON ledger.refund (provider_id, failed_at) WHERE state = 'failed' AND is_last AND paid_at IS NULL;

-- How it was paid (upi, card, netbanking), as far as that is known; written with the capture.
ALTER TABLE ledger.payment ADD COLUMN method text;

-- Refunds of a part are noted like all others from now on (ledger.part_due_at).
UPDATE ledger.payment SET at = at - interval '1000 years' WHERE due IS NOT NULL AND at > '2900-01-01';
