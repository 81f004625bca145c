-- Ends a ticket; p_let_go_at: when its turn was let go, if it was. What it was called for is nothing of its own.
CREATE FUNCTION booking.end_ticket(
    p_ticket booking.ticket, p_state booking.ticket_state, p_now timestamptz, p_actor text, p_let_go_at timestamptz, p_reason text
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.ticket
    SET state = p_state, withheld_seat = NULL, withheld_during = NULL, let_go_at = p_let_go_at,
        offer_id = CASE WHEN state <> 'called' OR p_state = 'accepted' THEN offer_id END
    WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
    PERFORM booking.append_event(p_ticket.provider_id, p_now, p_state::text, NULL, p_ticket.ticket_id, p_actor, p_reason);
END $$;

-- Keeps one run for a ticket that does not fit yet, or (NULLs) keeps nothing for it.
CREATE FUNCTION booking.withhold(p_ticket booking.ticket, p_seat integer, p_during tstzrange, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF (p_ticket.withheld_seat, p_ticket.withheld_during) IS DISTINCT FROM (p_seat::smallint, p_during) THEN
        UPDATE booking.ticket SET withheld_seat = p_seat, withheld_during = p_during
        WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
        PERFORM booking.append_event(p_ticket.provider_id, p_now, 'withheld', NULL, p_ticket.ticket_id, 'system');
    END IF;
END $$;

-- Makes a waiting, present ticket an offer if a run in its window is free and not withheld for an earlier one; or, with a
-- p_group_size above 1 and others who want the run, a group offer for which it is called first. The offer, or NULLs.
CREATE FUNCTION booking.make_offer(p_ticket booking.ticket, p_now timestamptz, p_group_size integer)
RETURNS booking.booking LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    run record;
    need booking.need := booking.need_of(p_ticket.slots_needed, p_ticket.provider_id, p_ticket.service_ids);
    offer booking.booking;
    owner booking.ticket;  -- NULLs: a group offer, which has no patient yet
BEGIN
    SELECT * INTO run
    FROM booking.obtainable_runs(
        p_ticket.provider_id, p_ticket.clinic_id, lower(p_ticket.queue_window), upper(p_ticket.queue_window), need, p_now,
        false, p_ticket.number)
    ORDER BY starts_at, gap_length, clinic_id, seat LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF p_group_size = 1
        OR NOT booking.is_wanted_by_others(p_ticket, run.clinic_id, tstzrange(run.starts_at, run.ends_at), p_now)
    THEN
        owner := p_ticket;
    END IF;
    INSERT INTO booking.booking (
        provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, offer, ticket_id,
        fee_minor, funding, created_at, person_id, patient_name, service_ids, terms_id)
    SELECT p_ticket.provider_id, booking.new_id(p_ticket.provider_id), run.clinic_id, owner.patient_id,
        tstzrange(run.starts_at, run.ends_at), run.seat, p_ticket.slots_needed, 'reserved',
        p_now + booking.offer_time(), true, p_ticket.ticket_id, fee_minor,
        booking.funding_for(funding, fee_minor, owner.person_id, run.clinic_id, p_now), p_now,
        owner.person_id, booking.name_of(owner), p_ticket.service_ids, terms_id
    FROM booking.price_of(p_ticket.provider_id, run.clinic_id, p_ticket.service_ids)
    RETURNING * INTO offer;
    PERFORM booking.append_event(p_ticket.provider_id, p_now, 'reserved', offer.booking_id, owner.ticket_id, 'system', '', offer.deadline);
    IF owner.ticket_id IS NULL THEN
        PERFORM booking.call_ticket(p_ticket, offer.booking_id, p_now);
        RETURN offer;
    END IF;
    UPDATE booking.ticket
    SET state = 'offered', offer_id = offer.booking_id, withheld_seat = NULL, withheld_during = NULL
    WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
    PERFORM booking.append_event(p_ticket.provider_id, p_now, 'offered', NULL, p_ticket.ticket_id, 'system');
    RETURN offer;
END $$;

-- Withholds the run that is nearest to complete for a ticket that does not fit yet, and returns whether there is one; nothing for a ticket
-- that needs one slot.
CREATE FUNCTION booking.withhold_nearest(p_ticket booking.ticket, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    run record;
    need booking.need := booking.need_of(p_ticket.slots_needed, p_ticket.provider_id, p_ticket.service_ids);
BEGIN
    IF p_ticket.slots_needed = 1 THEN
        RETURN false;
    END IF;
    WITH free AS MATERIALIZED (
        SELECT clinic_id, seat, starts_at
        FROM booking.obtainable_runs(
            p_ticket.provider_id, p_ticket.clinic_id, lower(p_ticket.queue_window), upper(p_ticket.queue_window), 1, p_now,
            false, p_ticket.number)
    )
    SELECT candidate.seat, tstzrange(candidate.starts_at, candidate.ends_at) AS during INTO run
    FROM booking.obtainable_runs(
        p_ticket.provider_id, p_ticket.clinic_id, lower(p_ticket.queue_window), upper(p_ticket.queue_window), need,
        p_now, true) AS candidate
    JOIN free ON free.clinic_id = candidate.clinic_id AND free.seat = candidate.seat
        AND free.starts_at >= candidate.starts_at AND free.starts_at < candidate.ends_at
    GROUP BY candidate.clinic_id, candidate.seat, candidate.starts_at, candidate.ends_at
    ORDER BY count(*) DESC, candidate.starts_at, candidate.clinic_id, candidate.seat LIMIT 1;
    PERFORM booking.withhold(p_ticket, run.seat, run.during, p_now);
    RETURN run.seat IS NOT NULL;
END $$;

-- Expires what has run out by p_now: holds and offers past their deadline, tickets whose hour is over.
CREATE FUNCTION booking.expire_due(p_provider_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    expired booking.booking;
    waiter booking.ticket;
BEGIN
    FOR expired IN
        SELECT booking.* FROM booking.reserved(p_provider_id) JOIN booking.booking USING (provider_id, booking_id)
        WHERE booking.is_due(booking, p_now) ORDER BY booking.deadline, booking_id
    LOOP
        IF expired.patient_id IS NULL THEN
            PERFORM booking.decide_group_offer(expired, p_now, 'system');
            CONTINUE;
        END IF;
        UPDATE booking.booking SET state = 'expired' WHERE provider_id = p_provider_id AND booking_id = expired.booking_id;
        PERFORM booking.append_event(p_provider_id, p_now, 'expired', expired.booking_id, expired.ticket_id, 'system');
        CONTINUE WHEN expired.ticket_id IS NULL;
        PERFORM booking.count_turn(p_provider_id, expired.deadline);
        IF expired.offer THEN
            SELECT * INTO waiter FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = expired.ticket_id;
            PERFORM booking.miss_turn(waiter, expired, p_now);
        ELSE
            UPDATE booking.ticket SET let_go_at = expired.deadline
            WHERE provider_id = p_provider_id AND ticket_id = expired.ticket_id;
        END IF;
    END LOOP;
    FOR waiter IN
        SELECT * FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting' AND expires_at <= p_now ORDER BY number
    LOOP
        PERFORM booking.end_ticket(waiter, 'timed_out', p_now, 'system', NULL, '');
    END LOOP;
END $$;

-- One waiting ticket for each different window: there are few, however many wait. NULL: nobody waits.
CREATE FUNCTION booking.waiting_windows(p_provider_id bigint) RETURNS booking.ticket[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(one)
    FROM (
        SELECT DISTINCT ON (clinic_id, queue_window, slots_needed, need_key) ticket AS one
        FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting'
        ORDER BY clinic_id, queue_window, slots_needed, need_key
    ) AS different
$$;

-- Ends as 'full' the tickets that nothing obtainable can satisfy; p_windows: those of booking.waiting_windows. p_reason: which change of
-- schedule took it away, if one did.
CREATE FUNCTION booking.end_hopeless(p_provider_id bigint, p_windows booking.ticket[], p_now timestamptz, p_reason text)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    one booking.ticket;
    waiter booking.ticket;
BEGIN
    FOREACH one IN ARRAY p_windows LOOP
        IF NOT EXISTS (
            SELECT FROM booking.obtainable_runs(
                p_provider_id, one.clinic_id, lower(one.queue_window), upper(one.queue_window),
                booking.need_of(one.slots_needed, p_provider_id, one.service_ids), p_now, true)
        ) THEN
            FOR waiter IN
                SELECT * FROM booking.ticket
                WHERE provider_id = p_provider_id AND state = 'waiting' AND clinic_id IS NOT DISTINCT FROM one.clinic_id
                    AND queue_window = one.queue_window AND slots_needed = one.slots_needed
                    AND need_key IS NOT DISTINCT FROM one.need_key
                ORDER BY number
            LOOP
                PERFORM booking.end_ticket(waiter, 'full', p_now, 'system', NULL, p_reason);
            END LOOP;
        END IF;
    END LOOP;
END $$;

-- Which of several group offers a ticket joins that found nothing free: of those that it wants, the one that has called the fewest so
-- far; NULL for none. p_rooms: how many each may still call.
CREATE FUNCTION booking.choose_call(p_ticket booking.ticket, p_calls booking.booking[], p_rooms integer[]) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    chosen integer;
BEGIN
    FOR i IN 1 .. cardinality(p_calls) LOOP
        IF p_rooms[i] > coalesce(p_rooms[chosen], 0) AND p_ticket.slots_needed = p_calls[i].slots_needed
            AND p_ticket.service_ids IS NOT DISTINCT FROM p_calls[i].service_ids
            AND p_ticket.queue_window @> p_calls[i].during
            AND (p_ticket.clinic_id IS NULL OR p_ticket.clinic_id = p_calls[i].clinic_id)
        THEN
            chosen := i;
        END IF;
    END LOOP;
    RETURN chosen;
END $$;

-- How many each group offer may still call once a ticket was looked at that got nothing: none where it could use a part of the run.
CREATE FUNCTION booking.rooms_after(p_ticket booking.ticket, p_calls booking.booking[], p_rooms integer[], p_now timestamptz)
RETURNS integer[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_calls) LOOP
        IF p_rooms[i] > 0 AND booking.could_use_part(p_ticket, p_calls[i], p_now) THEN
            p_rooms[i] := 0;
        END IF;
    END LOOP;
    RETURN p_rooms;
END $$;

-- Withholds nothing any more for tickets after a number; returns whether nothing is withheld for any.
CREATE FUNCTION booking.withhold_nothing_after(p_provider_id bigint, p_number bigint, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    waiter booking.ticket;
    is_all boolean := true;
BEGIN
    FOR waiter IN
        SELECT * FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting' AND withheld_seat IS NOT NULL ORDER BY number
    LOOP
        IF waiter.number > p_number THEN
            PERFORM booking.withhold(waiter, NULL, NULL, p_now);
        ELSE
            is_all := false;
        END IF;
    END LOOP;
    RETURN is_all;
END $$;

-- Offers what is free to the waiting, present tickets, in order of number; p_windows: one for each different window. Once somebody has
-- found nothing in a window, nor anything to be withheld, nobody later does who wants the same. Returns whether nobody who wants what any
-- of them wants could have anything, and nothing is withheld.
CREATE FUNCTION booking.offer_in_order(p_provider_id bigint, p_windows booking.ticket[], p_now timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    group_size integer := booking.group_size(p_provider_id, p_now);
    waiter booking.ticket;
    offer booking.booking;
    calls booking.booking[] := '{}';
    rooms integer[] := '{}';  -- how many each may still call
    chosen integer;
    exhausted text[] := '{}';
    window_key text;
    looked_at bigint := 0;
    is_plain boolean := NOT EXISTS (SELECT FROM unnest(p_windows) AS one WHERE one.service_ids IS NOT NULL);
BEGIN
    FOR waiter IN
        SELECT * FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting' AND NOT absent ORDER BY number
    LOOP
        -- Nobody further back can have anything either, however many they are; but some may be called for their services.
        EXIT WHEN cardinality(exhausted) = cardinality(p_windows) AND (is_plain OR 0 >= ALL (rooms));
        looked_at := waiter.number;
        IF NOT booking.is_present(waiter, p_now) THEN
            PERFORM booking.withhold(waiter, NULL, NULL, p_now);
            UPDATE booking.ticket SET absent = true
            WHERE provider_id = p_provider_id AND ticket_id = waiter.ticket_id;
            PERFORM booking.append_event(p_provider_id, p_now, 'passed_over', NULL, waiter.ticket_id, 'system');
            CONTINUE;
        END IF;
        window_key := format('%s %s %s %s', waiter.clinic_id, waiter.queue_window, waiter.slots_needed, waiter.need_key);
        IF window_key = ANY (exhausted) THEN
            PERFORM booking.withhold(waiter, NULL, NULL, p_now);
            -- Of what is called, it could use none, but for what is called for its own services.
            CONTINUE WHEN waiter.slots_needed = 1 AND waiter.service_ids IS NULL;
            chosen := CASE WHEN waiter.service_ids IS NOT NULL THEN booking.choose_call(waiter, calls, rooms) END;
        ELSE
            offer := booking.make_offer(waiter, p_now, group_size);
            IF offer.booking_id IS NOT NULL THEN
                IF offer.patient_id IS NULL THEN
                    calls := calls || offer;
                    rooms := rooms || (group_size - 1);
                END IF;
                CONTINUE;
            END IF;
            chosen := booking.choose_call(waiter, calls, rooms);
            IF chosen IS NULL AND NOT booking.withhold_nearest(waiter, p_now) THEN
                exhausted := exhausted || window_key;
            END IF;
        END IF;
        IF chosen IS NOT NULL THEN
            PERFORM booking.call_ticket(waiter, calls[chosen].booking_id, p_now);
            rooms[chosen] := rooms[chosen] - 1;
            CONTINUE;
        END IF;
        rooms := booking.rooms_after(waiter, calls, rooms, p_now);
    END LOOP;
    RETURN cardinality(exhausted) = cardinality(p_windows) AND booking.withhold_nothing_after(p_provider_id, looked_at, p_now);
END $$;

-- Serves the queue: one pass over the present tickets in order of number, over all that is free; then ends the tickets that
-- nothing obtainable can satisfy. p_reason: which change of schedule it is served after, if it is.
CREATE FUNCTION booking.serve_queue(p_provider_id bigint, p_now timestamptz, p_reason text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    windows booking.ticket[] := booking.waiting_windows(p_provider_id);
    waiter booking.ticket;
    is_over boolean;  -- nobody who wants what any of them wants can have anything
BEGIN
    IF windows IS NULL THEN
        -- The last of a queue has gone, where there was one: holds are plain again.
        PERFORM booking.refresh_next_due(p_provider_id) FROM booking.book WHERE provider_id = p_provider_id AND is_queued;
        RETURN;
    END IF;
    INSERT INTO booking.presence_since (at)
    SELECT p_now WHERE NOT EXISTS (SELECT FROM booking.presence_since) ON CONFLICT DO NOTHING;
    is_over := NOT EXISTS (
        SELECT
        FROM (SELECT min(lower(w.queue_window)) AS first, max(upper(w.queue_window)) AS last FROM unnest(windows) AS w) AS span,
            booking.obtainable_runs(p_provider_id, NULL, span.first, span.last, 1, p_now, false, 0));
    IF NOT is_over THEN
        is_over := booking.offer_in_order(p_provider_id, windows, p_now);
    ELSE
        FOR waiter IN
            SELECT * FROM booking.ticket
            WHERE provider_id = p_provider_id AND state = 'waiting' AND withheld_seat IS NOT NULL ORDER BY number
        LOOP
            PERFORM booking.withhold(waiter, NULL, NULL, p_now);
        END LOOP;
    END IF;
    PERFORM booking.end_hopeless(p_provider_id, windows, p_now, p_reason);
    UPDATE booking.book SET served_version = CASE WHEN is_over THEN version END, served_at = p_now
    WHERE provider_id = p_provider_id;
END $$;

CREATE FUNCTION booking.make_offers(p_provider_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.serve_queue(p_provider_id, p_now, '');
END $$;

-- Whether booking.advance_book would change nothing and return true.
CREATE FUNCTION booking.is_served(p_provider_id bigint, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head booking.book;
BEGIN
    SELECT * INTO head FROM booking.book WHERE provider_id = p_provider_id;
    RETURN coalesce(
        head.next_due > p_now AND head.is_queued AND head.served_version = head.version
        AND date_trunc('minute', head.served_at) = date_trunc('minute', p_now)
        AND EXISTS (SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting'), false);
END $$;

-- Advances a book to p_now: afterwards no hold is past its deadline, and nothing free and not withheld is wanted by a present
-- ticket. True when somebody waits and nobody who wants the same as somebody who waits can have anything.
--
-- Usually nothing is due, and the book's head shows it: without a change of the book, only an expiry, the end of a ticket's
-- hour or the passing of a slot could matter to tickets when nothing is free, and slots pass as minutes begin.
CREATE FUNCTION booking.advance_book(p_provider_id bigint, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head booking.book;
BEGIN
    SELECT * INTO head FROM booking.book WHERE provider_id = p_provider_id;
    IF head.next_due <= p_now THEN
        -- What was to run out then may have ended before.
        head.next_due := booking.refresh_next_due(p_provider_id);
        SELECT is_queued INTO head.is_queued FROM booking.book WHERE provider_id = p_provider_id;
    END IF;
    IF head.next_due > p_now THEN
        IF NOT head.is_queued
            OR NOT EXISTS (SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting')
        THEN
            RETURN false;
        ELSIF head.served_version = head.version AND date_trunc('minute', head.served_at) = date_trunc('minute', p_now) THEN
            RETURN true;
        END IF;
    END IF;
    PERFORM booking.expire_due(p_provider_id, p_now);
    PERFORM booking.make_offers(p_provider_id, p_now);
    PERFORM booking.refresh_next_due(p_provider_id) WHERE head.next_due <= p_now;
    -- Every change has its event; a run that begins or ceases to be withheld changes what is free for all, too.
    IF (SELECT version FROM booking.book WHERE provider_id = p_provider_id) > head.version THEN
        PERFORM booking.refresh_availability(p_provider_id, p_now);
    END IF;
    RETURN coalesce((SELECT served_version = version FROM booking.book WHERE provider_id = p_provider_id), false);
END $$;

-- The position that the next ticket to join will have; 100 means 100 or more.
CREATE FUNCTION booking.next_position(p_provider_id bigint) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT 1 + count(*)::integer
    FROM (
        (SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting' LIMIT 99)
        UNION ALL
        SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'called' LIMIT 99
    ) AS ahead
$$;

-- What came of the waits that began at a position in the last 90 days and are over: how many there were (the last thousand
-- at most), and how many of these took a time.
CREATE FUNCTION booking.acceptance_rate(p_provider_id bigint, p_position integer, OUT waits integer, OUT got integer)
LANGUAGE sql STABLE AS $$
    SELECT count(*)::integer, (count(*) FILTER (WHERE state = 'accepted'))::integer
    FROM (
        SELECT state FROM booking.ticket
        WHERE provider_id = p_provider_id AND joined_position = p_position
            AND joined_at > (SELECT public.app_now()) - interval '90 days' AND state NOT IN ('waiting', 'offered', 'called')
        ORDER BY joined_at DESC LIMIT 1000
    ) AS over
$$;
