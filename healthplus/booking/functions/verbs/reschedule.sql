-- Moves a live hold or a booking that has not started to another start at the same clinic, for the same fee: 'moved', or why
-- not, as for hold and cancel. Its own old time is not in its way.
CREATE FUNCTION booking.reschedule(
    p_provider_id bigint, p_booking_id uuid, p_start timestamptz, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    request text := concat_ws('|', p_booking_id, extract(epoch FROM p_start));
    answer booking.outcome;
    held booking.booking;
    run record;
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
    SELECT * INTO run
    FROM booking.seat_for(p_provider_id, held.clinic_id, p_start, held.slots_needed, now_at, NULL, p_booking_id);
    IF NOT FOUND THEN
        RETURN booking.refuse_run(
            p_provider_id, held.clinic_id, p_start, held.slots_needed, now_at,
            booking.why_not(p_provider_id, held.clinic_id, p_start, held.slots_needed, now_at, p_booking_id));
    END IF;
    UPDATE booking.booking SET during = run.during, seat = run.seat, needs_rebooking = false
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO held;
    PERFORM booking.append_event(p_provider_id, now_at, 'moved', p_booking_id, held.ticket_id, p_actor);
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    PERFORM booking.refresh_scarce_days(p_provider_id, now_at, held.clinic_id, held.during);
    answer := booking.describe('moved', held);
    PERFORM booking.store_result(p_provider_id, p_actor, 'reschedule', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
