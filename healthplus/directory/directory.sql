-- name: currency
-- A clinic's currency.
SELECT currency FROM directory.clinic WHERE clinic_id = $1

-- name: set_fee
-- The fee of an appointment from now on, in the clinic's currency $5; holds and bookings keep theirs.
UPDATE directory.provider_clinic SET fee_minor = $3, funding = $4
FROM directory.clinic, directory.provider
WHERE provider_clinic.provider_id = $1 AND provider.provider_id = $1 AND provider_clinic.clinic_id = $2 AND clinic.clinic_id = $2 AND currency = $5
RETURNING provider.name

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

-- name: find_provider
-- A provider by its id $1 or, where it has none of that id, by its identifier $2.
SELECT provider_id, name FROM directory.provider WHERE provider_id = $1 OR identifier = $2
ORDER BY provider_id IS DISTINCT FROM $1 LIMIT 1

-- name: find_clinic
-- A clinic by its id $1 or, where there is none of that id, by its identifier $2.
SELECT clinic_id, name, currency FROM directory.clinic WHERE clinic_id = $1 OR identifier = $2
ORDER BY clinic_id IS DISTINCT FROM $1 LIMIT 1

-- name: currencies_of_provider
-- The currencies of the clinics at which a provider $1 practises: of all, or of the clinic $2.
SELECT DISTINCT currency FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
WHERE provider_id = $1 AND clinic_id = coalesce($2, clinic_id) ORDER BY currency

-- name: service_type
-- What services of a slug are.
SELECT service_type_id, name, is_test FROM directory.service_type WHERE slug = $1

-- name: put_service_types
-- Adds what services are called, where that is new.
SELECT directory.put_service_types($1)

-- name: put_services
-- Opens services that are new, and others in place of those that differ.
SELECT added, updated FROM directory.put_services($1)

-- name: services_of_provider
-- All services of a provider: those that can be booked first, then those that are closed, the last one first.
SELECT service_id, service_type.slug, coalesce(name_slug, service_type.slug) AS name_slug, service_type.name, is_test, clinic_id,
    clinic.name AS clinic, length_minutes, buffer_minutes, starts_every, weekdays, allows_more_a_day, fee_minor, service.currency,
    funding::text AS funding, opened_at, closed_at,
    (SELECT preparation FROM directory.preparations_of(ARRAY[service.service_id])) AS preparation
FROM directory.service
JOIN directory.service_type USING (service_type_id)
LEFT JOIN directory.clinic USING (clinic_id)
WHERE provider_id = $1
ORDER BY closed_at DESC NULLS FIRST, service_type.name, service_id

-- name: close_service
-- From now on a service cannot be booked; those who hold, have booked or wait for it keep it.
UPDATE directory.service SET closed_at = public.app_now() WHERE service_id = $1 AND closed_at IS NULL
RETURNING clinic_id, provider_id, directory.service_name(service_id) AS name

-- name: service_closed_at
-- When a service was closed.
SELECT closed_at FROM directory.service WHERE service_id = $1

-- name: keep_currency
-- A clinic's currency, which stays what it is until the transaction ends.
SELECT currency FROM directory.clinic WHERE clinic_id = $1 FOR SHARE

-- name: put_terms
-- Terms with these steps.
SELECT directory.put_terms($1, $2, $3)

-- name: set_clinic_terms
-- The terms of new holds at a clinic; NULL for none.
UPDATE directory.clinic SET terms_id = $2 WHERE clinic_id = $1

-- name: set_service_terms
-- The terms of new holds of one kind of service at a clinic.
INSERT INTO directory.service_terms AS known (clinic_id, service_type_id, terms_id) VALUES ($1, $2, $3)
ON CONFLICT (clinic_id, service_type_id) DO UPDATE SET terms_id = excluded.terms_id WHERE known.terms_id <> excluded.terms_id

-- name: remove_service_terms
-- From now on the clinic's terms count for that kind of service, too.
DELETE FROM directory.service_terms WHERE clinic_id = $1 AND service_type_id = $2

-- name: terms_in_force
-- The terms of new holds: of each clinic that has any, or of the clinic $1, and those of its own for some services.
SELECT clinic_id, clinic.name AS clinic, clinic.currency, service_type.slug, used.terms_id,
    array_agg(hours_before ORDER BY hours_before DESC) AS hours, array_agg(kept_percent ORDER BY hours_before DESC) AS percents,
    array_agg(kept_minor ORDER BY hours_before DESC) AS amounts_minor
FROM (
    SELECT clinic_id, NULL::bigint AS service_type_id, terms_id FROM directory.clinic
    UNION ALL
    SELECT clinic_id, service_type_id, terms_id FROM directory.service_terms
) AS used
JOIN directory.clinic USING (clinic_id)
JOIN directory.terms_step ON terms_step.terms_id = used.terms_id
LEFT JOIN directory.service_type USING (service_type_id)
WHERE clinic_id = coalesce($1, clinic_id)
GROUP BY clinic_id, clinic.name, clinic.currency, service_type.slug, used.terms_id
ORDER BY clinic.name, clinic_id, service_type.slug NULLS FIRST

-- name: set_reminder_hours
-- How many hours before an appointment a clinic's patients are reminded.
UPDATE directory.clinic SET reminder_hours = $2 WHERE clinic_id = $1

-- name: reminder_hours
-- The clinics that say how long before their patients are reminded.
SELECT clinic_id, name, reminder_hours FROM directory.clinic WHERE reminder_hours IS NOT NULL ORDER BY name, clinic_id

-- name: find_city
-- A city by its id $1 or its address $2.
SELECT city_id, slug, name, state, time_zone FROM directory.city WHERE city_id = $1 OR slug = $2
ORDER BY city_id IS DISTINCT FROM $1 LIMIT 1

-- name: merge_cities
-- Move the clinics of a city to another, to which its addresses lead from then on, and remove it.
SELECT directory.merge_cities($1, $2)
