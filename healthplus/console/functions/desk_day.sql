-- A clinic's day at the desk: who comes, and what is recorded of them.

-- A day of a clinic: of each provider who has shifts or appointments then, what it holds (reception.day_of), the starts that are free, and how
-- many wait in the queue for times of that day. Its version changes with it: with that of p_after nothing is shown; with that of p_kept no
-- providers are answered, as who asks has them. provider_ids: whose books it hangs on. is_of_version: nothing changed while it was read. Each
-- patient who is shown for the first time in a session is noted.
CREATE FUNCTION console.day_sheet(p_token_hash bytea, p_address text, p_clinic_id bigint, p_day date, p_after text, p_kept text)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    day tstzrange;
    version text;
    providers jsonb;
    shown uuid[];
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    version := reception.day_version(p_clinic_id, now_at);
    IF version = p_after THEN
        RETURN jsonb_build_object('version', version, 'provider_ids', ARRAY (
            SELECT provider_id FROM directory.provider_clinic WHERE clinic_id = p_clinic_id));
    END IF;
    day := reception.during_day(p_clinic_id, p_day);
    IF version = p_kept THEN
        shown := reception.shown_on(p_clinic_id, day, now_at);
    ELSE
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'provider_id', provider_id, 'name', provider.name, 'visits', visits,
            'starts', free.starts, 'waiting', (
                SELECT count(*) FROM booking.ticket
                WHERE ticket.provider_id = provider.provider_id AND ticket.state = 'waiting' AND queue_window && day AND expires_at > now_at
                    AND (ticket.clinic_id IS NULL OR ticket.clinic_id = p_clinic_id))
            ) ORDER BY provider.name, provider_id), '[]')
        INTO providers
        FROM directory.provider_clinic
        JOIN directory.provider USING (provider_id)
        CROSS JOIN LATERAL reception.day_of(provider_id, p_clinic_id, day, now_at) AS visits
        CROSS JOIN LATERAL (
            SELECT coalesce(jsonb_agg(DISTINCT starts_at), '[]') AS starts
            FROM booking.obtainable_runs(provider_id, p_clinic_id, lower(day), upper(day), 1, now_at, p_is_desk => true)
            WHERE starts_at >= lower(day)) AS free
        WHERE provider_clinic.clinic_id = p_clinic_id AND (visits <> '[]' OR EXISTS (
            SELECT FROM schedule.openings(provider_id, p_clinic_id, lower(day), upper(day), now_at) AS opening
            WHERE lower(opening.during) >= lower(day) AND lower(opening.during) < upper(day)));
        shown := ARRAY (
            SELECT (visit ->> 'booking_id')::uuid
            FROM jsonb_array_elements(providers) AS one CROSS JOIN LATERAL jsonb_array_elements(one -> 'visits') AS visit
            WHERE visit ->> 'state' <> 'reserved');
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_booking', false, 'day sheet', NULL, p_clinic_id,
        booking.patient_id, booking.provider_id, booking.booking_id)
    FROM directory.provider_clinic JOIN booking.booking USING (provider_id)
    WHERE provider_clinic.clinic_id = p_clinic_id AND booking_id = ANY (shown)
        AND NOT staff.was_noted(caller.session_id, 'see_booking', booking.booking_id);
    RETURN jsonb_build_object('version', version, 'is_of_version', version = reception.day_version(p_clinic_id, now_at), 'now_at', now_at,
        'providers', providers) || (
            SELECT jsonb_build_object('walk_in_every', walk_in_every, 'overbook_cap', overbook_cap)
            FROM directory.clinic WHERE clinic_id = p_clinic_id);
END $$;

-- What changes with each change of a clinic's day sheets and queues (reception.day_version). It shows nobody.
CREATE FUNCTION console.day_version(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    RETURN reception.day_version(p_clinic_id, public.app_now());
END $$;

-- Records an act of the desk (reception.record), or with 'undo' takes back what the same person did last (reception.undo); both with p_seen.
CREATE FUNCTION console.record_attendance(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid, p_act text, p_seen text
) RETURNS TABLE (code text, state text, token integer, undo_until timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    answer record;
BEGIN
    caller := staff.authorise(p_token_hash, 'record_attendance', p_clinic_id, p_provider_id);
    IF p_act = 'undo' THEN
        answer := reception.undo(p_provider_id, p_booking_id, p_clinic_id, caller.actor, p_seen);
    ELSE
        answer := reception.record(p_provider_id, p_booking_id, p_clinic_id, p_act::reception.act, caller.actor, p_seen);
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address,
        CASE p_act WHEN 'undo' THEN 'undo_attendance' ELSE 'record_attendance' END, answer.code NOT IN ('recorded', 'undone'),
        CASE answer.code WHEN 'recorded' THEN p_act ELSE concat_ws(' ', nullif(p_act, 'undo'), answer.code) END, NULL, p_clinic_id, (
            SELECT patient_id FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id),
        p_provider_id, p_booking_id);
    RETURN QUERY SELECT answer.code, answer.state, answer.token, answer.undo_until;
END $$;
