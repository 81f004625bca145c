-- Today's order of one doctor, a doctor's own day, and the key of a clinic's board.

-- Today's order of a provider at a clinic: the session that runs or is next, who is in it, and its figures; 'others': who else works there today;
-- 'left_open': by the tokens, whose visits of earlier sessions of the day were never marked done.
-- Each patient who is shown for the first time in a session of the staff's is noted.
CREATE FUNCTION console.today_order(p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    sitting reception.session;
    shown jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    IF NOT EXISTS (SELECT FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO sitting FROM reception.sessions_now(p_clinic_id, now_at) WHERE provider_id = p_provider_id;
    shown := reception.column_of(p_provider_id, p_clinic_id, coalesce(sitting.during::tstzrange, 'empty'::tstzrange), now_at);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_booking', false, 'order', NULL, p_clinic_id,
        booking.patient_id, booking.provider_id, booking.booking_id)
    FROM jsonb_array_elements(shown -> 'visits') AS visit
    JOIN booking.booking ON booking.provider_id = p_provider_id AND booking.booking_id = (visit ->> 'booking_id')::uuid
    WHERE visit ->> 'state' <> 'reserved' AND NOT staff.was_noted(caller.session_id, 'see_booking', booking.booking_id);
    RETURN jsonb_build_object('now_at', now_at, 'provider', shown, 'session', CASE WHEN sitting.provider_id IS NOT NULL THEN
            jsonb_build_object('starts_at', lower(sitting.during), 'ends_at', upper(sitting.during), 'session_id', sitting.session_id)
            || reception.figures_of(sitting, now_at) END,
        'walk_in_every', (SELECT walk_in_every FROM directory.clinic WHERE clinic_id = p_clinic_id),
        'left_open', reception.left_open(sitting),
        'others', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('provider_id', provider_id, 'name', name) ORDER BY name, provider_id), '[]')
            FROM reception.sessions_now(p_clinic_id, now_at) JOIN directory.provider USING (provider_id)));
END $$;

-- A doctor's own day at a clinic, as a day sheet has it, for them alone.
CREATE FUNCTION console.own_day(p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_day date)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    shown jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_own_day', p_clinic_id, p_provider_id);
    shown := reception.column_of(p_provider_id, p_clinic_id, reception.during_day(p_clinic_id, p_day), now_at);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_booking', false, 'own day', NULL, p_clinic_id,
        booking.patient_id, booking.provider_id, booking.booking_id)
    FROM jsonb_array_elements(shown -> 'visits') AS visit
    JOIN booking.booking ON booking.provider_id = p_provider_id AND booking.booking_id = (visit ->> 'booking_id')::uuid
    WHERE visit ->> 'state' <> 'reserved' AND NOT staff.was_noted(caller.session_id, 'see_booking', booking.booking_id);
    RETURN jsonb_build_object('now_at', now_at, 'providers', jsonb_build_array(shown), 'walk_in_every', (
        SELECT walk_in_every FROM directory.clinic WHERE clinic_id = p_clinic_id));
END $$;

-- What changes with each change of a doctor's own day, and the minute. It shows nobody.
CREATE FUNCTION console.own_day_version(p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM staff.authorise(p_token_hash, 'see_own_day', p_clinic_id, p_provider_id);
    RETURN (SELECT md5(concat_ws('|', version, date_trunc('minute', public.app_now()))) FROM booking.book WHERE provider_id = p_provider_id);
END $$;

-- Since when a clinic's board has its key (NULL: it has none), and how far off it was what patients were told: of each session of the last 30
-- days, and of all.
CREATE FUNCTION console.board_setup(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now_at timestamptz := public.app_now();
BEGIN
    PERFORM staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    RETURN (
        SELECT jsonb_build_object('name', clinic.name, 'closed_at', closed_since, 'time_zone', time_zone,
            'made_at', (SELECT made_at FROM reception.board WHERE board.clinic_id = p_clinic_id),
            'told_off', reception.told_off(p_clinic_id, now_at), 'sessions', (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'provider', provider.name, 'starts_at', starts_at, 'patients', patients, 'minutes', round(minutes_off))
                    ORDER BY starts_at DESC, provider.name), '[]')
                FROM (
                    SELECT * FROM reception.told_errors(p_clinic_id, tstzrange(now_at - reception.history_time(), now_at))
                    ORDER BY starts_at DESC LIMIT 20) AS told
                JOIN directory.provider USING (provider_id)))
        FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic.clinic_id = p_clinic_id);
END $$;

-- Gives a clinic's board a new key, as its SHA-256: what has the one before shows nothing any more.
CREATE FUNCTION console.renew_board(p_token_hash bytea, p_address text, p_clinic_id bigint, p_key_hash bytea)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    PERFORM reception.set_board_key(p_clinic_id, p_key_hash, public.app_now());
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'renew_board', false, '', NULL, p_clinic_id);
    RETURN 'renewed';
END $$;
