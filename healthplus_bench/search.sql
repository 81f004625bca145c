-- name: without_triggers
-- For the load only: listings and names are made in one go afterwards, and rows made here contradict no constraint.
SET LOCAL session_replication_role = replica

-- name: drop_shift_overlap
-- Checking fourteen shifts of each of 500,000 providers would take minutes, and nothing here looks shifts up by it.
ALTER TABLE schedule.shift DROP CONSTRAINT shift_overlap

-- name: make_dice
-- 0 to sides - 1, the same in every run; random() would be cast once for all rows of a city.
CREATE FUNCTION pg_temp.dice(row_number bigint, cast_number integer, sides integer) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT ((hashint8extended(row_number, cast_number) & 2147483647) % sides)::integer
$$

-- name: put_cities
-- As the demo's facts name them; numbered from 1.
INSERT INTO directory.city (slug, name, state, latitude, longitude)
SELECT translate(lower(name), ' ', '-'), name, state, latitude, longitude
FROM jsonb_to_recordset($1) AS fact(name text, state text, latitude double precision, longitude double precision)

-- name: put_specialities
-- By slug and name; numbered from 1.
INSERT INTO directory.speciality (slug, name) SELECT * FROM unnest($1::text[], $2::text[])

-- name: put_service_types
-- By slug and name, the first $3 of them tests; numbered from 1.
INSERT INTO directory.service_type (slug, name, is_test)
SELECT slug, name, number <= $3 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS type(slug, name, number)

-- name: put_clinics
-- One for five providers; city by city.
INSERT INTO directory.clinic (clinic_id, identifier, city_id, name, address, postal_code, latitude, longitude) OVERRIDING SYSTEM VALUE
SELECT n, 'bench:' || n, city_id,
    fact.families[1 + pg_temp.dice(n, 1, cardinality(fact.families))] || ' '
        || ('{Hospital,Clinic,Polyclinic,Diagnostics,Institute of Medical Sciences}'::text[])[1 + pg_temp.dice(n, 2, 5)],
    n % 200 + 1 || ', Main Road, ' || (locality.pair ->> 0) || ', ' || fact.name, locality.pair ->> 1,
    fact.latitude + (pg_temp.dice(n, 3, 2000) - 1000) / 1e4, fact.longitude + (pg_temp.dice(n, 4, 2000) - 1000) / 1e4
FROM generate_series(1, $2::bigint / 5) AS n
CROSS JOIN LATERAL (SELECT (n - 1) * $3 / ($2::bigint / 5) + 1 AS city_id) AS place
JOIN LATERAL (
    SELECT * FROM ROWS FROM (jsonb_to_recordset($1) AS ( -- noqa: CP02,PRS
        name text, latitude double precision, longitude double precision, localities jsonb, families text[]))
    WITH ORDINALITY AS fact(name, latitude, longitude, localities, families, number)
) AS fact ON fact.number = place.city_id
CROSS JOIN LATERAL (
    SELECT fact.localities -> pg_temp.dice(n, 5, jsonb_array_length(fact.localities)) AS pair) AS locality

-- name: put_providers
-- Each fifth is its clinic; the others are doctors.
INSERT INTO directory.provider (
    provider_id, identifier, type, salutation, given_name, family_name, name, gender, languages, practising_since, rating_total,
    rating_count, max_booking_days) OVERRIDING SYSTEM VALUE
SELECT n, 'bench:' || n, type, salutation, given, family, concat_ws(' ', nullif(salutation, ''), nullif(given, ''), family), gender,
    fact.languages[1:2 + n % 2], 1980 + n % 44, rated * 5 - pg_temp.dice(n, 6, rated * 5 / 2 + 1), rated, 60
FROM generate_series(1, $2::bigint) AS n
CROSS JOIN LATERAL (SELECT (n + 4) / 5 AS clinic_id, ((n + 4) / 5 - 1) * $3 / ($2::bigint / 5) + 1 AS city_id) AS place
JOIN LATERAL (
    SELECT * FROM ROWS FROM (jsonb_to_recordset($1) AS (females text[], males text[], families text[], languages text[])) -- noqa: CP02,PRS
    WITH ORDINALITY AS fact(females, males, families, languages, number)
) AS fact ON fact.number = place.city_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN n % 2 = 0 THEN 'female' ELSE 'male' END::directory.gender AS sex,
        CASE WHEN n % 2 = 0 THEN fact.females ELSE fact.males END AS givens, pg_temp.dice(n, 7, 40) AS rated) AS drawn
CROSS JOIN LATERAL (
    SELECT 'doctor'::directory.provider_type AS type, 'Dr' AS salutation, sex AS gender,
        givens[1 + pg_temp.dice(n, 8, cardinality(givens))] AS given,
        fact.families[1 + pg_temp.dice(n, 9, cardinality(fact.families))] AS family
    WHERE n % 5 <> 0
    UNION ALL
    SELECT ('{hospital,clinic,clinic,lab,hospital}'::directory.provider_type[])[1 + clinic_id % 5], '', NULL, '', clinic.name
    FROM directory.clinic WHERE n % 5 = 0 AND clinic.clinic_id = place.clinic_id
) AS person

-- name: put_provider_specialities
-- One each; the last two are the labs'.
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, CASE WHEN type = 'lab' THEN $1 - pg_temp.dice(provider_id, 10, 2) ELSE 1 + pg_temp.dice(provider_id, 10, $1 - 2) END
FROM directory.provider

-- name: put_posts
-- One in eight doctors works at a second clinic of the same city.
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
SELECT provider_id, clinic_id, (200 + 50 * pg_temp.dice(provider_id, 11, 30)) * 100, 'online'
FROM directory.provider
CROSS JOIN LATERAL (
    SELECT (provider_id + 4) / 5 AS clinic_id
    UNION ALL
    SELECT neighbour.clinic_id FROM directory.clinic AS own JOIN directory.clinic AS neighbour USING (city_id)
    WHERE type = 'doctor' AND provider_id % 8 = 0 AND own.clinic_id = (provider_id + 4) / 5 AND neighbour.clinic_id = own.clinic_id + 1
) AS place

-- name: put_services
-- A lab offers all $1 tests; anyone else the $2 kinds of visits of their speciality, of 5 to 60 minutes; some at every third slot only.
INSERT INTO directory.service (
    provider_id, service_type_id, length_minutes, buffer_minutes, starts_every, fee_minor, funding)
SELECT provider_id, service_type_id, CASE WHEN type = 'lab' THEN 0 ELSE 5 * (1 + pg_temp.dice(provider_id, 20 + number, 12)) END,
    CASE WHEN type = 'lab' THEN 0 ELSE 5 * (pg_temp.dice(provider_id, 40 + number, 8) / 7) END, 1 + pg_temp.dice(provider_id, 60 + number, 5) / 4 * 2,
    (100 + 20 * pg_temp.dice(provider_id, 80 + number, 100)) * 100, 'clinic'
FROM directory.provider JOIN directory.provider_speciality USING (provider_id)
CROSS JOIN LATERAL generate_series(1, CASE WHEN type = 'lab' THEN $1::integer ELSE $2 END) AS number
CROSS JOIN LATERAL (SELECT CASE WHEN type = 'lab' THEN number ELSE $1 + (speciality_id - 1) * $2 + number END AS service_type_id) AS kind

-- name: analyze
-- So that the next step is planned well.
ANALYZE

-- name: put_shifts
-- Mornings at the first clinic and evenings at the last, six days a week, from one of nine beginnings each.
INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
SELECT provider_id, clinic_id, weekday, starts, starts + interval '3 hours', 5
FROM directory.provider
CROSS JOIN LATERAL (
    SELECT min(clinic_id) AS first_id, max(clinic_id) AS last_id FROM directory.provider_clinic AS post
    WHERE post.provider_id = provider.provider_id
) AS place
CROSS JOIN LATERAL (
    SELECT first_id AS clinic_id, time '08:00' + provider_id % 9 * interval '15 minutes' AS starts
    UNION ALL SELECT last_id, time '15:30' + provider_id % 9 * interval '15 minutes'
) AS shift
CROSS JOIN generate_series(1, 7) AS weekday
WHERE weekday <> provider_id % 7 + 1

-- name: put_bookings
-- One provider in twenty has half an hour of each of the next four evenings booked up to the last slot.
INSERT INTO booking.booking (
    provider_id, clinic_id, patient_id, during, seat, slots_needed, state, fee_minor, funding, created_at)
SELECT provider_id, clinic_id, 1, tstzrange(at, at + interval '5 minutes'), 1, 1, 'booked', 0, 'clinic', at - interval '9 days'
FROM schedule.shift
CROSS JOIN (SELECT (public.app_now() AT TIME ZONE 'Asia/Kolkata')::date AS today) AS clock
CROSS JOIN generate_series(0, 3) AS days
CROSS JOIN generate_series(1, 6) AS back
CROSS JOIN LATERAL (SELECT (today + days + ends - back * interval '5 minutes') AT TIME ZONE 'Asia/Kolkata' AS at) AS slot
WHERE provider_id % 20 = 3 AND starts > '12:00' AND weekday = extract(isodow FROM today + days)

-- name: put_books
-- Which note what search needs to know of these bookings.
WITH opened AS (INSERT INTO booking.book (provider_id) SELECT provider_id FROM directory.provider RETURNING provider_id)
SELECT count(booking.refresh_scarce_days(provider_id, public.app_now(), p_everything => true)::text)
FROM opened WHERE provider_id % 20 = 3

-- name: put_listings
-- A part at a time, as one statement for all would keep them all in memory.
SELECT search.refresh_listings(ids), search.refresh_names(ids)
FROM (SELECT array_agg(provider_id) AS ids FROM directory.provider WHERE provider_id > $1 AND provider_id <= $2) AS part

-- name: put_clinic_names
-- As those of providers, for completion.
SELECT search.refresh_clinic_names(array(SELECT clinic_id FROM directory.clinic))

-- name: tidy
-- What autovacuum would have done by the next day.
VACUUM ANALYZE

-- name: city_ids
-- To spell in a city.
SELECT slug, city_id FROM directory.city

-- name: put_known
-- The providers that queries of relevance name: each with a clinic of its own, in the middle of its city.
WITH known AS (
    SELECT 100000000 + number AS id, fact.*, city.city_id, city.latitude, city.longitude
    FROM ROWS FROM (jsonb_to_recordset($1) AS ( -- noqa: CP02,PRS
        name text, type text, speciality text, clinic text, address text, pin text, city text))
    WITH ORDINALITY AS fact(name, type, speciality, clinic, address, pin, city, number)
    JOIN directory.city ON city.slug = fact.city
), clinics AS (
    INSERT INTO directory.clinic (clinic_id, identifier, city_id, name, address, postal_code, latitude, longitude) OVERRIDING SYSTEM VALUE
    SELECT id, 'bench:' || id, city_id, clinic, address, pin, latitude, longitude FROM known
), providers AS (
    INSERT INTO directory.provider (provider_id, identifier, type, name) OVERRIDING SYSTEM VALUE
    SELECT id, 'bench:' || id, type::directory.provider_type, name FROM known
), posts AS (
    INSERT INTO directory.provider_clinic (provider_id, clinic_id, funding) SELECT id AS provider_id, id AS clinic_id, 'clinic' FROM known
)
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT id, speciality_id FROM known JOIN directory.speciality ON slug = speciality

-- name: put_known_listings
-- Their listings and names.
SELECT search.refresh_listings(ids), search.refresh_names(ids)
FROM (SELECT array_agg(provider_id) AS ids FROM directory.provider WHERE provider_id > 100000000) AS known
