-- Events of the release before, in the order of their key: who looks at a book's old events (retention) finds all up to some point.
DO $$
DECLARE
    provider bigint := 0;
    after integer := 0;
BEGIN
    LOOP
        PERFORM set_config('healthplus.retention', 'on', true);
        WITH gone AS (
            DELETE FROM booking.event_of_release_2 WHERE (provider_id, seq) IN (
                SELECT provider_id, seq FROM booking.event_of_release_2
                WHERE (provider_id, seq) > (provider, after) ORDER BY provider_id, seq LIMIT 5000)
            RETURNING *
        ), moved AS (
            INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id, ticket_id, actor, reason)
            SELECT provider_id, seq, at, kind::booking.event_kind, booking_id, ticket_id,
                booking.kept_actor(actor, provider_id, booking_id, ticket_id), nullif(reason, '')
            FROM gone
            ORDER BY provider_id, seq
        )
        SELECT provider_id, seq INTO provider, after FROM gone ORDER BY provider_id DESC, seq DESC LIMIT 1;
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END $$;
