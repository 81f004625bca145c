-- name: set_fee
-- What a visit costs from now on; holds and bookings that were made keep theirs.
UPDATE directory.provider_clinic SET fee_minor = $3, funding = $4 WHERE provider_id = $1 AND clinic_id = $2

-- name: providers_named
-- Providers by a part of their name, with the clinics they work at.
SELECT provider_id, provider.name, provider.type::text AS type, clinic_id, clinic.name AS clinic, city.name AS city,
    fee_minor, funding::text AS funding
FROM directory.provider
JOIN directory.provider_clinic USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE strpos(lower(provider.name), lower($1)) > 0
ORDER BY provider.name, provider_id, clinic_id
LIMIT 50
