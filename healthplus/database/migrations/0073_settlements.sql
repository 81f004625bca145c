-- What gateways paid out to the owners of accounts, and of what payments, refunds and fees it was made (docs/decisions/0078-settlements.md).
CREATE TABLE payments.settlement (
    account text NOT NULL,
    name text NOT NULL,                     -- the gateway's
    settled_at timestamptz NOT NULL,
    currency text NOT NULL,
    amount_minor bigint,                    -- as the gateway says that it paid out; NULL: it has not said so yet
    reference text NOT NULL DEFAULT '',     -- by which the bank finds it (UTR, trace id)
    read_at timestamptz NOT NULL,           -- when it was first heard of
    lines integer NOT NULL DEFAULT 0,       -- what is known of it by now, and what that comes to:
    payments_minor bigint NOT NULL DEFAULT 0,
    refunds_minor bigint NOT NULL DEFAULT 0,
    other_minor bigint NOT NULL DEFAULT 0,  -- given and taken for neither, such as disputes
    fees_minor bigint NOT NULL DEFAULT 0,   -- what the gateway kept for its service, with the tax on it
    tax_minor bigint NOT NULL DEFAULT 0,    -- of fees_minor
    PRIMARY KEY (account, name)
);
CREATE INDEX settlement_settled_at ON payments.settlement (account, settled_at);

CREATE TABLE payments.settlement_line (
    account text NOT NULL,
    settlement text NOT NULL,
    name text NOT NULL,                     -- the gateway's, of the line
    kind text NOT NULL CHECK (kind IN ('payment', 'refund', 'fee', 'other')),
    payment text NOT NULL,                  -- the gateway's names of what it is about; '' for none
    refund text NOT NULL,
    amount_minor bigint NOT NULL,           -- of a payment above zero, of what goes back below
    fee_minor bigint NOT NULL,              -- with the tax on it; below zero where the gateway gives some back
    tax_minor bigint NOT NULL,
    net_minor bigint NOT NULL,              -- what it adds to the settlement
    is_converted boolean NOT NULL,          -- the gateway changed it into the settlement's currency
    at timestamptz NOT NULL,                -- when what it is about happened
    provider_id bigint,                     -- the payment in the ledger, once it is found there
    hold_id uuid,
    PRIMARY KEY (account, settlement, name),
    FOREIGN KEY (account, settlement) REFERENCES payments.settlement (account, name) ON DELETE CASCADE
);
CREATE INDEX settlement_line_payment ON payments.settlement_line (account, payment);
CREATE INDEX settlement_line_hold ON payments.settlement_line (provider_id, hold_id) WHERE provider_id IS NOT NULL;

CREATE TABLE payments.settlement_day (
    account text NOT NULL,
    day date NOT NULL,                      -- of the gateway's list of settlements
    due_at timestamptz,                     -- when to read it next; NULL: not any more
    runs smallint NOT NULL DEFAULT 0,       -- how often it was read as a whole
    finished_at timestamptz,
    failures integer NOT NULL DEFAULT 0,    -- of the gateway, since then
    PRIMARY KEY (account, day)
);
CREATE INDEX settlement_day_due_at ON payments.settlement_day (due_at) WHERE due_at IS NOT NULL;

ALTER TABLE payments.money_case DROP CONSTRAINT money_case_kind_check;
ALTER TABLE payments.money_case ADD CONSTRAINT money_case_kind_check CHECK (kind IN (
    'unknown_here', 'unknown_there', 'amount', 'state', 'refund', 'kept',
    'settled_unknown', 'settled_amount', 'settled_twice', 'settled_missing', 'settled_other', 'settled_fee', 'settled_sum')) NOT VALID;
