-- Payments take over the entries of release 2, and intents that were done with go. One book at a time, under its row's lock, so that no
-- verb waits for long.
DO $$
DECLARE
    head record;
BEGIN
    FOR head IN SELECT provider_id FROM booking.book ORDER BY provider_id LOOP
        PERFORM FROM booking.book WHERE provider_id = head.provider_id FOR UPDATE;
        PERFORM ledger.take_over_entries(head.provider_id);
        DELETE FROM payments.intent WHERE provider_id = head.provider_id AND check_at IS NULL;
        COMMIT;
    END LOOP;
END $$;

-- No two payments of a hold have the same authorisation; its text, in no index, is found by the hold. What broke off is made again.
DROP INDEX CONCURRENTLY IF EXISTS ledger.payment_authorisation;
CREATE UNIQUE INDEX CONCURRENTLY payment_authorisation
ON ledger.payment (provider_id, hold_id, hashtextextended(authorisation, 0));
DROP INDEX CONCURRENTLY IF EXISTS ledger.payment_booked_instead;
CREATE INDEX CONCURRENTLY payment_booked_instead ON ledger.payment (provider_id, booking_id) WHERE booking_id <> hold_id;
DROP INDEX CONCURRENTLY IF EXISTS ledger.payment_booking_id;
-- Nobody is to wait behind this: it gives up after a second, and asks again.
DO $$
BEGIN
    PERFORM set_config('lock_timeout', '1s', true);
    FOR try IN 1..60 LOOP
        BEGIN
            ALTER TABLE ledger.payment DROP CONSTRAINT IF EXISTS payment_pkey;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(1);
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'ledger.payment is in use all the time; run `healthplus migrate` again';
END $$;
ALTER TABLE ledger.payment VALIDATE CONSTRAINT payment_currency_check;
