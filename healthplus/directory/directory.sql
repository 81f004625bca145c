-- name: currency
-- A clinic's currency.
SELECT currency FROM directory.clinic WHERE clinic_id = $1

-- name: set_fee
-- The fee of an appointment from now on, in the clinic's currency $5; holds and bookings keep theirs.
UPDATE directory.provider_clinic SET fee_minor = $3, funding = $4
FROM directory.clinic
WHERE provider_id = $1 AND provider_clinic.clinic_id = $2 AND clinic.clinic_id = $2 AND currency = $5

-- name: providers_named
-- Providers by a part of their name, with the clinics they work at.
SELECT provider_id, provider.name, provider.type::text AS type, clinic_id, clinic.name AS clinic, city.name AS city,
    fee_minor, currency, funding::text AS funding
FROM directory.provider
JOIN directory.provider_clinic USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE strpos(lower(provider.name), lower($1)) > 0
ORDER BY provider.name, provider_id, clinic_id
LIMIT 50
