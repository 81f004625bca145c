-- name: in_city
-- Clinics of the city $1 where a hospital can be booked that say they take emergencies, the nearest to latitude $2 and longitude $3 first.
SELECT clinic_id, clinic.name, address, postal_code, phone, latitude, longitude, emergency,
    public.earth_distance(public.ll_to_earth(latitude, longitude), public.ll_to_earth($2, $3)) AS distance_m
FROM directory.clinic
CROSS JOIN LATERAL (SELECT min(facility) AS emergency FROM unnest(facilities) AS facility WHERE facility ~* '\m(emergency|casualty)\M') AS said
WHERE city_id = $1 AND emergency IS NOT NULL AND EXISTS (
    SELECT FROM directory.provider_clinic AS post JOIN directory.provider USING (provider_id)
    WHERE post.clinic_id = clinic.clinic_id AND type = 'hospital' AND post.closed_since IS NULL)
ORDER BY distance_m NULLS LAST, clinic_id
LIMIT $4

-- name: near
-- The same around latitude $1 and longitude $2, within 50 km of them.
SELECT clinic_id, clinic.name, address, postal_code, phone, latitude, longitude, emergency,
    public.earth_distance(public.ll_to_earth(latitude, longitude), public.ll_to_earth($1, $2)) AS distance_m
FROM directory.clinic
CROSS JOIN LATERAL (SELECT min(facility) AS emergency FROM unnest(facilities) AS facility WHERE facility ~* '\m(emergency|casualty)\M') AS said
WHERE emergency IS NOT NULL AND clinic_id IN (
    SELECT listing.clinic_id FROM search.listing
    WHERE type = 'hospital' AND public.earth_box(public.ll_to_earth($1, $2), 50000) OPERATOR(public.@>) place)
ORDER BY distance_m, clinic_id
LIMIT $3
