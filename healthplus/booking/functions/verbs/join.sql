-- Refuses to queue for what can never be had: 'slot_full' where all is booked, 'no_such_slot' where there are no such slots, and of
-- services, as for a hold, where they are not done on that day, or from no start in the window on there is time for them.
CREATE FUNCTION booking.refuse_join(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_need booking.need, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
    why text;
BEGIN
    SELECT CASE WHEN count(*) = 0 THEN 'closed' WHEN p_need.minutes IS NULL OR bool_or(is_that_day AND has_start) THEN 'booked'
        WHEN bool_or(is_that_day) THEN 'too_long' ELSE 'not_that_day' END INTO why
    FROM schedule.openings(p_provider_id, p_clinic_id, lower(p_window), upper(p_window), p_now) AS opening
    CROSS JOIN LATERAL (
        SELECT directory.is_weekday_of(p_need.weekdays, opening.weekday) AS is_that_day, EXISTS (
            SELECT
            FROM generate_series(
                lower(opening.during), upper(opening.during) - opening.slot * booking.slots_of(p_need, opening.slot),
                opening.slot * p_need.starts_every) AS starts_at
            WHERE p_window @> starts_at AND starts_at > opening.starts_after AND starts_at < opening.starts_before) AS has_start
    ) AS it
    WHERE upper(opening.during) > opening.starts_after AND lower(opening.during) < opening.starts_before
        AND booking.is_taken_by(p_need, opening.slots_max);
    IF why <> 'booked' THEN
        RETURN booking.refuse_run(p_provider_id, p_clinic_id, lower(p_window), p_need, p_now, why);
    END IF;
    answer.code := 'slot_full';
    answer.can_wait := false;
    answer.alternatives := booking.alternatives(p_provider_id, p_clinic_id, lower(p_window), p_need, p_now);
    SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    RETURN answer;
END $$;

-- Whether there is nothing to wait for in a window. While anything in it is only held, there mostly is.
CREATE FUNCTION booking.is_hopeless(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_need booking.need, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM booking.booking
        WHERE provider_id = p_provider_id AND occupies AND during && p_window AND state = 'reserved'
    ) AND NOT EXISTS (
        SELECT FROM booking.obtainable_runs(p_provider_id, p_clinic_id, lower(p_window), upper(p_window), p_need, p_now, true)
    );
END $$;

-- Refuses to queue without the lock, as in hold; looked at again under it, as what is obtainable may shrink meanwhile. A NULL code where
-- it takes the lock to tell.
CREATE FUNCTION booking.refuse_join_early(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_actor text, p_key text, p_request text, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome := booking.refuse_early(p_patient_id, p_actor, p_now);
    need booking.need := booking.need_of(p_slots, p_provider_id, p_service_ids);
    known booking.outcome;
BEGIN
    IF answer.code IS NULL AND p_service_ids IS NOT NULL THEN
        answer := booking.refuse_services(p_provider_id, p_clinic_id, p_service_ids);
    END IF;
    IF answer.code IS NULL AND booking.is_hopeless(p_provider_id, p_clinic_id, p_window, need, p_now) THEN
        answer := booking.refuse_join(p_provider_id, p_clinic_id, p_window, need, p_now);
    END IF;
    IF answer.code IS NOT NULL THEN
        known := booking.find_result(p_provider_id, p_actor, 'join', p_key, p_request, p_now);
    END IF;
    RETURN CASE WHEN known.code IS NULL THEN answer ELSE known END;
END $$;

-- Adds a ticket at the end of a provider's queue, with the next number. `p_is_full`: a ticket that wants the same
-- waits, and nobody who wants it can have anything, so that the queue stays as it was served.
CREATE FUNCTION booking.add_ticket(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_ticket_id uuid, p_is_full boolean, p_now timestamptz
) RETURNS booking.ticket LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    waiter booking.ticket;
BEGIN
    UPDATE booking.book
    SET last_ticket_number = last_ticket_number + 1,
        -- with the event of this join, the book is as far advanced as before
        served_version = CASE WHEN p_is_full THEN version + 1 END
    WHERE provider_id = p_provider_id RETURNING last_ticket_number INTO waiter.number;
    INSERT INTO booking.ticket (
        provider_id, ticket_id, number, patient_id, clinic_id, queue_window, slots_needed, state, joined_at, expires_at,
        present_at, joined_position, person_id, service_ids, need_key)
    SELECT p_provider_id, p_ticket_id, waiter.number, p_patient_id, p_clinic_id, p_window, p_slots, 'waiting',
        p_now, p_now + booking.wait_time(), p_now, booking.next_position(p_provider_id), p_person_id, p_service_ids,
        booking.need_key(p_provider_id, p_service_ids)
    RETURNING * INTO waiter;
    RETURN waiter;
END $$;

-- What is hashed of a request to join.
CREATE FUNCTION booking.join_request(
    p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint, p_person_id uuid
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws('|', coalesce(p_clinic_id::text, '*'), extract(epoch FROM lower(p_window)),
        extract(epoch FROM upper(p_window)), p_slots, p_patient_id, p_person_id, 'for ' || array_to_string(p_service_ids, ','))
$$;

-- Whether a ticket waits that asks the same of the schedule in the same window.
CREATE FUNCTION booking.is_window_waited_for(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[]
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting' AND clinic_id IS NOT DISTINCT FROM p_clinic_id
            AND queue_window = p_window AND (slots_needed = p_slots OR p_service_ids IS NOT NULL)
            AND need_key IS NOT DISTINCT FROM booking.need_key(p_provider_id, p_service_ids));
END $$;

-- Serves a ticket that has just joined an advanced book: what is free there is what no earlier ticket can use. p_answer: as it joined.
CREATE FUNCTION booking.serve_joined(p_waiter booking.ticket, p_answer booking.outcome, p_now timestamptz) RETURNS booking.outcome
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_offered boolean := (booking.make_offer(p_waiter, p_now, 1)).booking_id IS NOT NULL;
BEGIN
    IF NOT is_offered THEN
        PERFORM booking.withhold_nearest(p_waiter, p_now);
    END IF;
    IF is_offered OR p_waiter.slots_needed > 1 THEN  -- an offer, or a run withheld for it
        PERFORM booking.refresh_availability(p_waiter.provider_id, p_now);
        RETURN booking.describe_ticket(NULL, p_waiter.provider_id, p_waiter.ticket_id);
    END IF;
    RETURN p_answer;
END $$;

-- Joins the queue of a book that the caller has locked and advanced to p_now; p_is_full: what booking.advance_book returned. Else as
-- booking.join_queue.
CREATE FUNCTION booking.join_in_book(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_actor text, p_key text, p_is_full boolean, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    person accounts.person;
    answer booking.outcome;
    waiter booking.ticket;
    is_full boolean := p_is_full AND booking.is_window_waited_for(
        p_provider_id, p_clinic_id, p_window, p_slots, p_service_ids);
    need booking.need := booking.need_of(p_slots, p_provider_id, p_service_ids);
    wanted booking.booking;
BEGIN
    IF p_service_ids IS NOT NULL THEN
        answer := booking.refuse_services(p_provider_id, p_clinic_id, p_service_ids);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
        need.slots := booking.slots_at_most(need, p_provider_id, p_clinic_id);
    END IF;
    IF NOT booking.may_act(p_actor, p_patient_id) THEN
        RETURN booking.refuse('not_found');
    ELSIF NOT is_full AND NOT EXISTS (
        SELECT FROM booking.obtainable_runs(p_provider_id, p_clinic_id, lower(p_window), upper(p_window), need, p_now, true)
    ) THEN
        RETURN booking.refuse_join(p_provider_id, p_clinic_id, p_window, need, p_now);
    END IF;
    person := booking.person_of(p_patient_id, p_person_id);
    IF p_person_id IS NOT NULL AND person.person_id IS NULL THEN
        RETURN booking.refuse('not_found');
    END IF;
    answer := booking.refuse_turn(p_provider_id, p_patient_id, p_now);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    waiter.ticket_id := gen_random_uuid();
    wanted.provider_id := p_provider_id;
    wanted.ticket_id := waiter.ticket_id;
    wanted.clinic_id := p_clinic_id;
    wanted.patient_id := p_patient_id;
    wanted.person_id := person.person_id;
    wanted.during := p_window;
    wanted.service_ids := p_service_ids;
    answer := booking.take_claim(wanted, false, p_now);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    waiter := booking.add_ticket(
        p_provider_id, p_clinic_id, p_window, need.slots, p_service_ids, p_patient_id, person.person_id, waiter.ticket_id, is_full, p_now);
    answer.version := booking.append_event(p_provider_id, p_now, 'waiting', NULL, waiter.ticket_id, p_actor, '', waiter.expires_at);
    answer.code := waiter.state;
    answer.state := waiter.state;
    answer.ticket_id := waiter.ticket_id;
    answer.number := waiter.number;
    IF NOT is_full THEN
        answer := booking.serve_joined(waiter, answer, p_now);
    END IF;
    PERFORM booking.store_result(
        p_provider_id, p_actor, 'join', p_key,
        booking.join_request(p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id), answer, p_now)
    WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

-- How joining a queue begins: what can be refused without the lock, then as booking.open_book. Where `answer` has a code it is returned.
CREATE FUNCTION booking.open_queue(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_actor text, p_key text, OUT now_at timestamptz, OUT answer booking.outcome, OUT is_full boolean
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    request text := booking.join_request(p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id);
BEGIN
    answer := booking.refuse_join_early(
        p_provider_id, p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_actor, p_key, request, public.app_now());
    IF answer.code IS NOT NULL THEN
        RETURN;
    END IF;
    opened := booking.open_book(p_provider_id, p_actor, 'join', p_key, request);
    now_at := opened.now_at;
    is_full := opened.is_full;
    answer := opened.answer;
    IF answer.code = 'not_found' THEN
        answer := booking.refuse('no_such_slot', answer.reason);
    END IF;
END $$;

-- Joins the queue, on behalf of a person of a patient's account (NULL: the holder), to get any run of p_slots, or of what services need,
-- within p_window, at one clinic or (NULL) any: 'waiting', or 'offered' at once if something is free that no earlier ticket can use; else
-- 'slot_full', 'no_such_slot', 'turns_used', or what booking.take_claim refuses with.
CREATE FUNCTION booking.join_queue(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
BEGIN
    opened := booking.open_queue(
        p_provider_id, p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id, p_actor, p_key);
    IF (opened.answer).code IS NOT NULL THEN
        RETURN opened.answer;
    END IF;
    RETURN booking.join_in_book(
        p_provider_id, p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id, p_actor, p_key, opened.is_full,
        opened.now_at);
END $$;
