-- name: speciality
-- The speciality with slug $1, or whose name's words are $2.
SELECT slug, name FROM directory.speciality WHERE slug = $1
UNION ALL
SELECT slug, name FROM directory.speciality
WHERE speciality_id IN (SELECT id FROM search.term WHERE key = $2 AND kind = 'speciality' AND whole)
LIMIT 1

-- name: next_times
-- The next $4 times to be had of providers $1 at clinics $2, from the instants $3 on; NULL: from now on.
SELECT asked.provider_id, asked.clinic_id,
    search.next_free(asked.provider_id, asked.clinic_id, $4::integer, now_at, asked.starts_from) AS times
FROM (SELECT public.app_now() AS now_at OFFSET 0) AS clock, -- noqa: PRS
    unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS asked(provider_id, clinic_id, starts_from)

-- name: stars
-- How a provider's ratings spread over the stars.
SELECT stars, count(*) AS ratings FROM reviews.rating WHERE provider_id = $1 GROUP BY stars
