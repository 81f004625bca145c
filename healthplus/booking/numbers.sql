-- name: by_number
-- The bookings whose ids are from $1 to $2, at a clinic or (NULL) at any: looked for by their key in each provider's book.
SELECT post.provider_id, found.booking_id, found.clinic_id, found.patient_id, found.starts_at, found.state,
    provider.name AS provider, clinic.name AS clinic, time_zone
FROM (SELECT DISTINCT provider_id FROM directory.provider_clinic WHERE $3::bigint IS NULL OR clinic_id = $3) AS post
CROSS JOIN LATERAL (
    SELECT booking_id, clinic_id, patient_id, lower(during) AS starts_at, state::text AS state
    FROM booking.booking
    WHERE booking.provider_id = post.provider_id AND booking_id BETWEEN $1 AND $2 AND ($3::bigint IS NULL OR clinic_id = $3)
    ORDER BY booking_id) AS found
JOIN directory.provider ON provider.provider_id = post.provider_id
JOIN directory.clinic ON clinic.clinic_id = found.clinic_id
JOIN directory.city USING (city_id)
ORDER BY starts_at
