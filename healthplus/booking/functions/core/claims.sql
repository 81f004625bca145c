-- What a claim stands for by the rows it points to: 'live', 'dead', or 'lapsed' (a hold that ran out unpaid). Volatile, to see
-- what was committed while its caller waited for the claim's lock.
CREATE FUNCTION booking.claim_fate(p_claim booking.claim, p_now timestamptz, OUT fate text, OUT lapsed_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held booking.booking;
    waiter booking.ticket;
BEGIN
    fate := 'dead';
    IF p_claim.ticket_id IS NOT NULL THEN
        SELECT * INTO waiter FROM booking.ticket
        WHERE provider_id = p_claim.provider_id AND ticket_id = p_claim.ticket_id;
        SELECT * INTO held FROM booking.booking
        WHERE provider_id = p_claim.provider_id AND booking_id = waiter.offer_id;
    ELSE
        SELECT * INTO held FROM booking.booking
        WHERE provider_id = p_claim.provider_id AND booking_id = p_claim.booking_id;
    END IF;
    -- A ticket that won what it was called for by another's verb: that verb may not touch its claim.
    IF p_claim.ticket_id IS NOT NULL AND waiter.state <> 'accepted' THEN
        IF waiter.state = 'waiting' AND waiter.expires_at > p_now THEN
            fate := 'live';
        ELSIF waiter.state = 'offered' THEN
            -- An offer nobody saw puts its ticket back to waiting, once, while its hour lasts.
            IF booking.state_at(held, p_now) <> 'expired'
                OR (waiter.expires_at > p_now AND NOT booking.is_turn_over(waiter)) THEN
                fate := 'live';
            END IF;
        ELSIF waiter.state = 'called' AND booking.is_call_live(waiter, held, p_now) THEN
            fate := 'live';
        END IF;
    ELSE
        IF booking.state_at(held, p_now) = 'expired' THEN
            fate := 'lapsed';
            lapsed_at := held.deadline;
        ELSIF held.state = 'reserved' THEN
            fate := 'live';
        END IF;
    END IF;
END $$;

-- Takes a patient's one claim for a hold (p_booking_id) or a ticket (p_ticket_id): NULL when it was free, else why not.
-- The last lock that its caller takes. A patient who let several holds lapse may still queue.
CREATE FUNCTION booking.take_claim(
    p_patient_id bigint, p_provider_id bigint, p_booking_id uuid, p_ticket_id uuid, p_now timestamptz
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    old booking.claim;
    old_fate record;
    recent timestamptz[];
BEGIN
    INSERT INTO booking.claim (patient_id, provider_id, booking_id, ticket_id)
    VALUES (p_patient_id, p_provider_id, p_booking_id, p_ticket_id)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO old FROM booking.claim WHERE patient_id = p_patient_id FOR UPDATE;
    -- Erasing leaves this claim behind; a token may be known a moment longer elsewhere.
    IF EXISTS (SELECT FROM accounts.patient WHERE patient_id = p_patient_id AND erased_at IS NOT NULL) THEN
        RETURN 'not_found';
    END IF;
    old_fate := booking.claim_fate(old, p_now);
    IF old_fate.fate = 'live' THEN
        RETURN 'claimed';
    END IF;
    SELECT coalesce(array_agg(at ORDER BY at), '{}') INTO recent
    FROM unnest(old.lapses || old_fate.lapsed_at) AS at
    WHERE at > p_now - booking.lapse_memory_time();
    IF p_booking_id IS NOT NULL AND cardinality(recent) >= booking.lapses_max() THEN
        RETURN 'lapses';
    END IF;
    UPDATE booking.claim
    SET provider_id = p_provider_id, booking_id = p_booking_id, ticket_id = p_ticket_id, lapses = recent
    WHERE patient_id = p_patient_id;
    RETURN NULL;
END $$;
