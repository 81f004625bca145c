-- What a clinic does where somebody often does not come (directory/functions/no_shows.sql).
CREATE FUNCTION console.no_show_rule(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    RETURN directory.no_show_rule(p_clinic_id);
END $$;

-- Sets it: {"code": "done"}, or 'stale' with how it is now.
CREATE FUNCTION console.set_no_show_rule(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_times integer, p_months integer, p_version text
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    is_done boolean;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    is_done := directory.set_no_show_rule(p_clinic_id, p_times, p_months, p_version);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'set_no_show_rule', NOT is_done,
        concat_ws(' ', coalesce(p_times, 0), p_months), NULL, p_clinic_id);
    RETURN CASE WHEN is_done THEN '{"code": "done"}'
        ELSE jsonb_build_object('code', 'stale', 'now', directory.no_show_rule(p_clinic_id))
            || staff.last_change('set_no_show_rule', p_clinic_id, NULL) END;
END $$;
