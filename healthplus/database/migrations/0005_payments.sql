-- Money set aside and taken for bookings: what is done, and what is still due to be done at the gateway.
CREATE SCHEMA payments;

CREATE TYPE payments.payment_state AS ENUM ('authorised', 'captured', 'voided', 'refunded');
CREATE TYPE payments.payment_step AS ENUM ('capture', 'void', 'refund');

CREATE TABLE payments.payment (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    authorisation text NOT NULL,                   -- the gateway's own name for the money set aside
    amount_paise integer NOT NULL CHECK (amount_paise >= 0),
    state payments.payment_state NOT NULL DEFAULT 'authorised',
    due payments.payment_step,                     -- the outbox: what the gateway has yet to be told
    at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, booking_id, authorisation),
    CHECK (due IS NULL OR (state = 'authorised' AND due IN ('capture', 'void')) OR (state = 'captured' AND due = 'refund'))
);
-- this prevents money from being taken twice for one booking
CREATE UNIQUE INDEX payment_kept ON payments.payment (provider_id, booking_id)
    WHERE (state = 'authorised' AND due = 'capture') OR (state = 'captured' AND due IS NULL);
CREATE INDEX payment_due ON payments.payment (at) WHERE due IS NOT NULL;
