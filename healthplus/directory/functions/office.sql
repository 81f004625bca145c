-- What a clinic's office changes of the directory. Each is a row's new values as an object; `version` is what was shown: where the row is
-- another by now, nothing is changed.
CREATE FUNCTION directory.clinic_profile(p_clinic_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT profile || jsonb_build_object('version', md5(profile::text))
    FROM (
        SELECT jsonb_build_object(
            'clinic_id', clinic_id, 'name', clinic.name, 'address', address, 'city', city.name, 'state', city.state,
            'postal_code', coalesce(postal_code, ''), 'phone', coalesce(phone, ''), 'gstin', coalesce(gstin, ''), 'upi_id', coalesce(upi_id, ''),
            'latitude', clinic.latitude,
            'longitude', clinic.longitude, 'facilities', facilities, 'lead_minutes', lead_minutes, 'currency', currency, 'time_zone', time_zone,
            'closed_at', closed_since) AS profile
        FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = p_clinic_id
    ) AS found
$$;

-- The id of the city of this name and state, which is added where there is none: at p_slug, or at one of its own where that is another's.
CREATE FUNCTION directory.put_city(p_name text, p_state text, p_slug text, p_time_zone text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found_id bigint;
    tries integer := 0;
BEGIN
    LOOP
        SELECT city_id INTO found_id FROM directory.city
        WHERE lower(name) = lower(p_name) AND (lower(state) = lower(p_state) OR p_state = '' OR state = '')
        ORDER BY state = '', city_id LIMIT 1;
        EXIT WHEN FOUND;
        SELECT city_id INTO found_id FROM directory.city_alias JOIN directory.city USING (city_id)
        WHERE city_alias.slug = p_slug AND (lower(state) = lower(p_state) OR p_state = '' OR state = '');
        EXIT WHEN FOUND;
        INSERT INTO directory.city (slug, name, state, time_zone)
        SELECT address, p_name, p_state, p_time_zone
        FROM (
            SELECT CASE tries
                WHEN 0 THEN p_slug
                WHEN 1 THEN p_slug || '-' || substr(md5(p_state), 1, 4)
                ELSE p_slug || '-' || substr(md5(concat_ws('|', p_name, p_state, tries)), 1, 8) END AS address) AS chosen
        WHERE NOT EXISTS (SELECT FROM directory.city_alias WHERE city_alias.slug = address)
        ON CONFLICT DO NOTHING RETURNING city_id INTO found_id;
        EXIT WHEN FOUND;
        tries := tries + 1;  -- perhaps somebody else has added it just now
    END LOOP;
    RETURN found_id;
END $$;

-- Adds a clinic (p_clinic_id NULL) or changes one; its id, or NULL where it is not what it was. Where no position is given, that of its
-- postal code counts.
CREATE FUNCTION directory.put_clinic(p_clinic_id bigint, p_clinic jsonb, p_version text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    given record;
    put_id bigint := p_clinic_id;
BEGIN
    SELECT one.*, coalesce(one.latitude, area.latitude) AS place_latitude, coalesce(one.longitude, area.longitude) AS place_longitude
    INTO given
    FROM jsonb_to_record(p_clinic) AS one(
        name text, address text, city text, state text, city_slug text, postal_code text, phone text, gstin text, upi_id text,
        latitude double precision, longitude double precision, facilities text[], lead_minutes smallint,
        time_zone text, currency text)
    LEFT JOIN directory.postal_code AS area USING (postal_code);
    IF p_clinic_id IS NULL THEN
        INSERT INTO directory.clinic (identifier, city_id, name, address, postal_code, phone, gstin, upi_id, latitude, longitude,
            facilities, lead_minutes, currency)
        VALUES ('office-' || gen_random_uuid(), directory.put_city(given.city, given.state, given.city_slug,
            coalesce(given.time_zone, 'Asia/Kolkata')), given.name, given.address,
            nullif(given.postal_code, ''), nullif(given.phone, ''), nullif(given.gstin, ''), nullif(given.upi_id, ''), given.place_latitude,
            given.place_longitude, coalesce(given.facilities, '{}'), given.lead_minutes, coalesce(given.currency, 'INR'))
        RETURNING clinic_id INTO put_id;
        RETURN put_id;
    END IF;
    PERFORM FROM directory.clinic WHERE clinic_id = p_clinic_id FOR UPDATE;
    IF directory.clinic_profile(p_clinic_id) ->> 'version' IS DISTINCT FROM p_version THEN
        RETURN NULL;
    END IF;
    -- A clinic stays in its city, whose clock its shifts go by.
    UPDATE directory.clinic
    SET name = given.name, address = given.address, postal_code = nullif(given.postal_code, ''), phone = nullif(given.phone, ''),
        gstin = nullif(given.gstin, ''), upi_id = CASE currency WHEN 'INR' THEN nullif(given.upi_id, '') END, latitude = given.place_latitude, longitude = given.place_longitude,
        facilities = coalesce(given.facilities, facilities), lead_minutes = given.lead_minutes
    WHERE clinic_id = p_clinic_id;
    RETURN put_id;
END $$;

CREATE FUNCTION directory.set_clinic_closed(p_clinic_id bigint, p_closed_at timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE directory.clinic SET closed_since = p_closed_at
    WHERE clinic_id = p_clinic_id AND (closed_since IS NULL) IS DISTINCT FROM (p_closed_at IS NULL);
    RETURN FOUND;
END $$;

-- The clinics at which a provider works, or has worked.
CREATE FUNCTION directory.clinics_of(p_provider_id bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT array(SELECT clinic_id FROM directory.provider_clinic WHERE provider_id = p_provider_id ORDER BY clinic_id)
$$;

-- What a service is called, also one that is closed.
CREATE FUNCTION directory.service_name(p_service_id bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT service_type.name FROM directory.service JOIN directory.service_type USING (service_type_id) WHERE service_id = p_service_id
$$;

-- What a provider says of itself, and its fee at a clinic; NULL where it does not work there.
CREATE FUNCTION directory.provider_profile(p_provider_id bigint, p_clinic_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT profile || jsonb_build_object(
        'version', md5(profile::text),
        'photo', (SELECT hash FROM directory.provider_photo WHERE provider_photo.provider_id = p_provider_id))
    FROM (
        SELECT jsonb_build_object(
            'provider_id', provider_id, 'type', type, 'name', provider.name, 'gender', coalesce(gender::text, ''),
            'qualifications', qualifications, 'registration', registration, 'council', council, 'training', training, 'bio', bio,
            'languages', languages, 'practising_since', practising_since, 'phone', coalesce(provider.phone, ''),
            'accepts_new_patients', accepts_new_patients, 'max_booking_days', max_booking_days,
            'specialities', array(
                SELECT speciality.name FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
                WHERE provider_speciality.provider_id = p_provider_id ORDER BY speciality.name),
            'fee_minor', fee_minor, 'funding', funding, 'currency', currency, 'closed_at', provider_clinic.closed_since, 'gone_since', provider.closed_since) AS profile
        FROM directory.provider_clinic JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
        WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id
    ) AS found
$$;

-- Adds a provider (p_provider_id NULL) who works at a clinic, or changes one: its id, or NULL where it is not what it was. p_is_whole: also
-- what it says of itself; else only its fee there. Specialities are given by name and slug; those that there are not are added.
CREATE FUNCTION directory.put_provider(p_provider_id bigint, p_clinic_id bigint, p_provider jsonb, p_version text, p_is_whole boolean)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    given record;
    put_id bigint := p_provider_id;
BEGIN
    SELECT * INTO given FROM jsonb_to_record(p_provider) AS one(
        type directory.provider_type, name text, gender text, qualifications text, registration text, council text, training text, bio text,
        languages text[], practising_since smallint, phone text, accepts_new_patients boolean, max_booking_days smallint,
        specialities jsonb, fee_minor integer, funding directory.funding);
    IF p_provider_id IS NULL THEN
        INSERT INTO directory.provider (identifier, type, name, accepts_new_patients, max_booking_days)
        VALUES ('office-' || gen_random_uuid(), given.type, given.name, given.accepts_new_patients, given.max_booking_days)
        RETURNING provider_id INTO put_id;
        INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
        VALUES (put_id, p_clinic_id, given.fee_minor, given.funding);
    ELSE
        PERFORM FROM directory.provider WHERE provider_id = p_provider_id FOR NO KEY UPDATE;
        IF directory.provider_profile(p_provider_id, p_clinic_id) ->> 'version' IS DISTINCT FROM p_version THEN
            RETURN NULL;
        END IF;
        UPDATE directory.provider_clinic SET fee_minor = given.fee_minor, funding = given.funding
        WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND (fee_minor, funding) <> (given.fee_minor, given.funding);
    END IF;
    IF NOT p_is_whole THEN
        RETURN put_id;
    END IF;
    UPDATE directory.provider
    SET type = given.type, name = given.name, gender = nullif(given.gender, '')::directory.gender, qualifications = given.qualifications,
        registration = given.registration, council = given.council,
        training = coalesce(given.training, training), bio = given.bio, languages = given.languages,
        practising_since = given.practising_since, phone = nullif(given.phone, ''),
        accepts_new_patients = given.accepts_new_patients, max_booking_days = given.max_booking_days
    WHERE provider_id = put_id;
    INSERT INTO directory.speciality (slug, name)
    SELECT slug, name FROM jsonb_to_recordset(given.specialities) AS one(slug text, name text)
    WHERE NOT EXISTS (SELECT FROM directory.speciality WHERE speciality.slug = one.slug)
    ON CONFLICT DO NOTHING;
    DELETE FROM directory.provider_speciality
    WHERE provider_id = put_id AND speciality_id NOT IN (
        SELECT speciality_id FROM directory.speciality JOIN jsonb_to_recordset(given.specialities) AS one(slug text) USING (slug));
    INSERT INTO directory.provider_speciality (provider_id, speciality_id)
    SELECT put_id, speciality_id
    FROM directory.speciality JOIN (SELECT DISTINCT slug FROM jsonb_to_recordset(given.specialities) AS one(slug text)) AS one USING (slug)
    ON CONFLICT DO NOTHING;
    RETURN put_id;
END $$;

-- Closes a service that is offered at a clinic, or (p_is_everywhere) at each clinic of a provider who works there: its provider, or NULL.
CREATE FUNCTION directory.close_service(p_service_id bigint, p_clinic_id bigint, p_is_everywhere boolean) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    closed_of bigint;
BEGIN
    UPDATE directory.service SET closed_at = public.app_now()
    WHERE service_id = p_service_id AND closed_at IS NULL AND p_clinic_id = ANY (directory.clinics_of(provider_id))
        AND (clinic_id = p_clinic_id OR clinic_id IS NULL AND p_is_everywhere)
    RETURNING provider_id INTO closed_of;
    RETURN closed_of;
END $$;

-- Sets the terms of new holds at a clinic, or of services with a slug there; terms NULL: none. False where there is no such service.
CREATE FUNCTION directory.set_terms(p_clinic_id bigint, p_slug text, p_terms_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kind_id bigint;
BEGIN
    IF p_slug IS NULL THEN
        UPDATE directory.clinic SET terms_id = p_terms_id WHERE clinic_id = p_clinic_id;
        RETURN FOUND;
    END IF;
    SELECT service_type_id INTO kind_id FROM directory.service_type WHERE slug = p_slug;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF p_terms_id IS NULL THEN
        DELETE FROM directory.service_terms WHERE clinic_id = p_clinic_id AND service_type_id = kind_id;
    ELSE
        INSERT INTO directory.service_terms (clinic_id, service_type_id, terms_id) VALUES (p_clinic_id, kind_id, p_terms_id)
        ON CONFLICT (clinic_id, service_type_id) DO UPDATE SET terms_id = excluded.terms_id;
    END IF;
    RETURN true;
END $$;

-- What a clinic allows its desk beyond the times of its shifts, and after how many booked patients one of the line of tokens is called.
CREATE FUNCTION directory.desk_rules(p_clinic_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT rules || jsonb_build_object('version', md5(rules::text))
    FROM directory.clinic CROSS JOIN LATERAL jsonb_build_object(
        'walk_in_every', walk_in_every, 'walk_in_cap', walk_in_cap, 'overbook_cap', overbook_cap) AS rules
    WHERE clinic_id = p_clinic_id
$$;

-- Sets them, where they are still what was shown: whether they were.
CREATE FUNCTION directory.put_desk_rules(
    p_clinic_id bigint, p_every integer, p_walk_in_cap integer, p_overbook_cap integer, p_version text
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM directory.clinic WHERE clinic_id = p_clinic_id FOR UPDATE;
    UPDATE directory.clinic SET walk_in_every = p_every, walk_in_cap = p_walk_in_cap, overbook_cap = p_overbook_cap
    WHERE clinic_id = p_clinic_id AND directory.desk_rules(p_clinic_id) ->> 'version' = p_version;
    RETURN FOUND;
END $$;
