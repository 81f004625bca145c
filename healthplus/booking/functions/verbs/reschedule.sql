-- Refuses to move a hold or booking to another time: a hold that is no longer its patient's claim ('expired') or whose patient has moved
-- and given up too many ('hold_budget'), and what booking.refuse_ahead finds unless p_is_beyond. A NULL code when it may be moved.
-- Moving a hold is noted as spent, and moving a booking where its patient does it. Takes the last locks of its caller.
CREATE FUNCTION booking.refuse_move(
    p_held booking.booking, p_during tstzrange, p_actor text, p_is_beyond boolean, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
    wanted booking.booking := p_held;
BEGIN
    PERFORM booking.lock_patient(p_held.patient_id);
    IF p_held.state = 'reserved' AND NOT booking.keeps_claim(p_held) THEN
        wanted.state := 'expired';
        RETURN booking.describe('expired', wanted);
    END IF;
    wanted.during := p_during;
    IF NOT p_is_beyond THEN
        answer := booking.refuse_ahead(wanted, false, p_now);
    END IF;
    IF answer.code IS NULL AND (p_held.state = 'reserved' OR p_actor ^@ 'patient:') THEN
        answer := booking.spend(p_held.patient_id, p_now);
    END IF;
    RETURN answer;
END $$;

-- Moves a live hold or a booking that has not started to another start at the same clinic, for the same fee: 'moved', or why
-- not, as for hold and cancel. Its own old time is not in its way. Of what others than its patient move, nothing is kept any more.
-- p_reason: why the desk goes beyond what a person may have ahead.
CREATE FUNCTION booking.reschedule(
    p_provider_id bigint, p_booking_id uuid, p_start timestamptz, p_actor text, p_key text, p_reason text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    request text := concat_ws('|', p_booking_id, extract(epoch FROM p_start));
    answer booking.outcome;
    held booking.booking;
    need booking.need;
    run record;
    said text;
    before booking.booking;
    seq bigint;
    is_desk boolean := booking.is_staff(p_actor);
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'reschedule', p_key, request);
    now_at := opened.now_at;
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO held FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking.may_act(p_actor, patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF held.state = 'expired' THEN
        RETURN booking.describe('expired', held);
    ELSIF held.state NOT IN ('reserved', 'booked') OR (held.offer AND held.state = 'reserved') THEN
        RETURN booking.describe('wrong_state', held);
    ELSIF lower(held.during) <= now_at THEN
        RETURN booking.describe('too_late', held);
    END IF;
    need := booking.need_of(held.slots_needed, p_provider_id, held.service_ids);
    SELECT * INTO run
    FROM booking.seat_for(p_provider_id, held.clinic_id, p_start, need, now_at, NULL, p_booking_id, is_desk);
    IF NOT FOUND THEN
        RETURN booking.refuse_run(
            p_provider_id, held.clinic_id, p_start, need, now_at,
            booking.why_not(p_provider_id, held.clinic_id, p_start, need, now_at, p_booking_id, is_desk));
    END IF;
    answer := booking.refuse_move(held, run.during, p_actor, coalesce(p_reason, '') <> '' AND is_desk, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    before := held;
    -- What the clinic moved, or was about to change, costs nothing.
    IF NOT p_actor ^@ 'patient:' OR held.needs_rebooking THEN
        held.terms_id := NULL;
        held.kept_min_minor := NULL;
    ELSIF held.state = 'booked' THEN
        -- A patient cannot move to a later day to cancel for less from there.
        held.kept_min_minor := nullif((booking.cancelling(held, now_at)).kept_minor, 0);
    END IF;
    said := CASE held.state WHEN 'booked' THEN booking.moved_text(lower(held.during), p_reason) ELSE coalesce(p_reason, '') END;
    UPDATE booking.booking SET during = run.during, seat = run.seat, extra = NULL, needs_rebooking = false,
        terms_id = held.terms_id, kept_min_minor = held.kept_min_minor
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO held;
    seq := booking.append_event(p_provider_id, now_at, 'moved', p_booking_id, held.ticket_id, p_actor, said);
    PERFORM booking.keep_staff_act(
        before, 'moved', seq, p_actor, now_at, booking.told_at(p_actor, now_at, ARRAY[lower(before.during), lower(held.during)]))
    WHERE held.state = 'booked';
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    PERFORM booking.refresh_scarce_days(p_provider_id, now_at, held.clinic_id, held.during);
    answer := booking.describe('moved', held);
    PERFORM booking.store_result(p_provider_id, p_actor, 'reschedule', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
