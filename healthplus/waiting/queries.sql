-- name: positions
-- Tickets of one provider: their positions in the queue, the holds that may still free a slot in their windows, the offers made
-- for them. With $3, only the tickets of this patient.
WITH selected AS MATERIALIZED (
    SELECT ticket.*, now_at FROM public.app_now() AS now_at, booking.ticket
    WHERE provider_id = $1 AND ticket_id = ANY ($2::uuid[]) AND ($3::bigint IS NULL OR patient_id = $3)
), waited_for AS MATERIALIZED (
    -- few different windows, however many wait
    SELECT different.clinic_id, different.queue_window, held.holds, held.next_lapse_at
    FROM (SELECT DISTINCT clinic_id, queue_window, now_at FROM selected WHERE state = 'waiting') AS different
    CROSS JOIN LATERAL (
        SELECT count(*) AS holds, min(deadline) AS next_lapse_at FROM booking.booking
        WHERE provider_id = $1 AND occupies AND state = 'reserved' AND NOT booking.is_due(booking, now_at)
            AND during && different.queue_window
            AND (different.clinic_id IS NULL OR booking.clinic_id = different.clinic_id)) AS held
), queue AS MATERIALIZED (
    -- Who is called counts as ahead: they may wait again. In an array that is searched by halves: what statistics say of a queue that has
    -- just begun would have the planner compare each ticket with each other.
    SELECT array_agg(number ORDER BY number) AS numbers
    FROM (
        SELECT number FROM booking.ticket
        WHERE provider_id = $1 AND state = 'waiting' AND number <= (SELECT max(number) FROM selected WHERE state = 'waiting')
        UNION ALL
        SELECT number FROM booking.ticket WHERE provider_id = $1 AND state = 'called'
    ) AS ahead
)
SELECT
    selected.ticket_id, selected.patient_id, selected.number, selected.clinic_id, lower(selected.queue_window) AS window_from,
    upper(selected.queue_window) AS window_to,
    upper(selected.queue_window) - CASE WHEN selected.service_ids IS NULL THEN interval '0'
        ELSE booking.buffer_of(selected.service_ids) END AS visit_to,
    selected.slots_needed, selected.service_ids, selected.joined_at,
    selected.expires_at,
    CASE WHEN selected.state = 'waiting' AND selected.expires_at <= now_at THEN 'timed_out' ELSE selected.state::text END AS state,
    CASE WHEN selected.state = 'waiting' THEN booking.is_present(ticket, now_at)
        WHEN selected.state IN ('offered', 'called') THEN booking.state_at(offered, now_at) <> 'expired' END AS current,
    CASE WHEN selected.state = 'waiting' THEN width_bucket(selected.number, (SELECT numbers FROM queue)) END AS position,
    waited_for.holds, waited_for.next_lapse_at,
    offered.booking_id AS offer_id, offered.clinic_id AS offer_clinic_id, lower(offered.during) AS starts_at,
    booking.visit_end(offered.during, offered.service_ids) AS ends_at,
    CASE WHEN offered.state = 'reserved' THEN offered.deadline END AS deadline, offered.fee_minor,
    selected.answered_at IS NOT NULL AS answered,
    CASE WHEN selected.state = 'called' THEN (
        SELECT count(*) FROM booking.ticket
        WHERE provider_id = $1 AND state = 'called' AND ticket.offer_id = selected.offer_id) END AS called,
    coalesce((SELECT version FROM booking.book WHERE provider_id = $1), 0) AS book_version
FROM selected
JOIN booking.ticket ON ticket.provider_id = $1 AND ticket.ticket_id = selected.ticket_id
LEFT JOIN waited_for ON selected.state = 'waiting' AND waited_for.queue_window = selected.queue_window
    AND waited_for.clinic_id IS NOT DISTINCT FROM selected.clinic_id
LEFT JOIN booking.booking AS offered ON offered.provider_id = $1 AND offered.booking_id = selected.offer_id

-- name: buffer
-- How long is kept free after services.
SELECT booking.buffer_of($1)

-- name: line
-- What everyone's position in a provider's queue follows from, at a fraction of what `positions` of each cost: the numbers of those who
-- wait or are called, in their order; for each window ($2: clinics or NULL, $3: from, $4: to) its holds, as `positions` has them.
SELECT
    coalesce((SELECT version FROM booking.book WHERE provider_id = $1), 0) AS book_version,
    (
        SELECT array_agg(number ORDER BY number) FROM booking.ticket WHERE provider_id = $1 AND state IN ('waiting', 'called')
    ) AS numbers,
    array_agg(held.holds ORDER BY asked.place) AS holds, array_agg(held.next_lapse_at ORDER BY asked.place) AS lapses
FROM public.app_now() AS now_at
CROSS JOIN unnest($2::bigint[], $3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY AS asked (clinic_id, window_from, window_to, place)
CROSS JOIN LATERAL (
    SELECT count(*) AS holds, min(deadline) AS next_lapse_at FROM booking.booking
    WHERE provider_id = $1 AND occupies AND state = 'reserved' AND NOT booking.is_due(booking, now_at)
        AND during && tstzrange(asked.window_from, asked.window_to)
        AND (asked.clinic_id IS NULL OR booking.clinic_id = asked.clinic_id)) AS held

-- name: changes_since
-- What changed in a book after version $2: the book's version now (NULL: nothing changed), and the tickets that changed.
SELECT max(seq) AS version, array_agg(DISTINCT ticket_id) FILTER (WHERE ticket_id IS NOT NULL) AS tickets
FROM booking.event_log WHERE provider_id = $1 AND seq > $2

-- name: versions
-- The versions of these books.
SELECT provider_id, version FROM booking.book WHERE provider_id = ANY ($1::bigint[])

-- name: note_presence
-- When clients were last seen, and which offers they were shown. In the order of the key: otherwise two processes could
-- deadlock.
INSERT INTO booking.presence (provider_id, ticket_id, seen_at, fetched_offer_id)
SELECT provider_id, ticket_id, now_at, offer_id
FROM public.app_now() AS now_at, unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS seen (provider_id, ticket_id, offer_id)
ORDER BY provider_id, ticket_id
ON CONFLICT (provider_id, ticket_id) DO UPDATE
SET seen_at = excluded.seen_at, fetched_offer_id = coalesce(excluded.fetched_offer_id, presence.fetched_offer_id)

-- name: note_presence_of_owners
-- The same for those who asked with these tokens, $1, for these tickets, $2, where a ticket is theirs. Who was passed over is not
-- made present: that takes the verb `resume`.
INSERT INTO booking.presence (provider_id, ticket_id, seen_at)
SELECT DISTINCT ticket.provider_id, ticket.ticket_id, now_at
FROM public.app_now() AS now_at, unnest($1::bytea[], $2::uuid[]) AS asked (token_hash, ticket_id)
JOIN accounts.session ON session.token_hash = asked.token_hash AND session.revoked_at IS NULL
JOIN booking.ticket ON ticket.patient_id = session.patient_id AND ticket.ticket_id = asked.ticket_id
    AND ticket.state IN ('waiting', 'offered', 'called')
WHERE (session.expires_at IS NULL OR session.expires_at > now_at) AND booking.is_present(ticket, now_at)
ORDER BY provider_id, ticket_id
ON CONFLICT (provider_id, ticket_id) DO UPDATE SET seen_at = excluded.seen_at

-- name: tickets_of_patient
-- A patient's tickets that are not over, or (for its id, $2) one of theirs.
SELECT provider_id, ticket_id FROM booking.ticket
WHERE patient_id = $1 AND ($2::uuid IS NULL AND state IN ('waiting', 'offered', 'called') OR ticket_id = $2)

-- name: note_desks
-- Note that desks of these clinics are connected; the tickets of callers who were not present.
SELECT provider_id, ticket_id FROM booking.note_desks($1)
