-- name: remove_person
-- Remove a person from an account, unless somebody expects them.
SELECT booking.remove_person($1, $2)

-- name: expected
-- What is ahead for a person of a patient's account, with the names of provider and clinic.
SELECT ahead.*, provider.name AS provider, clinic.name AS clinic, coalesce(city.time_zone, $3) AS time_zone
FROM public.app_now() AS now_at, booking.expected($1, $2, now_at) AS ahead
JOIN directory.provider USING (provider_id)
LEFT JOIN directory.clinic USING (clinic_id)
LEFT JOIN directory.city USING (city_id)
ORDER BY starts_at
