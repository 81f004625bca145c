-- Clinics, providers, services and terms, as a clinic's office changes them. A profile comes with its `version`, and is changed only where it
-- still is that: {"code": "stale", "now": …, "by": …, "changed_at": …} else.

-- Adds a clinic, at which its first people are still to be named: its id.
CREATE FUNCTION console.add_clinic(p_token_hash bytea, p_address text, p_clinic jsonb)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    new_id bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_clinics', NULL);
    new_id := directory.put_clinic(NULL, p_clinic, NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'add_clinic', false, p_clinic ->> 'name', NULL, new_id);
    RETURN new_id;
END $$;

-- Changes what a clinic says of itself, all of p_clinic (name, address, postal_code, phone, gstin, upi_id, latitude, longitude, facilities, lead_minutes):
-- {"code": "done"}, or 'stale'. It stays in its city.
CREATE FUNCTION console.put_clinic(p_token_hash bytea, p_address text, p_clinic_id bigint, p_clinic jsonb, p_version text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    is_done boolean;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    is_done := directory.put_clinic(p_clinic_id, p_clinic, p_version) IS NOT NULL;
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'change_clinic', NOT is_done, p_clinic ->> 'name', NULL, p_clinic_id);
    RETURN CASE WHEN is_done THEN '{"code": "done"}'
        ELSE jsonb_build_object('code', 'stale', 'now', directory.clinic_profile(p_clinic_id))
            || staff.last_change('change_clinic', p_clinic_id, NULL) END;
END $$;

-- Adds a provider to a clinic (p_provider_id NULL), or changes one: {"code": "done", "provider_id": …}, or 'not_found', 'stale', 'new_speciality'
-- (only administrators add specialities: they become pages of their own). What a provider says of itself who works at other clinics, too, is
-- changed by those alone who may at each of them; of others' only the fee here is.
CREATE FUNCTION console.put_provider(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_provider jsonb, p_version text
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    profile jsonb;
    put_id bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    profile := directory.provider_profile(p_provider_id, p_clinic_id);
    IF p_provider_id IS NOT NULL AND profile IS NULL THEN
        RETURN '{"code": "not_found"}';
    ELSIF staff.role_at(caller.staff_id, 'add_speciality', NULL) IS NULL AND EXISTS (
        SELECT FROM jsonb_to_recordset(p_provider -> 'specialities') AS given(slug text)
        WHERE slug NOT IN (SELECT speciality.slug FROM directory.speciality)
    ) THEN
        RETURN '{"code": "new_speciality"}';
    END IF;
    put_id := directory.put_provider(p_provider_id, p_clinic_id, p_provider, p_version,
        p_provider_id IS NULL OR staff.may_at_all(caller.staff_id, 'manage_schedule', directory.clinics_of(p_provider_id)));
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, CASE WHEN p_provider_id IS NULL THEN 'add_provider' ELSE 'change_provider' END,
        put_id IS NULL, format('%s; fee %s %s', p_provider ->> 'name', p_provider ->> 'fee_minor', p_provider ->> 'funding'), NULL, p_clinic_id,
        NULL, coalesce(p_provider_id, put_id));
    RETURN CASE WHEN put_id IS NULL THEN jsonb_build_object('code', 'stale', 'now', directory.provider_profile(p_provider_id, p_clinic_id))
            || staff.last_change('change_provider', p_clinic_id, p_provider_id)
        ELSE jsonb_build_object('code', 'done', 'provider_id', put_id) END;
END $$;

-- Gives a provider a photo or (p_hash NULL) takes it away: 'done', 'not_found', or 'elsewhere' where it works at others' clinics, too.
CREATE FUNCTION console.set_photo(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_hash text, p_sizes smallint[], p_webps bytea[]
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    clinic_ids bigint[];
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    clinic_ids := directory.clinics_of(p_provider_id);
    IF p_clinic_id <> ALL (clinic_ids) THEN
        RETURN 'not_found';
    ELSIF NOT staff.may_at_all(caller.staff_id, 'manage_schedule', clinic_ids) THEN
        RETURN 'elsewhere';
    END IF;
    PERFORM directory.set_photo(p_provider_id, p_hash, p_sizes, p_webps);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, CASE WHEN p_hash IS NULL THEN 'remove_photo' ELSE 'set_photo' END, false, p_hash, NULL,
        p_clinic_id, NULL, p_provider_id);
    RETURN 'done';
END $$;

-- Adds a picture of a clinic: 'added', 'there', 'full' or 'not_found'.
CREATE FUNCTION console.add_clinic_picture(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_hash text, p_sizes smallint[], p_webps bytea[], p_text text
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    code := directory.add_clinic_picture(p_clinic_id, p_hash, p_sizes, p_webps, p_text);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'add_picture', code <> 'added', p_text, NULL, p_clinic_id);
    RETURN code;
END $$;

-- Changes a picture's text and place, or (p_place NULL) removes it: 'done' or 'not_found'.
CREATE FUNCTION console.change_clinic_picture(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_hash text, p_text text, p_place integer
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    code := directory.change_clinic_picture(p_clinic_id, p_hash, p_text, p_place);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, CASE WHEN p_place IS NULL THEN 'remove_picture' ELSE 'change_picture' END,
        code <> 'done', p_text, NULL, p_clinic_id);
    RETURN code;
END $$;

-- Has a provider offer a service at a clinic, in the place of one of the same name and (p_former_id) of the one that is changed: 'added',
-- 'changed', 'unchanged', or 'not_found', 'stale' (the former is not open any more), 'elsewhere' (it is offered at other clinics, too, and would
-- have another name here). On which slots of a shift it may start no form says: that stays.
CREATE FUNCTION console.put_service(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_service jsonb, p_former_id bigint
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    counts record;
    given record;
    former directory.service;
    service jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    -- The clinic's currency stays what it is until this is done.
    PERFORM FROM directory.clinic JOIN directory.provider_clinic USING (clinic_id)
    WHERE clinic_id = p_clinic_id AND provider_id = p_provider_id FOR SHARE OF clinic;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    PERFORM directory.put_service_types(jsonb_build_array(jsonb_build_object(
        'slug', p_service -> 'service_type', 'name', p_service -> 'name', 'is_test', p_service -> 'is_test')));
    service := p_service || jsonb_build_object('provider_id', p_provider_id, 'clinic_id', p_clinic_id,
        'currency', (SELECT currency FROM directory.clinic WHERE clinic_id = p_clinic_id));
    -- Locked before services are, as directory.put_services does it.
    PERFORM FROM directory.provider WHERE provider_id = p_provider_id FOR NO KEY UPDATE;
    SELECT service_type_id, known_id INTO given FROM directory.services_given(jsonb_build_array(service));
    IF p_former_id IS NOT NULL THEN
        SELECT * INTO former FROM directory.service WHERE service_id = p_former_id AND closed_at IS NULL FOR UPDATE;
        IF NOT FOUND THEN
            RETURN 'stale';
        ELSIF p_former_id IS DISTINCT FROM given.known_id THEN
            IF directory.close_service(p_former_id, p_clinic_id, directory.clinics_of(former.provider_id) = ARRAY[p_clinic_id]) IS NOT NULL THEN
                PERFORM staff.append_audit(
                    caller.actor, caller.session_id, p_address, 'close_service', false, directory.service_name(p_former_id), NULL, p_clinic_id, NULL,
                    former.provider_id);
            ELSIF (former.provider_id, former.service_type_id) <> (p_provider_id, given.service_type_id) THEN
                RETURN 'elsewhere';
            END IF;
        END IF;
    END IF;
    SELECT added, updated INTO counts FROM directory.put_services(jsonb_build_array(service || jsonb_build_object(
        'starts_every', coalesce(former.starts_every, (SELECT starts_every FROM directory.service WHERE service_id = given.known_id), 1))));
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'put_service', false,
        concat_ws('; ', p_service ->> 'name', p_service ->> 'fee_minor', (p_service ->> 'length_minutes') || ' min',
            nullif(p_service ->> 'preparation', '')), NULL, p_clinic_id, NULL, p_provider_id);
    RETURN CASE WHEN counts.updated > 0 OR former.service_id IS NOT NULL AND counts.added > 0 THEN 'changed'
        WHEN counts.added > 0 THEN 'added' ELSE 'unchanged' END;
END $$;

-- Closes a service: 'done' or 'not_found'. One that all clinics of a provider have is for those who may see to each of them.
CREATE FUNCTION console.close_service(p_token_hash bytea, p_address text, p_clinic_id bigint, p_service_id bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    closed_of bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    closed_of := directory.close_service(p_service_id, p_clinic_id, staff.may_at_all(caller.staff_id, 'manage_schedule', (
        SELECT directory.clinics_of(provider_id) FROM directory.service WHERE service_id = p_service_id)));
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'close_service', closed_of IS NULL, directory.service_name(p_service_id), NULL, p_clinic_id,
        NULL, closed_of);
    RETURN CASE WHEN closed_of IS NULL THEN 'not_found' ELSE 'done' END;
END $$;

-- Sets the terms of new holds, of the clinic or (p_slug) of one kind of service there; no steps: none. 'done' or 'not_found'.
CREATE FUNCTION console.set_terms(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_slug text, p_hours smallint[], p_percents smallint[], p_amounts_minor integer[]
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    is_done boolean;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    PERFORM FROM directory.clinic WHERE clinic_id = p_clinic_id FOR SHARE;
    is_done := directory.set_terms(
        p_clinic_id, p_slug,
        CASE WHEN cardinality(p_hours) > 0 THEN directory.put_terms(p_hours, p_percents, p_amounts_minor) END);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'set_terms', NOT is_done,
        concat_ws('; ', p_slug, array_to_string(p_hours, ',') || 'h', array_to_string(p_percents, ',', '-') || '%',
            array_to_string(p_amounts_minor, ',', '-')), NULL, p_clinic_id);
    RETURN CASE WHEN is_done THEN 'done' ELSE 'not_found' END;
END $$;
