-- Only now, as functions of the release before leave both columns as they are: a book that they made is looked through like an old one.
ALTER TABLE booking.book ALTER COLUMN next_due SET DEFAULT 'infinity';

-- One book at a time, under its row's lock, so that no verb waits for long.
DO $$
DECLARE
    head record;
BEGIN
    FOR head IN SELECT provider_id FROM booking.book WHERE next_due = '-infinity' ORDER BY provider_id LOOP
        PERFORM FROM booking.book WHERE provider_id = head.provider_id FOR UPDATE;
        PERFORM booking.refresh_next_due(head.provider_id);
        COMMIT;
    END LOOP;
END $$;

-- Finds the books where something is due.
DROP INDEX CONCURRENTLY IF EXISTS booking.book_next_due;
CREATE INDEX CONCURRENTLY book_next_due ON booking.book (next_due) WHERE next_due < 'infinity';

-- It replaces two indexes whose every entry a change of a booking's state had to touch. Where there are many bookings, they stay until
-- the next release: processes of the release before look for what is due by them, up to fifty times a second.
DO $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM booking.booking LIMIT 10001) AS booking) <= 10000 THEN
        DROP INDEX IF EXISTS booking.booking_deadline, booking.booking_provider_deadline;
    END IF;
END $$;
