-- name: services_exist
-- The services of a booking or ticket exist, each once, and are its provider's.
SELECT provider_id, booking_id, ticket_id, service_ids
FROM (
    SELECT provider_id, booking_id, NULL::uuid AS ticket_id, service_ids FROM booking.booking WHERE service_ids IS NOT NULL
    UNION ALL
    SELECT provider_id, NULL, ticket_id, service_ids FROM booking.ticket WHERE service_ids IS NOT NULL
) AS chosen
WHERE service_ids = '{}' OR cardinality(service_ids) <> (
    SELECT count(*) FROM directory.service
    WHERE service.provider_id = chosen.provider_id AND service_id = ANY (service_ids))

-- name: terms_exist
-- The terms of bookings, and of new ones, exist.
SELECT * FROM (
    SELECT terms_id, provider_id, booking_id, NULL::bigint AS clinic_id FROM booking.booking
    UNION ALL
    SELECT terms_id, NULL, NULL, clinic_id FROM directory.clinic
) AS used
WHERE terms_id IS NOT NULL AND NOT EXISTS (SELECT FROM directory.terms WHERE terms.terms_id = used.terms_id)

-- name: ladders_are_ladders
-- Terms have steps, 20 at most, all of parts or all of amounts, and keep the more the closer the visit is.
SELECT terms_id, count(hours_before) AS steps
FROM directory.terms LEFT JOIN (
    SELECT *, lead(coalesce(kept_percent, kept_minor)) OVER (PARTITION BY terms_id ORDER BY hours_before) AS kept_before
    FROM directory.terms_step
) AS step USING (terms_id)
GROUP BY terms_id
HAVING count(hours_before) NOT BETWEEN 1 AND 20 OR count(kept_percent) NOT IN (0, count(hours_before))
    OR bool_or(kept_before > coalesce(kept_percent, kept_minor))

-- name: no_shows_are_recorded
-- What counts against a person who did not come is an appointment of which that is recorded.
SELECT provider_id, booking_id, no_show.person_id, booking.state::text
FROM booking.no_show LEFT JOIN booking.booking USING (provider_id, booking_id)
WHERE booking.state IS DISTINCT FROM 'no_show'
    OR (booking.patient_id, booking.clinic_id, lower(booking.during)) IS DISTINCT FROM (no_show.patient_id, no_show.clinic_id, no_show.starts_at)
