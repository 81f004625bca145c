-- name: cities
-- Cities that have providers, with how many of each type; one at two clinics of a city counts once. Reads the whole directory.
SELECT slug, name, state, time_zone, search.position(latitude, longitude) AS position, providers
FROM directory.city
JOIN (
    SELECT city_id, jsonb_build_object(
        'doctor', count(DISTINCT provider_id) FILTER (WHERE type = 'doctor'),
        'hospital', count(DISTINCT provider_id) FILTER (WHERE type = 'hospital'),
        'clinic', count(DISTINCT provider_id) FILTER (WHERE type = 'clinic'),
        'lab', count(DISTINCT provider_id) FILTER (WHERE type = 'lab')) AS providers
    FROM directory.provider_clinic AS post JOIN directory.clinic USING (clinic_id) JOIN directory.provider USING (provider_id)
    WHERE post.closed_since IS NULL
    GROUP BY city_id
) AS counted USING (city_id)
ORDER BY name, state

-- name: specialities
-- All of them, with how many providers have each. Reads every provider's.
SELECT slug, name, coalesce(providers, 0) AS providers
FROM directory.speciality
LEFT JOIN (
    SELECT speciality_id, count(*) AS providers FROM directory.provider_speciality GROUP BY speciality_id
) AS counted USING (speciality_id)
ORDER BY name

-- name: lab_tests
-- The catalogue, with how many providers offer each. Reads every provider's.
SELECT slug, name, coalesce(providers, 0) AS providers
FROM directory.service_type
LEFT JOIN (
    SELECT service_type_id, count(DISTINCT provider_id) AS providers
    FROM directory.service WHERE closed_at IS NULL GROUP BY service_type_id
) AS counted USING (service_type_id)
WHERE is_test
ORDER BY name

-- name: clinic
-- A clinic's page, but for its providers.
SELECT search.clinic_document(clinic, city) || jsonb_build_object(
    'opening_times', search.clinic_hours(clinic_id, (now_at AT TIME ZONE time_zone)::date),
    'open_now', search.is_open(clinic_id, time_zone, now_at),
    'lab_tests', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object('provider_id', post.provider_id, 'service_id', service_id, 'slug', slug, 'name', service_type.name,
                'price_minor', service.fee_minor, 'currency', service.currency, 'funding', service.funding)
            ORDER BY lower(service_type.name), service.fee_minor, post.provider_id), '[]')
        FROM directory.provider_clinic AS post
        CROSS JOIN LATERAL directory.offered_services(post.provider_id, clinic.clinic_id) AS service
        JOIN directory.service_type USING (service_type_id)
        WHERE post.clinic_id = clinic.clinic_id AND post.closed_since IS NULL AND is_test)
) AS document
FROM (SELECT public.app_now() AS now_at) AS clock, directory.clinic JOIN directory.city USING (city_id)
WHERE clinic_id = $1

-- name: clinic_providers
-- Those who work at a clinic, of all specialities or of that with slug $4: first the hospital, clinic or laboratory itself, then doctors by
-- name.
SELECT jsonb_build_object(
    'id', provider_id, 'type', type, 'name', provider.name, 'specialities', search.specialities(provider_id),
    'rating', directory.rating_mean(rating_total, rating_count), 'rating_count', rating_count, 'accepts_new_patients', accepts_new_patients,
    'qualifications', nullif(qualifications, ''), 'photo', hash, 'languages', languages, 'practising_since', practising_since,
    'fee_minor', fee_minor, 'currency', clinic.currency, 'funding', funding
) AS document
FROM directory.provider_clinic JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
LEFT JOIN directory.provider_photo USING (provider_id)
WHERE clinic_id = $1 AND provider_clinic.closed_since IS NULL
    AND ($4::text IS NULL OR EXISTS (
        SELECT FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
        WHERE provider_speciality.provider_id = provider_clinic.provider_id AND slug = $4))
ORDER BY type = 'doctor', provider.name, provider_id
LIMIT $2 OFFSET $3

-- name: own_provider
-- The provider that clinic $1 is itself.
SELECT search.own_provider($1)

-- name: clinic_specialities
-- The specialities at a clinic, with how many providers there have each, most first; and `everybody`, how many there are in all.
WITH here AS (SELECT provider_id FROM directory.provider_clinic WHERE clinic_id = $1 AND closed_since IS NULL)

SELECT slug, name, count(*) AS providers, (SELECT count(*) FROM here) AS everybody
FROM here JOIN directory.provider_speciality USING (provider_id) JOIN directory.speciality USING (speciality_id)
GROUP BY slug, name
ORDER BY providers DESC, name

-- name: provider
-- A provider's page: who they are, and at each clinic when and for how much; with three of the next times that can be had
-- there, the very next or, if $2, spread over the day.
SELECT jsonb_build_object(
    'id', provider_id, 'type', type, 'name', name, 'salutation', nullif(salutation, ''),
    'given_name', nullif(given_name, ''), 'family_name', nullif(family_name, ''), 'gender', gender,
    'specialities', search.specialities(provider_id), 'languages', languages, 'qualifications', nullif(qualifications, ''),
    'registration', nullif(registration, ''), 'council', nullif(council, ''), 'training', nullif(training, ''), 'photo', hash, 'bio', nullif(bio, ''),
    'image_url', nullif(image_url, ''), 'email', email, 'phone', phone, 'practising_since', practising_since,
    'experience_years',
    CASE WHEN practising_since IS NOT NULL THEN greatest(extract(year FROM now_at)::integer - practising_since, 0) END,
    'accepts_new_patients', accepts_new_patients, 'max_booking_days', max_booking_days,
    'rating', directory.rating_mean(rating_total, rating_count), 'rating_count', rating_count,
    'lab_tests', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object('service_id', service_id, 'slug', slug, 'name', service_type.name, 'price_minor', fee_minor,
                'currency', currency, 'funding', funding)
            ORDER BY lower(service_type.name), service_id), '[]')
        FROM directory.service JOIN directory.service_type USING (service_type_id)
        WHERE service.provider_id = provider.provider_id AND is_test AND closed_at IS NULL),
    'services', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object(
                'id', service_id, 'slug', slug, 'name', service_type.name, 'is_test', is_test, 'clinic_id', clinic_id,
                'fee_minor', fee_minor, 'currency', currency, 'funding', funding, 'length_minutes', length_minutes,
                'weekdays', ARRAY(SELECT day FROM generate_series(1, 7) AS day WHERE directory.is_weekday_of(weekdays, day)))
            ORDER BY is_test, service_type.name, service_id), '[]')
        FROM directory.service JOIN directory.service_type USING (service_type_id)
        WHERE service.provider_id = provider.provider_id AND closed_at IS NULL),
    'clinics', (
        SELECT coalesce(jsonb_agg(
            search.clinic_document(clinic, city) || jsonb_build_object(
                'fee_minor', fee_minor, 'currency', clinic.currency, 'funding', funding,
                'opening_times', search.provider_hours(
                    provider.provider_id, clinic_id, (now_at AT TIME ZONE time_zone)::date),
                'service_ids', ARRAY(
                    SELECT service_id FROM directory.offered_services(provider.provider_id, clinic_id) ORDER BY service_id)
            ) || CASE WHEN $2::boolean THEN (
                SELECT jsonb_build_object('next_free', p_times, 'that_day', p_that_day)
                FROM search.spread_free(provider.provider_id, clinic_id, 3, now_at)
            ) ELSE jsonb_build_object('next_free', search.next_free(provider.provider_id, clinic_id, 3, now_at)) END
            ORDER BY clinic.name, clinic_id), '[]')
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
        WHERE provider_clinic.provider_id = provider.provider_id AND provider_clinic.closed_since IS NULL)
) AS document
FROM (SELECT public.app_now() AS now_at) AS clock, directory.provider LEFT JOIN directory.provider_photo USING (provider_id)
WHERE provider_id = $1

-- name: lab_test
-- A test by its slug.
SELECT service_type_id, slug, name FROM directory.service_type WHERE slug = $1 AND is_test

-- name: city_id
-- A city by its slug, also a former one.
SELECT directory.city_at($1)

-- name: lab_test_providers
-- Providers of a test in a city, with their clinics there, cheapest first. It must be planned for its values: where many
-- providers offer the test, the index on prices is read until there are enough; where few do, all of them are read.
SELECT jsonb_build_object(
    'id', provider_id, 'type', type, 'name', provider.name, 'rating', directory.rating_mean(rating_total, rating_count), 'rating_count', rating_count,
    'price_minor', fee_minor, 'currency', service.currency, 'funding', service.funding,
    'clinics', (
        SELECT coalesce(jsonb_agg(search.clinic_document(clinic, city) ORDER BY clinic.name, clinic_id), '[]')
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
        WHERE provider_clinic.provider_id = provider.provider_id AND provider_clinic.closed_since IS NULL AND clinic.city_id = $2
            AND service_id IN (SELECT offered.service_id FROM directory.offered_services(provider.provider_id, clinic_id) AS offered))
) AS document
FROM directory.service JOIN directory.provider USING (provider_id)
WHERE service_type_id = $1 AND closed_at IS NULL AND EXISTS (
    SELECT FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
    CROSS JOIN LATERAL directory.offered_services(service.provider_id, clinic_id) AS offered
    WHERE provider_clinic.provider_id = service.provider_id AND provider_clinic.closed_since IS NULL
        AND clinic.city_id = $2 AND offered.service_id = service.service_id)
ORDER BY fee_minor, provider_id, service_id
LIMIT $3 OFFSET $4

-- name: city_contents
-- What there is in city $1: how many providers of each type and with each speciality; and the parts of it, by the last name in the
-- addresses of their clinics, with how many doctors each has, and where they are on average. An address of which there is but one names
-- no part.
WITH here AS MATERIALIZED (SELECT DISTINCT provider_id, type FROM search.listing WHERE city_id = $1)
SELECT
    (
        SELECT coalesce(jsonb_object_agg(type, providers), '{}')
        FROM (SELECT type, count(*) AS providers FROM here GROUP BY type) AS counted
    ) AS types,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object('slug', slug, 'name', name, 'providers', providers) ORDER BY name), '[]')
        FROM (
            SELECT speciality_id, count(*) AS providers FROM here JOIN directory.provider_speciality USING (provider_id)
            GROUP BY speciality_id
        ) AS counted
        JOIN directory.speciality USING (speciality_id)
    ) AS specialities,
    (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object('name', name, 'doctors', doctors, 'latitude', latitude, 'longitude', longitude) ORDER BY doctors DESC, name), '[]')
        FROM (
            SELECT placed.name, count(DISTINCT provider_id) AS doctors, avg(latitude) AS latitude, avg(longitude) AS longitude
            FROM (
                SELECT clinic_id, clinic.latitude, clinic.longitude, (
                    SELECT btrim(named) FROM unnest(string_to_array(address, ',')) WITH ORDINALITY AS part(named, number)
                    WHERE btrim(named) NOT IN ('', city.name, city.state) AND named !~ '[0-9]'
                    ORDER BY number DESC LIMIT 1
                ) AS name
                FROM directory.city JOIN directory.clinic USING (city_id)
                WHERE city_id = $1
            ) AS placed
            JOIN directory.provider_clinic USING (clinic_id) JOIN here USING (provider_id)
            WHERE placed.name IS NOT NULL AND type = 'doctor'
            GROUP BY placed.name
            HAVING count(DISTINCT clinic_id) > 1
            ORDER BY doctors DESC, placed.name
            LIMIT $2
        ) AS counted
    ) AS parts

-- name: specialities_named
-- The specialities with these slugs.
SELECT slug, name FROM directory.speciality WHERE slug = ANY($1)

-- name: speciality_cities
-- The cities in which providers have the speciality with slug $1, with how many.
SELECT slug, name, providers
FROM (
    SELECT city_id, count(DISTINCT provider_id) AS providers
    FROM directory.provider_speciality JOIN search.listing USING (provider_id)
    WHERE speciality_id = (SELECT speciality_id FROM directory.speciality WHERE slug = $1)
    GROUP BY city_id
) AS counted
JOIN directory.city USING (city_id)
ORDER BY providers DESC, name, slug

-- name: highest_ids
-- The last ids there are, to know how far a list goes; NULL where there are none.
SELECT
    (SELECT max(provider_id) FROM directory.provider WHERE provider_id > 0) AS provider_id,
    (SELECT max(clinic_id) FROM directory.clinic WHERE clinic_id > 0) AS clinic_id,
    (SELECT max(city_id) FROM directory.city) AS city_id

-- name: bookable_providers
-- Those with ids from $1 on and before $2 who can be booked anywhere, and are not a clinic themselves, which has its own page.
SELECT provider_id AS id, name FROM directory.provider
WHERE provider_id >= $1 AND provider_id < $2
    AND EXISTS (SELECT FROM directory.provider_clinic WHERE provider_clinic.provider_id = provider.provider_id AND closed_since IS NULL)
    AND NOT EXISTS (
        SELECT FROM directory.provider_clinic
        WHERE provider_clinic.provider_id = provider.provider_id AND closed_since IS NULL AND type <> 'doctor'
            AND search.own_provider(clinic_id) = provider.provider_id)
ORDER BY provider_id

-- name: bookable_clinics
-- Those with ids from $1 on and before $2 where anybody can be booked.
SELECT clinic_id AS id, name FROM directory.clinic
WHERE clinic_id >= $1 AND clinic_id < $2
    AND EXISTS (SELECT FROM directory.provider_clinic WHERE provider_clinic.clinic_id = clinic.clinic_id AND provider_clinic.closed_since IS NULL)
ORDER BY clinic_id

-- name: city_specialities
-- The slugs of what providers in cities with ids from $1 on and before $2 have to do with.
SELECT slug, specialities
FROM (
    SELECT city_id, array_agg(speciality.slug ORDER BY speciality.slug) AS specialities
    FROM (
        SELECT DISTINCT city_id, speciality_id
        FROM directory.clinic JOIN directory.provider_clinic USING (clinic_id) JOIN directory.provider_speciality USING (provider_id)
        WHERE city_id >= $1 AND city_id < $2
    ) AS had
    JOIN directory.speciality USING (speciality_id)
    GROUP BY city_id
) AS listed
JOIN directory.city USING (city_id)
ORDER BY city_id
