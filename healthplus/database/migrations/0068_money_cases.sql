-- The daily comparison with the gateways' lists, and what did not agree (docs/decisions/0077-daily-comparison.md).
CREATE TABLE payments.day_check (
    account text NOT NULL,
    day date NOT NULL,                      -- of UTC, as gateways list payments
    due_at timestamptz,                     -- when to compare it next, or again where that was not finished; NULL: not any more
    runs smallint NOT NULL DEFAULT 0,       -- how often it was compared as a whole
    began_at timestamptz,
    finished_at timestamptz,                -- when it was last compared as a whole
    payments integer NOT NULL DEFAULT 0,    -- as the gateway listed them then
    different integer NOT NULL DEFAULT 0,   -- how many of them, or of ours, did not agree
    failures integer NOT NULL DEFAULT 0,    -- of the gateway, since then
    PRIMARY KEY (account, day)
);
CREATE INDEX day_check_due_at ON payments.day_check (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE payments.money_case (
    case_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('unknown_here', 'unknown_there', 'amount', 'state', 'refund', 'kept')),
    name text NOT NULL,                     -- the gateway's, of the payment
    provider_id bigint,                     -- the booking, where it is known
    hold_id uuid,                           -- which it was paid for
    booking_id uuid,
    clinic_id bigint,
    amount_minor integer NOT NULL CHECK (amount_minor >= 0),  -- of what is in doubt
    currency text NOT NULL,
    ours text NOT NULL,                     -- what each says of it, in the words of payments/differences.py
    theirs text NOT NULL,
    found_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,           -- when it was last found so
    look_at timestamptz,                    -- when to look at the gateway because somebody asked for it
    closed_at timestamptz,
    closed_by text,                         -- an actor; system:comparison where it agrees by now
    note text CHECK (length(note) BETWEEN 1 AND 1000),
    CONSTRAINT money_case_once UNIQUE (account, name, kind),
    CONSTRAINT money_case_closed CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE INDEX money_case_open ON payments.money_case (found_at) WHERE closed_at IS NULL;
CREATE INDEX money_case_closed_at ON payments.money_case (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX money_case_look_at ON payments.money_case (look_at) WHERE look_at IS NOT NULL;
