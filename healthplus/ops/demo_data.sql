-- name: last_ids
-- COPY takes ids as they are given; these are the last ones in use.
SELECT (SELECT coalesce(max(clinic_id), 0) FROM directory.clinic) AS clinic_id,
    (SELECT coalesce(max(provider_id), 0) FROM directory.provider) AS provider_id,
    (SELECT coalesce(max(patient_id), 0) FROM people.patient) AS patient_id

-- name: advance_ids
-- After COPY, so that the next id given out is a new one.
SELECT setval(pg_get_serial_sequence('directory.clinic', 'clinic_id'), (SELECT max(clinic_id) FROM directory.clinic)),
    setval(pg_get_serial_sequence('directory.provider', 'provider_id'), (SELECT max(provider_id) FROM directory.provider)),
    setval(pg_get_serial_sequence('people.patient', 'patient_id'), (SELECT max(patient_id) FROM people.patient))

-- name: lock
-- Two runs must not both find nothing there.
LOCK TABLE directory.city IN SHARE ROW EXCLUSIVE MODE

-- name: put_city
-- A city that an import has brought stays as it is.
WITH added AS (
    INSERT INTO directory.city (slug, name, state, latitude, longitude) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (slug) DO NOTHING
    RETURNING city_id
)
SELECT city_id FROM added UNION ALL SELECT city_id FROM directory.city WHERE slug = $1

-- name: put_specialities
-- Slugs and names, of which some may be known.
INSERT INTO directory.speciality (slug, name) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (slug) DO NOTHING

-- name: put_provider_specialities
-- By the specialities' slugs.
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, speciality_id
FROM unnest($1::bigint[], $2::text[]) AS given(provider_id, slug) JOIN directory.speciality USING (slug)

-- name: put_lab_tests
-- As specialities.
INSERT INTO directory.lab_test (slug, name) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (slug) DO NOTHING

-- name: put_provider_lab_tests
-- By the tests' slugs.
INSERT INTO directory.provider_lab_test (provider_id, lab_test_id, price_paise)
SELECT provider_id, lab_test_id, price_paise
FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS given(provider_id, slug, price_paise) JOIN directory.lab_test USING (slug)

-- name: put_books
-- After the bookings: each book's version is the number of its last event.
INSERT INTO booking.book (provider_id, version)
SELECT provider_id, (SELECT count(*) FROM booking.event WHERE event.provider_id = provider.provider_id)
FROM directory.provider
WHERE identifier LIKE 'demo:%'

-- name: put_rating_totals
-- What reviews.rate adds to, rating by rating.
UPDATE directory.provider SET rating_total = given.stars, rating_count = given.ratings
FROM (SELECT provider_id, sum(stars) AS stars, count(*) AS ratings FROM reviews.rating GROUP BY provider_id) AS given
WHERE provider.provider_id = given.provider_id AND provider.identifier LIKE 'demo:%'

-- name: put_ledger
-- What the demo's payments went through.
INSERT INTO payments.ledger (provider_id, hold_id, authorisation, state, amount_paise, source, at)
SELECT provider_id, hold_id, authorisation, fact, amount_paise, 'answer', at
FROM payments.payment, unnest('{authorised,captured}'::payments.payment_state[]) AS fact
WHERE authorisation LIKE 'demo-%'

-- name: summarise_books
-- When each provider is next free, and on which days their last slots are taken.
SELECT count(booking.summarise(provider_id, $1)::text), count(booking.note_scarce_days(provider_id, $1, p_everything => true)::text)
FROM directory.provider WHERE identifier LIKE 'demo:%'

-- name: analyze
-- Before the summaries, and so that the very first queries are planned well.
ANALYZE directory.clinic, directory.provider, directory.provider_clinic, directory.provider_speciality,
    directory.provider_lab_test, schedule.shift, booking.book, booking.booking, booking.event, people.patient, payments.payment,
    reviews.rating

-- name: shown_providers
-- Those worth showing.
SELECT identifier, provider_id FROM directory.provider WHERE identifier = ANY($1::text[])

-- name: shown_patients
-- The two that a token is made for; they have no hold, so that they may try one.
SELECT patient_id, name FROM people.patient WHERE phone = ANY($1::text[]) ORDER BY patient_id

-- name: put_token
-- Only its digest is kept.
INSERT INTO people.session (token_hash, patient_id, created_at, used_on)
SELECT $1, $2, now_at, (now_at AT TIME ZONE 'UTC')::date FROM public.app_now() AS now_at

-- name: revoke_demo_keys
-- Those of earlier starts: one that works is enough.
UPDATE people.developer_key SET revoked_at = (SELECT public.app_now()) WHERE name = $1 AND revoked_at IS NULL
