-- Marks a waiting ticket present again and offers it what it can use: the ticket's state, or 'not_found'.
CREATE FUNCTION booking.resume(p_provider_id bigint, p_ticket_id uuid, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    was_absent boolean;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    -- Expire first: an offer of this ticket that ran out unseen makes it absent, and the update below, present again.
    PERFORM booking.expire_due(p_provider_id, now_at);
    SELECT absent INTO was_absent FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    UPDATE booking.ticket SET absent = false, present_at = now_at
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND state = 'waiting'
        AND booking.may_act(p_actor, patient_id);
    IF FOUND AND was_absent THEN
        PERFORM booking.append_event(p_provider_id, now_at, 'resumed', NULL, p_ticket_id, p_actor);
    END IF;
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    IF NOT EXISTS (
        SELECT FROM booking.ticket
        WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND booking.may_act(p_actor, patient_id)
    ) THEN
        RETURN booking.refuse('not_found');
    END IF;
    RETURN booking.describe_ticket(NULL, p_provider_id, p_ticket_id);
END $$;
