-- In what order patients of a session are called. The rule is published (docs/decisions/0063-reception.md), and nobody sorts by hand.

-- After how long somebody who came later than their time stands in the line of tokens.
CREATE FUNCTION reception.late_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '15 minutes' $$;

-- To when at the latest somebody was told to come before an instant, if that is later than their time; NULL: it is not.
CREATE FUNCTION reception.told_to_come(p_booking booking.booking, p_before timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT come_at FROM reception.told
    WHERE provider_id = p_booking.provider_id AND booking_id = p_booking.booking_id AND starts_at = lower(p_booking.during)
        AND come_at > starts_at AND told_at <= p_before
$$;

-- Until when an appointment's patient is waited for: it lasts, or they were told to come later.
CREATE FUNCTION reception.waited_for_until(p_booking booking.booking, p_now timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT greatest(booking.visit_end(p_booking.during, p_booking.service_ids),
        CASE WHEN p_booking.state = 'booked' THEN reception.told_to_come(p_booking, p_now) + reception.late_time() END)
$$;

-- How long somebody has to come in before they are called again, and after how many calls they stand at the end.
CREATE FUNCTION reception.call_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '2 minutes' $$;
CREATE FUNCTION reception.calls_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;

-- Where somebody stands: 'expected', 'here', 'called', 'in_room', 'done', 'left' (unseen), 'no_show'; of bookings that take no place any
-- more, their state. p_attendance is NULL where nothing was recorded.
CREATE FUNCTION reception.state_of(p_state booking.booking_state, p_attendance reception.attendance) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE
        WHEN p_state IN ('fulfilled', 'no_show') THEN CASE p_state WHEN 'fulfilled' THEN 'done' ELSE 'no_show' END
        WHEN p_state = 'booked' THEN 'expected'
        WHEN p_state <> 'arrived' THEN p_state::text
        WHEN p_attendance.left_at IS NOT NULL THEN 'left'
        WHEN p_attendance.entered_at IS NOT NULL THEN 'in_room'
        WHEN cardinality(p_attendance.calls) > 0 THEN 'called'
        ELSE 'here' END
$$;

-- Who of a session is there and waits, in which line, and their rank in it. 'booked': who came in time, or when they were told to
-- come, by the time they booked;
-- 'token': who came late or booked nothing, by token; 'end': who was called three times and did not come in.
CREATE FUNCTION reception.lines_of(p_provider_id bigint, p_session_id uuid)
RETURNS TABLE (booking_id uuid, line text, rank bigint, last_call_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT booking_id, line, row_number() OVER (
            PARTITION BY line ORDER BY CASE line WHEN 'booked' THEN starts_at WHEN 'end' THEN last_call_at END, token),
        last_call_at
    FROM reception.attendance
    JOIN booking.booking USING (provider_id, booking_id)
    CROSS JOIN LATERAL (SELECT lower(booking.during) AS starts_at, calls[cardinality(calls)] AS last_call_at) AS times
    CROSS JOIN LATERAL (SELECT CASE
        WHEN cardinality(calls) >= reception.calls_max() THEN 'end'
        WHEN extra = 'walk_in'
            OR arrived_at > greatest(starts_at, reception.told_to_come(booking, arrived_at)) + reception.late_time() THEN 'token'
        ELSE 'booked' END AS line) AS standing
    WHERE provider_id = p_provider_id AND session_id = p_session_id AND reception.state_of(booking.state, attendance) IN ('here', 'called')
$$;

-- The order in which those who wait are called, from the next on, if nobody else comes. Of the booked and the line of tokens, the booked
-- are first, but after walk_in_every of them in a row one of the tokens is. Who was called just now is not called again yet.
CREATE FUNCTION reception.order_of(p_provider_id bigint, p_session_id uuid, p_now timestamptz)
RETURNS TABLE (place integer, booking_id uuid, line text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    booked uuid[];
    tokens uuid[];
    at_end uuid[];
    uncalled uuid[];  -- somebody is counted with their first call
    in_row integer;
    every integer;
BEGIN
    SELECT walk_in_every INTO every FROM reception.session JOIN directory.clinic USING (clinic_id)
    WHERE provider_id = p_provider_id AND session_id = p_session_id;
    SELECT count(*) FILTER (WHERE called_from = 'booked' AND calls[1] > last_token_call) INTO in_row
    FROM (
        SELECT called_from, calls,
            coalesce(max(calls[1]) FILTER (WHERE called_from = 'token') OVER (), '-infinity') AS last_token_call
        FROM reception.attendance WHERE provider_id = p_provider_id AND session_id = p_session_id AND called_from IS NOT NULL
    ) AS called;
    SELECT
        coalesce(array_agg(booking_id ORDER BY rank) FILTER (WHERE line = 'booked'), '{}'),
        coalesce(array_agg(booking_id ORDER BY rank) FILTER (WHERE line = 'token'), '{}'),
        coalesce(array_agg(booking_id ORDER BY rank) FILTER (WHERE line = 'end'), '{}'),
        coalesce(array_agg(booking_id) FILTER (WHERE last_call_at IS NULL), '{}')
    INTO booked, tokens, at_end, uncalled
    FROM reception.lines_of(p_provider_id, p_session_id)
    WHERE last_call_at IS NULL OR last_call_at <= p_now - reception.call_time();
    place := 0;
    WHILE cardinality(booked) + cardinality(tokens) + cardinality(at_end) > 0 LOOP
        place := place + 1;
        IF cardinality(tokens) > 0 AND (in_row >= every OR cardinality(booked) = 0) THEN
            line := 'token';
            booking_id := tokens[1];
            tokens := tokens[2:];
            in_row := CASE WHEN booking_id = ANY (uncalled) THEN 0 ELSE in_row END;
        ELSIF cardinality(booked) > 0 THEN
            line := 'booked';
            booking_id := booked[1];
            booked := booked[2:];
            in_row := CASE WHEN booking_id = ANY (uncalled) THEN in_row + 1 ELSE in_row END;
        ELSE
            line := 'end';
            booking_id := at_end[1];
            at_end := at_end[2:];
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
