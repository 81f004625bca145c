-- The record of breaches of personal data, which administrators keep.
CREATE FUNCTION console.breaches(p_token_hash bytea, p_address text) RETURNS TABLE (
    breach_id bigint, known_at timestamptz, happened text, people integer, board_told_at timestamptz, people_told_at timestamptz,
    board_reported_at timestamptz, closed_at timestamptz, report_due_at timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_breaches', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_breaches', false, '', NULL);
    RETURN QUERY
    SELECT breach_id, known_at, happened, people, board_told_at, people_told_at, board_reported_at, closed_at, report_due_at
    FROM staff.breaches();
END $$;

-- The entries of a breach, the latest first, each with when the breach was known and the report is due.
CREATE FUNCTION console.breach_entries(p_token_hash bytea, p_address text, p_breach_id bigint) RETURNS TABLE (
    known_at timestamptz, report_due_at timestamptz, entry integer, kind text, at timestamptz, actor text, actor_name text,
    told_at timestamptz, happened text, data text, people integer, measures text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_breaches', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_breach', false, p_breach_id::text, NULL);
    RETURN QUERY
    SELECT breach.known_at, breach.known_at + staff.report_time(), breach_entry.entry, kind::text, breach_entry.at, breach_entry.actor,
        account.name, told_at, happened, data, people, measures
    FROM staff.breach JOIN staff.breach_entry USING (breach_id)
    LEFT JOIN staff.account ON breach_entry.actor = 'staff:' || account.staff_id
    WHERE breach_id = p_breach_id
    ORDER BY entry DESC;
END $$;

-- Notes a breach; NULL where it is said to be known only later than now.
CREATE FUNCTION console.note_breach(
    p_token_hash bytea, p_address text, p_known_at timestamptz, p_happened text, p_data text, p_people integer, p_measures text
) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    new_id bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_breaches', NULL);
    IF p_known_at > public.app_now() THEN
        RETURN NULL;
    END IF;
    new_id := staff.note_breach(p_known_at, caller.actor, p_happened, p_data, p_people, p_measures);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'note_breach', false, new_id::text, NULL);
    RETURN new_id;
END $$;

-- Adds to a breach what is known of it now, who was told, or that it is closed: 'done'; or 'not_found', 'not_yet' (said to have been told
-- later than now), 'too_early' (before it was known), 'open' (those who must be told were not yet).
CREATE FUNCTION console.add_to_breach(
    p_token_hash bytea, p_address text, p_breach_id bigint, p_kind text, p_told_at timestamptz, p_happened text, p_data text,
    p_people integer, p_measures text
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    known record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_breaches', NULL);
    SELECT * INTO known FROM staff.breaches() AS breach WHERE breach.breach_id = p_breach_id;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF p_told_at > public.app_now() THEN
        RETURN 'not_yet';
    ELSIF p_told_at < known.known_at THEN
        RETURN 'too_early';
    ELSIF p_kind = 'closed' AND num_nulls(known.board_told_at, known.people_told_at, known.board_reported_at) > 0 THEN
        RETURN 'open';
    END IF;
    PERFORM staff.add_breach_entry(
        p_breach_id, p_kind::staff.breach_entry_kind, caller.actor, p_told_at, p_happened, p_data, p_people, p_measures);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'add_to_breach', false, p_breach_id || ' ' || p_kind, NULL);
    RETURN 'done';
END $$;
