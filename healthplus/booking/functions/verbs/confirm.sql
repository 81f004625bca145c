-- Books anew a hold that lapsed before its money came, if its slot can still be had: a booking, or NULL. The book is settled: what
-- is free now is wanted by nobody present. (Rules 5, 6, 9 and 11.)
CREATE FUNCTION booking.book_late(p_held booking.booking, p_now timestamptz, p_actor text)
RETURNS booking.booking LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    late booking.booking;
    claim booking.claim;
BEGIN
    SELECT seat, during INTO late.seat, late.during
    FROM booking.seat_for(p_held.provider_id, p_held.clinic_id, lower(p_held.during), p_held.slots_needed, p_now);
    IF NOT FOUND OR EXISTS (  -- paid for before, by other money
        SELECT FROM payments.payment
        WHERE provider_id = p_held.provider_id AND hold_id = p_held.booking_id AND booking_id <> hold_id
    ) OR EXISTS (SELECT FROM accounts.patient WHERE patient_id = p_held.patient_id AND erased_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO claim FROM booking.claim WHERE patient_id = p_held.patient_id FOR UPDATE;
    IF (booking.claim_fate(claim, p_now)).fate = 'live' THEN
        RETURN NULL;
    END IF;
    INSERT INTO booking.booking (
        provider_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_minor, funding, created_at,
        patient_name)
    VALUES (p_held.provider_id, p_held.clinic_id, p_held.patient_id, late.during, late.seat, p_held.slots_needed, 'booked',
        p_held.deadline, p_held.fee_minor, p_held.funding, p_now, p_held.patient_name)
    ON CONFLICT DO NOTHING
    RETURNING * INTO late;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'booking_overlap fired under the lock of provider %', p_held.provider_id;
    END IF;
    PERFORM booking.append_event(p_held.provider_id, p_now, 'reserved', late.booking_id, NULL, p_actor, 'late_payment');
    PERFORM booking.append_event(p_held.provider_id, p_now, 'booked', late.booking_id, NULL, p_actor, 'late_payment');
    PERFORM booking.refresh_availability(p_held.provider_id, p_now, late.clinic_id, late.during);
    -- It was paid for: no lapse after all.
    UPDATE booking.claim
    SET booking_id = CASE booking_id WHEN p_held.booking_id THEN late.booking_id ELSE booking_id END,
        lapses = array_remove(lapses, p_held.deadline)
    WHERE patient_id = p_held.patient_id;
    RETURN late;
END $$;

-- Books a hold: 'booked', or 'expired', 'payment_required', 'wrong_state', 'not_found'. p_authorisation: the money set aside for
-- it, which becomes due to be captured with the booking, or due to be voided with a refusal or where nothing is paid online. Money
-- for a hold that has lapsed books its slot anew, if it can; money that has booked a hold before says so again. p_method: how it
-- was to be paid, so that a repeated key for another way is told from a repeat.
CREATE FUNCTION booking.confirm(
    p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_authorisation text, p_actor text, p_key text,
    p_method text DEFAULT NULL, p_source payments.source DEFAULT 'answer'
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    request text := concat_ws('|', p_booking_id, p_authorisation, p_method);
    answer booking.outcome;
    held booking.booking;
    booked booking.booking;  -- what the money pays for
    known payments.payment;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    answer := booking.find_result(p_provider_id, p_actor, 'confirm', p_key, request, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.advance_book(p_provider_id, now_at);

    SELECT * INTO held FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND (p_patient_id IS NULL OR patient_id = p_patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF held.state = 'reserved' AND held.offer THEN
        RETURN booking.describe('wrong_state', held);  -- to be accepted first; no money is asked for until then
    END IF;
    SELECT * INTO known FROM payments.payment
    WHERE provider_id = p_provider_id AND hold_id = p_booking_id AND authorisation = p_authorisation;
    IF known.due = 'capture' OR (known.state = 'captured' AND known.due IS NULL) THEN
        SELECT * INTO booked FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = known.booking_id;
    ELSIF held.state = 'reserved' AND held.funding = 'online' AND (p_authorisation IS NULL OR known.hold_id IS NOT NULL) THEN
        RETURN booking.describe('payment_required', held);  -- money that is known was given back, or is about to be
    ELSE
        IF held.state = 'reserved' THEN
            UPDATE booking.booking SET state = 'booked'
            WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO booked;
            PERFORM booking.append_event(p_provider_id, now_at, 'booked', p_booking_id, held.ticket_id, p_actor);
        ELSIF held.state = 'expired' AND held.funding = 'online' AND p_authorisation IS NOT NULL AND known.hold_id IS NULL THEN
            booked := booking.book_late(held, now_at, p_actor);
        END IF;
        IF p_authorisation IS NOT NULL AND known.hold_id IS NULL THEN
            PERFORM payments.set_aside(
                held, coalesce(booked.booking_id, p_booking_id), p_authorisation, held.fee_minor,
                CASE WHEN booked.booking_id IS NOT NULL AND held.funding = 'online' THEN 'capture' ELSE 'void' END::payments.payment_step,
                p_source, now_at);
        END IF;
        IF booked.booking_id IS NULL THEN
            RETURN booking.describe(CASE held.state WHEN 'expired' THEN 'expired' ELSE 'wrong_state' END, held);
        END IF;
        PERFORM booking.advance_book(p_provider_id, now_at);  -- nothing was freed, but waits may have become hopeless
    END IF;
    answer := booking.describe('booked', booked);
    PERFORM booking.store_result(p_provider_id, p_actor, 'confirm', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
