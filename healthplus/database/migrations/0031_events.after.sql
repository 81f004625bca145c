-- Moves the events of the release before, in the order of their key: what reads a book's oldest events finds all up to some seq.
-- Notices are not sent again while healthplus.retention is set, which also lets the rows go; it ends with each batch.
DO $$
DECLARE
    last_id bigint := 0;
    last_seq bigint := 0;
BEGIN
    LOOP
        PERFORM set_config('healthplus.retention', 'on', true);
        WITH gone AS (
            DELETE FROM booking.event_of_release_2 AS event USING (
                SELECT provider_id, seq FROM booking.event_of_release_2
                WHERE (provider_id, seq) > (last_id, last_seq) ORDER BY provider_id, seq LIMIT 5000) AS next
            WHERE event.provider_id = next.provider_id AND event.seq = next.seq
            RETURNING event.*
        ), moved AS (
            INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id, ticket_id, actor, reason)
            SELECT provider_id, seq, at, kind::booking.event_kind, booking_id, ticket_id,
                nullif(actor, 'patient:' || CASE WHEN booking_id IS NULL
                    THEN (SELECT patient_id FROM booking.ticket WHERE ticket.provider_id = gone.provider_id AND ticket.ticket_id = gone.ticket_id)
                    ELSE (SELECT patient_id FROM booking.booking WHERE booking.provider_id = gone.provider_id AND booking.booking_id = gone.booking_id)
                    END),
                nullif(reason, '')
            FROM gone ORDER BY provider_id, seq
        )
        SELECT provider_id, seq INTO last_id, last_seq FROM gone ORDER BY provider_id DESC, seq DESC LIMIT 1;
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END $$;

-- Calls that waited while the table was renamed have long gone on.
DROP RULE IF EXISTS insert_during_upgrade ON booking.event;
