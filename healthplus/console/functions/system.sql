-- What administrators see to besides the clinics: programs' keys, and whether all is well.

-- The clinics whose names begin with, or contain, what is looked for, by name, from the one on that comes after p_after_name and p_after_id.
CREATE FUNCTION console.clinics(
    p_token_hash bytea, p_address text, p_search text, p_after_name text, p_after_id bigint, p_rows_max integer
) RETURNS TABLE (clinic_id bigint, name text, city text, providers bigint, staff bigint, open_asks bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_operations', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_clinics', false, '', NULL);
    RETURN QUERY
    SELECT clinic.clinic_id, clinic.name, city.name,
        (SELECT count(*) FROM directory.provider_clinic WHERE provider_clinic.clinic_id = clinic.clinic_id),
        (
            SELECT count(*) FROM staff.membership JOIN staff.account USING (staff_id)
            WHERE membership.clinic_id = clinic.clinic_id AND account.disabled_at IS NULL),
        (SELECT count(*) FROM staff.ask WHERE ask.clinic_id = clinic.clinic_id AND ask.state = 'open')
    FROM directory.clinic JOIN directory.city USING (city_id)
    WHERE (p_search IS NULL OR strpos(lower(clinic.name), lower(p_search)) > 0)
        AND (p_after_name IS NULL OR (clinic.name, clinic.clinic_id) > (p_after_name, p_after_id))
    ORDER BY clinic.name, clinic.clinic_id
    LIMIT p_rows_max;
END $$;

-- Notes that somebody looks at errors and back-ups, and looks whether they may.
CREATE FUNCTION console.see_system(p_token_hash bytea, p_address text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_operations', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_system', false, '', NULL);
END $$;

-- Every developer's key, and how often it was used.
CREATE FUNCTION console.keys(p_token_hash bytea, p_address text) RETURNS TABLE (
    key_id bigint, name text, scopes text[], per_minute integer, per_day integer, expires_at timestamptz, is_expired boolean,
    revoked_at timestamptz, today bigint, last_7_days bigint, last_30_days bigint, used_at timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_keys', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_keys', false, '', NULL);
    RETURN QUERY SELECT * FROM accounts.developer_keys();
END $$;

-- Adds a developer's key, as its SHA-256; returns its id.
CREATE FUNCTION console.add_key(
    p_token_hash bytea, p_address text, p_name text, p_key_hash bytea, p_scopes text[], p_per_minute integer, p_per_day integer,
    p_expires_in interval
) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    new_id bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_keys', NULL, p_needs_proof => true);
    new_id := accounts.add_developer_key(
        p_name, p_key_hash, p_scopes::accounts.developer_scope[], p_per_minute, p_per_day, p_expires_in);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'add_key', false, 'key ' || new_id, NULL);
    RETURN new_id;
END $$;

-- Revokes a key; its developer's name, or NULL where there is no such key, or it was revoked before.
CREATE FUNCTION console.revoke_key(p_token_hash bytea, p_address text, p_key_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    whose text;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_keys', NULL, p_needs_proof => true);
    whose := accounts.revoke_developer_key(p_key_id);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'revoke_key', whose IS NULL, 'key ' || p_key_id, NULL);
    RETURN whose;
END $$;
