-- How long a hold that came to nothing is kept, with its events: so long an operator can look into what a patient complains of, and
-- cards and UPI bring nothing after so long.
CREATE FUNCTION retention.hold_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 days' $$;

-- Looks at the next events of a book, p_events_max at most, and deletes the holds and offers that ended with one of them and came to
-- nothing, with all their events; not those that money was ever set aside for, or that are still looked for at the gateway. Each event
-- is looked at once: where a hold ends, its beginning is a few events before. Returns how many it looked at.
CREATE FUNCTION retention.forget_holds(p_provider_id bigint, p_now timestamptz, p_events_max integer)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    looked_at integer;
BEGIN
    PERFORM set_config('healthplus.retention', 'on', true);
    WITH old AS MATERIALIZED (
        -- Events are in order of time: after one that is too new come no others.
        SELECT seq, kind, booking_id FROM (
            SELECT seq, kind, booking_id, at FROM booking.event_log
            WHERE provider_id = p_provider_id
                AND seq > coalesce((SELECT progress.seq FROM retention.progress WHERE provider_id = p_provider_id), 0)
            ORDER BY seq LIMIT p_events_max) AS next
        WHERE at < p_now - retention.hold_time()
    ), over AS MATERIALIZED (
        SELECT old.booking_id, began.seq AS first_seq, old.seq AS last_seq
        FROM old
        JOIN booking.booking ON booking.provider_id = p_provider_id AND booking.booking_id = old.booking_id
        CROSS JOIN LATERAL (
            SELECT event_log.seq FROM booking.event_log
            WHERE event_log.provider_id = p_provider_id AND event_log.seq < old.seq AND event_log.booking_id = old.booking_id
                AND event_log.kind = 'reserved'
            ORDER BY event_log.seq DESC LIMIT 1) AS began
        WHERE old.kind IN ('expired', 'released') AND state IN ('expired', 'released')
            AND NOT EXISTS (
                SELECT FROM ledger.payment
                WHERE payment.provider_id = p_provider_id
                    AND payment.hold_id = ANY (ledger.holds_paid(p_provider_id, old.booking_id)))
            AND NOT EXISTS (
                SELECT FROM payments.intent WHERE intent.provider_id = p_provider_id AND intent.hold_id = old.booking_id)
    ), gone AS (
        DELETE FROM booking.event_log USING over
        WHERE event_log.provider_id = p_provider_id AND event_log.booking_id = over.booking_id AND event_log.seq BETWEEN first_seq AND last_seq
        RETURNING 1
    ), gone_bookings AS (
        DELETE FROM booking.booking USING over
        WHERE booking.provider_id = p_provider_id AND booking.booking_id = over.booking_id
    ), progress AS (
        INSERT INTO retention.progress AS known (provider_id, seq, forgotten_events)
        SELECT p_provider_id, max(seq), (SELECT count(*) FROM gone) FROM old HAVING count(*) > 0
        ON CONFLICT (provider_id) DO UPDATE
        SET seq = excluded.seq, forgotten_events = known.forgotten_events + excluded.forgotten_events
    )
    SELECT count(*) INTO looked_at FROM old;
    PERFORM set_config('healthplus.retention', '', true);
    RETURN looked_at;
END $$;

-- Whether the next event of a book to look at is old enough.
CREATE FUNCTION retention.has_old_events(p_provider_id bigint, p_now timestamptz) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT coalesce((
        SELECT at FROM booking.event_log
        WHERE provider_id = p_provider_id
            AND seq > coalesce((SELECT progress.seq FROM retention.progress WHERE provider_id = p_provider_id), 0)
        ORDER BY seq LIMIT 1) < p_now - retention.hold_time(), false)
$$;

-- Deletes some of what nobody needs any more: p_rows_max rows of each table, at most, and of the books after provider p_after as much
-- as p_rows_max events allow. Returns the provider to go on after; NULL when all is done, or another process is at it.
-- It runs as its owner, who alone may delete events; its caller chooses neither what goes nor when.
CREATE FUNCTION retention.forget(p_after bigint, p_rows_max integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_at timestamptz := public.app_now();
    rows_max integer := least(greatest(coalesce(p_rows_max, 1), 1), 10000);
    events_left integer := rows_max;
    most bigint;
    next_id bigint;
    last_id bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(18, 4) THEN
        RETURN NULL;
    END IF;
    -- Before it is forgotten that they were deleted.
    most := retention.forget_erased(now_at, rows_max);
    most := greatest(
        most,
        retention.forget_challenges(now_at, rows_max),
        retention.forget_account_keys(now_at, rows_max),
        retention.forget_sessions(now_at, rows_max),
        retention.forget_key_uses(now_at, rows_max),
        retention.forget_proofs(now_at, rows_max),
        retention.forget_devices(now_at, rows_max),
        CASE WHEN most < rows_max THEN retention.forget_former_accounts(now_at, rows_max) END,
        retention.forget_results(now_at, rows_max),
        retention.forget_presence(now_at, rows_max),
        retention.forget_notices(now_at, rows_max),
        retention.forget_reasons(now_at, rows_max),
        retention.forget_reminders(now_at, rows_max),
        retention.forget_coming(now_at, rows_max),
        retention.forget_earlier_alerts(now_at, rows_max),
        retention.forget_earlier_told(now_at, rows_max),
        retention.forget_push_subscriptions(now_at, rows_max),
        retention.forget_photos(now_at, rows_max),
        retention.forget_reports(now_at, rows_max),
        retention.forget_webhooks(now_at, rows_max),
        retention.forget_money_cases(now_at, rows_max),
        retention.forget_day_checks(now_at, rows_max),
        retention.forget_settlements(now_at, rows_max),
        retention.forget_settlement_days(now_at, rows_max),
        retention.forget_rehearsals(now_at, rows_max),
        retention.forget_intents(now_at, rows_max),
        retention.forget_errors(now_at, rows_max),
        retention.forget_processes(now_at, rows_max),
        retention.forget_staff_sessions(now_at, rows_max),
        retention.forget_staff_links(now_at, rows_max),
        retention.forget_staff_devices(now_at, rows_max),
        retention.forget_guesses(now_at, rows_max),
        retention.forget_challenges_of_staff(now_at, rows_max),
        retention.forget_staff(now_at, rows_max),
        retention.forget_audit(now_at, rows_max),
        retention.forget_asks(now_at, rows_max),
        retention.forget_attendance(now_at, rows_max),
        retention.forget_reception_sessions(now_at, rows_max),
        retention.forget_staff_acts(now_at, rows_max),
        retention.forget_no_shows(now_at, rows_max),
        retention.forget_letters(now_at, rows_max),
        retention.forget_told(now_at, rows_max),
        retention.forget_call_entries(now_at, rows_max),
        retention.forget_delays(now_at, rows_max),
        retention.forget_receipts(now_at, rows_max));
    FOR next_id IN SELECT provider_id FROM booking.book WHERE provider_id > p_after ORDER BY provider_id LIMIT rows_max LOOP
        WHILE retention.has_old_events(next_id, now_at) LOOP
            IF events_left <= 0 THEN
                RETURN next_id - 1;
            END IF;
            events_left := events_left - retention.forget_holds(next_id, now_at, least(events_left, 100));
        END LOOP;
        last_id := next_id;
    END LOOP;
    RETURN CASE WHEN last_id IS NOT NULL OR most >= rows_max THEN coalesce(last_id, p_after) END;
END $$;
