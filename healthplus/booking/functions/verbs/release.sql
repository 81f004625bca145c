-- Ends a hold or booking as 'released' or 'cancelled', with what is now due of its money, but for what is kept of it. The caller then
-- serves the queue.
CREATE FUNCTION booking.end_booking(
    p_held booking.booking, p_state booking.booking_state, p_now timestamptz, p_actor text, p_reason text DEFAULT '',
    p_kept_minor integer DEFAULT 0
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    told_at timestamptz := p_now;
    seq bigint;
BEGIN
    UPDATE booking.booking SET state = p_state
    WHERE provider_id = p_held.provider_id AND booking_id = p_held.booking_id;
    seq := booking.append_event(p_held.provider_id, p_now, p_state::text, p_held.booking_id, p_held.ticket_id, p_actor, p_reason);
    IF p_state = 'cancelled' THEN
        told_at := booking.told_at(p_actor, p_now, ARRAY[lower(p_held.during)]);
        PERFORM booking.keep_staff_act(p_held, 'cancelled', seq, p_actor, p_now, told_at);
    END IF;
    PERFORM ledger.order_return(p_held.provider_id, p_held.booking_id, p_now, p_kept_minor, nullif(told_at, p_now));
END $$;

-- Ends a live hold ('released') or a booking that has not started ('cancelled'), and serves the queue; else 'expired',
-- 'wrong_state', 'too_late', 'not_found'. Of a booking that its patient cancels, or has replaced, its terms may keep something.
-- p_ordered_at: when the patient did so, if that was before; NULL: now.
CREATE FUNCTION booking.release_or_cancel(
    p_provider_id bigint, p_booking_id uuid, p_actor text, p_key text, p_operation text,
    p_from booking.booking_state, p_to booking.booking_state, p_ordered_at timestamptz DEFAULT NULL
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    answer booking.outcome;
    target booking.booking;
    kept_minor integer := 0;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, p_operation, p_key, p_booking_id::text);
    now_at := opened.now_at;
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO target FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking.may_act(p_actor, patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF target.state = 'expired' AND p_from = 'reserved' THEN
        RETURN booking.describe('expired', target);
    ELSIF target.state <> p_from OR (target.offer AND target.state = 'reserved') THEN
        RETURN booking.describe('wrong_state', target);
    ELSIF target.state = 'booked' AND lower(target.during) <= now_at THEN
        RETURN booking.describe('too_late', target);
    END IF;
    IF p_to = 'cancelled' AND (p_actor ^@ 'patient:' OR p_actor = 'system:replacement') THEN
        kept_minor := (booking.cancelling(target, coalesce(p_ordered_at, now_at))).kept_minor;
    END IF;
    PERFORM booking.end_booking(target, p_to, now_at, p_actor, p_kept_minor => kept_minor);
    IF p_from = 'reserved' AND target.ticket_id IS NOT NULL THEN  -- a turn that came to nothing
        UPDATE booking.ticket SET let_go_at = now_at WHERE provider_id = p_provider_id AND ticket_id = target.ticket_id;
        PERFORM booking.count_turn(p_provider_id, now_at);
    -- Else a patient who pays nothing could book and cancel in a loop, and keep the time from everybody. A hold's deadline is close
    -- enough to when it was booked, and needs no look at the events.
    ELSIF target.ticket_id IS NOT NULL AND p_actor ^@ 'patient:' AND target.deadline > now_at - booking.turns_memory_time() THEN
        PERFORM booking.count_cancelled_turn(p_provider_id, target.ticket_id, now_at);
    END IF;
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    target.state := p_to;
    answer := booking.describe(p_to::text, target);
    PERFORM booking.store_result(p_provider_id, p_actor, p_operation, p_key, p_booking_id::text, answer, now_at)
    WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

CREATE FUNCTION booking.release(p_provider_id bigint, p_booking_id uuid, p_actor text, p_key text)
RETURNS booking.outcome LANGUAGE sql VOLATILE AS $$
    SELECT booking.release_or_cancel(p_provider_id, p_booking_id, p_actor, p_key, 'release', 'reserved', 'released')
$$;

CREATE FUNCTION booking.cancel(
    p_provider_id bigint, p_booking_id uuid, p_actor text, p_key text, p_ordered_at timestamptz DEFAULT NULL
) RETURNS booking.outcome LANGUAGE sql VOLATILE AS $$
    SELECT booking.release_or_cancel(p_provider_id, p_booking_id, p_actor, p_key, 'cancel', 'booked', 'cancelled', p_ordered_at)
$$;
