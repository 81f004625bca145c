-- Today's board of a clinic: whom each doctor sees and calls, by token, and how late they are. It shows nobody.

-- The sessions of a clinic that a board shows: of each provider the one that runs, or the next of the day. What nobody has come to yet has
-- no id. One runs until its time is over and nobody waits; of one that nothing was recorded of for long, the next that runs takes its place.
CREATE FUNCTION reception.sessions_now(p_clinic_id bigint, p_now timestamptz) RETURNS SETOF reception.session LANGUAGE plpgsql STABLE AS $$
DECLARE
    today date;
    span tstzrange;  -- today
BEGIN
    SELECT (p_now AT TIME ZONE time_zone)::date INTO today
    FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = p_clinic_id;
    span := reception.during_day(p_clinic_id, today);
    RETURN QUERY
    SELECT DISTINCT ON ((sitting).provider_id) (sitting).*
    FROM (
        SELECT session AS sitting, EXISTS (
                SELECT FROM reception.attendance JOIN booking.booking USING (provider_id, booking_id)
                WHERE attendance.provider_id = session.provider_id AND attendance.session_id = session.session_id
                    AND reception.state_of(booking.state, attendance) IN ('here', 'called', 'in_room')) AS is_busy
        -- What began yesterday goes on after midnight.
        FROM reception.session WHERE clinic_id = p_clinic_id AND during && tstzrange(lower(span) - interval '12 hours', upper(span))
        UNION ALL
        SELECT ROW(provider_id, NULL, p_clinic_id, opening.during, 0, today, NULL)::reception.session, false
        FROM directory.provider_clinic
        CROSS JOIN LATERAL schedule.openings(provider_id, p_clinic_id, lower(span), upper(span), p_now) AS opening
        WHERE provider_clinic.clinic_id = p_clinic_id AND NOT EXISTS (
                SELECT FROM reception.session
                WHERE session.provider_id = provider_clinic.provider_id AND session.clinic_id = p_clinic_id AND session.during && opening.during)
            AND NOT EXISTS (
                SELECT FROM schedule.leave
                WHERE leave.provider_id = provider_clinic.provider_id AND leave.during @> opening.during
                    AND (leave.clinic_id IS NULL OR leave.clinic_id = p_clinic_id))
    ) AS known
    WHERE upper((sitting).during) > p_now OR is_busy
    ORDER BY (sitting).provider_id, CASE
        WHEN upper((sitting).during) <= p_now THEN CASE WHEN reception.is_recorded(sitting, p_now) THEN 0 ELSE 2 END
        WHEN is_busy OR lower((sitting).during) <= p_now THEN 1 ELSE 3 END, NOT is_busy, lower((sitting).during);
END $$;

-- Whose visits of earlier sessions of its day nobody marked done, as their tokens and bookings.
CREATE FUNCTION reception.left_open(p_session reception.session) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'booking_id', booking_id, 'token_label', reception.token_label(session.letter, token)) ORDER BY token), '[]')
    FROM reception.session
    JOIN reception.attendance USING (provider_id, session_id)
    JOIN booking.booking USING (provider_id, booking_id)
    WHERE session.provider_id = p_session.provider_id AND session.clinic_id = p_session.clinic_id AND session.day = p_session.day
        AND lower(session.during) < lower(p_session.during) AND reception.state_of(booking.state, attendance) IN ('here', 'called', 'in_room')
$$;

-- What a board says of a session: the token that is called or in the room, the next three, how many minutes late, and who was called and
-- did not come.
CREATE FUNCTION reception.board_of(p_session reception.session, p_now timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH present AS MATERIALIZED (
        SELECT booking_id, reception.token_label(p_session.letter, token) AS label, entered_at, calls[cardinality(calls)] AS called_at,
            reception.state_of(booking.state, attendance) AS state
        FROM reception.attendance JOIN booking.booking USING (provider_id, booking_id)
        WHERE provider_id = p_session.provider_id AND session_id = p_session.session_id AND token IS NOT NULL
    )
    SELECT jsonb_build_object(
        'called', (
            SELECT label FROM present WHERE state = 'called' AND called_at > p_now - reception.call_time() ORDER BY called_at DESC LIMIT 1),
        'in_room', (SELECT label FROM present WHERE state = 'in_room' ORDER BY entered_at DESC LIMIT 1),
        'missed', (
            SELECT coalesce(jsonb_agg(label ORDER BY called_at), '[]') FROM present
            WHERE state = 'called' AND called_at <= p_now - reception.call_time()),
        'next', (
            SELECT coalesce(jsonb_agg(label ORDER BY place), '[]')
            FROM (
                -- Who missed their call is asked to the desk, and stands there alone.
                SELECT label, place
                FROM reception.order_of(p_session.provider_id, p_session.session_id, p_now) JOIN present USING (booking_id)
                WHERE state = 'here' ORDER BY place LIMIT 3) AS soon),
        'minutes_late', floor(extract(epoch FROM reception.lateness(p_session, p_now)) / 60)::integer)
$$;

-- A clinic's board, for who has its key; NULL: nobody has this one.
CREATE FUNCTION reception.board(p_clinic_id bigint, p_key_hash bytea) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('clinic', clinic.name, 'time_zone', time_zone, 'columns', (
        SELECT coalesce(jsonb_agg(reception.board_of(sitting, now_at) || jsonb_build_object(
            'provider_id', provider_id, 'provider', provider.name, 'begins_at', lower(during), 'has_begun', lower(during) <= now_at)
            ORDER BY provider.name, provider_id), '[]')
        FROM reception.sessions_now(p_clinic_id, now_at) AS sitting JOIN directory.provider USING (provider_id)
        -- Who begins much later would take room from those who are waited for now.
        WHERE lower(during) <= greatest(now_at + interval '2 hours', (
            SELECT min(lower(first.during)) FROM reception.sessions_now(p_clinic_id, now_at) AS first))))
    FROM public.app_now() AS now_at, reception.board
    JOIN directory.clinic USING (clinic_id)
    JOIN directory.city USING (city_id)
    WHERE clinic_id = p_clinic_id AND key_hash = p_key_hash
$$;

-- Gives a clinic's board a new key, by its hash; what had the one before shows nothing any more.
CREATE FUNCTION reception.set_board_key(p_clinic_id bigint, p_key_hash bytea, p_now timestamptz) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO reception.board (clinic_id, key_hash, made_at) VALUES (p_clinic_id, p_key_hash, p_now)
    ON CONFLICT (clinic_id) DO UPDATE SET key_hash = excluded.key_hash, made_at = excluded.made_at
$$;
