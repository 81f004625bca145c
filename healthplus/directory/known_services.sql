-- name: by_id
-- Services by their ids, closed ones too.
SELECT service_id, provider_id, clinic_id, service_type_id, slug, name, is_test, length_minutes::integer, weekdays::integer, fee_minor,
    currency, funding::text AS funding
FROM directory.service JOIN directory.service_type USING (service_type_id)
WHERE service_id = ANY ($1::bigint[])

-- name: preparations
-- What is to be done before services, by their ids.
SELECT service_id, preparation FROM directory.preparations_of($1)

-- name: offered
-- What a provider offers of services by ids or slugs, at each of its clinics or only at one.
SELECT clinic_id, service_id, slug
FROM (SELECT clinic_id FROM directory.provider_clinic WHERE provider_id = $1 AND clinic_id = coalesce($2, clinic_id)) AS post
CROSS JOIN LATERAL (SELECT service_id, service_type_id FROM directory.offered_services($1, post.clinic_id)) AS offered
JOIN directory.service_type USING (service_type_id)
WHERE service_id = ANY ($3::bigint[]) OR slug = ANY ($4::text[])

-- name: refusal
-- Why services cannot be booked at a clinic (NULL: at any), or NULL.
SELECT refusal FROM directory.chosen_services($1, $2, $3, false)
