-- Whose clinics take their money where (docs/decisions/0071-payment-accounts.md).
CREATE TABLE payments.account (
    account text PRIMARY KEY CHECK (account ~ '^[a-z][a-z0-9-]{0,29}$' AND account <> 'sandbox'),
    gateway text NOT NULL CHECK (gateway IN ('stripe', 'razorpay')),
    owner text NOT NULL CHECK (length(owner) BETWEEN 1 AND 200),  -- who has the account at the gateway, as on their bank statement
    is_default boolean NOT NULL DEFAULT false,                    -- of the clinics that have none of their own
    captures_at_once boolean NOT NULL DEFAULT false,              -- the gateway takes all money at once (Direct Settlement)
    lets_lapse boolean NOT NULL DEFAULT false                     -- what is not needed goes back by itself, and is not captured and refunded
);
CREATE UNIQUE INDEX account_is_default ON payments.account (is_default) WHERE is_default;

CREATE TABLE payments.clinic_account (
    clinic_id bigint PRIMARY KEY REFERENCES directory.clinic,
    account text NOT NULL REFERENCES payments.account
);
CREATE INDEX clinic_account_account ON payments.clinic_account (account);

-- Where the money of a hold is requested, and the gateway's name for the request (an order, a checkout session), once it has given one.
ALTER TABLE payments.intent ADD COLUMN account text NOT NULL DEFAULT 'sandbox';
ALTER TABLE payments.intent ADD COLUMN order_name text;
