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
                WHERE opening.during @> booking.during AND booking.seat <= opening.seats)
            OR EXISTS (
                SELECT FROM schedule.leave
                WHERE leave.provider_id = p_provider_id AND leave.during && booking.during
                    AND (leave.clinic_id IS NULL OR leave.clinic_id = booking.clinic_id)))
    ORDER BY during, seat
$$;

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

-- Adds a shift (p_shift.shift_id NULL), changes one at its clinic, or ends one (p_remove): 'changed', or 'conflict' with the
-- bookings in the way, 'shift_overlap', 'invalid', 'not_found'.
CREATE FUNCTION booking.change_shift(p_shift schedule.shift, p_remove boolean, p_flag boolean, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    details text;
BEGIN
    opened := booking.open_book(p_shift.provider_id, p_actor, 'change_shift', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    ELSIF NOT booking.may_act(p_actor, NULL) THEN
        RETURN booking.refuse('not_found');
    END IF;
    IF p_remove THEN
        DELETE FROM schedule.shift WHERE provider_id = p_shift.provider_id AND shift_id = p_shift.shift_id;
    ELSIF p_shift.shift_id IS NULL THEN
        IF NOT EXISTS (
            SELECT FROM directory.provider_clinic
            WHERE provider_id = p_shift.provider_id AND clinic_id = p_shift.clinic_id
        ) THEN
            RETURN booking.refuse('not_found');
        END IF;
        INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes, seats, slots_max, valid)
        SELECT p_shift.provider_id, p_shift.clinic_id, p_shift.weekday, p_shift.starts, p_shift.ends, p_shift.slot_minutes,
            p_shift.seats, p_shift.slots_max, p_shift.valid;
    ELSE
        UPDATE schedule.shift
        SET weekday = p_shift.weekday, starts = p_shift.starts, ends = p_shift.ends, slot_minutes = p_shift.slot_minutes,
            seats = p_shift.seats, slots_max = p_shift.slots_max, valid = p_shift.valid
        WHERE provider_id = p_shift.provider_id AND shift_id = p_shift.shift_id AND clinic_id = p_shift.clinic_id;
    END IF;
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    END IF;
    RETURN booking.rearrange(p_shift.provider_id, p_flag, opened.now_at, p_actor, 'shift_changed');
EXCEPTION
    WHEN exclusion_violation THEN
        RETURN booking.refuse('shift_overlap');
    WHEN check_violation OR not_null_violation THEN
        RETURN booking.refuse('invalid');
    WHEN SQLSTATE 'HP001' THEN
        GET STACKED DIAGNOSTICS details = PG_EXCEPTION_DETAIL;
        RETURN booking.refuse_conflicts(details);
END $$;

-- Adds a leave (p_leave_id NULL) or takes one back: 'changed', or 'conflict' with the bookings in the way, 'invalid', 'not_found'.
CREATE FUNCTION booking.change_leave(
    p_provider_id bigint, p_leave_id uuid, p_clinic_id bigint, p_during tstzrange, p_reason text, p_flag boolean, p_actor text
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
        INSERT INTO schedule.leave (provider_id, clinic_id, during, reason)
        VALUES (p_provider_id, p_clinic_id, p_during, p_reason);
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
