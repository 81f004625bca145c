-- name: last_ids
-- The last ids in use: COPY needs ids.
SELECT (SELECT coalesce(max(clinic_id), 0) FROM directory.clinic) AS clinic_id,
    (SELECT coalesce(max(provider_id), 0) FROM directory.provider) AS provider_id,
    (SELECT coalesce(max(patient_id), 0) FROM accounts.patient) AS patient_id

-- name: advance_ids
-- After COPY, so that the next id from each sequence is a new one.
SELECT setval(pg_get_serial_sequence('directory.clinic', 'clinic_id'), (SELECT max(clinic_id) FROM directory.clinic)),
    setval(pg_get_serial_sequence('directory.provider', 'provider_id'), (SELECT max(provider_id) FROM directory.provider)),
    setval(pg_get_serial_sequence('accounts.patient', 'patient_id'), (SELECT max(patient_id) FROM accounts.patient))

-- name: lock
-- So that two runs at once do not both create the data.
LOCK TABLE directory.city IN SHARE ROW EXCLUSIVE MODE

-- name: put_city
-- Add a city, unless an import has added it; return its id.
WITH added AS (
    INSERT INTO directory.city (slug, name, state, latitude, longitude) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (slug) DO NOTHING
    RETURNING city_id
)
SELECT city_id FROM added UNION ALL SELECT city_id FROM directory.city WHERE slug = $1

-- name: put_specialities
-- Add specialities by slugs and names, unless they are there.
INSERT INTO directory.speciality (slug, name) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (slug) DO NOTHING

-- name: put_provider_specialities
-- What providers practise, by the specialities' slugs.
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, speciality_id
FROM unnest($1::bigint[], $2::text[]) AS given(provider_id, slug) JOIN directory.speciality USING (slug)

-- name: put_lab_tests
-- Add lab tests, as specialities.
INSERT INTO directory.service_type (slug, name, is_test) SELECT slug, name, true FROM unnest($1::text[], $2::text[]) AS given (slug, name)
ON CONFLICT (slug) DO NOTHING

-- name: put_provider_lab_tests
-- Which tests a lab offers, by their slugs; prices in the smallest unit of the currency.
INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
SELECT provider_id, service_type_id, 0, fee_minor, 'online'
FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS given(provider_id, slug, fee_minor) JOIN directory.service_type USING (slug)

-- name: put_persons
-- After the bookings: each is for the holder of its account.
UPDATE booking.booking SET person_id = person.person_id, patient_name = person.name
FROM accounts.person
WHERE person.patient_id = booking.patient_id AND is_holder AND booking.person_id IS NULL

-- name: put_books
-- After the bookings: each book's version is the number of its last event, and its next_due the first deadline of a hold.
INSERT INTO booking.book (provider_id, version, next_due)
SELECT provider_id, (SELECT count(*) FROM booking.event_log WHERE event_log.provider_id = provider.provider_id), coalesce((
    SELECT min(deadline) FROM booking.booking WHERE booking.provider_id = provider.provider_id AND state = 'reserved'), 'infinity')
FROM directory.provider
WHERE identifier LIKE 'demo:%'

-- name: put_rating_totals
-- The totals that reviews.rate keeps up to date.
UPDATE directory.provider SET rating_total = summed.stars, rating_count = summed.ratings
FROM (SELECT provider_id, sum(stars) AS stars, count(*) AS ratings FROM reviews.rating GROUP BY provider_id) AS summed
WHERE provider.provider_id = summed.provider_id AND provider.identifier LIKE 'demo:%'

-- name: refresh_availability
-- Work out when each provider is next free, and on which days their last slots are taken.
SELECT count(booking.refresh_availability(provider_id, $1)::text),
    count(booking.refresh_scarce_days(provider_id, $1, p_everything => true)::text)
FROM directory.provider WHERE identifier LIKE 'demo:%'

-- name: analyze
-- Before refresh_availability, and so that the very first queries get good plans.
ANALYZE directory.clinic, directory.provider, directory.provider_clinic, directory.provider_speciality,
    directory.service, schedule.shift, booking.book, booking.booking, booking.event_log, accounts.patient, ledger.payment,
    reviews.rating

-- name: shown_providers
-- The ids of providers.
SELECT identifier, provider_id FROM directory.provider WHERE identifier = ANY($1::text[])

-- name: shown_patients
-- The patients with these phone numbers.
SELECT patient_id, name FROM accounts.patient WHERE phone = ANY($1::text[]) ORDER BY patient_id

-- name: put_token
-- Add a token, of which only the digest is kept.
INSERT INTO accounts.session (token_hash, patient_id, created_at, used_on)
SELECT $1, $2, now_at, (now_at AT TIME ZONE 'UTC')::date FROM public.app_now() AS now_at

-- name: revoke_demo_keys
-- Revoke the keys of earlier starts: one key is enough.
UPDATE accounts.developer_key SET revoked_at = (SELECT public.app_now()) WHERE name = $1 AND revoked_at IS NULL
