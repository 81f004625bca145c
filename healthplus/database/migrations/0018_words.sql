-- One word for one thing, and money in the smallest unit of a currency.
ALTER SCHEMA people RENAME TO accounts;

ALTER TABLE booking.ticket RENAME COLUMN wanted TO queue_window;
ALTER TABLE booking.booking RENAME COLUMN visit_for TO patient_name;
ALTER TABLE booking.booking RENAME COLUMN fee_paise TO fee_minor;
ALTER TABLE payments.payment RENAME COLUMN amount_paise TO amount_minor;
ALTER TABLE payments.intent RENAME COLUMN amount_paise TO amount_minor;
ALTER TABLE payments.ledger RENAME COLUMN amount_paise TO amount_minor;
ALTER TABLE directory.provider_clinic RENAME COLUMN fee_paise TO fee_minor;
ALTER TABLE directory.provider_lab_test RENAME COLUMN price_paise TO price_minor;
ALTER TABLE search.listing RENAME COLUMN fee_paise TO fee_minor;
ALTER TABLE search.words_learnt RENAME TO words_counted;

-- Money for bookings is a layer of its own: the booking verbs write it, and payments, above them, talks to the gateway.
CREATE SCHEMA ledger;
ALTER TYPE payments.payment_state SET SCHEMA ledger;
ALTER TYPE payments.payment_step SET SCHEMA ledger;
ALTER TYPE payments.source SET SCHEMA ledger;
ALTER TABLE payments.payment SET SCHEMA ledger;
ALTER TABLE payments.ledger SET SCHEMA ledger;
ALTER TABLE ledger.ledger RENAME TO entry;
