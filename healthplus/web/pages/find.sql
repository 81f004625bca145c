-- name: speciality
-- The speciality with slug $1, or whose name's words are $2.
SELECT slug, name FROM directory.speciality WHERE slug = $1
UNION ALL
SELECT slug, name FROM directory.speciality
WHERE speciality_id IN (SELECT id FROM search.term WHERE key = $2 AND kind = 'speciality' AND whole)
LIMIT 1

-- name: service
-- The type of service with slug $1, or whose name's words are $2, which somebody offers.
SELECT service_type_id, slug, name, is_test FROM directory.service_type
WHERE (slug = $1 OR service_type_id IN (SELECT service_type_id FROM search.service_term WHERE key = $2 AND whole))
    -- not EXISTS, which may be planned as a look at all services
    AND (SELECT true FROM directory.service WHERE service.service_type_id = service_type.service_type_id AND closed_at IS NULL LIMIT 1) -- noqa: AM09
ORDER BY slug <> $1, service_type_id
LIMIT 1

-- name: laboratories
-- Of these laboratories, $1 at clinics $2, those which offer tests there.
SELECT provider_id, clinic_id FROM unnest($1::bigint[], $2::bigint[]) AS asked(provider_id, clinic_id)
WHERE EXISTS (
    SELECT FROM directory.offered_services(asked.provider_id, asked.clinic_id) JOIN directory.service_type USING (service_type_id)
    WHERE is_test)

-- name: next_times
-- $5 of the next times to be had of providers $1 at clinics $2, from the instants $3 on (NULL: from now on), with time for services $4, an
-- array's text for each (NULL: for one slot); and how many there are on the first day that has any.
SELECT asked.provider_id, asked.clinic_id, free.p_times AS times, free.p_that_day AS that_day
FROM (SELECT public.app_now() AS now_at OFFSET 0) AS clock, -- noqa: PRS
    unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::text[]) AS asked(provider_id, clinic_id, starts_from, service_ids)
CROSS JOIN LATERAL search.spread_free(
    asked.provider_id, asked.clinic_id, $5::integer, now_at, asked.starts_from, asked.service_ids::bigint[]) AS free

-- name: stars
-- How a provider's ratings spread over the stars.
SELECT stars, count(*) AS ratings FROM reviews.rating WHERE provider_id = $1 GROUP BY stars

-- name: kinds
-- Those of the types of services $1 that somebody offers, in the city $2 or (NULL) anywhere.
SELECT service_type_id, slug, name, is_test, true AS is_offered FROM directory.service_type
WHERE service_type_id = ANY($1::bigint[]) AND EXISTS (
    SELECT FROM directory.service JOIN directory.provider_clinic AS post USING (provider_id)
    JOIN directory.clinic ON clinic.clinic_id = post.clinic_id
    WHERE service.service_type_id = service_type.service_type_id AND closed_at IS NULL AND post.closed_since IS NULL
        AND (service.clinic_id IS NULL OR service.clinic_id = post.clinic_id) AND ($2::bigint IS NULL OR city_id = $2))
ORDER BY lower(name), service_type_id

-- name: kinds_at
-- What providers $1 at clinics $2 offer of the types of services $3.
SELECT asked.provider_id, asked.clinic_id, service_id, name, fee_minor, currency, funding::text AS funding, length_minutes
FROM unnest($1::bigint[], $2::bigint[]) AS asked(provider_id, clinic_id)
CROSS JOIN LATERAL directory.offered_services(asked.provider_id, asked.clinic_id) AS service
JOIN directory.service_type USING (service_type_id)
WHERE service_type_id = ANY($3::bigint[])
ORDER BY lower(name), service_id

-- name: closing
-- Since when nobody can be booked any more at clinic $1, or (NULL) provider $2 anywhere, and where others are: the city, and of which kind. No
-- row where somebody can, and where nobody ever could.
SELECT max(post.closed_since) AS since, min(time_zone) AS time_zone, min(type::text) FILTER (WHERE type <> 'doctor') AS type,
    (array_agg(jsonb_build_object('slug', city.slug, 'name', city.name) ORDER BY post.closed_since DESC))[1] AS city
FROM directory.provider_clinic AS post JOIN directory.provider USING (provider_id)
JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
WHERE ($1::bigint IS NULL OR clinic_id = $1) AND ($2::bigint IS NULL OR provider_id = $2)
HAVING count(*) > 0 AND count(*) = count(post.closed_since)
