-- name: book_figures
-- What is held, offered and queued for now, and how late the first of it is that ought to have ended; and how long the audit waits for its
-- chain. All by small indexes.
SELECT live.holds, live.offers, queued.waiting, queued.queues, called.called, lag.lag_seconds, staff.unchained_seconds() AS unchained_seconds
FROM public.app_now() AS now_at
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE NOT offer) AS holds, count(*) FILTER (WHERE offer) AS offers
    FROM booking.book CROSS JOIN LATERAL booking.reserved(book.provider_id) AS reserved
    WHERE next_due < 'infinity' AND deadline > now_at) AS live
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, count(DISTINCT provider_id) AS queues FROM booking.ticket WHERE state = 'waiting') AS queued
CROSS JOIN LATERAL (SELECT count(*) AS called FROM booking.ticket WHERE state = 'called') AS called
CROSS JOIN LATERAL (
    SELECT coalesce(extract(epoch FROM greatest(interval '0', now_at - min(next_due))), 0)::double precision AS lag_seconds
    FROM booking.book WHERE next_due < 'infinity') AS lag

-- name: money_due
-- What the gateway has yet to be told, and for how long the oldest of it has been due: since it was paid, the booking
-- cancelled, or a part of it ordered to go back.
SELECT step, currency, count(*) AS payments, sum(amount_minor)::bigint AS amount_minor,
    extract(epoch FROM now_at - min(since))::double precision AS oldest_seconds
FROM public.app_now() AS now_at
CROSS JOIN LATERAL (
    SELECT due::text AS step, coalesce(payment.currency, clinic.currency, '?') AS currency,
        CASE due WHEN 'refund' THEN ledger.rest_minor(payment) ELSE payment.amount_minor END AS amount_minor,
        greatest(authorised_at, (
            SELECT max(event_log.at) FROM booking.event_log
            WHERE event_log.provider_id = payment.provider_id AND event_log.booking_id = payment.booking_id AND kind = 'cancelled')) AS since
    FROM ledger.payment
    LEFT JOIN booking.booking USING (provider_id, booking_id) LEFT JOIN directory.clinic USING (clinic_id)
    WHERE due IS NOT NULL
    UNION ALL
    SELECT 'refund', coalesce(payment.currency, clinic.currency, '?'), refund.amount_minor, refund.from_at
    FROM ledger.refund JOIN ledger.payment USING (provider_id, hold_id, authorisation)
    LEFT JOIN booking.booking ON booking.provider_id = refund.provider_id AND booking.booking_id = refund.booking_id
    LEFT JOIN directory.clinic USING (clinic_id)
    WHERE next_at IS NOT NULL AND NOT is_rest AND refund.state = 'ordered' AND from_at <= now_at) AS due
GROUP BY step, currency, now_at ORDER BY step, currency

-- name: money_checks
-- What did not match and nobody has seen to; and the days that ought to have been compared with a gateway's list for six hours.
SELECT (SELECT count(*) FROM payments.money_case WHERE closed_at IS NULL) AS open_cases,
    (SELECT count(*) FROM payments.day_check
        WHERE due_at IS NOT NULL AND (day + runs + 1)::timestamp AT TIME ZONE 'UTC' + interval '8 hours' < (SELECT public.app_now())) AS late_days

-- name: money_totals
-- How much money has ever reached each state, up to two minutes ago.
SELECT currency, state::text AS state, payments, amount_minor FROM monitoring.money ORDER BY money.currency, money.state

-- name: count_money
-- Add what reached a state since the last time; true: there is more.
SELECT monitoring.count_money()

-- name: replicas
-- The servers that follow this one.
SELECT name, state, sync_state, lag_bytes, lag_seconds FROM monitoring.replicas() ORDER BY name

-- name: note_errors
-- Add faults to those of the hour.
INSERT INTO monitoring.error AS known (fingerprint, hour, times, first_at, last_at, type, place, route, request_id, release)
SELECT fingerprint, date_trunc('hour', now_at, 'UTC'), times, now_at AS first_at, now_at AS last_at, type, place, route, request_id, $7
FROM public.app_now() AS now_at,
    unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
        AS fault (fingerprint, times, type, place, route, request_id)
ORDER BY fingerprint
ON CONFLICT (fingerprint, hour) DO UPDATE
SET times = known.times + excluded.times, last_at = excluded.last_at, type = excluded.type, place = excluded.place,
    route = excluded.route, request_id = coalesce(excluded.request_id, known.request_id), release = excluded.release

-- name: errors
-- The faults of the last $1 days, the latest first.
SELECT fingerprint, sum(times)::bigint AS times, min(first_at) AS first_at, max(last_at) AS last_at,
    (array_agg(type ORDER BY hour DESC))[1] AS type, (array_agg(place ORDER BY hour DESC))[1] AS place,
    (array_agg(route ORDER BY hour DESC))[1] AS route,
    (array_agg(request_id ORDER BY hour DESC) FILTER (WHERE request_id IS NOT NULL))[1] AS request_id,
    (array_agg(release ORDER BY hour DESC))[1] AS release
FROM monitoring.error
WHERE hour > (SELECT public.app_now()) - make_interval(days => $1)
GROUP BY error.fingerprint ORDER BY max(error.last_at) DESC, error.fingerprint

-- name: say_alive
-- Note that an app process lives, and how long ago its tasks did their work.
INSERT INTO monitoring.process (machine, pid, release, started_at, seen_at, tasks)
SELECT $1, $2, $3, now_at AS started_at, now_at AS seen_at, $4 FROM public.app_now() AS now_at
ON CONFLICT (machine, pid) DO UPDATE
SET started_at = CASE WHEN $5 THEN excluded.started_at ELSE process.started_at END,
    release = excluded.release, seen_at = excluded.seen_at, tasks = excluded.tasks

-- name: say_gone
-- Note that an app process has ended.
DELETE FROM monitoring.process WHERE machine = $1 AND pid = $2

-- name: processes
-- The app processes that said in the last hour that they live, and have not said since that they end.
SELECT machine, pid, release, started_at, extract(epoch FROM now_at - seen_at)::double precision AS seen_seconds, tasks
FROM public.app_now() AS now_at CROSS JOIN monitoring.process
WHERE seen_at > now_at - interval '1 hour'
ORDER BY machine, pid

-- name: database_release
-- The release that brought the database to its present state.
SELECT max(release) FROM public.schema_migration
