-- What is hashed of a request to hold. What it does not name is not in it, so that a repeat across an upgrade is the same request.
CREATE FUNCTION booking.hold_request(
    p_clinic_id bigint, p_start timestamptz, p_slots integer, p_service_ids bigint[], p_patient_id bigint, p_person_id uuid,
    p_instead_of_provider_id bigint, p_instead_of_id uuid
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws('|', p_clinic_id, extract(epoch FROM p_start), p_slots, p_patient_id, p_person_id,
        p_instead_of_provider_id || '/' || p_instead_of_id, 'for ' || array_to_string(p_service_ids, ','))
$$;

-- Refuses a hold that the rows rule out already, without the lock, so that ten thousand refusals need not stand in line
-- behind 36 winners. A NULL code where it takes the lock to tell. What a ticket withholds is no reason to refuse: its client
-- may have gone, which only booking.advance_book finds out.
CREATE FUNCTION booking.refuse_hold(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_instead_of_provider_id bigint, p_instead_of_id uuid, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    answer booking.outcome;
    known booking.outcome;
    need booking.need := booking.need_of(p_slots, p_provider_id, p_service_ids);
    why text;
BEGIN
    answer := booking.refuse_early(p_patient_id, p_actor, now_at);
    IF answer.code IS NULL AND p_service_ids IS NOT NULL THEN
        answer := booking.refuse_services(p_provider_id, p_clinic_id, p_service_ids);
    END IF;
    IF answer.code IS NULL AND EXISTS (
        SELECT FROM booking.booking
        WHERE provider_id = p_provider_id AND occupies AND during @> p_start AND NOT booking.is_due(booking, now_at)
    ) THEN
        why := booking.why_not(p_provider_id, p_clinic_id, p_start, need, now_at, p_is_desk => booking.is_staff(p_actor));
        IF why <> 'free' THEN
            answer := booking.refuse_run(p_provider_id, p_clinic_id, p_start, need, now_at, why);
        END IF;
    END IF;
    IF answer.code IS NOT NULL THEN
        known := booking.find_result(
            p_provider_id, p_actor, 'hold', p_key, booking.hold_request(
                p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, p_instead_of_provider_id, p_instead_of_id), now_at);
        IF known.code IS NOT NULL THEN
            RETURN known;
        END IF;
    END IF;
    RETURN answer;
END $$;

-- Holds, in a book that the caller has locked and advanced to p_now; else as booking.hold. p_is_here: the person stands at the desk, and pays there.
CREATE FUNCTION booking.hold_in_book(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_instead_of_provider_id bigint, p_instead_of_id uuid, p_actor text, p_key text, p_reason text, p_now timestamptz,
    p_is_here boolean DEFAULT false
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    person accounts.person := booking.person_of(p_patient_id, p_person_id);
    answer booking.outcome;
    held booking.booking;
    need booking.need := booking.need_of(p_slots, p_provider_id, p_service_ids);
    is_desk boolean := booking.is_staff(p_actor);
BEGIN
    IF p_service_ids IS NOT NULL THEN
        answer := booking.refuse_services(p_provider_id, p_clinic_id, p_service_ids);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
    END IF;
    IF NOT booking.may_act(p_actor, p_patient_id) OR (p_person_id IS NOT NULL AND person.person_id IS NULL)
        OR (p_instead_of_id IS NOT NULL AND NOT booking.is_replaceable(p_instead_of_provider_id, p_instead_of_id, p_patient_id, person, p_now))
    THEN
        RETURN booking.refuse('not_found');
    END IF;
    SELECT fee_minor, funding, terms_id INTO held.fee_minor, held.funding, held.terms_id
    FROM booking.price_of(p_provider_id, p_clinic_id, p_service_ids);
    IF NOT is_desk THEN
        held.funding := booking.funding_for(held.funding, held.fee_minor, person.person_id, p_clinic_id, p_now);
    ELSE
        answer := booking.refuse_at_clinic(person.person_id, p_clinic_id, held.fee_minor, p_now);
        IF answer.code IS NOT NULL AND NOT p_is_here THEN  -- they book it themselves, and pay
            RETURN answer;
        END IF;
        held.funding := CASE held.funding WHEN 'online' THEN 'clinic' ELSE held.funding END;  -- nobody gives the desk a card on the telephone
    END IF;
    SELECT seat, during INTO held.seat, held.during
    FROM booking.seat_for(p_provider_id, p_clinic_id, p_start, need, p_now, p_is_desk => is_desk);
    IF NOT FOUND THEN
        RETURN booking.refuse_run(
            p_provider_id, p_clinic_id, p_start, need, p_now,
            booking.why_not(p_provider_id, p_clinic_id, p_start, need, p_now, p_is_desk => is_desk));
    END IF;
    held.booking_id := booking.new_id(p_provider_id);
    SELECT p_provider_id, p_clinic_id, p_patient_id, person.person_id, p_instead_of_id, p_service_ids
    INTO held.provider_id, held.clinic_id, held.patient_id, held.person_id, held.instead_of_id, held.service_ids;
    answer := booking.take_claim(held, coalesce(p_reason, '') <> '' AND is_desk, p_now);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    INSERT INTO booking.booking (
        provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_minor, funding, created_at,
        person_id, patient_name, instead_of_provider_id, instead_of_id, service_ids, terms_id)
    VALUES (p_provider_id, held.booking_id, p_clinic_id, p_patient_id, held.during, held.seat, p_slots, 'reserved',
        p_now + booking.hold_time(), held.fee_minor, held.funding, p_now, person.person_id, nullif(person.name, ''),
        p_instead_of_provider_id, p_instead_of_id, p_service_ids, held.terms_id)
    ON CONFLICT DO NOTHING
    RETURNING * INTO held;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'booking_overlap fired under the lock of provider %', p_provider_id;
    END IF;
    answer := booking.describe(
        'reserved', held, booking.append_event(
            p_provider_id, p_now, 'reserved', held.booking_id, NULL, p_actor, coalesce(p_reason, ''), held.deadline));
    PERFORM booking.refresh_availability(p_provider_id, p_now, p_clinic_id, held.during);
    PERFORM booking.store_result(
        p_provider_id, p_actor, 'hold', p_key, booking.hold_request(
            p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, p_instead_of_provider_id, p_instead_of_id),
        answer, p_now)
    WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

-- Holds a run of slots, or (p_service_ids) what services need, for a person of a patient's account (NULL: the holder): 'reserved', or
-- 'slot_full', 'slot_held', 'no_such_slot', 'online_only' (to staff, of a person who pays online here until retry_at: they book it
-- themselves), or what booking.take_claim refuses with. p_instead_of_id: a booking of that person, at any
-- provider, which this one replaces once it is confirmed. p_reason: why the desk goes beyond what a person may have ahead; its event, which is
-- kept for good, says that it does and not why.
CREATE FUNCTION booking.hold(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_instead_of_provider_id bigint, p_instead_of_id uuid, p_actor text, p_key text, p_reason text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
BEGIN
    IF p_instead_of_id IS NULL AND coalesce(p_reason, '') = '' THEN
        answer := booking.hold_plainly(
            p_provider_id, p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, p_actor, p_key, NULL);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
    END IF;
    answer := booking.refuse_hold(
        p_provider_id, p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, p_instead_of_provider_id, p_instead_of_id,
        p_actor, p_key);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    opened := booking.open_book(
        p_provider_id, p_actor, 'hold', p_key, booking.hold_request(
            p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, p_instead_of_provider_id, p_instead_of_id));
    answer := opened.answer;
    IF answer.code = 'not_found' THEN
        RETURN booking.refuse('no_such_slot', answer.reason);
    ELSIF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    RETURN booking.hold_in_book(
        p_provider_id, p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, p_instead_of_provider_id, p_instead_of_id,
        p_actor, p_key, CASE WHEN p_reason <> '' THEN 'beyond' END, opened.now_at);
END $$;
