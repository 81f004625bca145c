-- When the visits of those who are still to come are expected to begin, from what the desk recorded; and what patients are told of it.

-- From so much on a patient is told on their page; by one text; and may change their appointment for nothing.
CREATE FUNCTION reception.shown_delay() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '10 minutes' $$;
CREATE FUNCTION reception.texted_delay() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '20 minutes' $$;
CREATE FUNCTION reception.free_delay() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 minutes' $$;

-- How long before their time patients are told by text: what is expected earlier changes.
CREATE FUNCTION reception.text_ahead() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '2 hours' $$;

-- Of how long ago sessions count where one's own has no three visits yet, and how many visits make a median.
CREATE FUNCTION reception.history_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 days' $$;
CREATE FUNCTION reception.visits_min() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;

-- The median time that a doctor takes for one slot's visit, of those in these sessions; NULL where there are not enough.
CREATE FUNCTION reception.median_of(p_provider_id bigint, p_session_ids uuid[]) RETURNS interval LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN count(*) >= reception.visits_min() THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY taken) END
    FROM reception.attendance
    JOIN booking.booking USING (provider_id, booking_id)
    CROSS JOIN LATERAL (SELECT (finished_at - coalesce(entered_at, calls[cardinality(calls)])) / slots_needed AS taken) AS visit
    WHERE provider_id = p_provider_id AND session_id = ANY (p_session_ids) AND booking.state = 'fulfilled' AND taken > interval '0'
$$;

-- How long a visit of one slot takes in a session: by its own visits, else by the provider's in the last 30 days, else the slot.
CREATE FUNCTION reception.pace_of(p_session reception.session, p_now timestamptz) RETURNS interval LANGUAGE plpgsql STABLE AS $$
DECLARE
    pace interval := reception.median_of(p_session.provider_id, ARRAY[p_session.session_id]);
BEGIN
    pace := coalesce(pace, reception.median_of(p_session.provider_id, ARRAY (
        SELECT session_id FROM reception.session
        WHERE provider_id = p_session.provider_id AND during && tstzrange(p_now - reception.history_time(), p_now))));
    RETURN coalesce(pace, (
        SELECT min(slot) FROM schedule.openings(
            p_session.provider_id, p_session.clinic_id, lower(p_session.during), upper(p_session.during), p_now)
        WHERE during && p_session.during), least(upper(p_session.during) - lower(p_session.during), interval '10 minutes'));
END $$;

-- When the visits of those who wait, and of those who are still to come, are expected to begin, in that order: as if those came at their
-- time, and each took as long as others did. Who is late by so much that they stand with the tokens keeps nobody waiting.
CREATE FUNCTION reception.expected_of(p_session reception.session, p_now timestamptz)
RETURNS TABLE (booking_id uuid, starts_at timestamptz, expected_at timestamptz, is_here boolean, line text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    pace interval := reception.pace_of(p_session, p_now);
    free_at timestamptz;  -- when the doctor is free for the next
    here record;
    coming record;
    waiting refcursor;
    expecting refcursor;
    takes_coming boolean;
BEGIN
    SELECT greatest(p_now, lower(p_session.during), max(entered_at + pace * slots_needed)) INTO free_at
    FROM reception.attendance JOIN booking.booking USING (provider_id, booking_id)
    WHERE provider_id = p_session.provider_id AND session_id = p_session.session_id
        AND reception.state_of(booking.state, attendance) = 'in_room';
    OPEN waiting FOR
        SELECT booking_id, lower(booking.during) AS starts_at, slots_needed, lines.line
        FROM reception.lines_of(p_session.provider_id, p_session.session_id) AS lines
        JOIN booking.booking USING (booking_id)
        LEFT JOIN reception.order_of(p_session.provider_id, p_session.session_id, p_now) AS ranked USING (booking_id)
        WHERE provider_id = p_session.provider_id
        ORDER BY place NULLS FIRST, lines.last_call_at;  -- who was called just now is coming in
    OPEN expecting FOR
        SELECT booking_id, lower(booking.during) AS starts_at, slots_needed, NULL::text AS line,
            greatest(lower(booking.during), reception.told_to_come(booking, p_now)) AS comes_at
        FROM booking.booking
        WHERE provider_id = p_session.provider_id AND clinic_id = p_session.clinic_id AND state = 'booked' AND NOT needs_rebooking
            AND booking.during && p_session.during AND lower(booking.during) >= lower(p_session.during)
        ORDER BY lower(booking.during), booking_id;
    FETCH waiting INTO here;
    FETCH expecting INTO coming;
    WHILE here.booking_id IS NOT NULL OR coming.booking_id IS NOT NULL LOOP
        takes_coming := here.booking_id IS NULL OR (coming.starts_at <= free_at AND (here.line <> 'booked' OR coming.starts_at < here.starts_at))
            IS TRUE;
        IF takes_coming THEN
            booking_id := coming.booking_id;
            starts_at := coming.starts_at;
            is_here := false;
            line := CASE WHEN coming.comes_at + reception.late_time() < p_now THEN 'token' ELSE 'booked' END;
            expected_at := greatest(free_at, starts_at);
            IF line = 'booked' THEN
                free_at := expected_at + pace * coming.slots_needed;
            END IF;
            FETCH expecting INTO coming;
        ELSE
            booking_id := here.booking_id;
            starts_at := here.starts_at;
            is_here := true;
            line := here.line;
            expected_at := free_at;
            free_at := expected_at + pace * here.slots_needed;
            FETCH waiting INTO here;
        END IF;
        RETURN NEXT;
    END LOOP;
    CLOSE waiting;
    CLOSE expecting;
END $$;

-- For how long after the last call or visit it is believed that a session goes on as it was recorded: four visits, and 45 minutes at least.
CREATE FUNCTION reception.silence_time(p_pace interval) RETURNS interval IMMUTABLE LANGUAGE sql AS $$
    SELECT greatest(4 * p_pace, interval '45 minutes')
$$;

-- Whether a session's calls and visits are recorded, and were until now: where only arrivals are, nobody is known to go in, and all would seem late.
CREATE FUNCTION reception.is_recorded(p_session reception.session, p_now timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(greatest(calls[cardinality(calls)], entered_at, finished_at))
        > p_now - reception.silence_time(reception.pace_of(p_session, p_now)), false)
    FROM reception.attendance WHERE provider_id = p_session.provider_id AND session_id = p_session.session_id
$$;

-- How late a session is: by how much the next of those who booked is expected to be after their time.
CREATE FUNCTION reception.lateness(p_session reception.session, p_now timestamptz) RETURNS interval LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT greatest(interval '0', expected_at - starts_at) FROM reception.expected_of(p_session, p_now) WITH ORDINALITY
        WHERE line = 'booked' ORDER BY ordinality LIMIT 1), interval '0')
$$;

-- When somebody is told to come whose visit is expected at an instant: on five minutes, before that rather than after it.
CREATE FUNCTION reception.come_at(p_expected_at timestamptz, p_starts_at timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS $$
    SELECT greatest(p_starts_at, date_bin('5 minutes', p_expected_at, p_starts_at))
$$;

-- Those of a session who are still to come and have a delay of more than so much, with when they are to come.
CREATE FUNCTION reception.delayed(p_session reception.session, p_delay interval, p_now timestamptz)
RETURNS TABLE (booking_id uuid, starts_at timestamptz, expected_at timestamptz, come_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT booking_id, starts_at, expected_at, reception.come_at(expected_at, starts_at)
    FROM reception.expected_of(p_session, p_now)
    WHERE NOT is_here AND line = 'booked' AND expected_at - starts_at > p_delay AND reception.is_recorded(p_session, p_now)
$$;

-- Notes that a patient is told when to come, and by text; returns whether it was noted: not once they have come. Nobody is waited for:
-- who is recorded as arrived at this moment is not told. Who was told a later time before, keeps that.
CREATE FUNCTION reception.tell(
    p_provider_id bigint, p_booking_id uuid, p_expected_at timestamptz, p_come_at timestamptz, p_by_text boolean, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    target booking.booking;
BEGIN
    SELECT * INTO target FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND state = 'booked' FOR SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO reception.told AS known (provider_id, booking_id, starts_at, told_at, expected_at, come_at, texted_at)
    VALUES (p_provider_id, p_booking_id, lower(target.during), p_now, p_expected_at, p_come_at, CASE WHEN p_by_text THEN p_now END)
    ON CONFLICT (provider_id, booking_id) DO UPDATE
    SET starts_at = excluded.starts_at, told_at = excluded.told_at, expected_at = excluded.expected_at,
        come_at = CASE WHEN known.starts_at = excluded.starts_at THEN greatest(known.come_at, excluded.come_at) ELSE excluded.come_at END,
        texted_at = CASE WHEN known.starts_at = excluded.starts_at THEN coalesce(known.texted_at, excluded.texted_at) ELSE excluded.texted_at END
    WHERE NOT p_by_text OR known.texted_at IS NULL OR known.starts_at <> excluded.starts_at;
    RETURN FOUND;
END $$;

-- When an appointment of which nobody has come yet is expected to begin, where its session runs and is so late that its patient is told so;
-- it is then noted that they are, and where it costs nothing to change it. No row: it is not late.
CREATE FUNCTION reception.leave_home(p_provider_id bigint, p_booking_id uuid)
RETURNS TABLE (starts_at timestamptz, expected_at timestamptz, come_at timestamptz, is_free boolean) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := public.app_now();
    target booking.booking;
    sitting reception.session;
BEGIN
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND state = 'booked';
    SELECT * INTO sitting FROM reception.session
    WHERE provider_id = p_provider_id AND clinic_id = target.clinic_id AND during @> lower(target.during)
        AND lower(during) < now_at + interval '12 hours' ORDER BY lower(during) LIMIT 1;
    IF sitting.session_id IS NULL THEN
        RETURN;
    END IF;
    SELECT delayed.starts_at, delayed.expected_at, delayed.come_at INTO starts_at, expected_at, come_at
    FROM reception.delayed(sitting, reception.shown_delay(), now_at) AS delayed WHERE delayed.booking_id = p_booking_id;
    IF FOUND THEN
        IF expected_at - starts_at > reception.free_delay() THEN  -- before they are told, as where texts are: two who do both must not deadlock
            PERFORM booking.note_delay(p_provider_id, ARRAY[p_booking_id], now_at);
        END IF;
        PERFORM FROM reception.told
        WHERE told.provider_id = p_provider_id AND told.booking_id = p_booking_id AND told.starts_at = lower(target.during)
            AND told.come_at >= leave_home.come_at;
        IF NOT FOUND THEN
            PERFORM reception.tell(p_provider_id, p_booking_id, expected_at, come_at, false, now_at);
        END IF;
        is_free := EXISTS (
            SELECT FROM booking.delay
            WHERE delay.provider_id = p_provider_id AND delay.booking_id = p_booking_id AND delay.starts_at = lower(target.during));
        RETURN NEXT;
    END IF;
END $$;

-- How far off it was what patients of sessions were told: for each, the median of the minutes between when they were told that their visit would begin and
-- when they were called; those of a clinic that began in a stretch of time.
CREATE FUNCTION reception.told_errors(p_clinic_id bigint, p_during tstzrange)
RETURNS TABLE (provider_id bigint, session_id uuid, starts_at timestamptz, patients bigint, minutes_off double precision)
LANGUAGE sql STABLE AS $$
    SELECT session.provider_id, session.session_id, lower(session.during), count(*),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(extract(epoch FROM calls[1] - told.expected_at)) / 60)
    FROM reception.session
    JOIN reception.attendance USING (provider_id, session_id)
    JOIN reception.told ON told.provider_id = attendance.provider_id AND told.booking_id = attendance.booking_id
    WHERE session.clinic_id = p_clinic_id AND session.during && p_during AND cardinality(calls) > 0 AND told.told_at < arrived_at
    GROUP BY session.provider_id, session.session_id, session.during
$$;

-- How often a day of a doctor is looked into for delays.
CREATE FUNCTION reception.look_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 minute' $$;

-- Takes the next days of doctors, p_max at most, to look for delays; returns how many. What another process looks into is left to it.
CREATE FUNCTION reception.take_looks(p_max integer, p_now timestamptz) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    taken integer;
BEGIN
    UPDATE reception.letter SET looked_at = p_now WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM reception.letter
        WHERE day BETWEEN (p_now AT TIME ZONE 'UTC')::date - 1 AND (p_now AT TIME ZONE 'UTC')::date + 1
            AND (looked_at IS NULL OR looked_at <= p_now - reception.look_time())
        ORDER BY looked_at NULLS FIRST, clinic_id, provider_id LIMIT p_max FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS taken = ROW_COUNT;
    RETURN taken;
END $$;

-- The sessions of what was taken at this instant that run or soon begin; of those who are told of more than half an hour, it is noted that changing their
-- appointments costs nothing.
CREATE FUNCTION reception.looked_into(p_now timestamptz) RETURNS SETOF reception.session LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    sitting reception.session;
    late_ids uuid[];
BEGIN
    FOR sitting IN
        SELECT session.* FROM reception.letter
        JOIN reception.session USING (provider_id, clinic_id, day)
        WHERE looked_at = p_now AND lower(during) <= p_now + reception.text_ahead() AND upper(during) > p_now
        ORDER BY provider_id, session_id
    LOOP
        SELECT array_agg(booking_id) INTO late_ids FROM reception.delayed(sitting, reception.free_delay(), p_now)
        WHERE starts_at <= p_now + reception.text_ahead();
        PERFORM booking.note_delay(sitting.provider_id, late_ids, p_now);
        RETURN NEXT sitting;
    END LOOP;
END $$;
