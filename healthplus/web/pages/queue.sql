-- name: queue
-- The queue of a provider at a clinic, and the position that the next to join gets.
SELECT provider_id, provider.name AS provider, provider.type::text AS type, clinic.clinic_id, clinic.name AS clinic, city.slug AS city_slug, time_zone,
    clinic.latitude, clinic.longitude,
    (SELECT speciality.slug FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
     WHERE provider_speciality.provider_id = $1 ORDER BY speciality_id LIMIT 1) AS speciality,
    (SELECT count(*) FROM directory.provider_clinic AS other WHERE other.provider_id = $1) AS clinics,
    ARRAY(SELECT service_id FROM directory.offered_services($1, $2)) AS service_ids,
    position, acceptance.*
FROM directory.provider
JOIN directory.provider_clinic USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
CROSS JOIN LATERAL booking.next_position($1) AS position
CROSS JOIN LATERAL booking.acceptance_rate($1, position) AS acceptance
WHERE provider_id = $1 AND clinic_id = $2

-- name: last_ticket
-- Where a patient waited last, within a day.
SELECT provider_id, ticket_id
FROM booking.ticket
WHERE patient_id = $1 AND joined_at > (SELECT public.app_now()) - interval '1 day'
ORDER BY joined_at DESC
LIMIT 1

-- name: ticket
-- What a ticket's page says besides its position: with whom and where, of its offer, when it was last passed over, and whether its
-- patient may join the queue again, when it is over.
SELECT provider.name AS provider, provider.type::text AS type,
    (SELECT hash FROM directory.provider_photo WHERE provider_photo.provider_id = $1) AS photo,
    location.*, offer.funding::text AS funding, offer.state::text AS offer_state,
    -- Only once it is over: a ticket that waits is looked at often.
    CASE WHEN ticket.state NOT IN ('waiting', 'offered', 'called')
        THEN (booking.refuse_turn($1, ticket.patient_id, (SELECT public.app_now()))).code IS NULL END AS may_join_again,
    CASE WHEN ticket.state = 'full' THEN (
        SELECT coalesce(reason, '') IN ('shift_changed', 'leave_changed') FROM booking.event_log
        WHERE event_log.provider_id = $1 AND event_log.ticket_id = $2 AND kind = 'full' ORDER BY seq DESC LIMIT 1) END AS is_withdrawn,
    passed.at AS passed_at, passed.kind AS passed_kind, ticket.joined_position, acceptance.*,
    (SELECT speciality.name FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
     WHERE provider_id = $1 ORDER BY speciality_id LIMIT 1) AS speciality
FROM booking.ticket
JOIN directory.provider USING (provider_id)
LEFT JOIN booking.booking AS offer ON offer.provider_id = $1 AND offer.booking_id = ticket.offer_id
CROSS JOIN LATERAL (
    SELECT clinic_id, clinic.name AS clinic, clinic.currency, clinic.phone AS clinic_phone, city.slug AS city_slug, city.name AS city, time_zone
    FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
    WHERE provider_id = $1
    ORDER BY clinic_id <> coalesce(offer.clinic_id, ticket.clinic_id), clinic_id LIMIT 1) AS location
LEFT JOIN LATERAL (
    SELECT at, kind FROM booking.queue_entry
    WHERE provider_id = $1 AND number = ticket.number AND kind IN ('passed_over', 'missed', 'outrun')
    ORDER BY entry DESC LIMIT 1) AS passed ON true
CROSS JOIN LATERAL booking.acceptance_rate($1, ticket.joined_position) AS acceptance
WHERE ticket.provider_id = $1 AND ticket.ticket_id = $2

-- name: receipt
-- The entries of a provider's chain while a ticket waited: from its first until its last, or (while it waits) the last of all; and
-- whether the time that it took was given back or ran out, which is no entry.
WITH own AS (
    SELECT min(entry) AS first, max(entry) AS last,
        bool_or(kind IN ('accepted', 'lapsed', 'left', 'timed_out', 'full')) AS is_over
    FROM booking.queue_entry WHERE provider_id = $1 AND number = $2
)
SELECT provider.name AS provider, own.is_over, taken.state::text AS taken_state, lower(taken.during) AS taken_from,
    coalesce(encode(before.hash, 'hex'), '') AS previous,
    coalesce((
        SELECT time_zone FROM directory.provider_clinic
        JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
        WHERE provider_id = $1 ORDER BY clinic_id LIMIT 1), $3) AS time_zone,
    CASE WHEN own.is_over THEN own.last ELSE book.queue_entries END AS until, own.first
FROM own
JOIN booking.book ON book.provider_id = $1
JOIN directory.provider ON provider.provider_id = $1
LEFT JOIN booking.queue_entry AS before ON before.provider_id = $1 AND before.entry = own.first - 1
LEFT JOIN booking.ticket ON ticket.provider_id = $1 AND ticket.number = $2 AND ticket.state = 'accepted'
LEFT JOIN booking.booking AS taken ON taken.provider_id = $1 AND taken.booking_id = ticket.offer_id
WHERE own.first IS NOT NULL AND $2 > 0

-- name: chain
-- Entries of a provider's chain after $2, at most $3 and none after $4, as they were hashed.
SELECT entry, booking.hashed_instant(at), kind, number, clinic_id,
    booking.hashed_instant(lower(during)), booking.hashed_instant(upper(during)), slots_needed, encode(hash, 'hex'), leader
FROM booking.queue_entry
WHERE provider_id = $1 AND entry > $2 AND entry <= $4
ORDER BY entry LIMIT $3

-- name: chain_head
-- How far a provider's chain goes, whether a ticket is in it, and the hash of the entry $3.
SELECT queue_entries AS last, coalesce(encode(queue_hash, 'hex'), '') AS head,
    EXISTS (SELECT FROM booking.queue_entry WHERE provider_id = $1 AND number = $2 AND number > 0) AS has_ticket,
    coalesce((SELECT encode(hash, 'hex') FROM booking.queue_entry WHERE provider_id = $1 AND entry = $3), '') AS previous
FROM booking.book WHERE provider_id = $1
