-- Breaches of personal data: what is known of each, and who was told when.

-- Within what time after it is known a breach is reported in detail to the data protection authority.
CREATE FUNCTION staff.report_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '72 hours' $$;

-- Writes what is known of a breach or who was told of it, as its next entry.
CREATE FUNCTION staff.add_breach_entry(
    p_breach_id bigint, p_kind staff.breach_entry_kind, p_actor text, p_told_at timestamptz, p_happened text, p_data text, p_people integer,
    p_measures text
) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_entry integer;
BEGIN
    PERFORM FROM staff.breach WHERE breach_id = p_breach_id FOR UPDATE;  -- so that two at once are numbered one after the other
    INSERT INTO staff.breach_entry (breach_id, entry, kind, at, actor, told_at, happened, data, people, measures)
    SELECT p_breach_id, coalesce(max(entry), 0) + 1, p_kind, public.app_now(), p_actor, p_told_at, p_happened, p_data, p_people, p_measures
    FROM staff.breach_entry WHERE breach_id = p_breach_id
    RETURNING entry INTO new_entry;
    RETURN new_entry;
END $$;

-- Notes a breach that is known since p_known_at.
CREATE FUNCTION staff.note_breach(
    p_known_at timestamptz, p_actor text, p_happened text, p_data text, p_people integer, p_measures text
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO staff.breach (known_at, noted_at, noted_by) VALUES (p_known_at, public.app_now(), p_actor) RETURNING breach_id INTO new_id;
    PERFORM staff.add_breach_entry(new_id, 'described', p_actor, NULL, p_happened, p_data, p_people, p_measures);
    RETURN new_id;
END $$;

-- Every breach as it stands: what is known of it last, and when each who must be told was told first; NULL: not yet.
CREATE FUNCTION staff.breaches() RETURNS TABLE (
    breach_id bigint, known_at timestamptz, noted_at timestamptz, noted_by text, happened text, data text, people integer, measures text,
    board_told_at timestamptz, people_told_at timestamptz, board_reported_at timestamptz, closed_at timestamptz, report_due_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT breach.breach_id, known_at, noted_at, noted_by, known.happened, known.data, known.people, known.measures,
        told.board_at, told.people_at, told.report_at, told.closed_at, known_at + staff.report_time()
    FROM staff.breach
    CROSS JOIN LATERAL (
        SELECT happened, data, people, measures FROM staff.breach_entry
        WHERE breach_entry.breach_id = breach.breach_id AND kind = 'described' ORDER BY entry DESC LIMIT 1) AS known
    CROSS JOIN LATERAL (
        SELECT min(told_at) FILTER (WHERE kind = 'board_told') AS board_at, min(told_at) FILTER (WHERE kind = 'people_told') AS people_at,
            min(told_at) FILTER (WHERE kind = 'board_reported') AS report_at, min(at) FILTER (WHERE kind = 'closed') AS closed_at
        FROM staff.breach_entry WHERE breach_entry.breach_id = breach.breach_id) AS told
    ORDER BY known_at DESC, breach.breach_id DESC
$$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON staff.breach FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON staff.breach_entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
