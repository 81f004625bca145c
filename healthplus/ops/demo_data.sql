-- name: last_ids
-- The last ids in use: COPY needs ids.
SELECT (SELECT coalesce(max(clinic_id), 0) FROM directory.clinic) AS clinic_id,
    (SELECT coalesce(max(provider_id), 0) FROM directory.provider) AS provider_id,
    (SELECT coalesce(max(service_id), 0) FROM directory.service) AS service_id,
    (SELECT coalesce(max(patient_id), 0) FROM accounts.patient) AS patient_id

-- name: advance_ids
-- After COPY, so that the next id from each sequence is a new one.
SELECT setval(pg_get_serial_sequence('directory.clinic', 'clinic_id'), (SELECT max(clinic_id) FROM directory.clinic)),
    setval(pg_get_serial_sequence('directory.provider', 'provider_id'), (SELECT max(provider_id) FROM directory.provider)),
    setval(pg_get_serial_sequence('directory.service', 'service_id'), (SELECT max(service_id) FROM directory.service)),
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

-- name: put_photo
-- Add a portrait in sizes $2, unless it is there.
INSERT INTO directory.photo (hash, size, webp, stored_at)
SELECT $1, size, webp, public.app_now() FROM unnest($2::smallint[], $3::bytea[]) AS given(size, webp) ON CONFLICT DO NOTHING

-- name: put_postal_codes
-- Where postal codes are, unless an import has said so.
INSERT INTO directory.postal_code (postal_code, latitude, longitude)
SELECT * FROM unnest($1::text[], $2::double precision[], $3::double precision[]) ON CONFLICT (postal_code) DO NOTHING

-- name: put_service_types
-- Add what services are called, unless it is there, by slugs, names, and whether they are tests.
SELECT directory.put_service_types(jsonb_agg(given)) FROM unnest($1::text[], $2::text[], $3::boolean[]) AS given(slug, name, is_test)

-- name: service_types
-- The ids of kinds of services, by their names' slugs and whether they are tests.
SELECT given.slug, service_type_id
FROM unnest($1::text[], $2::boolean[]) AS given(slug, is_test)
JOIN directory.service_type ON coalesce(name_slug, service_type.slug) = given.slug AND service_type.is_test = given.is_test

-- name: put_terms
-- Make terms out of steps: hours before the visit, and what is kept later than that, as percent or in the smallest unit of the currency.
WITH made AS (INSERT INTO directory.terms (made_at) VALUES ($4) RETURNING terms_id)
INSERT INTO directory.terms_step (terms_id, hours_before, kept_percent, kept_minor)
SELECT terms_id, hours, percent, minor
FROM made CROSS JOIN unnest($1::smallint[], $2::smallint[], $3::integer[]) AS step (hours, percent, minor)
RETURNING terms_id

-- name: list_later
-- Search lists providers after each statement that changes what its list is made of. Here the shifts come last, and list all that there
-- is, once: this saves a quarter of the time.
ALTER TABLE directory.provider_clinic DISABLE TRIGGER search_follows_insert;
ALTER TABLE directory.service DISABLE TRIGGER search_follows_insert

-- name: list_at_once
-- From now on again.
ALTER TABLE directory.provider_clinic ENABLE TRIGGER search_follows_insert;
ALTER TABLE directory.service ENABLE TRIGGER search_follows_insert

-- name: holders
-- The persons whose accounts these are.
SELECT patient_id, person_id, name FROM accounts.person WHERE is_holder AND patient_id = ANY ($1::bigint[])

-- name: put_books
-- After the bookings: each book's version is the number of its last event, and its next_due the first deadline of a hold.
INSERT INTO booking.book (provider_id, version, next_due)
SELECT provider_id, (SELECT count(*) FROM booking.event_log WHERE event_log.provider_id = provider.provider_id), coalesce((
    SELECT min(deadline) FROM booking.booking WHERE booking.provider_id = provider.provider_id AND state = 'reserved'), 'infinity')
FROM directory.provider
WHERE identifier LIKE 'demo:%'

-- name: put_attendance
-- What the desks recorded of the visits that took place in the last 60 days: a session for each day of a provider, tokens in order of time.
WITH visit AS (
    SELECT provider_id, booking_id, clinic_id, booking.during, (lower(booking.during) AT TIME ZONE time_zone)::date AS day
    FROM booking.booking JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
    JOIN directory.provider USING (provider_id)
    WHERE provider.identifier LIKE 'demo:%' AND booking.state = 'fulfilled' AND lower(booking.during) > $1::timestamptz - interval '60 days'
), sitting AS (
    INSERT INTO reception.session (provider_id, clinic_id, during, last_token)
    SELECT provider_id, clinic_id, tstzrange(min(lower(during)), max(upper(during))), count(*)
    FROM visit GROUP BY provider_id, clinic_id, day
    RETURNING *
)
INSERT INTO reception.attendance (
    provider_id, booking_id, session_id, token, arrived_at, calls, called_from, entered_at, finished_at, act, act_at, actor)
SELECT provider_id, visit.booking_id, session_id, row_number() OVER (PARTITION BY provider_id, session_id ORDER BY lower(visit.during)),
    came.at, ARRAY[lower(visit.during)], 'booked', lower(visit.during) + interval '1 minute', upper(visit.during), 'finish',
    upper(visit.during), 'system:demo'
FROM visit
JOIN sitting USING (provider_id, clinic_id)
CROSS JOIN LATERAL (
    SELECT max(at) AS at FROM booking.event_log
    WHERE event_log.provider_id = visit.provider_id AND event_log.booking_id = visit.booking_id AND kind = 'arrived') AS came
WHERE sitting.during @> visit.during

-- name: refresh_availability
-- Work out when each provider is next free, and on which days their last slots are taken.
SELECT count(booking.refresh_availability(provider_id, $1)::text),
    count(booking.refresh_scarce_days(provider_id, $1, p_everything => true)::text)
FROM directory.provider WHERE identifier LIKE 'demo:%'

-- name: compare_later
-- The sandbox bank knows nothing of the payments made up for the demo, so that these days are not compared with it.
INSERT INTO payments.day_check (account, day, runs)
SELECT 'sandbox' AS account, ($1::timestamptz AT TIME ZONE 'UTC')::date - ago AS day, 3 AS runs
FROM generate_series(0, 30) AS ago
ON CONFLICT DO NOTHING

-- name: analyze
-- Before receipts are issued and refresh_availability, and so that the very first queries get good plans.
ANALYZE directory.clinic, directory.provider, directory.provider_clinic, directory.provider_speciality,
    directory.service, directory.postal_code, directory.city, schedule.shift, booking.book, booking.booking, booking.event_log, accounts.patient,
    accounts.person, ledger.payment, ledger.refund, receipts.due,
    reviews.rating, reviews.review

-- name: analyze_receipts
-- Else the next ones are planned as if there were none, and each is compared with all of them.
ANALYZE receipts.document

-- name: shown_providers
-- The ids of providers.
SELECT identifier, provider_id FROM directory.provider WHERE identifier = ANY($1::text[])

-- name: shown_patients
-- The patients with the first two of these phone numbers that anybody has.
SELECT patient_id, name, phone FROM accounts.patient WHERE phone = ANY($1::text[]) ORDER BY array_position($1, phone) LIMIT 2

-- name: put_token
-- Add a token, of which only the digest is kept.
INSERT INTO accounts.session (token_hash, patient_id, created_at, used_on)
SELECT $1, $2, now_at, (now_at AT TIME ZONE 'UTC')::date FROM public.app_now() AS now_at

-- name: revoke_demo_keys
-- Revoke the keys of earlier starts: one key is enough.
UPDATE accounts.developer_key SET revoked_at = (SELECT public.app_now()) WHERE name = $1 AND revoked_at IS NULL

-- name: first_clinic
-- The first of a provider's clinics.
SELECT min(clinic_id) FROM directory.provider_clinic WHERE provider_id = $1

-- name: staff_there
-- Which of these log-on IDs there are.
SELECT log_on FROM staff.account WHERE log_on = ANY ($1::text[])

-- name: put_staff_password
-- Let the demo's staff log in with a new password, and with nothing else.
WITH gone AS (
    DELETE FROM staff.passkey WHERE staff_id IN (SELECT staff_id FROM staff.account WHERE log_on = ANY ($1::text[]))
)
UPDATE staff.account
SET password_hash = $2, password_is_long = true, totp_secret = NULL, disabled_at = NULL, version = version + 1
WHERE log_on = ANY ($1::text[])
