-- name: places
-- Tickets of one provider: their place among those who wait, the holds that may yet free what they want, the offers made
-- for them. $3: only of this patient.
WITH asked AS MATERIALIZED (
    SELECT ticket.*, now_at FROM public.app_now() AS now_at, booking.ticket
    WHERE provider_id = $1 AND ticket_id = ANY ($2::uuid[]) AND ($3::bigint IS NULL OR patient_id = $3)
), want AS MATERIALIZED (
    -- few, however many wait
    SELECT different.clinic_id, different.queue_window, held.holds, held.next_lapse_at
    FROM (SELECT DISTINCT clinic_id, queue_window, now_at FROM asked WHERE state = 'waiting') AS different
    CROSS JOIN LATERAL (
        SELECT count(*) AS holds, min(deadline) AS next_lapse_at FROM booking.booking
        WHERE provider_id = $1 AND state = 'reserved' AND NOT booking.is_due(booking, now_at) AND during && different.queue_window
            AND (different.clinic_id IS NULL OR booking.clinic_id = different.clinic_id)) AS held
), line AS MATERIALIZED (
    SELECT ticket_id, row_number() OVER (ORDER BY number) AS position FROM booking.ticket
    WHERE provider_id = $1 AND state = 'waiting' AND number <= (SELECT max(number) FROM asked WHERE state = 'waiting')
)
SELECT
    asked.ticket_id, asked.patient_id, asked.number, asked.clinic_id, lower(asked.queue_window) AS wanted_from,
    upper(asked.queue_window) AS wanted_to, asked.slots_needed, asked.joined_at, asked.expires_at,
    CASE WHEN asked.state = 'waiting' AND asked.expires_at <= now_at THEN 'timed_out' ELSE asked.state::text END AS state,
    CASE WHEN asked.state = 'waiting' THEN booking.is_present(ticket, now_at)
        WHEN asked.state = 'offered' THEN offer.deadline > now_at END AS current,
    line.position, want.holds, want.next_lapse_at,
    offer.booking_id AS offer_id, offer.clinic_id AS offer_clinic_id, lower(offer.during) AS starts_at,
    upper(offer.during) AS ends_at, CASE WHEN offer.state = 'reserved' THEN offer.deadline END AS deadline, offer.fee_minor,
    coalesce((SELECT version FROM booking.book WHERE provider_id = $1), 0) AS book_version
FROM asked
JOIN booking.ticket ON ticket.provider_id = $1 AND ticket.ticket_id = asked.ticket_id
LEFT JOIN line ON line.ticket_id = asked.ticket_id
LEFT JOIN want ON asked.state = 'waiting' AND want.queue_window = asked.queue_window AND want.clinic_id IS NOT DISTINCT FROM asked.clinic_id
LEFT JOIN booking.booking AS offer ON offer.provider_id = $1 AND offer.booking_id = asked.offer_id

-- name: events_since
-- What happened in a book after a version of it: the tickets it happened to, and the version it led to.
SELECT max(seq) AS version, array_agg(DISTINCT ticket_id) FILTER (WHERE ticket_id IS NOT NULL) AS tickets
FROM booking.event WHERE provider_id = $1 AND seq > $2

-- name: versions
-- How far these books have come.
SELECT provider_id, version FROM booking.book WHERE provider_id = ANY ($1::bigint[])

-- name: note_presence
-- Who was seen since the last time, and which offers they were shown: in the order of the key, or two processes could
-- deadlock.
INSERT INTO booking.presence (provider_id, ticket_id, seen_at, fetched_offer_id)
SELECT provider_id, ticket_id, now_at, offer_id
FROM public.app_now() AS now_at, unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS seen (provider_id, ticket_id, offer_id)
ORDER BY provider_id, ticket_id
ON CONFLICT (provider_id, ticket_id) DO UPDATE
SET seen_at = excluded.seen_at, fetched_offer_id = coalesce(excluded.fetched_offer_id, presence.fetched_offer_id)

-- name: forget_presence
-- Of tickets that are over; what another process is busy with is left to it.
DELETE FROM booking.presence
WHERE ctid = ANY (ARRAY (
    SELECT presence.ctid FROM booking.presence
    WHERE seen_at < (SELECT public.app_now()) - interval '1 day'
    FOR UPDATE SKIP LOCKED))

-- name: tickets_of_patient
-- A patient's tickets that are not over, or (for its id, $2) one of theirs.
SELECT provider_id, ticket_id FROM booking.ticket
WHERE patient_id = $1 AND ($2::uuid IS NULL AND state IN ('waiting', 'offered') OR ticket_id = $2)
