-- Group offers (docs/decisions/0033): once two turns in a row were let go, a run is offered to several tickets at once, which are
-- then `called`. The run is held meanwhile by a reserved booking without a patient (patient_id is NULL), which each of them has as
-- its offer_id.

-- Notes that a turn in this queue was let go at an instant. An hour without one begins the count again.
CREATE FUNCTION booking.count_turn(p_provider_id bigint, p_at timestamptz) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE booking.book
    SET turns_let_go = 1 + CASE WHEN turn_let_go_at > p_at - booking.turns_memory_time() THEN turns_let_go ELSE 0 END,
        turns_before_booking = CASE WHEN turn_let_go_at > p_at - booking.turns_memory_time() THEN turns_before_booking ELSE 0 END,
        turn_let_go_at = p_at
    WHERE provider_id = p_provider_id
$$;

-- Notes that a turn was let go by the cancelling of its booking: those before the booking count again.
CREATE FUNCTION booking.count_cancelled_turn(p_provider_id bigint, p_ticket_id uuid, p_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.ticket SET let_go_at = p_at WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    UPDATE booking.book SET turns_let_go = greatest(turns_let_go, turns_before_booking) WHERE provider_id = p_provider_id;
    PERFORM booking.count_turn(p_provider_id, p_at);
END $$;

-- Notes that a turn ended in a booking after all.
CREATE FUNCTION booking.keep_turn(p_provider_id bigint, p_ticket_id uuid) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.ticket SET let_go_at = NULL
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND let_go_at IS NOT NULL;
    UPDATE booking.book SET turns_before_booking = turns_let_go, turns_let_go = 0
    WHERE provider_id = p_provider_id AND turns_let_go > 0;
END $$;

-- To how many tickets at once the next free run is offered. Processes of release 1 cannot show a ticket that is called: while
-- one is connected, to one.
CREATE FUNCTION booking.group_size(p_provider_id bigint, p_now timestamptz) RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    turns integer;
BEGIN
    SELECT turns_let_go INTO turns FROM booking.book
    WHERE provider_id = p_provider_id AND turn_let_go_at > p_now - booking.turns_memory_time();
    IF turns IS NULL OR turns < booking.turns_before_calls() OR EXISTS (
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'healthplus'
    ) THEN
        RETURN 1;
    END IF;
    RETURN least(booking.called_max(), 2 ^ (least(turns, 30) - 1));
END $$;

-- Refuses a ticket to a patient who let too many turns go at this provider, with the instant from which they may queue again;
-- a NULL code when they may.
CREATE FUNCTION booking.refuse_turn(p_provider_id bigint, p_patient_id bigint, p_now timestamptz)
RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    SELECT let_go_at + booking.lapse_memory_time() INTO answer.retry_at
    FROM booking.ticket
    WHERE provider_id = p_provider_id AND patient_id = ANY (p_patient_id || accounts.formerly(p_patient_id, p_now))
        AND let_go_at > p_now - booking.lapse_memory_time()
    ORDER BY let_go_at DESC OFFSET booking.turns_max() - 1 LIMIT 1;
    IF FOUND THEN
        answer.code := 'turns_used';
        answer.limit_max := booking.turns_max();
    END IF;
    RETURN answer;
END $$;

-- Whether a ticket's client was shown what was offered to it, or had not seen an earlier offer: its turn is then over.
CREATE FUNCTION booking.is_turn_over(p_ticket booking.ticket) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_ticket.offers_unfetched > 0 OR EXISTS (
        SELECT FROM booking.presence
        WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id AND fetched_offer_id = p_ticket.offer_id)
$$;

-- Ends the turn of a ticket whose client did not answer in time: `lapsed`, or waiting and absent when it never saw the offer.
CREATE FUNCTION booking.miss_turn(p_ticket booking.ticket, p_offer booking.booking, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF booking.is_turn_over(p_ticket) THEN
        PERFORM booking.end_ticket(p_ticket, 'lapsed', p_now, 'system', p_offer.deadline, '');
    ELSE
        UPDATE booking.ticket SET offers_unfetched = 1, absent = true
        WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
        PERFORM booking.wait_again(p_ticket, p_now, 'system', 'offer_unseen');
    END IF;
END $$;

-- Puts a ticket back to waiting, under its number.
CREATE FUNCTION booking.wait_again(p_ticket booking.ticket, p_now timestamptz, p_actor text, p_reason text)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.ticket SET state = 'waiting', offer_id = NULL, answered_at = NULL
    WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
    PERFORM booking.append_event(p_ticket.provider_id, p_now, 'waiting', NULL, p_ticket.ticket_id, p_actor, p_reason, p_ticket.expires_at);
END $$;

-- Whether another present ticket wants exactly this run.
CREATE FUNCTION booking.is_wanted_by_others(p_ticket booking.ticket, p_clinic_id bigint, p_during tstzrange, p_now timestamptz)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM booking.ticket
        WHERE provider_id = p_ticket.provider_id AND state = 'waiting' AND ticket_id <> p_ticket.ticket_id
            AND (clinic_id IS NULL OR clinic_id = p_clinic_id) AND queue_window @> p_during
            AND slots_needed = p_ticket.slots_needed AND service_ids IS NOT DISTINCT FROM p_ticket.service_ids
            AND booking.is_present(ticket, p_now))
$$;

-- Calls a ticket for the run that a group offer holds.
CREATE FUNCTION booking.call_ticket(p_ticket booking.ticket, p_call_id uuid, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.ticket
    SET state = 'called', offer_id = p_call_id, answered_at = NULL, withheld_seat = NULL, withheld_during = NULL
    WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
    PERFORM booking.append_event(p_ticket.provider_id, p_now, 'called', NULL, p_ticket.ticket_id, 'system');
END $$;

-- Whether an obtainable run of a ticket overlaps the run of a group offer: a later ticket must not be called for what this one
-- could use a part of, or as a part of its own.
CREATE FUNCTION booking.could_use_part(p_ticket booking.ticket, p_call booking.booking, p_now timestamptz)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (p_ticket.clinic_id IS NULL OR p_ticket.clinic_id = p_call.clinic_id) AND p_ticket.queue_window && p_call.during
        AND EXISTS (
            SELECT
            FROM booking.obtainable_runs(
                p_ticket.provider_id, p_call.clinic_id, lower(p_ticket.queue_window), upper(p_ticket.queue_window),
                booking.need_of(p_ticket.slots_needed, p_ticket.provider_id, p_ticket.service_ids), p_now, true) AS run
            WHERE run.seat = p_call.seat AND tstzrange(run.starts_at, run.ends_at) && p_call.during)
$$;

-- The number of the ticket that gets the run of a group offer: the lowest that answered; NULL when none did.
CREATE FUNCTION booking.group_offer_winner(p_provider_id bigint, p_call_id uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT min(number) FROM booking.ticket
    WHERE provider_id = p_provider_id AND offer_id = p_call_id AND state = 'called' AND answered_at IS NOT NULL
$$;

-- Whether it is too late to give the run of a group offer to its winner: the hold would outlive its start. A group offer ends more than
-- a hold's time before it, so that this is only where it is decided late, because no process was there to do it.
CREATE FUNCTION booking.is_too_late_to_win(p_call booking.booking, p_now timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT lower(p_call.during) <= p_now + booking.hold_time()
$$;

-- Whether a called ticket is still its patient's live one at p_now: it may still be answered, or it wins the run, or it goes back
-- to waiting.
CREATE FUNCTION booking.is_called_live(p_ticket booking.ticket, p_call booking.booking, p_now timestamptz)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    winner bigint;
BEGIN
    IF NOT booking.is_due(p_call, p_now) THEN
        RETURN true;
    END IF;
    winner := booking.group_offer_winner(p_ticket.provider_id, p_call.booking_id);
    RETURN (coalesce(p_ticket.number = winner, false) AND NOT booking.is_too_late_to_win(p_call, p_now)) OR (p_ticket.expires_at > p_now AND (
        p_ticket.answered_at IS NOT NULL OR coalesce(p_ticket.number > winner, false) OR NOT booking.is_turn_over(p_ticket)));
END $$;

-- Whether a person has answered a group offer whose visit overlaps: its booking has no patient yet, so it is not among what they
-- have ahead. Both the caller and the verb that answers hold the patient's lock.
CREATE FUNCTION booking.is_answered_then(p_wanted booking.booking) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (
        SELECT FROM booking.ticket JOIN booking.booking AS call USING (provider_id)
        WHERE ticket.patient_id = p_wanted.patient_id AND ticket.state = 'called' AND ticket.answered_at IS NOT NULL
            AND call.booking_id = ticket.offer_id AND call.booking_id IS DISTINCT FROM p_wanted.booking_id
            AND booking.visit(call.during, call.service_ids) && p_wanted.during
            AND ticket.person_id IS NOT DISTINCT FROM p_wanted.person_id)
$$;

-- Decides a group offer once no lower number may still answer: the lowest number that answered gets the run as a hold, and the others
-- wait again. A ticket with a lower number that did not answer in time has had its turn; one with a higher number could not have
-- had the run. When all have left, or none answered in time, or it is too late to give it to anybody, the run is free.
CREATE FUNCTION booking.decide_group_offer(p_call booking.booking, p_now timestamptz, p_actor text)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    first booking.ticket;
    winner bigint;
    waiter booking.ticket;
    is_too_late boolean := booking.is_too_late_to_win(p_call, p_now);
BEGIN
    SELECT * INTO first FROM booking.ticket
    WHERE provider_id = p_call.provider_id AND offer_id = p_call.booking_id AND state = 'called' ORDER BY number LIMIT 1;
    IF NOT FOUND THEN
        PERFORM booking.end_booking(p_call, 'released', p_now, p_actor);
        PERFORM booking.count_turn(p_call.provider_id, p_now);
        RETURN;
    ELSIF NOT booking.is_due(p_call, p_now) AND first.answered_at IS NULL THEN
        RETURN;
    END IF;
    winner := booking.group_offer_winner(p_call.provider_id, p_call.booking_id);
    IF winner IS NULL OR is_too_late THEN
        UPDATE booking.booking SET state = 'expired' WHERE provider_id = p_call.provider_id AND booking_id = p_call.booking_id;
        PERFORM booking.append_event(p_call.provider_id, p_now, 'expired', p_call.booking_id, NULL, 'system');
        PERFORM booking.count_turn(p_call.provider_id, p_call.deadline) WHERE winner IS NULL;
    END IF;
    FOR waiter IN
        SELECT * FROM booking.ticket
        WHERE provider_id = p_call.provider_id AND offer_id = p_call.booking_id AND state = 'called' ORDER BY number
    LOOP
        IF waiter.number = winner AND NOT is_too_late THEN
            UPDATE booking.booking
            SET patient_id = waiter.patient_id, person_id = waiter.person_id, patient_name = booking.name_of(waiter),
                ticket_id = waiter.ticket_id, offer = false, deadline = p_now + booking.hold_time(),
                funding = booking.funding_for(funding, fee_minor, waiter.person_id, clinic_id, p_now)
            WHERE provider_id = p_call.provider_id AND booking_id = p_call.booking_id;
            PERFORM booking.end_ticket(waiter, 'accepted', p_now, p_actor, NULL, '');
        ELSIF waiter.answered_at IS NOT NULL OR waiter.number > winner THEN
            PERFORM booking.wait_again(waiter, p_now, 'system', CASE WHEN is_too_late THEN 'too_late' ELSE 'outrun' END);
        ELSE
            PERFORM booking.miss_turn(waiter, p_call, p_now);
        END IF;
    END LOOP;
END $$;
