-- Moves an offer to another run that can be had now, for its ticket: NULL, or the refusal of that run. The caller has locked the patient.
CREATE FUNCTION booking.swap_offer(
    p_ticket booking.ticket, p_offer booking.booking, p_clinic_id bigint, p_start timestamptz, p_now timestamptz, p_actor text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    run record;
    wanted booking.booking := p_offer;
    need booking.need := booking.need_of(p_ticket.slots_needed, p_ticket.provider_id, p_ticket.service_ids);
    refusal booking.outcome;
BEGIN
    IF p_offer.service_ids IS NOT NULL THEN
        refusal := booking.refuse_services(p_offer.provider_id, p_clinic_id, p_offer.service_ids, true);
        IF refusal.code IS NOT NULL THEN
            RETURN refusal;
        END IF;
    END IF;
    SELECT * INTO run
    FROM booking.seat_for(
        p_offer.provider_id, p_clinic_id, p_start, need, p_now, p_ticket.number, p_offer.booking_id);
    IF NOT FOUND THEN
        RETURN booking.refuse_run(
            p_offer.provider_id, p_clinic_id, p_start, need, p_now,
            booking.why_not(p_offer.provider_id, p_clinic_id, p_start, need, p_now, p_offer.booking_id));
    END IF;
    wanted.during := run.during;
    wanted.clinic_id := p_clinic_id;
    SELECT fee_minor, booking.funding_for(funding, fee_minor, p_offer.person_id, p_clinic_id, p_now), terms_id
    INTO wanted.fee_minor, wanted.funding, wanted.terms_id
    FROM booking.price_of(p_offer.provider_id, p_clinic_id, p_offer.service_ids);
    refusal := booking.refuse_ahead(wanted, true, p_now);
    IF refusal.code IS NOT NULL THEN
        RETURN refusal;
    END IF;
    UPDATE booking.booking
    SET during = run.during, seat = run.seat, clinic_id = p_clinic_id,
        fee_minor = wanted.fee_minor, funding = wanted.funding, terms_id = wanted.terms_id
    WHERE booking.provider_id = p_offer.provider_id AND booking.booking_id = p_offer.booking_id;
    PERFORM booking.append_event(p_offer.provider_id, p_now, 'moved', p_offer.booking_id, p_ticket.ticket_id, p_actor);
    RETURN NULL;
END $$;

-- Takes the offer made for a ticket, or (p_start) another run that can be had now: 'accepted', a hold of full length from now.
-- Else 'offer_over', 'wrong_state', 'not_found', 'claimed' (elsewhere, just as the offer's time ran out), or, with the offer
-- kept, why the run cannot be had: all of it is gone, or what the person has ahead is in the way (booking.refuse_ahead).
CREATE FUNCTION booking.accept(
    p_provider_id bigint, p_ticket_id uuid, p_clinic_id bigint, p_start timestamptz, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    request text := concat_ws('|', p_ticket_id, coalesce(p_clinic_id::text, '*'), extract(epoch FROM p_start));
    answer booking.outcome;
    waiter booking.ticket;
    offer booking.booking;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'accept', p_key, request);
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
    ELSIF waiter.state <> 'offered' THEN
        RETURN booking.describe_ticket('wrong_state', p_provider_id, p_ticket_id);
    END IF;
    -- An offer's time can run out while this verb is at work. Its patient's claim then looks dead to other providers' verbs,
    -- which must not overwrite it from here on, or have done so.
    PERFORM booking.lock_patient(waiter.patient_id);
    PERFORM FROM booking.claim
    WHERE patient_id = waiter.patient_id AND provider_id = p_provider_id AND ticket_id = p_ticket_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN booking.refuse('claimed');
    END IF;
    SELECT * INTO offer FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    IF p_start IS NOT NULL AND (p_start, coalesce(p_clinic_id, offer.clinic_id)) <> (lower(offer.during), offer.clinic_id) THEN
        answer := booking.swap_offer(waiter, offer, coalesce(p_clinic_id, offer.clinic_id), p_start, now_at, p_actor);
    ELSE
        answer := booking.refuse_ahead(offer, true, now_at);
    END IF;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    UPDATE booking.booking SET offer = false, deadline = now_at + booking.hold_time()
    WHERE provider_id = p_provider_id AND booking_id = offer.booking_id;
    PERFORM booking.end_ticket(waiter, 'accepted', now_at, p_actor, NULL, '');
    PERFORM booking.make_offers(p_provider_id, now_at);
    PERFORM booking.refresh_availability(p_provider_id, now_at);
    UPDATE booking.claim SET booking_id = offer.booking_id, ticket_id = NULL
    WHERE patient_id = waiter.patient_id AND provider_id = p_provider_id AND ticket_id = p_ticket_id;
    answer := booking.describe_ticket('accepted', p_provider_id, p_ticket_id);
    PERFORM booking.store_result(p_provider_id, p_actor, 'accept', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
