-- Answers a call: the ticket takes what it was called for. 'accepted', a hold of full length from now, when no earlier number
-- may still answer; else 'answered': it is decided when these have answered, or the time for it is over. Else 'offer_over',
-- 'wrong_state', 'not_found', 'claimed' (elsewhere, just as the time ran out), or what booking.refuse_ahead finds in the way.
CREATE FUNCTION booking.answer(p_provider_id bigint, p_ticket_id uuid, p_actor text, p_key text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    answer booking.outcome;
    waiter booking.ticket;
    call booking.booking;
    wanted booking.booking;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'answer', p_key, p_ticket_id::text);
    now_at := opened.now_at;
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO waiter FROM booking.ticket
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND booking.may_act(p_actor, patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF waiter.state = 'lapsed' OR (waiter.state = 'waiting' AND waiter.offers_unfetched > 0) THEN
        RETURN booking.describe_ticket('offer_over', p_provider_id, p_ticket_id);
    ELSIF waiter.state <> 'called' THEN
        RETURN booking.describe_ticket('wrong_state', p_provider_id, p_ticket_id);
    END IF;
    -- As in accept: other providers' verbs must not overwrite this claim from here on, or have done so.
    PERFORM booking.lock_patient(waiter.patient_id);
    PERFORM FROM booking.claim
    WHERE patient_id = waiter.patient_id AND provider_id = p_provider_id AND ticket_id = p_ticket_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN booking.refuse('claimed');
    END IF;
    SELECT * INTO call FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    IF waiter.answered_at IS NULL THEN
        wanted := call;
        wanted.patient_id := waiter.patient_id;
        wanted.person_id := waiter.person_id;
        answer := booking.refuse_ahead(wanted, true, now_at);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
        UPDATE booking.ticket SET answered_at = now_at WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
        PERFORM booking.append_event(p_provider_id, now_at, 'answered', NULL, p_ticket_id, p_actor);
    END IF;
    PERFORM booking.decide_group_offer(call, now_at, p_actor);
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    answer := booking.describe_ticket('answered', p_provider_id, p_ticket_id);
    IF answer.state = 'accepted' THEN
        answer.code := 'accepted';
        UPDATE booking.claim SET booking_id = call.booking_id, ticket_id = NULL
        WHERE patient_id = waiter.patient_id AND provider_id = p_provider_id AND ticket_id = p_ticket_id;
    END IF;
    PERFORM booking.store_result(p_provider_id, p_actor, 'answer', p_key, p_ticket_id::text, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
