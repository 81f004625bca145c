-- name: put_source_rows
-- Notes that a source has providers at clinics.
WITH put AS (
    INSERT INTO directory.source_row AS known (source, provider_id, clinic_id, seen_at)
    SELECT given.source, provider_id, clinic_id, clock.seen_at
    FROM jsonb_to_recordset($1) AS given(source text, provider text, clinic text)
    JOIN directory.provider ON provider.identifier = given.provider
    JOIN directory.clinic ON clinic.identifier = given.clinic
    CROSS JOIN (SELECT public.app_now() AS seen_at) AS clock
    ON CONFLICT (source, provider_id, clinic_id) DO UPDATE SET seen_at = excluded.seen_at
    RETURNING old.provider_id IS NULL AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS added, 0::bigint AS updated FROM put

-- name: put_emptied_clinics
-- Empties columns of clinics.
WITH updated AS (
    UPDATE directory.clinic
    SET address = CASE WHEN 'address' = ANY(columns) THEN '' ELSE address END,
        postal_code = CASE WHEN NOT 'postal_code' = ANY(columns) THEN postal_code END,
        phone = CASE WHEN NOT 'phone' = ANY(columns) THEN phone END,
        latitude = CASE WHEN NOT 'position' = ANY(columns) THEN latitude END,
        longitude = CASE WHEN NOT 'position' = ANY(columns) THEN longitude END,
        reminder_hours = CASE WHEN NOT 'reminder_hours' = ANY(columns) THEN reminder_hours END,
        gstin = CASE WHEN NOT 'gstin' = ANY(columns) THEN gstin END,
        facilities = CASE WHEN 'facilities' = ANY(columns) THEN '{}' ELSE facilities END
    FROM jsonb_to_recordset($1) AS given(clinic text, columns text[])
    WHERE identifier = given.clinic AND ARRAY[
        CASE WHEN address <> '' THEN 'address' END, CASE WHEN postal_code IS NOT NULL THEN 'postal_code' END,
        CASE WHEN phone IS NOT NULL THEN 'phone' END, CASE WHEN latitude IS NOT NULL THEN 'position' END,
        CASE WHEN reminder_hours IS NOT NULL THEN 'reminder_hours' END, CASE WHEN gstin IS NOT NULL THEN 'gstin' END,
        CASE WHEN facilities <> '{}' THEN 'facilities' END] && columns
    RETURNING 1
)
SELECT 0::bigint AS added, count(*) AS updated FROM updated

-- name: put_emptied_providers
-- Empties columns of providers, and takes their specialities away.
WITH given AS MATERIALIZED (
    SELECT provider_id, columns
    FROM jsonb_to_recordset($1) AS given(provider text, columns text[]) JOIN directory.provider ON identifier = given.provider
), removed AS (
    DELETE FROM directory.provider_speciality USING given
    WHERE provider_speciality.provider_id = given.provider_id AND 'specialities' = ANY(columns)
    RETURNING provider_speciality.provider_id
), updated AS (
    UPDATE directory.provider AS known
    SET salutation = CASE WHEN 'salutation' = ANY(columns) THEN '' ELSE salutation END,
        given_name = CASE WHEN 'given_name' = ANY(columns) THEN '' ELSE given_name END,
        family_name = CASE WHEN 'family_name' = ANY(columns) THEN '' ELSE family_name END,
        gender = CASE WHEN NOT 'gender' = ANY(columns) THEN gender END,
        qualifications = CASE WHEN 'qualifications' = ANY(columns) THEN '' ELSE qualifications END,
        registration = CASE WHEN 'registration' = ANY(columns) THEN '' ELSE registration END,
        council = CASE WHEN 'council' = ANY(columns) THEN '' ELSE council END,
        training = CASE WHEN 'training' = ANY(columns) THEN '' ELSE training END,
        bio = CASE WHEN 'bio' = ANY(columns) THEN '' ELSE bio END,
        image_url = CASE WHEN 'image_url' = ANY(columns) THEN '' ELSE image_url END,
        email = CASE WHEN NOT 'email' = ANY(columns) THEN email END,
        phone = CASE WHEN NOT 'phone' = ANY(columns) THEN phone END,
        languages = CASE WHEN 'languages' = ANY(columns) THEN '{}' ELSE languages END,
        practising_since = CASE WHEN NOT 'practising_since' = ANY(columns) THEN practising_since END
    FROM given
    WHERE known.provider_id = given.provider_id AND ARRAY[
        CASE WHEN salutation <> '' THEN 'salutation' END, CASE WHEN given_name <> '' THEN 'given_name' END,
        CASE WHEN family_name <> '' THEN 'family_name' END, CASE WHEN gender IS NOT NULL THEN 'gender' END,
        CASE WHEN qualifications <> '' THEN 'qualifications' END, CASE WHEN registration <> '' THEN 'registration' END,
        CASE WHEN council <> '' THEN 'council' END, CASE WHEN training <> '' THEN 'training' END, CASE WHEN bio <> '' THEN 'bio' END,
        CASE WHEN image_url <> '' THEN 'image_url' END, CASE WHEN email IS NOT NULL THEN 'email' END,
        CASE WHEN phone IS NOT NULL THEN 'phone' END, CASE WHEN languages <> '{}' THEN 'languages' END,
        CASE WHEN practising_since IS NOT NULL THEN 'practising_since' END] && columns
    RETURNING known.provider_id
)
SELECT 0::bigint AS added, count(*) AS updated FROM (SELECT provider_id FROM removed UNION SELECT provider_id FROM updated) AS changed

-- name: sources
-- The sources that files were from, with how many rows each, and whether it is the one called $1.
SELECT source, count(*) AS posts, source = $1 AS is_this FROM directory.source_row GROUP BY source ORDER BY source

-- name: gone
-- Who was at a clinic by source $1 before, and by none of the rows for providers $2 and clinics $3; and which other source has
-- them there since.
SELECT provider_id, clinic_id, provider.name AS provider, clinic.name AS clinic, (
    SELECT other.source FROM directory.source_row AS other
    WHERE other.provider_id = source_row.provider_id AND other.clinic_id = source_row.clinic_id AND other.seen_at > source_row.seen_at
    ORDER BY other.seen_at DESC LIMIT 1) AS still_in
FROM directory.source_row
JOIN directory.provider_clinic USING (provider_id, clinic_id)
JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
WHERE source = $1 AND provider_clinic.closed_since IS NULL AND NOT EXISTS (
    SELECT FROM unnest($2::text[], $3::text[]) AS named(provider, clinic)
    WHERE named.provider = provider.identifier AND named.clinic = clinic.identifier)
ORDER BY provider.name, provider_id, clinic_id

-- name: named_posts
-- Who is at clinics, by the identifiers of providers $1 and clinics $2.
SELECT provider_id, clinic_id
FROM unnest($1::text[], $2::text[]) AS named(provider, clinic)
JOIN directory.provider ON provider.identifier = named.provider
JOIN directory.clinic ON clinic.identifier = named.clinic
JOIN directory.provider_clinic USING (provider_id, clinic_id)

-- name: closings
-- What is to be closed so that providers $1 are at clinics $2 no more: a clinic that has nobody else, a provider who is nowhere else, or else a
-- provider at a clinic.
WITH leaving AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS leaving(provider_id, clinic_id)
), there AS (
    SELECT post.provider_id, post.clinic_id, leaving.provider_id IS NOT NULL AS leaves
    FROM directory.provider_clinic AS post LEFT JOIN leaving USING (provider_id, clinic_id)
    WHERE closed_since IS NULL AND (
        post.clinic_id IN (SELECT clinic_id FROM leaving) OR post.provider_id IN (SELECT provider_id FROM leaving))
), told AS (
    SELECT *, bool_and(leaves) OVER (PARTITION BY clinic_id) AS is_clinic, bool_and(leaves) OVER (PARTITION BY provider_id) AS is_provider
    FROM there
), closing AS (
    SELECT DISTINCT CASE WHEN is_clinic OR NOT is_provider THEN clinic_id END AS clinic_id, CASE WHEN NOT is_clinic THEN provider_id END AS provider_id
    FROM told WHERE leaves
)
SELECT clinic_id, provider_id, concat_ws(' at ', provider.name, clinic.name) AS name
FROM closing LEFT JOIN directory.clinic USING (clinic_id) LEFT JOIN directory.provider USING (provider_id)
ORDER BY name, clinic_id, provider_id

-- name: openings
-- What is to be opened again so that providers $1 are at clinics $2; with a source $3 only what was closed because it had them no more.
WITH coming AS (
    SELECT provider_id, clinic_id, clinic.closed_since AS clinic_closed, provider.closed_since AS provider_closed
    FROM unnest($1::text[], $2::text[]) AS named(provider, clinic)
    JOIN directory.provider ON provider.identifier = named.provider
    JOIN directory.clinic ON clinic.identifier = named.clinic
    JOIN directory.provider_clinic AS post USING (provider_id, clinic_id)
    WHERE post.closed_since IS NOT NULL AND ($3::text IS NULL OR EXISTS (
        SELECT FROM directory.source_row
        WHERE source_row.provider_id = post.provider_id AND source_row.clinic_id = post.clinic_id
            AND source = $3 AND gone_at = post.closed_since))
), opening AS (
    SELECT clinic_id, NULL::bigint AS provider_id FROM coming WHERE clinic_closed IS NOT NULL
    UNION
    SELECT NULL, provider_id FROM coming WHERE provider_closed IS NOT NULL
    UNION
    SELECT clinic_id, provider_id FROM coming WHERE clinic_closed IS NULL AND provider_closed IS NULL
)
SELECT clinic_id, provider_id, concat_ws(' at ', provider.name, clinic.name) AS name
FROM opening LEFT JOIN directory.clinic USING (clinic_id) LEFT JOIN directory.provider USING (provider_id)
ORDER BY name, clinic_id, provider_id

-- name: set_place_closed
-- Closes a place, or opens it again.
SELECT code, flagged, stands FROM booking.set_place_closed($1, $2, $3, true, $4, $5)

-- name: note_gone
-- Notes of providers $2 at clinics $3 that they are closed there because source $1 has them no more.
UPDATE directory.source_row SET gone_at = post.closed_since
FROM unnest($2::bigint[], $3::bigint[]) AS gone(provider_id, clinic_id)
JOIN directory.provider_clinic AS post USING (provider_id, clinic_id)
WHERE source = $1 AND source_row.provider_id = gone.provider_id AND source_row.clinic_id = gone.clinic_id

-- name: near_by
-- Stored clinics of the same postal code within 100 metres of those in $1, and by no identifier of $2, whose own start like $3: they may be the
-- same, renamed.
SELECT given.identifier, clinic_id, clinic.identifier AS stored, clinic.name
FROM jsonb_to_recordset($1) AS given(identifier text, postal_code text, latitude double precision, longitude double precision)
JOIN directory.clinic ON clinic.postal_code = given.postal_code
    AND public.earth_distance(public.ll_to_earth(clinic.latitude, clinic.longitude), public.ll_to_earth(given.latitude, given.longitude)) <= 100
WHERE starts_with(clinic.identifier, $3) AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS named WHERE named = clinic.identifier)
    AND NOT EXISTS (SELECT FROM directory.clinic AS known WHERE known.identifier = given.identifier)

-- name: rename
-- Has clinics, and the providers that they are themselves, known by $1 be known by $2 from now on.
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[]) AS given(stored, identifier)
), providers AS (
    UPDATE directory.provider SET identifier = given.identifier FROM given WHERE provider.identifier = given.stored
)
UPDATE directory.clinic SET identifier = given.identifier FROM given WHERE clinic.identifier = given.stored
