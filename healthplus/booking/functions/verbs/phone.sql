-- Callers who wait by phone (docs/decisions/0065-phone-tickets.md): each has a ticket like any other, which the desk of a clinic answers for.
-- Order, offers and turns are those of all tickets; the desk accepts by saying that it calls.

-- Whether the desk said that it calls somebody for what they were offered then; else they took it themselves.
CREATE FUNCTION booking.is_called(p_phone booking.phone_ticket, p_offer booking.booking) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT coalesce(p_phone.called_at >= p_offer.created_at, false)
$$;

-- A clinic's callers who wait, are offered something, or hold it as the desk calls them: who took it themselves needs no call.
CREATE FUNCTION booking.callers_of(p_clinic_id bigint, p_now timestamptz)
RETURNS TABLE (waiter booking.ticket, by_staff_id bigint, held booking.booking) LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT ticket, phone.staff_id, own
    FROM booking.phone_ticket AS phone
    JOIN booking.ticket ON ticket.provider_id = phone.provider_id AND ticket.ticket_id = phone.ticket_id
    LEFT JOIN booking.booking AS own ON own.provider_id = ticket.provider_id AND own.booking_id = ticket.offer_id
    WHERE phone.clinic_id = p_clinic_id AND phone.joined_at > p_now - booking.phone_ticket_time() AND CASE
        WHEN ticket.state = 'waiting' THEN ticket.expires_at > p_now
        WHEN ticket.state IN ('offered', 'called') OR ticket.state = 'accepted' AND booking.is_called(phone, own)
            THEN booking.state_at(own, p_now) = 'reserved'
        ELSE false END;
END $$;

-- Notes that a desk of each of these clinics is connected: their callers are present. Returns those who are not, as no desk was connected when
-- they could have been served: they take booking.resume. In the order of the key, as every batch of presence.
CREATE FUNCTION booking.note_desks(p_clinic_ids bigint[]) RETURNS TABLE (provider_id bigint, ticket_id uuid) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := public.app_now();
BEGIN
    RETURN QUERY
    WITH live AS MATERIALIZED (
        SELECT ticket.provider_id, ticket.ticket_id, ticket.state <> 'waiting' OR booking.is_present(ticket, now_at) AS is_present
        FROM booking.phone_ticket AS phone
        JOIN booking.ticket USING (provider_id, ticket_id)
        WHERE phone.clinic_id = ANY (p_clinic_ids) AND phone.joined_at > now_at - booking.phone_ticket_time()
            AND ticket.state IN ('waiting', 'offered', 'called')
    ), noted AS (
        INSERT INTO booking.presence (provider_id, ticket_id, seen_at)
        SELECT provider_id, ticket_id, now_at FROM live WHERE is_present ORDER BY provider_id, ticket_id
        ON CONFLICT (provider_id, ticket_id) DO UPDATE SET seen_at = excluded.seen_at
    )
    SELECT provider_id, ticket_id FROM live WHERE NOT is_present;
END $$;

-- Joins the queue for somebody who called the desk of a clinic: as booking.join_queue by one of its staff, but that p_staff_id may have only so
-- many callers waiting with a provider at once ('phone_tickets').
CREATE FUNCTION booking.join_by_phone(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_desk_clinic_id bigint, p_staff_id bigint, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    staff_actor text := 'staff:' || p_staff_id;
    answer booking.outcome;
BEGIN
    opened := booking.open_queue(
        p_provider_id, p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id, staff_actor, p_key);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    ELSIF booking.phone_tickets_max() <= (
        SELECT count(*) FROM booking.phone_ticket AS phone JOIN booking.ticket USING (provider_id, ticket_id)
        WHERE phone.provider_id = p_provider_id AND phone.staff_id = p_staff_id AND ticket.state IN ('waiting', 'offered', 'called')
            AND phone.joined_at > opened.now_at - booking.phone_ticket_time())
    THEN
        answer.code := 'phone_tickets';
        answer.limit_max := booking.phone_tickets_max();
        RETURN answer;
    END IF;
    answer := booking.join_in_book(
        p_provider_id, p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id, staff_actor, p_key, opened.is_full,
        opened.now_at);
    INSERT INTO booking.phone_ticket (provider_id, ticket_id, clinic_id, staff_id, joined_at)
    SELECT p_provider_id, answer.ticket_id, p_desk_clinic_id, p_staff_id, opened.now_at
    WHERE answer.code IN ('waiting', 'offered');
    RETURN answer;
END $$;

-- The desk calls somebody whose ticket was offered something: the ticket takes it, and has it for a hold's time. As booking.accept, or
-- booking.answer where several are called.
CREATE FUNCTION booking.call_caller(p_ticket booking.ticket, p_actor text) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF p_ticket.state = 'called' THEN
        answer := booking.answer(p_ticket.provider_id, p_ticket.ticket_id, p_actor, NULL);
    ELSE
        answer := booking.accept(p_ticket.provider_id, p_ticket.ticket_id, NULL, NULL, p_actor, NULL);
    END IF;
    UPDATE booking.phone_ticket SET called_at = public.app_now()
    WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id AND answer.code IN ('accepted', 'answered');
    RETURN answer;
END $$;

-- Books what a caller's ticket was offered or holds, to be paid at the clinic: at the desk, nobody pays online.
CREATE FUNCTION booking.book_caller(p_ticket booking.ticket, p_actor text) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    SELECT booking.online_only_until(p_ticket.person_id, clinic_id, public.app_now()) INTO answer.retry_at
    FROM booking.booking WHERE provider_id = p_ticket.provider_id AND booking_id = p_ticket.offer_id AND fee_minor > 0
        AND booking.state_at(booking, public.app_now()) = 'reserved';
    IF answer.retry_at IS NOT NULL THEN
        answer.code := 'online_only';  -- they take and pay it on their own page
        RETURN answer;
    ELSIF p_ticket.state <> 'accepted' THEN
        answer := booking.call_caller(p_ticket, p_actor);
        IF answer.code <> 'accepted' THEN
            RETURN answer;
        END IF;
        p_ticket.offer_id := answer.booking_id;
    END IF;
    UPDATE booking.booking SET funding = 'clinic'
    WHERE provider_id = p_ticket.provider_id AND booking_id = p_ticket.offer_id AND funding = 'online'
        AND booking.state_at(booking, public.app_now()) = 'reserved';
    RETURN booking.confirm(p_ticket.provider_id, p_ticket.offer_id, NULL, p_actor, NULL);
END $$;

-- How the turn of a ticket stands, as a press of the desk's page says it: what it showed, and of an offer which.
CREATE FUNCTION booking.turn_of(p_ticket booking.ticket) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT concat_ws(' ', p_ticket.state, p_ticket.offer_id)
$$;

-- Does an act of booking.serve_caller for a ticket whose turn stands as the desk saw it.
CREATE FUNCTION booking.act_for_caller(p_ticket booking.ticket, p_act text, p_actor text) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF p_act = 'call' THEN
        RETURN booking.call_caller(p_ticket, p_actor);
    ELSIF p_act = 'book' THEN
        RETURN booking.book_caller(p_ticket, p_actor);
    ELSIF p_ticket.state = 'accepted' THEN
        RETURN booking.release(p_ticket.provider_id, p_ticket.offer_id, p_actor, NULL);
    END IF;
    RETURN booking.leave_queue(p_ticket.provider_id, p_ticket.ticket_id, p_actor, NULL);
END $$;

-- What the desk of a clinic does for one of its callers: p_act is 'call' (booking.call_caller), 'book' (booking.book_caller) or 'let_go': they do
-- not answer or do not want it any more, and what they were offered or hold goes to the next. p_seen: how the turn stood on the page that was
-- pressed (booking.turn_of; NULL: not known). 'not_found', 'wrong_state' of what they took themselves, and where the turn stands otherwise by
-- now, 'offer_over' where they are offered something else by now, or what the verb answers.
CREATE FUNCTION booking.serve_caller(
    p_provider_id bigint, p_ticket_id uuid, p_desk_clinic_id bigint, p_act text, p_staff_id bigint, p_key text, p_seen text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    phone booking.phone_ticket;
    former booking.ticket;
    waiter booking.ticket;
    held booking.booking;
    answer booking.outcome;
    now_at timestamptz;
    staff_actor text := 'staff:' || p_staff_id;
    request text := concat_ws(' ', p_act, p_ticket_id, p_desk_clinic_id);
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    SELECT * INTO phone FROM booking.phone_ticket
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND clinic_id = p_desk_clinic_id;
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    IF p_key IS NOT NULL THEN
        answer := booking.find_result(p_provider_id, staff_actor, 'serve_caller', p_key, request, now_at);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
    END IF;
    -- Now, and not within the verb: what is called and booked is what the desk saw, and not what the next moment offers.
    SELECT * INTO former FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    PERFORM booking.advance_book(p_provider_id, now_at);
    SELECT * INTO waiter FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    SELECT * INTO held FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    IF former.state IN ('offered', 'called') AND waiter.state IN ('offered', 'called') AND former.offer_id <> waiter.offer_id
        OR p_seen <> booking.turn_of(former) AND split_part(p_seen, ' ', 1) = former.state::text
    THEN
        RETURN booking.describe_ticket('offer_over', p_provider_id, p_ticket_id);
    ELSIF waiter.state = 'accepted' AND NOT booking.is_called(phone, held)
        OR p_seen <> booking.turn_of(former) AND waiter.state IN ('waiting', 'offered', 'called', 'accepted')
    THEN
        RETURN booking.describe_ticket('wrong_state', p_provider_id, p_ticket_id);
    END IF;
    answer := booking.act_for_caller(waiter, p_act, staff_actor);
    PERFORM booking.store_result(p_provider_id, staff_actor, 'serve_caller', p_key, request, answer, now_at)
    WHERE p_key IS NOT NULL AND answer.code IN ('accepted', 'answered', 'booked', 'left', 'released');
    RETURN answer;
END $$;
