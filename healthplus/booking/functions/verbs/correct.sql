-- What is put right after an appointment was recorded: who came, what it cost, and for whom it is. No patient may.

-- An appointment as those who ask for a change of it see it (staff.ask); NULL where there is none.
CREATE FUNCTION booking.as_seen(p_provider_id bigint, p_booking_id uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'state', state, 'starts_at', extract(epoch FROM lower(during)), 'funding', booking.funding,
        'name', coalesce(patient_name, ''), 'birth_year', birth_year, 'sex', sex,
        'parts_minor', ledger.booking_parts_minor(p_provider_id, p_booking_id))
    FROM booking.booking LEFT JOIN accounts.person USING (person_id)
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id
$$;

-- Whether who did not come has something else at that time by now; locks the patient.
CREATE FUNCTION booking.has_other_then(p_missed booking.booking) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.lock_patient(p_missed.patient_id);
    RETURN EXISTS (
        SELECT FROM booking.booking AS other
        WHERE other.patient_id = p_missed.patient_id AND other.person_id = p_missed.person_id AND other.booking_id <> p_missed.booking_id
            AND other.during && p_missed.during AND other.state IN ('reserved', 'booked', 'arrived'));
END $$;

-- Records that it was otherwise than 'arrived' or 'no_show', which an appointment is: 'corrected'; else 'wrong_state', 'overlap',
-- 'not_found'. What has taken place stays, as patients may have rated it.
CREATE FUNCTION booking.correct_attendance(p_provider_id bigint, p_booking_id uuid, p_state booking.booking_state, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    target booking.booking;
    step text;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'correct_attendance', NULL, NULL);
    IF (opened.answer).code IS NOT NULL THEN
        RETURN opened.answer;
    END IF;
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    IF NOT FOUND OR NOT booking.may_act(p_actor, NULL) THEN
        RETURN booking.refuse('not_found');
    ELSIF target.state NOT IN ('arrived', 'no_show') OR p_state NOT IN ('booked', 'arrived', 'fulfilled', 'no_show') OR p_state = target.state
        OR (p_state = 'no_show' AND NOT booking.can_be_missed(target, opened.now_at))
    THEN
        RETURN booking.describe('wrong_state', target);
    END IF;
    IF target.state = 'no_show' AND booking.has_other_then(target) THEN
        RETURN booking.describe('overlap', target);
    END IF;
    UPDATE booking.booking SET state = p_state WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO target;
    PERFORM booking.note_no_show(target);
    PERFORM booking.append_event(p_provider_id, opened.now_at, 'attendance_undone', p_booking_id, target.ticket_id, p_actor);
    FOREACH step IN ARRAY CASE p_state
        WHEN 'fulfilled' THEN ARRAY['arrived', 'fulfilled'] WHEN 'booked' THEN ARRAY[]::text[] ELSE ARRAY[p_state::text] END
    LOOP
        PERFORM booking.append_event(p_provider_id, opened.now_at, step, p_booking_id, target.ticket_id, p_actor);
    END LOOP;
    RETURN booking.describe('corrected', target);
END $$;

-- Brings back what an appointment was before the desk recorded something by mistake: 'undone', or 'wrong_state', or 'overlap', as above.
-- The caller has the book locked, and undoes within the time in which nobody can rate yet (reviews.rate).
CREATE FUNCTION booking.undo_attendance(p_provider_id bigint, p_booking_id uuid, p_state booking.booking_state, p_actor text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    target booking.booking;
BEGIN
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    IF (target.state::text, p_state::text) NOT IN (('arrived', 'booked'), ('no_show', 'booked'), ('fulfilled', 'arrived')) THEN
        RETURN 'wrong_state';
    ELSIF target.state = 'no_show' AND booking.has_other_then(target) THEN
        RETURN 'overlap';
    END IF;
    UPDATE booking.booking SET state = p_state WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO target;
    PERFORM booking.note_no_show(target);
    PERFORM booking.append_event(p_provider_id, now_at, 'attendance_undone', p_booking_id, target.ticket_id, p_actor);
    IF p_state = 'arrived' THEN
        PERFORM booking.append_event(p_provider_id, now_at, 'arrived', p_booking_id, target.ticket_id, p_actor);
    END IF;
    RETURN 'undone';
END $$;

-- What was paid online for an appointment and has not gone back, nor is to.
CREATE FUNCTION booking.paid_minor(p_booking booking.booking) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(ledger.rest_minor(payment)), 0)::integer FROM ledger.payment
    WHERE provider_id = p_booking.provider_id AND booking_id = p_booking.booking_id
        AND hold_id = ANY (ledger.holds_paid(p_booking.provider_id, p_booking.booking_id))
        AND p_booking.state IN ('booked', 'arrived', 'fulfilled', 'no_show')
        AND ((state = 'authorised' AND due = 'capture') OR (state = 'captured' AND due IS NULL))
$$;

-- How much of that can go back in parts: something must be left, and it must have been taken, as a gateway takes all or nothing.
CREATE FUNCTION booking.part_max_minor(p_booking booking.booking) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(ledger.rest_minor(payment)) - 1, 0)::integer FROM ledger.payment
    WHERE provider_id = p_booking.provider_id AND booking_id = p_booking.booking_id
        AND hold_id = ANY (ledger.holds_paid(p_booking.provider_id, p_booking.booking_id))
        AND p_booking.state IN ('booked', 'arrived', 'fulfilled', 'no_show') AND state = 'captured' AND due IS NULL
$$;

-- How much a refund as staff wish it moves, with what has gone back in parts before: who gives back in many small ones gives back much.
CREATE FUNCTION booking.moved_minor(p_booking booking.booking, p_wish jsonb) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce((p_wish ->> 'amount_minor')::integer, booking.paid_minor(p_booking))
        + ledger.booking_parts_minor(p_booking.provider_id, p_booking.booking_id)
$$;

-- What the terms of an appointment would give back now, or would have as it began: what the desk is proposed to give back.
CREATE FUNCTION booking.by_terms_minor(p_booking booking.booking, p_now timestamptz) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT (booking.cancelling(p_booking, least(p_now, lower(p_booking.during)))).returned_minor
$$;

-- Gives back what was paid online for an appointment: all that is left of it (p_amount_minor NULL), once it is recorded whether its patient came,
-- so that the clinic forgoes its fee; or a part, while it stands. 'refunded', or 'wrong_state' (one that is still to come is cancelled instead, and
-- what was not paid online goes back at the clinic), 'amount' (there is not so much), 'not_found'.
CREATE FUNCTION booking.refund(p_provider_id bigint, p_booking_id uuid, p_actor text, p_amount_minor integer DEFAULT NULL)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    target booking.booking;
    before booking.booking;
    told_at timestamptz;
    left_minor integer;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'refund', NULL, NULL);
    IF (opened.answer).code IS NOT NULL THEN
        RETURN opened.answer;
    END IF;
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    IF NOT FOUND OR NOT booking.may_act(p_actor, NULL) THEN
        RETURN booking.refuse('not_found');
    END IF;
    left_minor := booking.paid_minor(target);
    IF left_minor = 0 OR (target.state = 'booked' AND coalesce(p_amount_minor >= left_minor, true)) THEN
        RETURN booking.describe('wrong_state', target);
    ELSIF p_amount_minor > left_minor THEN
        RETURN booking.describe('amount', target);
    END IF;
    before := target;
    told_at := booking.told_at(p_actor, opened.now_at, ARRAY[lower(target.during)]);
    IF p_amount_minor < left_minor THEN
        IF NOT ledger.order_part(p_provider_id, p_booking_id, p_amount_minor, p_actor, opened.now_at, told_at) THEN
            RETURN booking.describe('amount', target);
        END IF;
    ELSE
        PERFORM ledger.order_return(p_provider_id, p_booking_id, opened.now_at, p_from => nullif(told_at, opened.now_at));
        UPDATE booking.booking SET funding = 'free', fee_minor = 0
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO target;
    END IF;
    PERFORM booking.keep_staff_act(
        before, 'refunded', booking.append_event(p_provider_id, opened.now_at, 'refunded', p_booking_id, target.ticket_id, p_actor),
        p_actor, opened.now_at, told_at);
    RETURN booking.describe('refunded', target);
END $$;

-- Puts right who an appointment is for: the person of the account, and the name that the appointment keeps. 'changed', or 'birth_year',
-- 'not_found'.
CREATE FUNCTION booking.edit_patient(
    p_provider_id bigint, p_booking_id uuid, p_name text, p_birth_year integer, p_sex text, p_actor text
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    target booking.booking;
    answer text;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'edit_patient', NULL, NULL);
    IF (opened.answer).code IS NOT NULL THEN
        RETURN (opened.answer).code;
    END IF;
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    IF NOT FOUND OR NOT booking.may_act(p_actor, NULL) THEN
        RETURN 'not_found';
    END IF;
    answer := accounts.change_person(target.patient_id, target.person_id, p_name, p_birth_year, p_sex);
    IF answer = 'changed' AND p_name IS NOT NULL AND p_name IS DISTINCT FROM target.patient_name THEN
        UPDATE booking.booking SET patient_name = p_name WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
        PERFORM booking.append_event(p_provider_id, opened.now_at, 'named', p_booking_id, target.ticket_id, p_actor);
    END IF;
    RETURN answer;
END $$;

-- Changes an appointment as staff wish (staff.is_ask has looked at the wish): 'done', or as these verbs refuse it.
CREATE FUNCTION booking.change(p_kind text, p_provider_id bigint, p_booking_id uuid, p_wish jsonb, p_actor text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    code text;
BEGIN
    code := CASE p_kind
        WHEN 'move' THEN (booking.reschedule(
            p_provider_id, p_booking_id, to_timestamp((p_wish ->> 'starts_at')::double precision), p_actor, NULL, NULL)).code
        WHEN 'cancel' THEN (booking.cancel(p_provider_id, p_booking_id, p_actor, NULL)).code
        WHEN 'refund' THEN (booking.refund(p_provider_id, p_booking_id, p_actor, (p_wish ->> 'amount_minor')::integer)).code
        WHEN 'correct' THEN (booking.correct_attendance(
            p_provider_id, p_booking_id, (p_wish ->> 'state')::booking.booking_state, p_actor)).code
        ELSE booking.edit_patient(
            p_provider_id, p_booking_id, p_wish ->> 'name', (p_wish ->> 'birth_year')::integer, p_wish ->> 'sex', p_actor) END;
    RETURN CASE WHEN code IN ('moved', 'cancelled', 'refunded', 'corrected', 'changed') THEN 'done' ELSE code END;
END $$;
