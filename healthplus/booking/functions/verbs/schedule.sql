-- Changes of schedule are verbs too: under the same lock, each lists the bookings in its way and refuses ('conflict'), unless
-- told to flag them for rebooking. Nothing booked is cancelled silently. Holds in the way are released; a ticket whose offer
-- is in the way waits again under its number.

-- Bookings still to come that no shift has room for, or that lie in a leave.
CREATE FUNCTION booking.out_of_schedule(p_provider_id bigint, p_now timestamptz)
RETURNS SETOF booking.booking LANGUAGE sql STABLE AS $$
    SELECT booking.*
    FROM booking.booking
    WHERE provider_id = p_provider_id AND occupies AND state IN ('reserved', 'booked') AND upper(during) > p_now
        AND (
            NOT EXISTS (
                SELECT FROM schedule.openings(p_provider_id, booking.clinic_id, lower(booking.during), upper(booking.during), p_now)
                    AS opening
                WHERE opening.during @> booking.during AND (booking.seat <= opening.seats OR booking.extra IS NOT NULL))
            OR EXISTS (
                SELECT FROM schedule.leave
                WHERE leave.provider_id = p_provider_id AND leave.during && booking.during
                    AND (leave.clinic_id IS NULL OR leave.clinic_id = booking.clinic_id)))
    ORDER BY during, seat
$$;

-- Ends what an earlier change had asked the patients of a provider for: bookings that were to be rebooked, and that shifts and leave have
-- room for again, stand. Their patients are told by the event.
CREATE FUNCTION booking.keep_after_all(p_provider_id bigint, p_now timestamptz, p_actor text, p_kind text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kept booking.booking;
BEGIN
    FOR kept IN
        UPDATE booking.booking SET needs_rebooking = false
        WHERE provider_id = p_provider_id AND state = 'booked' AND needs_rebooking AND lower(during) > p_now
            AND booking_id NOT IN (SELECT stranded.booking_id FROM booking.out_of_schedule(p_provider_id, p_now) AS stranded)
        RETURNING *
    LOOP
        PERFORM booking.append_event(p_provider_id, p_now, 'stands', kept.booking_id, kept.ticket_id, p_actor, p_kind);
    END LOOP;
END $$;

-- After a change of schedule: raises HP001 when bookings are in the way, which undoes the caller's change; else clears the
-- way, advances the book and answers 'changed'.
CREATE FUNCTION booking.rearrange(p_provider_id bigint, p_flag boolean, p_now timestamptz, p_actor text, p_kind text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
    stranded booking.booking;
BEGIN
    SELECT array_agg(booking_id ORDER BY during, seat) INTO answer.conflicts
    FROM booking.out_of_schedule(p_provider_id, p_now) WHERE state = 'booked' AND NOT needs_rebooking;
    IF answer.conflicts IS NOT NULL AND NOT p_flag THEN
        RAISE EXCEPTION USING ERRCODE = 'HP001', DETAIL = array_to_string(answer.conflicts, ',');
    END IF;
    PERFORM booking.append_event(p_provider_id, p_now, p_kind, NULL, NULL, p_actor);
    FOR stranded IN SELECT * FROM booking.out_of_schedule(p_provider_id, p_now) LOOP
        IF stranded.state = 'reserved' THEN
            PERFORM booking.end_booking(stranded, 'released', p_now, p_actor, p_kind);
            IF stranded.offer THEN
                PERFORM booking.wait_again(ticket, p_now, p_actor, p_kind)
                FROM booking.ticket
                WHERE provider_id = p_provider_id AND offer_id = stranded.booking_id AND state IN ('offered', 'called');
            END IF;
        ELSIF NOT stranded.needs_rebooking THEN
            UPDATE booking.booking SET needs_rebooking = true
            WHERE provider_id = p_provider_id AND booking_id = stranded.booking_id;
            PERFORM booking.append_event(p_provider_id, p_now, 'needs_rebooking', stranded.booking_id, stranded.ticket_id, p_actor, p_kind);
        END IF;
    END LOOP;
    PERFORM booking.keep_after_all(p_provider_id, p_now, p_actor, p_kind);
    -- As the book is advanced, but patients for whom there is nothing to wait for from now on are told why.
    IF EXISTS (SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting') THEN
        PERFORM booking.expire_due(p_provider_id, p_now);
        PERFORM booking.serve_queue(p_provider_id, p_now, p_kind);
    END IF;
    PERFORM booking.advance_book(p_provider_id, p_now);
    PERFORM booking.refresh_availability(p_provider_id, p_now);
    PERFORM booking.refresh_scarce_days(p_provider_id, p_now, p_everything => true);
    answer.code := 'changed';
    SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    RETURN answer;
END $$;

CREATE FUNCTION booking.refuse_conflicts(p_conflicts text) RETURNS booking.outcome LANGUAGE plpgsql AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := 'conflict';
    answer.conflicts := string_to_array(p_conflicts, ',')::uuid[];
    RETURN answer;
END $$;

-- Changes shifts of a provider at a clinic together: ends p_remove, then changes those of p_put that have an id, and adds the others:
-- 'changed', or 'conflict' with the bookings in the way, 'shift_overlap', 'invalid', 'not_found'.
CREATE FUNCTION booking.change_shifts(
    p_provider_id bigint, p_clinic_id bigint, p_remove bigint[], p_put schedule.shift[], p_flag boolean, p_actor text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    removed integer;
    one schedule.shift;
    details text;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'change_shift', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    ELSIF NOT booking.may_act(p_actor, NULL) OR NOT EXISTS (
        SELECT FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id
    ) THEN
        RETURN booking.refuse('not_found');
    END IF;
    DELETE FROM schedule.shift WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND shift_id = ANY (p_remove);
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed <> cardinality(p_remove) THEN
        RAISE EXCEPTION USING ERRCODE = 'HP002';
    END IF;
    FOREACH one IN ARRAY p_put LOOP
        IF one.shift_id IS NOT NULL THEN
            UPDATE schedule.shift
            SET weekday = one.weekday, starts = one.starts, ends = one.ends, slot_minutes = one.slot_minutes, seats = one.seats,
                slots_max = one.slots_max, valid = one.valid, release_hours = one.release_hours,
                -- what was released stays so
                released_until = CASE WHEN one.release_hours > 0 THEN released_until END
            WHERE provider_id = p_provider_id AND shift_id = one.shift_id AND clinic_id = p_clinic_id;
            IF NOT FOUND THEN
                RAISE EXCEPTION USING ERRCODE = 'HP002';
            END IF;
        END IF;
    END LOOP;
    INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes, seats, slots_max, valid, release_hours)
    SELECT p_provider_id, p_clinic_id, added.weekday, added.starts, added.ends, added.slot_minutes, added.seats, added.slots_max, added.valid,
        added.release_hours
    FROM unnest(p_put) AS added WHERE added.shift_id IS NULL;
    -- Before anybody's wait is looked at: a shift that goes on as another has its times open as before.
    PERFORM schedule.release_due(p_provider_id, opened.now_at);
    RETURN booking.rearrange(p_provider_id, p_flag, opened.now_at, p_actor, 'shift_changed');
EXCEPTION
    WHEN exclusion_violation THEN
        RETURN booking.refuse('shift_overlap');
    WHEN check_violation OR not_null_violation THEN
        RETURN booking.refuse('invalid');
    WHEN SQLSTATE 'HP001' THEN
        GET STACKED DIAGNOSTICS details = PG_EXCEPTION_DETAIL;
        RETURN booking.refuse_conflicts(details);
    WHEN SQLSTATE 'HP002' THEN
        RETURN booking.refuse('not_found');
END $$;

-- Adds a shift (p_shift.shift_id NULL), changes one at its clinic, or ends one (p_remove); answers as change_shifts does.
CREATE FUNCTION booking.change_shift(p_shift schedule.shift, p_remove boolean, p_flag boolean, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer := booking.change_shifts(
        p_shift.provider_id, p_shift.clinic_id, CASE WHEN p_remove THEN ARRAY[p_shift.shift_id] ELSE '{}' END,
        CASE WHEN p_remove THEN '{}' ELSE ARRAY[p_shift] END, p_flag, p_actor);
    PERFORM booking.note_command(
        answer.code, p_actor, 'change_shifts',
        CASE WHEN p_remove THEN 'ended ' || p_shift.shift_id
            ELSE format('put %s %s %s-%s/%s', p_shift.shift_id, p_shift.weekday, p_shift.starts, p_shift.ends, p_shift.slot_minutes) END,
        p_shift.clinic_id, p_shift.provider_id);
    RETURN answer;
END $$;

-- Notes what a command of the operator's changed of a schedule, or was refused; what staff change is noted by the console's functions.
CREATE FUNCTION booking.note_command(
    p_code text, p_actor text, p_action text, p_detail text, p_clinic_id bigint, p_provider_id bigint
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF p_actor = 'system:operator' AND p_code <> 'not_found' THEN
        PERFORM staff.append_command(p_action, p_code <> 'changed', concat_ws('; ', p_code, p_detail), p_clinic_id, p_provider_id);
    END IF;
END $$;

-- From when to when a leave is, as the audit keeps it.
CREATE FUNCTION booking.leave_span(p_during tstzrange) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%s to %s', booking.hashed_instant(lower(p_during)), booking.hashed_instant(upper(p_during)))
$$;

-- Adds a leave (p_leave_id NULL) or takes one back: 'changed', or 'conflict' with the bookings in the way, 'invalid', 'not_found'.
-- p_holiday_id: of which holiday the leave is a part (NULL: of none); one that is there already is left as it is.
CREATE FUNCTION booking.change_leave(
    p_provider_id bigint, p_leave_id uuid, p_clinic_id bigint, p_during tstzrange, p_reason text, p_holiday_id uuid, p_flag boolean, p_actor text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    details text;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'change_leave', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    ELSIF NOT booking.may_act(p_actor, NULL) THEN
        RETURN booking.refuse('not_found');
    END IF;
    IF p_leave_id IS NULL THEN
        IF p_clinic_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id
        ) THEN
            RETURN booking.refuse('not_found');
        END IF;
        INSERT INTO schedule.leave (provider_id, clinic_id, during, reason, holiday_id)
        SELECT p_provider_id, p_clinic_id, p_during, p_reason, p_holiday_id
        WHERE p_holiday_id IS NULL OR NOT EXISTS (
            SELECT FROM schedule.leave WHERE leave.provider_id = p_provider_id AND leave.holiday_id = p_holiday_id);
    ELSE
        DELETE FROM schedule.leave WHERE provider_id = p_provider_id AND leave_id = p_leave_id;
        IF NOT FOUND THEN
            RETURN booking.refuse('not_found');
        END IF;
    END IF;
    RETURN booking.rearrange(p_provider_id, p_flag, opened.now_at, p_actor, 'leave_changed');
EXCEPTION
    WHEN check_violation THEN
        RETURN booking.refuse('invalid');
    WHEN SQLSTATE 'HP001' THEN
        GET STACKED DIAGNOSTICS details = PG_EXCEPTION_DETAIL;
        RETURN booking.refuse_conflicts(details);
END $$;

-- The same for a command.
CREATE FUNCTION booking.command_leave(
    p_provider_id bigint, p_leave_id uuid, p_clinic_id bigint, p_during tstzrange, p_reason text, p_flag boolean, p_actor text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
    span tstzrange := p_during;
    at_clinic bigint := p_clinic_id;
BEGIN
    IF p_leave_id IS NOT NULL THEN
        SELECT during, clinic_id INTO span, at_clinic FROM schedule.leave WHERE provider_id = p_provider_id AND leave_id = p_leave_id;
    END IF;
    answer := booking.change_leave(p_provider_id, p_leave_id, p_clinic_id, p_during, p_reason, NULL, p_flag, p_actor);
    PERFORM booking.note_command(
        answer.code, p_actor, CASE WHEN p_leave_id IS NULL THEN 'add_leave' ELSE 'remove_leave' END, booking.leave_span(span), at_clinic,
        p_provider_id);
    RETURN answer;
END $$;

-- Closes a provider at a clinic, so that nothing there can be booked any more, or opens it again (p_closed_at NULL); as with shifts.
CREATE FUNCTION booking.set_closed(p_provider_id bigint, p_clinic_id bigint, p_closed_at timestamptz, p_flag boolean, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    details text;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'set_closed', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    UPDATE directory.provider_clinic SET closed_since = p_closed_at
    WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND booking.may_act(p_actor, NULL);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    END IF;
    RETURN booking.rearrange(p_provider_id, p_flag, opened.now_at, p_actor, 'shift_changed');
EXCEPTION
    WHEN SQLSTATE 'HP001' THEN
        GET STACKED DIAGNOSTICS details = PG_EXCEPTION_DETAIL;
        RETURN booking.refuse_conflicts(details);
END $$;
