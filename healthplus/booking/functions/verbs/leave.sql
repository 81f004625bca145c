-- Leaves the queue: 'left'; an offer made meanwhile goes to whoever is next. Else 'wrong_state', 'not_found'.
CREATE FUNCTION booking.leave_queue(p_provider_id bigint, p_ticket_id uuid, p_patient_id bigint, p_actor text, p_key text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    answer booking.outcome;
    waiter booking.ticket;
    offer booking.booking;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    answer := booking.find_result(p_provider_id, p_actor, 'leave', p_key, p_ticket_id::text, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.advance_book(p_provider_id, now_at);
    SELECT * INTO waiter FROM booking.ticket
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND (p_patient_id IS NULL OR patient_id = p_patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF waiter.state NOT IN ('waiting', 'offered') THEN
        RETURN booking.describe_ticket('wrong_state', p_provider_id, p_ticket_id);
    ELSIF waiter.state = 'offered' THEN
        SELECT * INTO offer FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
        PERFORM booking.end_booking(offer, 'released', now_at, p_actor);
    END IF;
    PERFORM booking.end_ticket(waiter, 'left', now_at, p_actor);
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    answer := booking.describe_ticket('left', p_provider_id, p_ticket_id);
    PERFORM booking.store_result(p_provider_id, p_actor, 'leave', p_key, p_ticket_id::text, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
