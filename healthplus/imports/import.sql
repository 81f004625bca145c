-- name: lock_imports
-- One at a time: two must not both find a city, clinic or provider missing. Readers and booking verbs are not stopped.
LOCK TABLE directory.city IN SHARE ROW EXCLUSIVE MODE

-- name: wait_briefly
-- From here on the import has locks that others need: they must not wait as long as it would for one row.
SET LOCAL lock_timeout = '10s'

-- name: let_listings_wait
-- What search lists of a provider follows from several tables: once, when all of them are stored.
SELECT search.let_listings_wait()

-- name: waiting_listings
-- The providers whose listings wait.
SELECT search.waiting_listings()

-- name: refresh_listings
-- Bring search's listings of some providers up to date.
SELECT search.refresh_listings($1::bigint[])

-- name: stored_cities
-- The cities that there are.
SELECT slug, name, state FROM directory.city

-- name: stored_city_aliases
-- The addresses that lead to cities, and theirs.
SELECT city_alias.slug, city.slug AS city_slug FROM directory.city_alias JOIN directory.city USING (city_id)

-- name: stored_shifts
-- The shifts of the providers in a file. In minutes: the driver cannot read 24:00.
SELECT provider.identifier AS provider, clinic.identifier AS clinic, shift.weekday,
    (extract(epoch FROM shift.starts) / 60)::integer AS starts, (extract(epoch FROM shift.ends) / 60)::integer AS ends,
    shift.slot_minutes, shift.seats, shift.slots_max, shift.valid = daterange(NULL, NULL) AS always
FROM schedule.shift
JOIN directory.provider USING (provider_id)
JOIN directory.clinic USING (clinic_id)
WHERE provider.identifier = ANY($1::text[])

-- name: stored_currencies
-- The currencies of clinics in a file, and whether they have to keep them.
SELECT identifier, currency, payments.has_money(clinic_id) AS has_money
FROM directory.clinic WHERE identifier = ANY($1::text[])

-- name: put_cities
-- Cities are only added: what an administrator has corrected stays.
WITH added AS (
    INSERT INTO directory.city (slug, name, state, time_zone, latitude, longitude)
    SELECT slug, name, state, time_zone, latitude, longitude
    FROM jsonb_to_recordset($1) AS given(
        slug text, name text, state text, time_zone text, latitude double precision, longitude double precision)
    WHERE NOT EXISTS (SELECT FROM directory.city WHERE city.slug = given.slug)
    RETURNING 1
)
SELECT count(*) AS added, 0::bigint AS updated FROM added

-- name: put_city_aliases
-- Other names of cities lead to them, but where a city is called so itself.
WITH added AS (
    INSERT INTO directory.city_alias (slug, city_id)
    SELECT given.slug, city_id
    FROM jsonb_to_recordset($1) AS given(slug text, city_slug text) JOIN directory.city ON city.slug = given.city_slug
    WHERE NOT EXISTS (SELECT FROM directory.city AS own WHERE own.slug = given.slug)
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) AS added, 0::bigint AS updated FROM added

-- name: put_specialities
-- Specialities are only added.
WITH added AS (
    INSERT INTO directory.speciality (slug, name)
    SELECT slug, name FROM jsonb_to_recordset($1) AS given(slug text, name text)
    WHERE NOT EXISTS (SELECT FROM directory.speciality WHERE speciality.slug = given.slug)
    RETURNING 1
)
SELECT count(*) AS added, 0::bigint AS updated FROM added

-- name: put_clinics
-- Adds what is new, changes what differs; what the file leaves empty stays as it is.
WITH given AS (
    SELECT given.*, city.city_id, clinic.clinic_id
    FROM jsonb_to_recordset($1) AS given(
        identifier text, city_slug text, name text, address text, postal_code text, phone text,
        latitude double precision, longitude double precision, currency text, reminder_hours smallint[], gstin text,
        facilities text[], written_name text, home_currency text)
    JOIN directory.city ON city.slug = given.city_slug
    LEFT JOIN directory.clinic ON clinic.identifier = given.identifier
), updated AS (
    UPDATE directory.clinic
    SET city_id = given.city_id,
        name = given.name,
        address = coalesce(given.address, clinic.address),
        postal_code = coalesce(given.postal_code, clinic.postal_code),
        phone = coalesce(given.phone, clinic.phone),
        latitude = coalesce(given.latitude, clinic.latitude),
        longitude = coalesce(given.longitude, clinic.longitude),
        currency = coalesce(given.currency, clinic.currency),
        reminder_hours = coalesce(given.reminder_hours, clinic.reminder_hours),
        gstin = coalesce(given.gstin, clinic.gstin),
        facilities = coalesce(given.facilities, clinic.facilities),
        written_name = given.written_name
    FROM given
    WHERE clinic.clinic_id = given.clinic_id
        AND (clinic.city_id, clinic.name, clinic.address, clinic.postal_code, clinic.phone, clinic.latitude, clinic.longitude,
            clinic.currency, clinic.reminder_hours, clinic.gstin, clinic.facilities, clinic.written_name)
        IS DISTINCT FROM (
            given.city_id, given.name, coalesce(given.address, clinic.address),
            coalesce(given.postal_code, clinic.postal_code), coalesce(given.phone, clinic.phone),
            coalesce(given.latitude, clinic.latitude), coalesce(given.longitude, clinic.longitude),
            coalesce(given.currency, clinic.currency), coalesce(given.reminder_hours, clinic.reminder_hours),
            coalesce(given.gstin, clinic.gstin), coalesce(given.facilities, clinic.facilities), given.written_name)
    RETURNING 1
), added AS (
    INSERT INTO directory.clinic (
        identifier, city_id, name, address, postal_code, phone, latitude, longitude, currency, reminder_hours, gstin, facilities, written_name)
    SELECT identifier, city_id, name, coalesce(address, ''), postal_code, phone, latitude, longitude, coalesce(currency, home_currency), reminder_hours,
        gstin, coalesce(facilities, '{}'), written_name
    FROM given WHERE clinic_id IS NULL
    RETURNING 1
)
SELECT (SELECT count(*) FROM added) AS added, (SELECT count(*) FROM updated) AS updated

-- name: put_providers
-- Adds what is new, changes what differs; what the file leaves empty stays as it is.
WITH given AS (
    SELECT given.identifier, provider.provider_id, given.type, given.name, given.written_name,
        coalesce(given.salutation, provider.salutation, '') AS salutation,
        coalesce(given.given_name, provider.given_name, '') AS given_name,
        coalesce(given.family_name, provider.family_name, '') AS family_name,
        coalesce(given.gender, provider.gender) AS gender,
        coalesce(given.qualifications, provider.qualifications, '') AS qualifications,
        coalesce(given.registration, provider.registration, '') AS registration,
        coalesce(given.council, provider.council, '') AS council,
        coalesce(given.training, provider.training, '') AS training,
        coalesce(given.bio, provider.bio, '') AS bio,
        coalesce(given.image_url, provider.image_url, '') AS image_url,
        coalesce(given.email, provider.email) AS email,
        coalesce(given.phone, provider.phone) AS phone,
        coalesce(given.languages, provider.languages, '{}') AS languages,
        coalesce(given.practising_since, provider.practising_since) AS practising_since,
        coalesce(given.accepts_new_patients, provider.accepts_new_patients, true) AS accepts_new_patients,
        coalesce(given.max_booking_days, provider.max_booking_days, 60::smallint) AS max_booking_days
    FROM jsonb_to_recordset($1) AS given(
        identifier text, type directory.provider_type, name text, salutation text, given_name text, family_name text,
        gender directory.gender, qualifications text, registration text, council text, training text, bio text, image_url text,
        email text, phone text, languages text[],
        practising_since smallint, accepts_new_patients boolean, max_booking_days smallint, written_name text)
    LEFT JOIN directory.provider ON provider.identifier = given.identifier
), updated AS (
    UPDATE directory.provider
    SET type = given.type, name = given.name, salutation = given.salutation, given_name = given.given_name,
        family_name = given.family_name, gender = given.gender, qualifications = given.qualifications,
        registration = given.registration, council = given.council, training = given.training, bio = given.bio, image_url = given.image_url,
        email = given.email, phone = given.phone, languages = given.languages,
        practising_since = given.practising_since, accepts_new_patients = given.accepts_new_patients,
        max_booking_days = given.max_booking_days, written_name = given.written_name
    FROM given
    WHERE provider.provider_id = given.provider_id
        AND (provider.type, provider.name, provider.salutation, provider.given_name, provider.family_name, provider.gender,
            provider.qualifications, provider.registration, provider.council, provider.training, provider.bio, provider.image_url, provider.email,
            provider.phone, provider.languages, provider.practising_since,
            provider.accepts_new_patients, provider.max_booking_days, provider.written_name)
        IS DISTINCT FROM (given.type, given.name, given.salutation, given.given_name, given.family_name, given.gender,
            given.qualifications, given.registration, given.council, given.training, given.bio, given.image_url, given.email,
            given.phone, given.languages, given.practising_since,
            given.accepts_new_patients, given.max_booking_days, given.written_name)
    RETURNING 1
), added AS (
    INSERT INTO directory.provider (
        identifier, type, name, salutation, given_name, family_name, gender, qualifications, registration, council, training, bio, image_url,
        email, phone, languages, practising_since, accepts_new_patients, max_booking_days, written_name)
    SELECT identifier, type, name, salutation, given_name, family_name, gender, qualifications, registration, council, training, bio, image_url,
        email, phone, languages, practising_since, accepts_new_patients, max_booking_days, written_name
    FROM given WHERE provider_id IS NULL
    RETURNING provider_id
), opened AS (
    INSERT INTO booking.book (provider_id)
    SELECT provider_id FROM added UNION ALL SELECT provider_id FROM given WHERE provider_id IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM added) AS added, (SELECT count(*) FROM updated) AS updated

-- name: analyze_directory
-- Statistics may date from a moment when the tables were empty, after a dry run for example: joins would then take minutes.
ANALYZE directory.city, directory.clinic, directory.provider, directory.speciality

-- name: fetched_photos
-- The pictures that were fetched from these addresses before.
SELECT DISTINCT ON (source) source, hash
FROM (
    SELECT source, hash FROM directory.provider_photo UNION ALL SELECT source, hash FROM directory.clinic_picture
) AS fetched
WHERE source = ANY ($1::text[]) AND EXISTS (SELECT FROM directory.photo WHERE photo.hash = fetched.hash)
ORDER BY source

-- name: store_photo
-- Store a picture in sizes $2, for an import that is about to name it.
INSERT INTO directory.photo (hash, size, webp, stored_at)
SELECT $1, size, webp, public.app_now() FROM unnest($2::smallint[], $3::bytea[]) AS given(size, webp)
ON CONFLICT (hash, size) DO UPDATE SET stored_at = excluded.stored_at

-- name: put_photos
-- Gives providers their photos, and takes those away for which the file has none.
WITH given AS (
    SELECT provider_id, hash, source
    FROM jsonb_to_recordset($1) AS given(provider text, hash text, source text)
    JOIN directory.provider ON provider.identifier = given.provider
), removed AS (
    DELETE FROM directory.provider_photo USING given
    WHERE provider_photo.provider_id = given.provider_id AND given.hash IS NULL
    RETURNING 1
), put AS (
    INSERT INTO directory.provider_photo AS known (provider_id, hash, source)
    SELECT provider_id, hash, source FROM given WHERE hash IS NOT NULL
    ON CONFLICT (provider_id) DO UPDATE SET hash = excluded.hash, source = excluded.source
    WHERE (known.hash, known.source) <> (excluded.hash, excluded.source)
    RETURNING old.provider_id IS NULL AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS added, count(*) FILTER (WHERE NOT is_new) + (SELECT count(*) FROM removed) AS updated FROM put

-- name: put_pictures
-- Gives clinics their pictures, and takes others away; counts clinics.
WITH given AS (
    SELECT clinic_id, sources, picture_hashes
    FROM jsonb_to_recordset($1) AS given(clinic text, sources text[], picture_hashes text[])
    JOIN directory.clinic ON clinic.identifier = given.clinic
), wanted AS (
    SELECT clinic_id, position, sources[position] AS source, picture_hashes[position] AS hash
    FROM given CROSS JOIN LATERAL generate_subscripts(sources, 1) AS position
), removed AS (
    DELETE FROM directory.clinic_picture AS known USING given
    WHERE known.clinic_id = given.clinic_id AND known.position > cardinality(given.sources)
    RETURNING known.clinic_id
), put AS (
    INSERT INTO directory.clinic_picture AS known (clinic_id, position, hash, source)
    SELECT clinic_id, position, hash, source FROM wanted
    ON CONFLICT (clinic_id, position) DO UPDATE
    SET hash = excluded.hash, source = excluded.source, text = CASE WHEN known.hash = excluded.hash THEN known.text ELSE '' END
    WHERE (known.hash, known.source) <> (excluded.hash, excluded.source)
    RETURNING known.clinic_id
), changed AS (
    SELECT clinic_id, EXISTS (
        SELECT FROM directory.clinic_picture AS former WHERE former.clinic_id = either.clinic_id) AS had_some
    FROM (SELECT clinic_id FROM removed UNION SELECT clinic_id FROM put) AS either
)
SELECT count(*) FILTER (WHERE NOT had_some) AS added, count(*) FILTER (WHERE had_some) AS updated FROM changed

-- name: put_provider_specialities
-- Only adds: a file need not name every speciality of a provider.
WITH given AS (
    SELECT provider_id, speciality_id, given.written_name
    FROM jsonb_to_recordset($1) AS given(provider text, slug text, written_name text)
    JOIN directory.provider ON provider.identifier = given.provider
    JOIN directory.speciality ON speciality.slug = given.slug
), put AS (
    INSERT INTO directory.provider_speciality AS known (provider_id, speciality_id, written_name)
    SELECT provider_id, speciality_id, written_name FROM given
    ON CONFLICT (provider_id, speciality_id) DO UPDATE SET written_name = excluded.written_name
    WHERE known.written_name IS DISTINCT FROM excluded.written_name
    RETURNING old.provider_id IS NULL AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS added, count(*) FILTER (WHERE NOT is_new) AS updated FROM put

-- name: put_service_types
-- The catalogue is only added to.
SELECT directory.put_service_types($1) AS added, 0::bigint AS updated

-- name: put_services
-- Opens what is new, and another in place of what differs: a file need not name every service of a provider.
SELECT added, updated
FROM directory.put_services((
    SELECT jsonb_agg(given || jsonb_build_object('provider_id', provider_id, 'clinic_id', clinic_id))
    FROM jsonb_array_elements($1) AS given
    JOIN directory.provider ON provider.identifier = given ->> 'provider'
    LEFT JOIN directory.clinic ON clinic.identifier = given ->> 'clinic'))

-- name: put_postal_codes
-- Adds what is new, moves what differs.
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS given(postal_code text, latitude double precision, longitude double precision)
), updated AS (
    UPDATE directory.postal_code AS known
    SET latitude = given.latitude, longitude = given.longitude
    FROM given
    WHERE known.postal_code = given.postal_code
        AND (known.latitude, known.longitude) <> (given.latitude, given.longitude)
    RETURNING 1
), added AS (
    INSERT INTO directory.postal_code (postal_code, latitude, longitude)
    SELECT postal_code, latitude, longitude FROM given
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM added) AS added, (SELECT count(*) FROM updated) AS updated

-- name: put_posts
-- Providers at clinics, with their fees; a file without fees leaves those that are stored.
WITH given AS (
    SELECT provider_id, clinic_id, known.provider_id IS NOT NULL AS is_known,
        coalesce(given.fee_minor, known.fee_minor, 0) AS fee_minor,
        coalesce(given.funding, known.funding, 'clinic') AS funding
    FROM jsonb_to_recordset($1) AS given(provider text, clinic text, fee_minor integer, funding directory.funding)
    JOIN directory.provider ON provider.identifier = given.provider
    JOIN directory.clinic ON clinic.identifier = given.clinic
    LEFT JOIN directory.provider_clinic AS known USING (provider_id, clinic_id)
), updated AS (
    UPDATE directory.provider_clinic AS post
    SET fee_minor = given.fee_minor, funding = given.funding
    FROM given
    WHERE post.provider_id = given.provider_id AND post.clinic_id = given.clinic_id
        AND (post.fee_minor, post.funding) IS DISTINCT FROM (given.fee_minor, given.funding)
    RETURNING 1
), added AS (
    INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
    SELECT provider_id, clinic_id, fee_minor, funding FROM given WHERE NOT is_known
    RETURNING 1
)
SELECT (SELECT count(*) FROM added) AS added, (SELECT count(*) FROM updated) AS updated

-- name: count_words
-- At the end, since spellings are judged by the directory's own words.
SELECT search.count_words()

-- name: lock_books
-- As every verb does before it changes a schedule, in order of id. Only the rows, which exclude others: the verbs' advisory
-- locks, which keep arrivals in order, would fill the server's lock table by thousands.
SELECT count(*)
FROM (
    SELECT FROM booking.book JOIN directory.provider USING (provider_id)
    WHERE identifier = ANY($1::text[])
    ORDER BY provider_id
    FOR UPDATE OF book
) AS locked

-- name: put_shifts
-- Only for a provider who has no shifts at this clinic yet.
WITH added AS (
    INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes, seats, slots_max)
    SELECT provider_id, clinic_id, weekday, starts, ends, slot_minutes, seats, slots_max
    FROM jsonb_to_recordset($1) AS given(
        provider text, clinic text, weekday smallint, starts time, ends time, slot_minutes smallint, seats smallint,
        slots_max smallint)
    JOIN directory.provider ON provider.identifier = given.provider
    JOIN directory.clinic ON clinic.identifier = given.clinic
    RETURNING 1
)
SELECT count(*) AS added, 0::bigint AS updated FROM added

-- name: analyze_schedule
-- As analyze_directory, for the functions that look for free times.
ANALYZE directory.provider_clinic, directory.service, schedule.shift, booking.book

-- name: offer_new_times
-- New shifts are new times: record them, offer them to the queue first, then have search see them.
SELECT count(booking.append_event(provider_id, now_at, 'shift_changed', NULL, NULL, 'system:import')),
    count(booking.advance_book(provider_id, now_at)::text), count(booking.refresh_next_free(provider_id, now_at)::text),
    count(booking.refresh_scarce_days(provider_id, now_at, p_everything => true)::text)
FROM directory.provider CROSS JOIN (SELECT public.app_now() AS now_at) AS clock
WHERE identifier = ANY($1::text[])
