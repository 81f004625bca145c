-- name: by_id
-- Services by their ids, closed ones too.
SELECT service_id, provider_id, clinic_id, service_type_id, slug, name, is_test, length_minutes::integer, weekdays::integer, fee_minor,
    currency, funding::text AS funding
FROM directory.service JOIN directory.service_type USING (service_type_id)
WHERE service_id = ANY ($1::bigint[])

-- name: open_by_slug
-- What a provider offers by slugs, at a clinic or (NULL) at each of its own.
SELECT slug, service_id
FROM directory.offered_services($1, $2) JOIN directory.service_type USING (service_type_id)
WHERE slug = ANY ($3::text[])

-- name: refusal
-- Why services cannot be booked at a clinic (NULL: at any), or NULL.
SELECT refusal FROM directory.chosen_services($1, $2, $3, false)
