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
    FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.provider USING (provider_id)
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
FROM directory.lab_test
LEFT JOIN (
    SELECT lab_test_id, count(*) AS providers FROM directory.provider_lab_test GROUP BY lab_test_id
) AS counted USING (lab_test_id)
ORDER BY name

-- name: clinic
-- A clinic's page, but for its providers.
SELECT search.clinic_document(clinic, city) || jsonb_build_object(
    'opening_times', search.clinic_hours(clinic_id, (now_at AT TIME ZONE time_zone)::date),
    'open_now', search.is_open(clinic_id, time_zone, now_at),
    'lab_tests', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object('provider_id', provider_id, 'slug', slug, 'name', lab_test.name, 'price_minor', price_minor,
                'currency', provider_lab_test.currency)
            ORDER BY lab_test.name, price_minor, provider_id), '[]')
        FROM directory.provider_clinic
        JOIN directory.provider_lab_test USING (provider_id)
        JOIN directory.lab_test USING (lab_test_id)
        WHERE provider_clinic.clinic_id = clinic.clinic_id)
) AS document
FROM (SELECT public.app_now() AS now_at) AS clock, directory.clinic JOIN directory.city USING (city_id)
WHERE clinic_id = $1

-- name: clinic_providers
-- Those who work at a clinic: first the hospital, clinic or laboratory itself, then doctors by name.
SELECT jsonb_build_object(
    'id', provider_id, 'type', type, 'name', provider.name, 'specialities', search.specialities(provider_id),
    'rating', directory.rating_mean(rating_total, rating_count), 'rating_count', rating_count, 'accepts_new_patients', accepts_new_patients,
    'fee_minor', fee_minor, 'currency', clinic.currency, 'funding', funding
) AS document
FROM directory.provider_clinic JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
WHERE clinic_id = $1
ORDER BY type = 'doctor', provider.name, provider_id
LIMIT $2 OFFSET $3

-- name: provider
-- A provider's page: who they are, and at each clinic when and for how much; with the next three times that can be had there.
SELECT jsonb_build_object(
    'id', provider_id, 'type', type, 'name', name, 'salutation', nullif(salutation, ''),
    'given_name', nullif(given_name, ''), 'family_name', nullif(family_name, ''), 'gender', gender,
    'specialities', search.specialities(provider_id), 'languages', languages, 'bio', nullif(bio, ''),
    'image_url', nullif(image_url, ''), 'email', email, 'phone', phone, 'practising_since', practising_since,
    'experience_years',
    CASE WHEN practising_since IS NOT NULL THEN greatest(extract(year FROM now_at)::integer - practising_since, 0) END,
    'accepts_new_patients', accepts_new_patients, 'max_booking_days', max_booking_days,
    'rating', directory.rating_mean(rating_total, rating_count), 'rating_count', rating_count,
    'lab_tests', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object('slug', slug, 'name', lab_test.name, 'price_minor', price_minor, 'currency', currency)
            ORDER BY lab_test.name), '[]')
        FROM directory.provider_lab_test JOIN directory.lab_test USING (lab_test_id)
        WHERE provider_lab_test.provider_id = provider.provider_id),
    'clinics', (
        SELECT coalesce(jsonb_agg(
            search.clinic_document(clinic, city) || jsonb_build_object(
                'fee_minor', fee_minor, 'currency', clinic.currency, 'funding', funding,
                'opening_times', search.provider_hours(
                    provider.provider_id, clinic_id, (now_at AT TIME ZONE time_zone)::date),
                'next_free', search.next_free(provider.provider_id, clinic_id, 3, now_at))
            ORDER BY clinic.name, clinic_id), '[]')
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
        WHERE provider_clinic.provider_id = provider.provider_id)
) AS document
FROM (SELECT public.app_now() AS now_at) AS clock, directory.provider
WHERE provider_id = $1

-- name: lab_test
-- A test by its slug.
SELECT lab_test_id, slug, name FROM directory.lab_test WHERE slug = $1

-- name: city_id
-- A city by its slug.
SELECT city_id FROM directory.city WHERE slug = $1

-- name: lab_test_providers
-- Providers of a test in a city, with their clinics there, cheapest first. It must be planned for its values: where many
-- providers offer the test, the index on prices is read until there are enough; where few do, all of them are read.
SELECT jsonb_build_object(
    'id', provider_id, 'type', type, 'name', provider.name, 'rating', directory.rating_mean(rating_total, rating_count), 'rating_count', rating_count,
    'price_minor', price_minor, 'currency', provider_lab_test.currency,
    'clinics', (
        SELECT coalesce(jsonb_agg(search.clinic_document(clinic, city) ORDER BY clinic.name, clinic_id), '[]')
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
        WHERE provider_clinic.provider_id = provider.provider_id AND clinic.city_id = $2)
) AS document
FROM directory.provider_lab_test JOIN directory.provider USING (provider_id)
WHERE lab_test_id = $1 AND EXISTS (
    SELECT FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
    WHERE provider_clinic.provider_id = provider_lab_test.provider_id AND clinic.city_id = $2)
ORDER BY price_minor, provider_id
LIMIT $3 OFFSET $4
