-- The verbs. Each is called as a bare autocommit `SELECT * FROM booking.verb(...)`, locks one provider's book, then reads
-- the clock, then looks, then acts. p_patient_id is the patient who asks and must own what is touched; NULL is staff or the
-- system. p_actor names the caller in events and owns the idempotency key p_key (NULL: none). Refusals are never remembered.

CREATE FUNCTION booking.refuse(p_code text, p_reason text DEFAULT NULL) RETURNS booking.outcome LANGUAGE plpgsql AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := p_code;
    answer.reason := p_reason;
    RETURN answer;
END $$;

-- The refusal of a run that cannot be had, for the reason that why_not gives.
CREATE FUNCTION booking.refuse_run(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_now timestamptz, p_why text
) RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := CASE WHEN p_why = 'booked' THEN 'slot_full' WHEN p_why IN ('held', 'free') THEN 'slot_held' ELSE 'no_such_slot' END;
    IF answer.code = 'no_such_slot' THEN
        answer.reason := p_why;
    ELSE
        answer.alternatives := booking.alternatives(p_provider_id, p_clinic_id, p_start, p_slots, p_now);
        answer.can_wait := answer.code = 'slot_held';
        SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    END IF;
    RETURN answer;
END $$;

-- A booking as it now stands, with what happened to it. p_version: the book's, where the caller knows it.
CREATE FUNCTION booking.describe(p_code text, p_booking booking.booking, p_version bigint DEFAULT NULL) RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := p_code;
    answer.booking_id := p_booking.booking_id;
    answer.ticket_id := p_booking.ticket_id;
    answer.state := p_booking.state;
    answer.clinic_id := p_booking.clinic_id;
    answer.starts_at := lower(p_booking.during);
    answer.ends_at := upper(p_booking.during);
    answer.deadline := CASE WHEN p_booking.state = 'reserved' THEN p_booking.deadline END;
    answer.fee_paise := p_booking.fee_paise;
    answer.funding := p_booking.funding;
    answer.version := p_version;
    IF p_version IS NULL THEN
        SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_booking.provider_id;
    END IF;
    RETURN answer;
END $$;

-- The refusal of a hold that the rows justify already, without the lock: ten thousand of these must not stand in line behind
-- 36 winners. A NULL code where it takes the lock to tell. What a ticket withholds is no reason: its client may have gone, and
-- only settling tells.
CREATE FUNCTION booking.refuse_hold(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_patient_id bigint, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    answer booking.outcome;
    why text;
BEGIN
    IF EXISTS (
        SELECT FROM booking.booking
        WHERE provider_id = p_provider_id AND occupies AND during @> p_start AND (state <> 'reserved' OR deadline > now_at)
    ) THEN
        why := booking.why_not(p_provider_id, p_clinic_id, p_start, p_slots, now_at);
        IF why <> 'free' THEN
            answer := booking.replay(
                p_provider_id, p_actor, 'hold', p_key, booking.hold_request(p_clinic_id, p_start, p_slots, p_patient_id), now_at);
            IF answer.code IS NULL THEN
                answer := booking.refuse_run(p_provider_id, p_clinic_id, p_start, p_slots, now_at, why);
            END IF;
        END IF;
    END IF;
    RETURN answer;
END $$;

CREATE FUNCTION booking.hold_request(p_clinic_id bigint, p_start timestamptz, p_slots integer, p_patient_id bigint)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws('|', p_clinic_id, extract(epoch FROM p_start), p_slots, p_patient_id)
$$;

-- Holds a run of slots for a patient: 'reserved', or 'slot_full', 'slot_held', 'no_such_slot', 'claimed', 'lapses'.
CREATE FUNCTION booking.hold(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_patient_id bigint, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    request text := booking.hold_request(p_clinic_id, p_start, p_slots, p_patient_id);
    answer booking.outcome;
    held booking.booking;
    why text;
    refusal text;
BEGIN
    answer := booking.refuse_hold(p_provider_id, p_clinic_id, p_start, p_slots, p_patient_id, p_actor, p_key);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('no_such_slot', 'no_such_provider');
    END IF;
    now_at := public.app_now();
    answer := booking.replay(p_provider_id, p_actor, 'hold', p_key, request, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.settle_book(p_provider_id, now_at);

    SELECT seat, during INTO held.seat, held.during
    FROM booking.seat_for(p_provider_id, p_clinic_id, p_start, p_slots, now_at);
    IF NOT FOUND THEN
        why := booking.why_not(p_provider_id, p_clinic_id, p_start, p_slots, now_at);
        RETURN booking.refuse_run(p_provider_id, p_clinic_id, p_start, p_slots, now_at, why);
    END IF;
    held.booking_id := gen_random_uuid();
    refusal := booking.take_claim(p_patient_id, p_provider_id, held.booking_id, NULL, now_at);
    IF refusal IS NOT NULL THEN
        RETURN booking.refuse(refusal);
    END IF;
    INSERT INTO booking.booking (
        provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_paise, funding, created_at)
    SELECT p_provider_id, held.booking_id, p_clinic_id, p_patient_id, held.during, held.seat, p_slots, 'reserved',
        now_at + booking.hold_time(), fee_paise, funding, now_at
    FROM directory.provider_clinic
    WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id
    ON CONFLICT DO NOTHING
    RETURNING * INTO held;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'booking_overlap fired under the lock of provider %', p_provider_id;
    END IF;
    answer := booking.describe(
        'reserved', held, booking.record(p_provider_id, now_at, 'reserved', held.booking_id, NULL, p_actor));
    PERFORM booking.summarise(p_provider_id, now_at, p_clinic_id, held.during);
    PERFORM booking.remember(p_provider_id, p_actor, 'hold', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

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
    ) OR EXISTS (SELECT FROM people.patient WHERE patient_id = p_held.patient_id AND erased_at IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO claim FROM booking.claim WHERE patient_id = p_held.patient_id FOR UPDATE;
    IF (booking.claim_fate(claim, p_now)).fate = 'live' THEN
        RETURN NULL;
    END IF;
    INSERT INTO booking.booking (
        provider_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_paise, funding, created_at,
        visit_for)
    VALUES (p_held.provider_id, p_held.clinic_id, p_held.patient_id, late.during, late.seat, p_held.slots_needed, 'booked',
        p_held.deadline, p_held.fee_paise, p_held.funding, p_now, p_held.visit_for)
    ON CONFLICT DO NOTHING
    RETURNING * INTO late;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'booking_overlap fired under the lock of provider %', p_held.provider_id;
    END IF;
    PERFORM booking.record(p_held.provider_id, p_now, 'reserved', late.booking_id, NULL, p_actor, 'late_payment');
    PERFORM booking.record(p_held.provider_id, p_now, 'booked', late.booking_id, NULL, p_actor, 'late_payment');
    PERFORM booking.summarise(p_held.provider_id, p_now, late.clinic_id, late.during);
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
    answer := booking.replay(p_provider_id, p_actor, 'confirm', p_key, request, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.settle_book(p_provider_id, now_at);

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
            PERFORM booking.record(p_provider_id, now_at, 'booked', p_booking_id, held.ticket_id, p_actor);
        ELSIF held.state = 'expired' AND held.funding = 'online' AND p_authorisation IS NOT NULL AND known.hold_id IS NULL THEN
            booked := booking.book_late(held, now_at, p_actor);
        END IF;
        IF p_authorisation IS NOT NULL AND known.hold_id IS NULL THEN
            PERFORM payments.set_aside(
                held, coalesce(booked.booking_id, p_booking_id), p_authorisation, held.fee_paise,
                CASE WHEN booked.booking_id IS NOT NULL AND held.funding = 'online' THEN 'capture' ELSE 'void' END::payments.payment_step,
                p_source, now_at);
        END IF;
        IF booked.booking_id IS NULL THEN
            RETURN booking.describe(CASE held.state WHEN 'expired' THEN 'expired' ELSE 'wrong_state' END, held);
        END IF;
        PERFORM booking.settle_book(p_provider_id, now_at);  -- nothing was freed, but waits may have become hopeless
    END IF;
    answer := booking.describe('booked', booked);
    PERFORM booking.remember(p_provider_id, p_actor, 'confirm', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

-- Gives a booking back, for release and cancel: whoever waits is served first.
CREATE FUNCTION booking.give_back(
    p_held booking.booking, p_state booking.booking_state, p_now timestamptz, p_actor text, p_reason text DEFAULT ''
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.booking SET state = p_state
    WHERE provider_id = p_held.provider_id AND booking_id = p_held.booking_id;
    PERFORM booking.record(p_held.provider_id, p_now, p_state::text, p_held.booking_id, p_held.ticket_id, p_actor, p_reason);
    UPDATE payments.payment
    SET due = CASE state WHEN 'authorised' THEN 'void' WHEN 'captured' THEN 'refund' END::payments.payment_step, at = p_now
    WHERE provider_id = p_held.provider_id AND booking_id = p_held.booking_id AND state IN ('authorised', 'captured');
END $$;

-- Gives back a live hold ('released') or a booking that has not started ('cancelled'); else 'expired', 'wrong_state',
-- 'too_late', 'not_found'.
CREATE FUNCTION booking.free_booking(
    p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_actor text, p_key text, p_operation text,
    p_from booking.booking_state, p_to booking.booking_state
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    answer booking.outcome;
    held booking.booking;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    answer := booking.replay(p_provider_id, p_actor, p_operation, p_key, p_booking_id::text, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.settle_book(p_provider_id, now_at);
    SELECT * INTO held FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND (p_patient_id IS NULL OR patient_id = p_patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF held.state = 'expired' AND p_from = 'reserved' THEN
        RETURN booking.describe('expired', held);
    ELSIF held.state <> p_from OR (held.offer AND held.state = 'reserved') THEN
        RETURN booking.describe('wrong_state', held);
    ELSIF held.state = 'booked' AND lower(held.during) <= now_at THEN
        RETURN booking.describe('too_late', held);
    END IF;
    PERFORM booking.give_back(held, p_to, now_at, p_actor);
    PERFORM booking.serve_queue(p_provider_id, now_at);
    PERFORM booking.summarise(p_provider_id, now_at);
    held.state := p_to;
    answer := booking.describe(p_to::text, held);
    PERFORM booking.remember(p_provider_id, p_actor, p_operation, p_key, p_booking_id::text, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

CREATE FUNCTION booking.release(p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_actor text, p_key text)
RETURNS booking.outcome LANGUAGE sql VOLATILE AS $$
    SELECT booking.free_booking(p_provider_id, p_booking_id, p_patient_id, p_actor, p_key, 'release', 'reserved', 'released')
$$;

CREATE FUNCTION booking.cancel(p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_actor text, p_key text)
RETURNS booking.outcome LANGUAGE sql VOLATILE AS $$
    SELECT booking.free_booking(p_provider_id, p_booking_id, p_patient_id, p_actor, p_key, 'cancel', 'booked', 'cancelled')
$$;

-- Moves a live hold or a booking that has not started to another start at the same clinic, for the same fee: 'moved', or why
-- not, as for hold and cancel. Its own old time is not in its way.
CREATE FUNCTION booking.reschedule(
    p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_start timestamptz, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    request text := concat_ws('|', p_booking_id, extract(epoch FROM p_start));
    answer booking.outcome;
    held booking.booking;
    place record;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    answer := booking.replay(p_provider_id, p_actor, 'reschedule', p_key, request, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.settle_book(p_provider_id, now_at);
    SELECT * INTO held FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND (p_patient_id IS NULL OR patient_id = p_patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF held.state = 'expired' THEN
        RETURN booking.describe('expired', held);
    ELSIF held.state NOT IN ('reserved', 'booked') OR (held.offer AND held.state = 'reserved') THEN
        RETURN booking.describe('wrong_state', held);
    ELSIF lower(held.during) <= now_at THEN
        RETURN booking.describe('too_late', held);
    END IF;
    SELECT * INTO place
    FROM booking.seat_for(p_provider_id, held.clinic_id, p_start, held.slots_needed, now_at, NULL, p_booking_id);
    IF NOT FOUND THEN
        RETURN booking.refuse_run(
            p_provider_id, held.clinic_id, p_start, held.slots_needed, now_at,
            booking.why_not(p_provider_id, held.clinic_id, p_start, held.slots_needed, now_at, p_booking_id));
    END IF;
    UPDATE booking.booking SET during = place.during, seat = place.seat, needs_rebooking = false
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO held;
    PERFORM booking.record(p_provider_id, now_at, 'moved', p_booking_id, held.ticket_id, p_actor);
    PERFORM booking.serve_queue(p_provider_id, now_at);
    PERFORM booking.summarise(p_provider_id, now_at);
    PERFORM booking.note_scarce_days(p_provider_id, now_at, held.clinic_id, held.during);
    answer := booking.describe('moved', held);
    PERFORM booking.remember(p_provider_id, p_actor, 'reschedule', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

-- A ticket as it now stands, with the offer made for it, if any.
CREATE FUNCTION booking.describe_ticket(p_code text, p_provider_id bigint, p_ticket_id uuid)
RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
    waiter booking.ticket;
    offer booking.booking;
BEGIN
    SELECT * INTO waiter FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    SELECT * INTO offer FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    IF FOUND THEN
        answer := booking.describe(p_code, offer);
    ELSE
        SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    END IF;
    answer.code := coalesce(p_code, waiter.state::text);
    answer.ticket_id := p_ticket_id;
    answer.number := waiter.number;
    answer.state := waiter.state;
    RETURN answer;
END $$;

-- Joins the queue for any run of p_slots within p_wanted, at one clinic or (NULL) any: 'waiting', or 'offered' at once if
-- something nobody else is owed is free; else 'slot_full', 'no_such_slot', 'claimed'.
CREATE FUNCTION booking.join_queue(
    p_provider_id bigint, p_clinic_id bigint, p_wanted tstzrange, p_slots integer, p_patient_id bigint, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    request text := concat_ws('|', coalesce(p_clinic_id::text, '*'), extract(epoch FROM lower(p_wanted)),
        extract(epoch FROM upper(p_wanted)), p_slots, p_patient_id);
    answer booking.outcome;
    waiter booking.ticket;
    has_twin boolean;
    refusal text;
BEGIN
    -- Refused without the lock, as in hold; looked at again under it, as what is obtainable may shrink meanwhile. While
    -- anything wanted is merely held, there is mostly something to wait for.
    IF NOT EXISTS (
        SELECT FROM booking.booking
        WHERE provider_id = p_provider_id AND occupies AND during && p_wanted AND state = 'reserved'
    ) AND NOT EXISTS (
        SELECT FROM booking.runs(p_provider_id, p_clinic_id, lower(p_wanted), upper(p_wanted), p_slots, now_at, true)
    ) THEN
        answer := booking.replay(p_provider_id, p_actor, 'join', p_key, request, now_at);
        IF answer.code IS NULL THEN
            answer := booking.refuse_wait(p_provider_id, p_clinic_id, p_wanted, p_slots, now_at);
        END IF;
        RETURN answer;
    END IF;
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('no_such_slot', 'no_such_provider');
    END IF;
    now_at := public.app_now();
    answer := booking.replay(p_provider_id, p_actor, 'join', p_key, request, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    has_twin := booking.settle_book(p_provider_id, now_at) AND EXISTS (
        SELECT FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting' AND clinic_id IS NOT DISTINCT FROM p_clinic_id
            AND wanted = p_wanted AND slots_needed = p_slots);
    IF NOT has_twin AND NOT EXISTS (
        SELECT FROM booking.runs(p_provider_id, p_clinic_id, lower(p_wanted), upper(p_wanted), p_slots, now_at, true)
    ) THEN
        RETURN booking.refuse_wait(p_provider_id, p_clinic_id, p_wanted, p_slots, now_at);
    END IF;
    waiter.ticket_id := gen_random_uuid();
    refusal := booking.take_claim(p_patient_id, p_provider_id, NULL, waiter.ticket_id, now_at);
    IF refusal IS NOT NULL THEN
        RETURN booking.refuse(refusal);
    END IF;
    UPDATE booking.book
    SET last_ticket_number = last_ticket_number + 1,
        -- with the event of this join, what was settled stays so
        served_version = CASE WHEN has_twin THEN version + 1 END
    WHERE provider_id = p_provider_id RETURNING last_ticket_number INTO waiter.number;
    INSERT INTO booking.ticket (
        provider_id, ticket_id, number, patient_id, clinic_id, wanted, slots_needed, state, joined_at, expires_at, present_at,
        joined_position)
    SELECT p_provider_id, waiter.ticket_id, waiter.number, p_patient_id, p_clinic_id, p_wanted, p_slots, 'waiting',
        now_at, now_at + booking.wait_time(), now_at, booking.next_position(p_provider_id)
    RETURNING * INTO waiter;
    answer.version := booking.record(p_provider_id, now_at, 'waiting', NULL, waiter.ticket_id, p_actor);
    answer.code := waiter.state;
    answer.state := waiter.state;
    answer.ticket_id := waiter.ticket_id;
    answer.number := waiter.number;
    -- What is free now, after settling, is what no earlier ticket can use; where one that wants the same still waits and
    -- nothing is free at all, there is nothing to look for.
    IF NOT has_twin AND (booking.serve(waiter, now_at) OR p_slots > 1) THEN  -- served, or something may be withheld for it
        PERFORM booking.summarise(p_provider_id, now_at);
        answer := booking.describe_ticket(NULL, p_provider_id, waiter.ticket_id);
    END IF;
    PERFORM booking.remember(p_provider_id, p_actor, 'join', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

-- The refusal of a wait that could only be in vain: 'slot_full' where all is booked, 'no_such_slot' where there never was any.
CREATE FUNCTION booking.refuse_wait(
    p_provider_id bigint, p_clinic_id bigint, p_wanted tstzrange, p_slots integer, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF NOT EXISTS (
        SELECT FROM schedule.openings(p_provider_id, p_clinic_id, lower(p_wanted), upper(p_wanted), p_now) AS opening
        WHERE upper(opening.during) > opening.starts_after AND lower(opening.during) < opening.starts_before
            AND p_slots BETWEEN 1 AND opening.slots_max
    ) THEN
        RETURN booking.refuse('no_such_slot', 'closed');
    END IF;
    answer.code := 'slot_full';
    answer.can_wait := false;
    answer.alternatives := booking.alternatives(p_provider_id, p_clinic_id, lower(p_wanted), p_slots, p_now);
    SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    RETURN answer;
END $$;

-- Takes the offer made for a ticket, or (p_start) another run that can be had now: 'accepted', a hold of full length from now.
-- Else 'offer_over', 'wrong_state', 'not_found', 'claimed' (elsewhere, just as the offer's time ran out), or, with the offer
-- kept, why the other run cannot be had.
CREATE FUNCTION booking.accept(
    p_provider_id bigint, p_ticket_id uuid, p_patient_id bigint, p_clinic_id bigint, p_start timestamptz, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    request text := concat_ws('|', p_ticket_id, coalesce(p_clinic_id::text, '*'), extract(epoch FROM p_start));
    answer booking.outcome;
    waiter booking.ticket;
    offer booking.booking;
    place record;
    fee directory.provider_clinic;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    answer := booking.replay(p_provider_id, p_actor, 'accept', p_key, request, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.settle_book(p_provider_id, now_at);
    SELECT * INTO waiter FROM booking.ticket
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND (p_patient_id IS NULL OR patient_id = p_patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF waiter.state = 'lapsed' OR (waiter.state = 'waiting' AND waiter.offers_unfetched > 0) THEN
        RETURN booking.describe_ticket('offer_over', p_provider_id, p_ticket_id);
    ELSIF waiter.state <> 'offered' THEN
        RETURN booking.describe_ticket('wrong_state', p_provider_id, p_ticket_id);
    END IF;
    -- An offer's time can run out while this verb is at work. Its patient's claim then looks dead to other providers' verbs,
    -- which must not overwrite it from here on, or have done so.
    PERFORM FROM booking.claim
    WHERE patient_id = waiter.patient_id AND provider_id = p_provider_id AND ticket_id = p_ticket_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN booking.refuse('claimed');
    END IF;
    SELECT * INTO offer FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    IF p_start IS NOT NULL AND (p_start, coalesce(p_clinic_id, offer.clinic_id)) <> (lower(offer.during), offer.clinic_id) THEN
        SELECT * INTO place
        FROM booking.seat_for(
            p_provider_id, coalesce(p_clinic_id, offer.clinic_id), p_start, waiter.slots_needed, now_at, waiter.number, offer.booking_id);
        IF NOT FOUND THEN
            RETURN booking.refuse_run(
                p_provider_id, coalesce(p_clinic_id, offer.clinic_id), p_start, waiter.slots_needed, now_at,
                booking.why_not(
                    p_provider_id, coalesce(p_clinic_id, offer.clinic_id), p_start, waiter.slots_needed, now_at, offer.booking_id));
        END IF;
        SELECT * INTO fee FROM directory.provider_clinic
        WHERE provider_id = p_provider_id AND clinic_id = coalesce(p_clinic_id, offer.clinic_id);
        UPDATE booking.booking
        SET during = place.during, seat = place.seat, clinic_id = fee.clinic_id, fee_paise = fee.fee_paise, funding = fee.funding
        WHERE provider_id = p_provider_id AND booking_id = offer.booking_id;
        PERFORM booking.record(p_provider_id, now_at, 'moved', offer.booking_id, p_ticket_id, p_actor);
    END IF;
    UPDATE booking.booking SET offer = false, deadline = now_at + booking.hold_time()
    WHERE provider_id = p_provider_id AND booking_id = offer.booking_id;
    PERFORM booking.end_ticket(waiter, 'accepted', now_at, p_actor);
    PERFORM booking.serve_queue(p_provider_id, now_at);
    PERFORM booking.summarise(p_provider_id, now_at);
    UPDATE booking.claim SET booking_id = offer.booking_id, ticket_id = NULL
    WHERE patient_id = waiter.patient_id AND provider_id = p_provider_id AND ticket_id = p_ticket_id;
    answer := booking.describe_ticket('accepted', p_provider_id, p_ticket_id);
    PERFORM booking.remember(p_provider_id, p_actor, 'accept', p_key, request, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

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
    answer := booking.replay(p_provider_id, p_actor, 'leave', p_key, p_ticket_id::text, now_at);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM booking.settle_book(p_provider_id, now_at);
    SELECT * INTO waiter FROM booking.ticket
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND (p_patient_id IS NULL OR patient_id = p_patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF waiter.state NOT IN ('waiting', 'offered') THEN
        RETURN booking.describe_ticket('wrong_state', p_provider_id, p_ticket_id);
    ELSIF waiter.state = 'offered' THEN
        SELECT * INTO offer FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
        PERFORM booking.give_back(offer, 'released', now_at, p_actor);
    END IF;
    PERFORM booking.end_ticket(waiter, 'left', now_at, p_actor);
    PERFORM booking.serve_queue(p_provider_id, now_at);
    PERFORM booking.summarise(p_provider_id, now_at);
    answer := booking.describe_ticket('left', p_provider_id, p_ticket_id);
    PERFORM booking.remember(p_provider_id, p_actor, 'leave', p_key, p_ticket_id::text, answer, now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

-- Marks a waiting ticket present again and serves it if it can be: the ticket's state, or 'not_found'.
CREATE FUNCTION booking.resume(p_provider_id bigint, p_ticket_id uuid, p_patient_id bigint)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    was_absent boolean;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    -- What lapsed while nobody looked is settled first: an offer that lapsed unseen must not count as this client's return.
    PERFORM booking.lapse(p_provider_id, now_at);
    SELECT absent INTO was_absent FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    UPDATE booking.ticket SET absent = false, present_at = now_at
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND state = 'waiting'
        AND (p_patient_id IS NULL OR patient_id = p_patient_id);
    IF FOUND AND was_absent THEN
        PERFORM booking.record(p_provider_id, now_at, 'resumed', NULL, p_ticket_id, 'system');
    END IF;
    PERFORM booking.serve_queue(p_provider_id, now_at);
    PERFORM booking.summarise(p_provider_id, now_at);
    IF NOT EXISTS (
        SELECT FROM booking.ticket
        WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND (p_patient_id IS NULL OR patient_id = p_patient_id)
    ) THEN
        RETURN booking.refuse('not_found');
    END IF;
    RETURN booking.describe_ticket(NULL, p_provider_id, p_ticket_id);
END $$;

-- Settles a provider's book. p_try: not if someone else has it locked, as every verb settles.
CREATE FUNCTION booking.settle(p_provider_id bigint, p_try boolean DEFAULT false)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF p_try THEN
        IF NOT pg_try_advisory_xact_lock(p_provider_id) THEN
            RETURN booking.refuse('busy');
        END IF;
        -- An import locks books by their rows alone.
        PERFORM FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN booking.refuse('busy');
        END IF;
    END IF;
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    PERFORM booking.settle_book(p_provider_id, public.app_now());
    answer.code := 'settled';
    SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    RETURN answer;
END $$;

-- Records what came of a visit: 'arrived', 'fulfilled' or 'no_show'; else 'wrong_state', 'not_found'.
CREATE FUNCTION booking.attend(p_provider_id bigint, p_booking_id uuid, p_state booking.booking_state, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    held booking.booking;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    now_at := public.app_now();
    PERFORM booking.settle_book(p_provider_id, now_at);
    SELECT * INTO held FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF (p_state, held.state) NOT IN (('arrived', 'booked'), ('fulfilled', 'arrived'), ('no_show', 'booked'))
        OR (p_state = 'no_show' AND lower(held.during) > now_at)
    THEN
        RETURN booking.describe('wrong_state', held);
    END IF;
    UPDATE booking.booking SET state = p_state
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO held;
    PERFORM booking.record(p_provider_id, now_at, p_state::text, p_booking_id, held.ticket_id, p_actor);
    RETURN booking.describe(p_state::text, held);
END $$;
