-- What the desk records of an appointment, and takes back. Each act locks the provider's book, as every verb of the booking area does.

-- Whether a visit was recorded as over only just now, so that the desk may undo it.
CREATE FUNCTION reception.can_be_undone(p_provider_id bigint, p_booking_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM reception.attendance
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND finished_at > public.app_now() - booking.undo_time())
$$;

-- What was done last of an appointment, recorded on the day, changed (is_change) or paid (is_payment), by whom, and until when they can
-- undo it; an actor of NULL: nobody can. The one place that says what an undo is about.
CREATE FUNCTION reception.last_act(
    p_provider_id bigint, p_booking_id uuid, p_now timestamptz, OUT is_change boolean, OUT is_payment boolean, OUT actor text,
    OUT until timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT is_change, is_payment, actor, until
    FROM (
        SELECT false AS is_change, false AS is_payment, actor, act_at + booking.undo_time() AS until
        FROM reception.attendance WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND before IS NOT NULL
        UNION ALL
        SELECT true, false, actor, until FROM booking.last_act(p_provider_id, p_booking_id, p_now)
        UNION ALL
        SELECT false, true, actor, paid_at + booking.undo_time() FROM till.last_payment(p_provider_id, p_booking_id, p_now)
    ) AS done
    WHERE until > p_now ORDER BY until DESC, is_payment DESC, is_change DESC LIMIT 1
$$;

-- Until when somebody can undo what they did last of an appointment; NULL: not any more, or somebody else did more.
CREATE FUNCTION reception.undo_until(p_provider_id bigint, p_booking_id uuid, p_actor text, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT until FROM reception.last_act(p_provider_id, p_booking_id, p_now) WHERE actor = p_actor $$;

-- How long it is kept what the desk recorded, as long as the audit says that it did.
CREATE FUNCTION reception.attendance_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '400 days' $$;

-- For how long a repeat of an act by the same person counts as the same.
CREATE FUNCTION reception.repeat_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '10 seconds' $$;

-- How long before their time somebody can be recorded as arrived.
CREATE FUNCTION reception.early_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '12 hours' $$;

-- Whether it is near enough to somebody's time that they can be recorded as arrived.
CREATE FUNCTION reception.is_near(p_during tstzrange, p_now timestamptz) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT lower(p_during) <= p_now + reception.early_time() AND upper(p_during) >= p_now - reception.early_time()
$$;

-- The session of an appointment at a clinic: the one that there is, or one of the shift that it is in, which has no id yet. Where there is no
-- shift any more, as after a change, the one of that clinic nearest to it, within 12 hours, or else one of the appointment alone.
CREATE FUNCTION reception.session_of(p_target booking.booking, p_now timestamptz) RETURNS reception.session LANGUAGE plpgsql STABLE AS $$
DECLARE
    starts_at timestamptz := lower(p_target.during);
    sitting reception.session;
    shift_during tstzrange;
BEGIN
    SELECT * INTO sitting FROM reception.session
    WHERE provider_id = p_target.provider_id AND clinic_id = p_target.clinic_id AND during @> starts_at ORDER BY lower(during) LIMIT 1;
    IF FOUND THEN
        RETURN sitting;
    END IF;
    SELECT opening.during INTO shift_during
    FROM schedule.openings(p_target.provider_id, p_target.clinic_id, starts_at, starts_at + interval '1 microsecond', p_now) AS opening
    WHERE opening.during @> starts_at ORDER BY lower(opening.during) LIMIT 1;
    IF NOT FOUND THEN
        SELECT * INTO sitting FROM reception.session
        WHERE provider_id = p_target.provider_id AND clinic_id = p_target.clinic_id
            AND during && tstzrange(starts_at - interval '12 hours', starts_at + interval '12 hours')
        ORDER BY greatest(lower(during) - starts_at, starts_at - upper(during)), lower(during) LIMIT 1;
        IF FOUND THEN
            RETURN sitting;
        END IF;
        shift_during := p_target.during;
    END IF;
    sitting.provider_id := p_target.provider_id;
    sitting.clinic_id := p_target.clinic_id;
    sitting.during := shift_during;
    RETURN sitting;
END $$;

-- What an act answers: a code; then, where it was recorded, where the patient stands now, their token, and until when who did it can undo it.
CREATE FUNCTION reception.answer(p_code text, p_target booking.booking, OUT code text, OUT state text, OUT token integer, OUT undo_until timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    kept reception.attendance;
BEGIN
    SELECT * INTO kept FROM reception.attendance WHERE provider_id = p_target.provider_id AND booking_id = p_target.booking_id;
    code := p_code;
    state := reception.state_of(p_target.state, kept);
    token := kept.token;
    undo_until := kept.act_at + booking.undo_time();
END $$;

-- Why an act cannot be recorded now; NULL: it can. 'wrong_state' (so it stands no more), 'another_day', 'too_early' (nobody is missed before
-- the session is over), 'was_to_rebook' (nor whom the clinic asked to choose another time), 'just_called', or 'not_next' (the rule has somebody else next).
CREATE FUNCTION reception.refusal_of(
    p_target booking.booking, p_kept reception.attendance, p_session reception.session, p_act reception.act, p_now timestamptz
) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    stands text := reception.state_of(p_target.state, p_kept);
BEGIN
    IF p_act = 'arrive' AND stands = 'here' AND p_kept.arrived_at IS NULL THEN
        RETURN NULL;  -- recorded as arrived elsewhere, without a token
    ELSIF stands <> ALL (CASE p_act
        WHEN 'arrive' THEN '{expected}' WHEN 'miss' THEN '{expected}' WHEN 'call' THEN '{here,called}' WHEN 'enter' THEN '{called}'
        WHEN 'finish' THEN '{called,in_room}' WHEN 'leave' THEN '{here,called,in_room}' END::text[])
        OR (p_act NOT IN ('arrive', 'miss') AND p_kept.arrived_at IS NULL)
    THEN
        RETURN 'wrong_state';
    ELSIF p_act = 'arrive' AND NOT reception.is_near(p_target.during, p_now) THEN
        RETURN 'another_day';
    ELSIF p_act = 'miss' AND p_target.needs_rebooking THEN
        RETURN 'was_to_rebook';
    ELSIF p_act = 'miss' AND p_now < upper(p_session.during) THEN
        RETURN 'too_early';
    ELSIF p_act = 'call' AND p_kept.calls[cardinality(p_kept.calls)] > p_now - reception.call_time() THEN
        RETURN 'just_called';
    ELSIF p_act = 'call' AND p_target.booking_id <> ALL (ARRAY (
        SELECT booking_id FROM reception.order_of(p_target.provider_id, p_session.session_id, p_now) WHERE place = 1))
    THEN
        RETURN 'not_next';
    END IF;
    RETURN NULL;
END $$;

-- Writes an act into the row of an appointment. An arrival makes a new row: what was recorded before was put right.
CREATE FUNCTION reception.keep_act(
    p_target booking.booking, p_session_id uuid, p_act reception.act, p_actor text, p_before jsonb, p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    token integer;
    line text;
BEGIN
    IF p_act = 'arrive' THEN
        token := reception.next_token(p_target.provider_id, p_session_id);
    ELSIF p_act = 'call' THEN
        SELECT lines.line INTO line FROM reception.lines_of(p_target.provider_id, p_session_id) AS lines
        WHERE lines.booking_id = p_target.booking_id;
    END IF;
    IF p_act IN ('arrive', 'miss') THEN
        DELETE FROM reception.attendance WHERE provider_id = p_target.provider_id AND booking_id = p_target.booking_id;
        INSERT INTO reception.attendance (provider_id, booking_id, session_id, token, arrived_at, act, act_at, actor, before)
        VALUES (p_target.provider_id, p_target.booking_id, p_session_id, token, CASE p_act WHEN 'arrive' THEN p_now END,
            p_act, p_now, p_actor, p_before);
    ELSE
        UPDATE reception.attendance SET
            calls = CASE p_act WHEN 'call' THEN calls || p_now ELSE calls END,
            called_from = coalesce(called_from, line),
            entered_at = CASE p_act WHEN 'enter' THEN p_now ELSE entered_at END,
            finished_at = CASE p_act WHEN 'finish' THEN p_now ELSE finished_at END,
            left_at = CASE p_act WHEN 'leave' THEN p_now ELSE left_at END,
            act = p_act, act_at = p_now, actor = p_actor, before = p_before
        WHERE provider_id = p_target.provider_id AND booking_id = p_target.booking_id;
    END IF;
END $$;

-- Opens the book, and finds an appointment at a clinic with what was recorded of it; a target without an id: there is none, or none of theirs.
-- is_repeat: the same was asked under p_key (NULL: none) before, and done.
CREATE FUNCTION reception.open_attendance(
    p_provider_id bigint, p_booking_id uuid, p_clinic_id bigint, p_actor text, p_operation text, p_key text,
    OUT now_at timestamptz, OUT is_repeat boolean, OUT target booking.booking, OUT kept reception.attendance
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, p_operation, p_key, p_key);
    now_at := opened.now_at;
    is_repeat := (opened.answer).code = 'undone';
    IF (opened.answer).code IS NULL OR is_repeat THEN
        SELECT * INTO target FROM booking.booking
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id AND booking.may_act(p_actor, NULL);
        SELECT * INTO kept FROM reception.attendance WHERE provider_id = p_provider_id AND booking_id = target.booking_id;
    END IF;
END $$;

-- Records one act of an appointment at a clinic: 'recorded', or a refusal as above, or 'not_found'. A repeat of what the same person has just
-- recorded is 'recorded' again and changes nothing, so that a lost answer can be asked for. p_seen: where the patient stood on the page that
-- was pressed; where that is so no more, it is 'wrong_state'. NULL: not known.
CREATE FUNCTION reception.record(
    p_provider_id bigint, p_booking_id uuid, p_clinic_id bigint, p_act reception.act, p_actor text, p_seen text DEFAULT NULL,
    OUT code text, OUT state text, OUT token integer, OUT undo_until timestamptz
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    target booking.booking;
    kept reception.attendance;
    sitting reception.session;
    now_is booking.booking_state;
BEGIN
    opened := reception.open_attendance(p_provider_id, p_booking_id, p_clinic_id, p_actor, 'record_attendance', NULL);
    target := opened.target;
    kept := opened.kept;
    IF target.booking_id IS NULL THEN
        code := 'not_found';
        RETURN;
    END IF;
    IF kept.before IS NOT NULL AND kept.act = p_act AND kept.actor = p_actor AND kept.act_at > opened.now_at - reception.repeat_time() THEN
        SELECT * INTO code, state, token, undo_until FROM reception.answer('recorded', target);
        RETURN;
    END IF;
    IF p_seen <> reception.state_of(target.state, kept) THEN
        SELECT * INTO code, state, token, undo_until FROM reception.answer('wrong_state', target);
        RETURN;
    END IF;
    sitting := reception.session_of(target, opened.now_at);
    IF kept.arrived_at IS NOT NULL AND p_act NOT IN ('arrive', 'miss') THEN
        SELECT * INTO sitting FROM reception.session WHERE provider_id = p_provider_id AND session_id = kept.session_id;
    END IF;
    code := reception.refusal_of(target, kept, sitting, p_act, opened.now_at);
    IF code IS NOT NULL THEN
        SELECT * INTO code, state, token, undo_until FROM reception.answer(code, target);
        RETURN;
    END IF;
    IF sitting.session_id IS NULL THEN
        sitting := reception.begin_session(p_provider_id, p_clinic_id, sitting.during, opened.now_at);
    END IF;
    PERFORM reception.keep_act(
        target, sitting.session_id, p_act, p_actor,
        jsonb_build_object('state', target.state, 'kept', CASE WHEN kept.booking_id IS NOT NULL THEN to_jsonb(kept) - 'before' END), opened.now_at);
    now_is := CASE p_act WHEN 'arrive' THEN 'arrived' WHEN 'finish' THEN 'fulfilled' WHEN 'miss' THEN 'no_show' ELSE target.state END;
    IF now_is <> target.state THEN
        PERFORM booking.attend(p_provider_id, p_booking_id, now_is, p_actor);
    ELSIF p_act <> 'arrive' THEN
        PERFORM booking.append_event(
            p_provider_id, opened.now_at, CASE p_act WHEN 'call' THEN 'called_in' WHEN 'enter' THEN 'entered' ELSE 'left_unseen' END,
            p_booking_id, target.ticket_id, p_actor);
    END IF;
    target.state := now_is;
    SELECT * INTO kept FROM reception.attendance WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    PERFORM reception.append_act(target, kept, p_act::text, opened.now_at);
    SELECT * INTO code, state, token, undo_until FROM reception.answer('recorded', target);
END $$;

-- Keeps that an act was undone, under what the press said of it (NULL: nothing), so that the same press is told so again.
CREATE FUNCTION reception.keep_undo(p_target booking.booking, p_actor text, p_pressed text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := 'undone';
    answer.booking_id := p_target.booking_id;
    PERFORM booking.store_result(p_target.provider_id, p_actor, 'undo_attendance', p_pressed, p_pressed, answer, p_now)
    WHERE p_pressed IS NOT NULL;
END $$;

-- Takes back what the same person did last of an appointment, and with the coming of a walk-in their appointment: 'undone', or 'not_found',
-- 'too_late' (three minutes are over, or somebody did more), 'overlap' (who was missed has booked something else at this time), or what
-- booking.undo_act refuses with. p_seen: until when the act of the page that was pressed can be undone (booking.hashed_instant); where another
-- is the last by now, it is 'not_last', but for a press that is sent again: that act is undone. NULL: not known.
CREATE FUNCTION reception.undo(
    p_provider_id bigint, p_booking_id uuid, p_clinic_id bigint, p_actor text, p_seen text DEFAULT NULL,
    OUT code text, OUT state text, OUT token integer, OUT undo_until timestamptz
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    opened record;
    target booking.booking;
    last record;
    kept reception.attendance;
    was_in booking.booking_state;
    pressed text := p_booking_id || ' ' || p_seen;
BEGIN
    opened := reception.open_attendance(p_provider_id, p_booking_id, p_clinic_id, p_actor, 'undo_attendance', pressed);
    target := opened.target;
    kept := opened.kept;
    IF target.booking_id IS NULL THEN
        code := 'not_found';
        RETURN;
    END IF;
    IF opened.is_repeat THEN
        SELECT * INTO code, state, token FROM reception.answer('undone', target);
        RETURN;
    END IF;
    SELECT * INTO last FROM reception.last_act(p_provider_id, p_booking_id, opened.now_at);
    IF p_seen <> booking.hashed_instant(last.until) THEN
        SELECT * INTO code, state, token FROM reception.answer('not_last', target);
        RETURN;
    END IF;
    IF last.actor = p_actor AND last.is_payment THEN
        code := till.undo(p_provider_id, p_booking_id, p_actor, opened.now_at);
        SELECT * INTO code, state, token FROM reception.answer(code, target);
        RETURN;
    ELSIF last.actor IS DISTINCT FROM p_actor OR last.is_change THEN
        code := CASE WHEN last.actor = p_actor THEN booking.undo_act(p_provider_id, p_booking_id, p_clinic_id, p_actor) ELSE 'too_late' END;
        SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
        PERFORM reception.keep_undo(target, p_actor, pressed, opened.now_at) WHERE code = 'undone';
        SELECT * INTO code, state, token FROM reception.answer(code, target);
        RETURN;
    END IF;
    was_in := (kept.before ->> 'state')::booking.booking_state;
    IF was_in <> target.state THEN
        code := booking.undo_attendance(p_provider_id, p_booking_id, was_in, p_actor);
        IF code <> 'undone' THEN
            SELECT * INTO code, state, token FROM reception.answer(CASE code WHEN 'overlap' THEN code ELSE 'too_late' END, target);
            RETURN;
        END IF;
        PERFORM booking.undo_act(p_provider_id, p_booking_id, p_clinic_id, p_actor, p_is_here => true) WHERE kept.before ? 'walk_in';
        SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    ELSIF kept.act <> 'arrive' THEN
        PERFORM booking.append_event(p_provider_id, opened.now_at, 'taken_back', p_booking_id, target.ticket_id, p_actor);
    END IF;
    PERFORM reception.append_act(target, kept, 'taken_back', opened.now_at);
    DELETE FROM reception.attendance WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    INSERT INTO reception.attendance (
        provider_id, booking_id, session_id, token, arrived_at, calls, called_from, entered_at, finished_at, left_at, act, act_at, actor)
    SELECT provider_id, booking_id, session_id, former.token, arrived_at, calls, called_from, entered_at, finished_at, left_at, act, act_at, actor
    FROM jsonb_populate_record(NULL::reception.attendance, nullif(kept.before -> 'kept', 'null')) AS former
    WHERE booking_id IS NOT NULL;
    PERFORM reception.keep_undo(target, p_actor, pressed, opened.now_at);
    SELECT * INTO code, state, token FROM reception.answer('undone', target);
END $$;
