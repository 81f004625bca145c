-- One doctor's session or day, as the desk and the doctor see it.

-- The figures of a session: how many minutes it is late, what a visit takes (NULL where none has been yet), and when those who are still to
-- come are told to come, of those whom it tells.
CREATE FUNCTION reception.figures_of(p_session reception.session, p_now timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'minutes_late', floor(extract(epoch FROM reception.lateness(p_session, p_now)) / 60)::integer,
        'minutes_a_visit', round(extract(epoch FROM reception.median_of(p_session.provider_id, ARRAY[p_session.session_id])) / 60)::integer,
        'told', (
            SELECT coalesce(jsonb_object_agg(booking_id, jsonb_build_object('come_at', come_at)), '{}')
            FROM reception.delayed(p_session, reception.shown_delay(), p_now)))
$$;

-- A provider's day or session at a clinic: what it holds (reception.day_of).
CREATE FUNCTION reception.column_of(p_provider_id bigint, p_clinic_id bigint, p_during tstzrange, p_now timestamptz)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'provider_id', provider_id, 'name', name, 'starts', '[]'::jsonb, 'waiting', 0,
        'visits', reception.day_of(p_provider_id, p_clinic_id, p_during, p_now))
    FROM directory.provider WHERE provider_id = p_provider_id
$$;

-- How far off it was what patients of a clinic were told in the last 30 days: the median of its sessions' medians in minutes, and of how many
-- sessions; NULL where nobody was told.
CREATE FUNCTION reception.told_off(p_clinic_id bigint, p_now timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('minutes', round(percentile_cont(0.5) WITHIN GROUP (ORDER BY minutes_off))::integer, 'sessions', count(*))
    FROM reception.told_errors(p_clinic_id, tstzrange(p_now - reception.history_time(), p_now))
    HAVING count(*) > 0
$$;
