-- What a clinic does where somebody often does not come: after how many times within twelve months (NULL: never) they pay online only, and
-- for how many months; with its version, by which a change of it finds out that somebody else has changed it.
CREATE FUNCTION directory.no_show_rule(p_clinic_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'clinic_id', clinic_id, 'name', name, 'times', no_shows_max, 'months', no_show_months,
        'version', md5(concat_ws('|', coalesce(no_shows_max, 0), no_show_months)))
    FROM directory.clinic WHERE clinic_id = p_clinic_id
$$;

-- Sets it: whether it still was of p_version.
CREATE FUNCTION directory.set_no_show_rule(p_clinic_id bigint, p_times integer, p_months integer, p_version text) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM directory.clinic WHERE clinic_id = p_clinic_id FOR UPDATE;
    IF directory.no_show_rule(p_clinic_id) ->> 'version' IS DISTINCT FROM p_version THEN
        RETURN false;
    END IF;
    UPDATE directory.clinic SET no_shows_max = p_times, no_show_months = p_months WHERE clinic_id = p_clinic_id;
    RETURN true;
END $$;
