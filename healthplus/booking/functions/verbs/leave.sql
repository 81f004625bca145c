-- Leaves the queue: 'left'; an offer made meanwhile goes to the next ticket that can use it, and the turn is used. Else 'wrong_state', 'not_found'.
CREATE FUNCTION booking.leave_queue(p_provider_id bigint, p_ticket_id uuid, p_actor text, p_key text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    answer booking.outcome;
    waiter booking.ticket;
    offer booking.booking;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'leave', p_key, p_ticket_id::text);
    now_at := opened.now_at;
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO waiter FROM booking.ticket
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND booking.may_act(p_actor, patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF waiter.state NOT IN ('waiting', 'offered', 'called') THEN
        RETURN booking.describe_ticket('wrong_state', p_provider_id, p_ticket_id);
    END IF;
    SELECT * INTO offer FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    IF waiter.state = 'offered' THEN
        PERFORM booking.end_booking(offer, 'released', now_at, p_actor);
        PERFORM booking.count_turn(p_provider_id, now_at);
    END IF;
    PERFORM booking.end_ticket(waiter, 'left', now_at, p_actor, CASE WHEN waiter.state <> 'waiting' THEN now_at END, '');
    IF waiter.state = 'called' THEN
        PERFORM booking.decide_group_offer(offer, now_at, p_actor);
    END IF;
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    answer := booking.describe_ticket('left', p_provider_id, p_ticket_id);
    PERFORM booking.store_result(p_provider_id, p_actor, 'leave', p_key, p_ticket_id::text, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
