-- Books the slot of a hold that expired before its money came, if it can still be had: a new booking, or NULL. The book is
-- advanced, so no present ticket wants what is free now.
CREATE FUNCTION booking.book_late(p_held booking.booking, p_now timestamptz, p_actor text)
RETURNS booking.booking LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    late booking.booking;
    wanted booking.booking;
    claim booking.claim;
BEGIN
    SELECT seat, during INTO late.seat, late.during
    FROM booking.seat_for(p_held.provider_id, p_held.clinic_id, lower(p_held.during),
        booking.need_of(p_held.slots_needed, p_held.provider_id, p_held.service_ids), p_now);
    IF NOT FOUND OR p_held.patient_id IS NULL OR EXISTS (  -- paid for before, by other money
        SELECT FROM ledger.payment
        WHERE provider_id = p_held.provider_id AND hold_id = p_held.booking_id AND booking_id <> hold_id
    ) OR EXISTS (SELECT FROM accounts.patient WHERE patient_id = p_held.patient_id AND erased_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    PERFORM booking.lock_patient(p_held.patient_id);
    SELECT * INTO claim FROM booking.claim WHERE patient_id = p_held.patient_id FOR UPDATE;
    wanted := p_held;
    wanted.during := late.during;
    IF (booking.claim_fate(claim, p_now)).fate = 'live' OR (booking.refuse_ahead(wanted, true, p_now)).code IS NOT NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO booking.booking (
        provider_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_minor, funding, created_at,
        person_id, patient_name, instead_of_provider_id, instead_of_id, service_ids, terms_id)
    VALUES (p_held.provider_id, p_held.clinic_id, p_held.patient_id, late.during, late.seat, p_held.slots_needed, 'booked',
        p_held.deadline, p_held.fee_minor, p_held.funding, p_now, p_held.person_id,
        coalesce((SELECT nullif(name, '') FROM accounts.person WHERE person_id = p_held.person_id), p_held.patient_name),
        p_held.instead_of_provider_id, p_held.instead_of_id, p_held.service_ids, p_held.terms_id)
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
    SET booking_id = CASE WHEN booking_id = p_held.booking_id OR ticket_id = p_held.ticket_id THEN late.booking_id ELSE booking_id END,
        ticket_id = CASE WHEN ticket_id IS DISTINCT FROM p_held.ticket_id THEN ticket_id END,
        lapses = array_remove(lapses, p_held.deadline), spent = array_remove(spent, p_held.deadline)
    WHERE patient_id = p_held.patient_id;
    RETURN late;
END $$;

-- Returns a hold as it is to be booked: without what it was to replace, where that has begun meanwhile or is booked no more. Locks the patient.
CREATE FUNCTION booking.drop_replaced(p_held booking.booking, p_now timestamptz) RETURNS booking.booking LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.lock_patient(p_held.patient_id);
    IF NOT booking.is_replaceable(
        p_held.instead_of_provider_id, p_held.instead_of_id, p_held.patient_id,
        booking.person_of(p_held.patient_id, p_held.person_id), p_now)
    THEN
        p_held.instead_of_provider_id := NULL;
        p_held.instead_of_id := NULL;
    END IF;
    RETURN p_held;
END $$;

-- Books a live hold, or the slot of an expired one that its money has come for late, and orders what it replaces to be cancelled; NULL
-- when it can be neither. A hold that is no longer its patient's claim has expired for another verb, if not for this one.
CREATE FUNCTION booking.book_hold(
    p_held booking.booking, p_is_paid_late boolean, p_now timestamptz, p_actor text
) RETURNS booking.booking LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    booked booking.booking;
BEGIN
    IF p_held.state = 'reserved' THEN
        PERFORM booking.lock_patient(p_held.patient_id);
        IF NOT booking.keeps_claim(p_held) THEN
            RETURN NULL;
        END IF;
        -- Of the release before, a hold has no person: it is for whom it was named there, or for the holder.
        UPDATE booking.booking
        SET state = 'booked', instead_of_provider_id = p_held.instead_of_provider_id, instead_of_id = p_held.instead_of_id,
            patient_name = coalesce((
            SELECT nullif(name, '') FROM accounts.person
            WHERE person.person_id = coalesce(booking.person_id, CASE WHEN booking.patient_name IS NULL THEN (
                SELECT holder.person_id FROM accounts.person AS holder WHERE holder.patient_id = booking.patient_id AND is_holder) END)
        ), patient_name)
        WHERE provider_id = p_held.provider_id AND booking_id = p_held.booking_id RETURNING * INTO booked;
        PERFORM booking.keep_staff_act(
            booked, 'booked', booking.append_event(p_held.provider_id, p_now, 'booked', p_held.booking_id, p_held.ticket_id, p_actor),
            p_actor, p_now, booking.told_at(p_actor, p_now, '{}'));
    ELSIF p_held.state = 'expired' AND p_is_paid_late THEN
        booked := booking.book_late(p_held, p_now, p_actor);
    END IF;
    IF booked.booking_id IS NOT NULL AND p_held.ticket_id IS NOT NULL THEN
        PERFORM booking.keep_turn(p_held.provider_id, p_held.ticket_id);
    END IF;
    IF booked.instead_of_id IS NOT NULL THEN
        INSERT INTO booking.replacement (provider_id, booking_id, replaced_provider_id, replaced_id, due_at)
        VALUES (booked.provider_id, booked.booking_id, booked.instead_of_provider_id, booked.instead_of_id, p_now);
    END IF;
    RETURN booked;
END $$;

-- What is hashed of a request to confirm.
CREATE FUNCTION booking.confirm_request(p_booking_id uuid, p_authorisation text, p_method text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws('|', p_booking_id, p_authorisation, p_method)
$$;

-- Books a hold: 'booked', or 'expired', 'payment_required', 'wrong_state', 'not_found', or what booking.refuse_ahead refuses with, where what
-- it was to replace cannot be replaced any more. p_authorisation: the money set aside
-- for it, which becomes due to be captured with the booking, or to be voided with a refusal or where nothing is paid online.
-- Money for an expired hold books its slot again, if it can; money that has booked a hold before gets the same answer again.
-- p_method: how it was to be paid, so that a key used again for another way to pay is refused. p_shown_at: when the patient was shown that
-- it begins; a hold that begins at another time by now is not booked without money ('time_changed'). Money was requested for what was shown.
CREATE FUNCTION booking.confirm(
    p_provider_id bigint, p_booking_id uuid, p_authorisation text, p_actor text, p_key text,
    p_method text DEFAULT NULL, p_source ledger.source DEFAULT 'answer', p_shown_at timestamptz DEFAULT NULL
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    request text := booking.confirm_request(p_booking_id, p_authorisation, p_method);
    answer booking.outcome;
    held booking.booking;
    booked booking.booking;  -- what the money pays for
    known ledger.payment;
    is_new_money boolean;
BEGIN
    IF p_source = 'answer' AND p_actor ~ '^patient:[0-9]{1,18}$' THEN
        answer := booking.confirm_plainly(
            p_provider_id, p_booking_id, substr(p_actor, 9)::bigint, p_authorisation, p_actor, p_key, p_method,
            p_shown_at => p_shown_at);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
    END IF;
    opened := booking.open_book(p_provider_id, p_actor, 'confirm', p_key, request);
    now_at := opened.now_at;
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO held FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking.may_act(p_actor, patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF held.state = 'reserved' AND held.offer THEN
        RETURN booking.describe('wrong_state', held);  -- to be accepted first; no money is asked for until then
    ELSIF held.state = 'reserved' AND p_authorisation IS NULL AND lower(held.during) <> p_shown_at THEN
        RETURN booking.describe('time_changed', held);
    END IF;
    SELECT * INTO known FROM ledger.payment
    WHERE provider_id = p_provider_id AND hold_id = p_booking_id AND authorisation = p_authorisation;
    is_new_money := p_authorisation IS NOT NULL AND known.hold_id IS NULL;
    IF known.kept_minor IS NULL AND (known.due = 'capture' OR (known.state = 'captured' AND known.due IS NULL)) THEN
        SELECT * INTO booked FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = known.booking_id;
    ELSIF held.state = 'reserved' AND held.funding = 'online' AND NOT is_new_money THEN
        RETURN booking.describe('payment_required', held);  -- money that is known was given back, or is about to be
    ELSE
        IF held.instead_of_id IS NOT NULL AND held.state IN ('reserved', 'expired') THEN
            held := booking.drop_replaced(held, now_at);
            IF held.instead_of_id IS NULL AND held.state = 'reserved' THEN
                answer := booking.refuse_ahead(held, true, now_at);
            END IF;
        END IF;
        IF answer.code IS NULL THEN
            booked := booking.book_hold(held, held.funding = 'online' AND is_new_money, now_at, p_actor);
        END IF;
        IF is_new_money THEN
            PERFORM ledger.set_aside(
                p_provider_id, p_booking_id, coalesce(booked.booking_id, p_booking_id), p_authorisation, held.fee_minor,
                CASE WHEN booked.booking_id IS NOT NULL AND held.funding = 'online' THEN 'capture' ELSE 'void' END::ledger.payment_step,
                p_source, now_at);
        END IF;
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        ELSIF booked.booking_id IS NULL THEN
            held.state := CASE held.state WHEN 'reserved' THEN 'expired' ELSE held.state END;
            RETURN booking.describe(CASE held.state WHEN 'expired' THEN 'expired' ELSE 'wrong_state' END, held);
        END IF;
        PERFORM booking.advance_book(p_provider_id, now_at);  -- nothing was freed, but tickets may have become hopeless
    END IF;
    answer := booking.describe('booked', booked);
    PERFORM booking.store_result(p_provider_id, p_actor, 'confirm', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;
