-- Payment intents, the ledger and the webhook inbox.

CREATE TYPE payments.source AS ENUM ('answer', 'webhook', 'fetch');

-- That the gateway is about to be asked for money for a hold. Written before it is: what it then did is found, whoever dies.
CREATE TABLE payments.intent (
    provider_id bigint NOT NULL,
    hold_id uuid NOT NULL,
    amount_paise integer NOT NULL,
    asked_at timestamptz NOT NULL,                 -- the last time
    check_at timestamptz,                          -- when to look at the gateway next; NULL: nothing more can come of it
    PRIMARY KEY (provider_id, hold_id)
) WITH (fillfactor = 80);
CREATE INDEX intent_check_at ON payments.intent (check_at) WHERE check_at IS NOT NULL;

-- A hold that lapsed before its money came may have been booked anew: what is paid for is then another booking than the hold.
ALTER TABLE payments.payment ADD COLUMN hold_id uuid;
UPDATE payments.payment SET hold_id = booking_id;
ALTER TABLE payments.payment
    ALTER COLUMN hold_id SET NOT NULL,
    DROP CONSTRAINT payment_pkey,
    ADD PRIMARY KEY (provider_id, hold_id, authorisation);
CREATE INDEX payment_booking_id ON payments.payment (provider_id, booking_id);

-- Every fact about money, once, as it was learnt. Never changed.
CREATE TABLE payments.ledger (
    provider_id bigint NOT NULL,
    hold_id uuid NOT NULL,
    authorisation text NOT NULL,
    state payments.payment_state NOT NULL,         -- what became of the money
    amount_paise integer NOT NULL,
    source payments.source NOT NULL,               -- how that was learnt
    at timestamptz NOT NULL,                       -- and when
    PRIMARY KEY (provider_id, hold_id, authorisation, state)
);
INSERT INTO payments.ledger (provider_id, hold_id, authorisation, state, amount_paise, source, at)
SELECT provider_id, hold_id, authorisation, fact, amount_paise, 'answer', at
FROM payments.payment, unnest(enum_range(NULL::payments.payment_state)) AS fact
WHERE fact IN ('authorised', state) OR (fact = 'captured' AND state = 'refunded');

-- Webhooks that were heeded, by the gateway's own id: the same one may come again.
CREATE TABLE payments.webhook_event (
    provider_id bigint NOT NULL,
    event_id text NOT NULL,
    hold_id uuid NOT NULL,
    authorisation text NOT NULL,
    state payments.payment_state NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, event_id)
);
