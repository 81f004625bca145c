-- name: find
-- One page of the providers that match, in order, with all that a list of providers shows. `service`: what one books there of the
-- services that the criteria name; NULL where they name none, or it is not offered there.
SELECT found.provider_id, found.clinic_id, found.distance_m, found.first_free_on, provider.type::text AS type,
    provider.given_name, provider.family_name, provider.name, provider.salutation, provider.bio, provider.image_url,
    provider.max_booking_days, provider.email, provider.phone, provider.gender::text AS gender, provider.languages,
    provider.practising_since, provider.qualifications, provider_photo.hash AS photo, provider.accepts_new_patients, listing.rating, provider.rating_count,
    clinic.name AS clinic_name, clinic.address, clinic.postal_code, clinic.latitude, clinic.longitude, city.name AS city_name,
    city.slug AS city_slug, city.time_zone, post.fee_minor, clinic.currency, post.funding::text AS funding,
    array(SELECT speciality.name FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
          WHERE provider_speciality.provider_id = found.provider_id ORDER BY speciality_id) AS specialities,
    CASE WHEN jsonb_typeof($1::jsonb -> 'service_type_ids') = 'array'
        THEN search.offer_document(found.provider_id, found.clinic_id, jsonb_populate_record(NULL::search.criteria, $1)) END AS service
FROM search.find(jsonb_populate_record(NULL::search.criteria, $1), $2, $3) WITH ORDINALITY
    AS found(provider_id, clinic_id, distance_m, first_free_on, position)
JOIN directory.provider ON provider.provider_id = found.provider_id
LEFT JOIN directory.provider_photo ON provider_photo.provider_id = found.provider_id
JOIN directory.clinic ON clinic.clinic_id = found.clinic_id
JOIN directory.city USING (city_id)
JOIN directory.provider_clinic AS post ON post.provider_id = found.provider_id AND post.clinic_id = found.clinic_id
JOIN search.listing ON listing.provider_id = found.provider_id AND listing.clinic_id = found.clinic_id
ORDER BY found.position

-- name: count_found
-- How many providers there are to find, counted no further than $2.
SELECT search.count_found(jsonb_populate_record(NULL::search.criteria, $1), $2)

-- name: city
-- A city by what it is called, $1 as it was typed and as an address, $2 in words, and $3 addresses that other names of it would have. First
-- by its address or a former one, then by its name, then by an address like its name, then by other names. Its time zone, its centre, and its
-- currency, which is that of any of its clinics, or else $4.
SELECT city_id, slug, name, time_zone, centre.*,
    coalesce((SELECT currency FROM directory.clinic WHERE clinic.city_id = city.city_id LIMIT 1), $4) AS currency -- noqa: AM09
FROM directory.city CROSS JOIN LATERAL search.city_centre(city) AS centre
WHERE city_id = (
    SELECT called.city_id
    FROM (
        SELECT city_id, CASE slug WHEN ($1::text[])[1] THEN 1 ELSE 3 END AS place FROM directory.city WHERE slug = ANY($1::text[])
        UNION ALL
        SELECT city_id, CASE slug WHEN ($1::text[])[1] THEN 2 ELSE 5 END FROM directory.city_alias WHERE slug = ANY($1::text[])
        UNION ALL
        SELECT id, 4 FROM search.term WHERE key = $2 AND kind = 'city' AND whole
        UNION ALL
        SELECT city_id, 6 FROM directory.city WHERE slug = ANY($3::text[])
    ) AS called
    ORDER BY place, called.city_id LIMIT 1)

-- name: city_by_id
-- The same, by its id.
SELECT city_id, time_zone, centre.* FROM directory.city CROSS JOIN LATERAL search.city_centre(city) AS centre WHERE city_id = $1

-- name: postal_code
-- The centre of a postal code or, where it is not stored, the median of its clinics, or else the centre of the nearest by number that is
-- stored or has clinics, in the same region, which the first two signs tell.
SELECT latitude, longitude
FROM (
    SELECT 0 AS rank, 0 AS apart, latitude, longitude FROM directory.postal_code WHERE postal_code = $1
    UNION ALL
    SELECT 1, 0, percentile_cont(0.5) WITHIN GROUP (ORDER BY latitude), percentile_cont(0.5) WITHIN GROUP (ORDER BY longitude)
    FROM directory.clinic WHERE postal_code = $1
    UNION ALL
    SELECT 2, abs(near.postal_code::bigint - $1::bigint), near.latitude, near.longitude
    FROM (
        (SELECT * FROM directory.postal_code WHERE postal_code < $1 ORDER BY postal_code DESC LIMIT 1)
        UNION ALL
        (SELECT * FROM directory.postal_code WHERE postal_code > $1 ORDER BY postal_code LIMIT 1)
        UNION ALL
        (SELECT postal_code, latitude, longitude FROM directory.clinic WHERE postal_code < $1 AND latitude IS NOT NULL ORDER BY postal_code DESC LIMIT 1)
        UNION ALL
        (SELECT postal_code, latitude, longitude FROM directory.clinic WHERE postal_code > $1 AND latitude IS NOT NULL ORDER BY postal_code LIMIT 1)
    ) AS near
    WHERE CASE WHEN near.postal_code ~ '^[0-9]{1,9}$' AND $1 ~ '^[0-9]{1,9}$' THEN left(near.postal_code, 2) = left($1, 2) ELSE false END
) AS known
WHERE latitude IS NOT NULL
ORDER BY rank, apart
LIMIT 1

-- name: speciality_ids
-- Specialities by their slugs.
SELECT coalesce(array_agg(speciality_id), '{}') FROM directory.speciality WHERE slug = ANY($1::text[])

-- name: specialities_apart
-- The ids of the specialities with slugs $1, and of all others.
SELECT coalesce(array_agg(speciality_id) FILTER (WHERE slug = ANY($1::text[])), '{}') AS these,
    coalesce(array_agg(speciality_id) FILTER (WHERE NOT slug = ANY($1::text[])), '{}') AS others
FROM directory.speciality

-- name: service_types
-- Types of services by their slugs or ids, in the order of the slugs, and whether anybody offers them.
SELECT service_type_id, slug, name, is_test,
    -- not EXISTS, which may be planned as a look at all services
    (SELECT true FROM directory.service WHERE service.service_type_id = service_type.service_type_id AND closed_at IS NULL
    LIMIT 1) IS NOT NULL AS is_offered -- noqa: AM09
FROM directory.service_type
WHERE slug = ANY($1::text[]) OR service_type_id = ANY($2::bigint[])
ORDER BY array_position($1::text[], slug), service_type_id

-- name: now
-- The product's clock.
SELECT public.app_now()
