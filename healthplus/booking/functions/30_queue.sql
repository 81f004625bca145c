-- The queue, and everything a verb does under the lock besides deciding. All of these are called with the book locked.

-- An instant as it is hashed, and shown beside the hash: in UTC, to the microsecond.
CREATE FUNCTION booking.hashed_instant(p_at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- The hash of an entry of the queue's chain: of the hash before it and of all that the entry says.
CREATE FUNCTION booking.queue_hash(p_previous bytea, p_entry booking.queue_entry) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(coalesce(p_previous, '') || convert_to(concat_ws('|',
        p_entry.provider_id, p_entry.entry, booking.hashed_instant(p_entry.at), p_entry.kind, p_entry.number,
        coalesce(p_entry.clinic_id::text, ''), coalesce(booking.hashed_instant(lower(p_entry.during)), ''),
        coalesce(booking.hashed_instant(upper(p_entry.during)), ''), p_entry.slots_needed), 'UTF8'))
$$;

-- Appends what happened to a ticket to the queue's chain, and gives the entry; the caller keeps its number and hash in the book.
CREATE FUNCTION booking.chain(p_provider_id bigint, p_now timestamptz, p_kind text, p_ticket_id uuid, p_reason text)
RETURNS booking.queue_entry LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    waiter booking.ticket;
    link booking.queue_entry;
    previous bytea;
BEGIN
    SELECT * INTO waiter FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    SELECT queue_entries + 1, queue_hash INTO link.entry, previous FROM booking.book WHERE provider_id = p_provider_id;
    link.provider_id := p_provider_id;
    link.at := p_now;
    link.number := waiter.number;
    link.slots_needed := waiter.slots_needed;
    link.kind := CASE WHEN p_kind <> 'waiting' THEN p_kind
        WHEN p_reason = '' THEN 'joined' WHEN p_reason = 'offer_unseen' THEN 'missed' ELSE 'withdrawn' END;
    IF link.kind = 'joined' THEN
        link.clinic_id := waiter.clinic_id;
        link.during := waiter.wanted;
    ELSIF link.kind IN ('offered', 'accepted') THEN
        SELECT clinic_id, during INTO link.clinic_id, link.during
        FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    ELSIF link.kind = 'withheld' THEN
        link.during := waiter.withheld_during;
    END IF;
    link.hash := booking.queue_hash(previous, link);
    INSERT INTO booking.queue_entry SELECT (link).*;
    RETURN link;
END $$;

-- Appends an event, notes down what the patient is to be told of it, and gives the book's new version. What happens to a
-- ticket itself goes into the queue's chain, too.
CREATE FUNCTION booking.record(
    p_provider_id bigint, p_now timestamptz, p_kind text, p_booking_id uuid, p_ticket_id uuid, p_actor text, p_reason text DEFAULT ''
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_version bigint;
    link booking.queue_entry;
BEGIN
    IF p_ticket_id IS NOT NULL AND p_booking_id IS NULL THEN
        link := booking.chain(p_provider_id, p_now, p_kind, p_ticket_id, p_reason);
    END IF;
    WITH head AS (
        UPDATE booking.book SET version = version + 1,
            queue_entries = coalesce(link.entry, queue_entries), queue_hash = coalesce(link.hash, queue_hash)
        WHERE provider_id = p_provider_id RETURNING version
    )
    INSERT INTO booking.event (provider_id, seq, at, kind, booking_id, ticket_id, actor, reason)
    SELECT p_provider_id, version, p_now, p_kind, p_booking_id, p_ticket_id, p_actor, p_reason FROM head
    RETURNING seq INTO STRICT new_version;
    IF p_kind IN ('booked', 'expired', 'offered', 'cancelled', 'moved', 'needs_rebooking') THEN
        PERFORM notices.add(p_provider_id, p_booking_id, p_ticket_id, p_kind, p_now);
    END IF;
    RETURN new_version;
END $$;

-- Locks a provider's book: first in order of arrival, then against everyone. False when there is no such provider.
CREATE FUNCTION booking.lock_book(p_provider_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(p_provider_id);
    PERFORM FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO booking.book (provider_id)
        SELECT provider_id FROM directory.provider WHERE provider_id = p_provider_id
        ON CONFLICT DO NOTHING;
        PERFORM FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE;
    END IF;
    RETURN FOUND;
END $$;

-- The last slot of a day at a clinic that is free for all, whether or not it is past or too far ahead by now, and the last
-- that the shifts have at all; NULL where there is none.
CREATE FUNCTION booking.last_of_day(
    p_provider_id bigint, p_clinic_id bigint, p_day tstzrange, p_now timestamptz, OUT free_at timestamptz, OUT last_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT
        (SELECT max(starts_at)
         FROM booking.gaps(p_provider_id, p_clinic_id, lower(p_day), upper(p_day), p_now, false, NULL, NULL)
         CROSS JOIN LATERAL (
            SELECT opens_at + slot * (floor(extract(epoch FROM upper(gap) - opens_at) / extract(epoch FROM slot)) - 1)::integer
                AS starts_at) AS start
         WHERE starts_at >= lower(gap)),
        (SELECT max(lower(during)
            + slot * (floor(extract(epoch FROM upper(during) - lower(during)) / extract(epoch FROM slot)) - 1)::integer)
         FROM schedule.openings(p_provider_id, p_clinic_id, lower(p_day), upper(p_day), p_now)
         WHERE upper(during) - lower(during) >= slot)
$$;

-- Whether a later slot of the same day's shifts at the clinic remains untouched by p_taken: taking that leaves the day as
-- scarce, or not, as it was.
CREATE FUNCTION booking.leaves_later_slot(p_provider_id bigint, p_clinic_id bigint, p_taken tstzrange)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM directory.clinic
        JOIN directory.city USING (city_id)
        CROSS JOIN LATERAL CAST(lower(p_taken) AT TIME ZONE time_zone AS date) AS day
        JOIN schedule.shift ON shift.provider_id = p_provider_id AND shift.clinic_id = clinic.clinic_id
        WHERE clinic.clinic_id = p_clinic_id AND shift.weekday = extract(isodow FROM day) AND shift.valid @> day
            -- its last slot starts later than two slots before its end
            AND (day + shift.ends - make_interval(mins => 2 * shift.slot_minutes)) AT TIME ZONE time_zone >= upper(p_taken))
$$;

-- Brings booking.scarce_day up to date for the day on which p_taken was taken at p_clinic_id, or (NULLs) for whatever the queue
-- may have been given and what was freed. p_everything: for every day on which anything stands in the way.
CREATE FUNCTION booking.note_scarce_days(
    p_provider_id bigint, p_now timestamptz, p_clinic_id bigint DEFAULT NULL, p_taken tstzrange DEFAULT NULL,
    p_everything boolean DEFAULT false
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    noted record;
BEGIN
    -- Most holds end here.
    IF p_taken IS NOT NULL AND booking.leaves_later_slot(p_provider_id, p_clinic_id, p_taken)
        AND NOT EXISTS (SELECT FROM booking.scarce_day WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id)
    THEN
        RETURN;
    END IF;
    FOR noted IN
        WITH place AS MATERIALIZED (
            SELECT clinic_id, time_zone
            FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
            WHERE provider_id = p_provider_id AND (p_clinic_id IS NULL OR clinic_id = p_clinic_id)
        ), taken AS (
            SELECT p_taken AS during WHERE p_taken IS NOT NULL
            UNION ALL
            SELECT during FROM booking.booking
            WHERE p_taken IS NULL AND NOT p_everything AND provider_id = p_provider_id AND state = 'reserved'
            UNION ALL
            SELECT during FROM booking.booking
            WHERE p_everything AND provider_id = p_provider_id AND occupies AND upper(during) > p_now
            UNION ALL
            SELECT withheld_during FROM booking.ticket
            WHERE p_taken IS NULL AND provider_id = p_provider_id AND state = 'waiting' AND withheld_during IS NOT NULL
        ), day AS (
            SELECT clinic_id, time_zone, (lower(during) AT TIME ZONE time_zone)::date AS day
            FROM taken CROSS JOIN place
            WHERE NOT booking.leaves_later_slot(p_provider_id, clinic_id, during)
            UNION
            SELECT clinic_id, time_zone, day FROM booking.scarce_day JOIN place USING (clinic_id)
            WHERE provider_id = p_provider_id
                AND (p_taken IS NULL OR day = (lower(p_taken) AT TIME ZONE time_zone)::date)
            UNION
            SELECT place.clinic_id, time_zone, on_day::date
            FROM schedule.leave
            JOIN place ON leave.clinic_id IS NULL OR leave.clinic_id = place.clinic_id
            CROSS JOIN LATERAL generate_series(
                (greatest(lower(leave.during), p_now) AT TIME ZONE time_zone)::date,
                (least(upper(leave.during), p_now + interval '10 years') AT TIME ZONE time_zone)::date, interval '1 day') AS on_day
            WHERE p_everything AND leave.provider_id = p_provider_id
        )
        SELECT clinic_id, day, free_at, last_at IS DISTINCT FROM free_at AND upper(whole_day) > p_now AS is_scarce
        FROM day
        CROSS JOIN LATERAL (
            SELECT tstzrange(day::timestamp AT TIME ZONE time_zone, (day + 1)::timestamp AT TIME ZONE time_zone) AS whole_day) AS whole
        CROSS JOIN LATERAL booking.last_of_day(p_provider_id, clinic_id, whole_day, p_now)
        ORDER BY clinic_id, day  -- as others lock what search keeps of them
    LOOP
        IF noted.is_scarce THEN
            INSERT INTO booking.scarce_day (provider_id, clinic_id, day, last_free_at)
            VALUES (p_provider_id, noted.clinic_id, noted.day, noted.free_at)
            ON CONFLICT (provider_id, clinic_id, day) DO UPDATE SET last_free_at = excluded.last_free_at
            WHERE scarce_day.last_free_at IS DISTINCT FROM excluded.last_free_at;
        ELSE
            DELETE FROM booking.scarce_day
            WHERE provider_id = p_provider_id AND clinic_id = noted.clinic_id AND day = noted.day;
        END IF;
    END LOOP;
END $$;

-- Brings up to date what others read of a book without looking into it: next_free_at and the scarce days. p_taken: nothing
-- was freed, and only this time was taken, at p_clinic_id.
CREATE FUNCTION booking.summarise(
    p_provider_id bigint, p_now timestamptz, p_clinic_id bigint DEFAULT NULL, p_taken tstzrange DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head booking.book;
    found_at timestamptz;
BEGIN
    SELECT * INTO head FROM booking.book WHERE provider_id = p_provider_id;
    IF p_taken IS NULL OR head.next_free_at IS NULL OR head.next_free_at <= p_now OR p_taken @> head.next_free_at THEN
        found_at := booking.first_free(p_provider_id, NULL, p_now, NULL, p_now);
        UPDATE booking.book SET next_free_at = found_at, touched_at = p_now WHERE provider_id = p_provider_id;
    END IF;
    PERFORM booking.note_scarce_days(p_provider_id, p_now, p_clinic_id, p_taken);
END $$;

CREATE FUNCTION booking.end_ticket(p_ticket booking.ticket, p_state booking.ticket_state, p_now timestamptz, p_actor text)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.ticket SET state = p_state, withheld_seat = NULL, withheld_during = NULL
    WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
    PERFORM booking.record(p_ticket.provider_id, p_now, p_state::text, NULL, p_ticket.ticket_id, p_actor);
END $$;

-- Keeps one run for a ticket that does not fit yet, or (NULLs) keeps nothing for it.
CREATE FUNCTION booking.withhold(p_ticket booking.ticket, p_seat integer, p_during tstzrange, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF (p_ticket.withheld_seat, p_ticket.withheld_during) IS DISTINCT FROM (p_seat::smallint, p_during) THEN
        UPDATE booking.ticket SET withheld_seat = p_seat, withheld_during = p_during
        WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
        PERFORM booking.record(p_ticket.provider_id, p_now, 'withheld', NULL, p_ticket.ticket_id, 'system');
    END IF;
END $$;

-- Gives a waiting, present ticket an offer if something it wants is free and not withheld for an earlier one; if not,
-- and it needs several slots, withholds the run that is nearest to complete. True when it was offered something.
CREATE FUNCTION booking.serve(p_ticket booking.ticket, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    run record;
    offer booking.booking;
BEGIN
    SELECT * INTO run
    FROM booking.runs(
        p_ticket.provider_id, p_ticket.clinic_id, lower(p_ticket.wanted), upper(p_ticket.wanted), p_ticket.slots_needed, p_now,
        false, p_ticket.number)
    ORDER BY starts_at, gap_length, clinic_id, seat LIMIT 1;
    IF FOUND THEN
        offer.booking_id := gen_random_uuid();
        INSERT INTO booking.booking (
            provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, offer, ticket_id,
            fee_paise, funding, created_at)
        SELECT p_ticket.provider_id, offer.booking_id, run.clinic_id, p_ticket.patient_id,
            tstzrange(run.starts_at, run.ends_at), run.seat, p_ticket.slots_needed, 'reserved',
            p_now + booking.offer_time(), true, p_ticket.ticket_id, fee_paise, funding, p_now
        FROM directory.provider_clinic
        WHERE provider_id = p_ticket.provider_id AND clinic_id = run.clinic_id;
        UPDATE booking.ticket
        SET state = 'offered', offer_id = offer.booking_id, withheld_seat = NULL, withheld_during = NULL
        WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id;
        PERFORM booking.record(p_ticket.provider_id, p_now, 'reserved', offer.booking_id, p_ticket.ticket_id, 'system');
        PERFORM booking.record(p_ticket.provider_id, p_now, 'offered', NULL, p_ticket.ticket_id, 'system');
        RETURN true;
    END IF;
    IF p_ticket.slots_needed > 1 THEN
        WITH free AS MATERIALIZED (
            SELECT clinic_id, seat, starts_at
            FROM booking.runs(
                p_ticket.provider_id, p_ticket.clinic_id, lower(p_ticket.wanted), upper(p_ticket.wanted), 1, p_now,
                false, p_ticket.number)
        )
        SELECT candidate.seat, tstzrange(candidate.starts_at, candidate.ends_at) AS during INTO run
        FROM booking.runs(
            p_ticket.provider_id, p_ticket.clinic_id, lower(p_ticket.wanted), upper(p_ticket.wanted), p_ticket.slots_needed,
            p_now, true) AS candidate
        JOIN free ON free.clinic_id = candidate.clinic_id AND free.seat = candidate.seat
            AND free.starts_at >= candidate.starts_at AND free.starts_at < candidate.ends_at
        GROUP BY candidate.clinic_id, candidate.seat, candidate.starts_at, candidate.ends_at
        ORDER BY count(*) DESC, candidate.starts_at, candidate.clinic_id, candidate.seat LIMIT 1;
        PERFORM booking.withhold(p_ticket, run.seat, run.during, p_now);
    END IF;
    RETURN false;
END $$;

-- What the passing of time has decided by p_now: holds and offers that lapsed, tickets whose hour is over.
CREATE FUNCTION booking.lapse(p_provider_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    lapsed booking.booking;
    waiter booking.ticket;
    was_fetched boolean;
BEGIN
    FOR lapsed IN
        SELECT * FROM booking.booking
        WHERE provider_id = p_provider_id AND state = 'reserved' AND deadline <= p_now ORDER BY deadline, booking_id
    LOOP
        UPDATE booking.booking SET state = 'expired' WHERE provider_id = p_provider_id AND booking_id = lapsed.booking_id;
        PERFORM booking.record(p_provider_id, p_now, 'expired', lapsed.booking_id, lapsed.ticket_id, 'system');
        IF lapsed.offer THEN
            SELECT * INTO waiter FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = lapsed.ticket_id;
            was_fetched := EXISTS (
                SELECT FROM booking.presence
                WHERE provider_id = p_provider_id AND ticket_id = lapsed.ticket_id AND fetched_offer_id = lapsed.booking_id);
            IF was_fetched OR waiter.offers_unfetched > 0 THEN
                PERFORM booking.end_ticket(waiter, 'lapsed', p_now, 'system');
            ELSE
                UPDATE booking.ticket SET state = 'waiting', offer_id = NULL, offers_unfetched = 1, absent = true
                WHERE provider_id = p_provider_id AND ticket_id = lapsed.ticket_id;
                PERFORM booking.record(p_provider_id, p_now, 'waiting', NULL, lapsed.ticket_id, 'system', 'offer_unseen');
            END IF;
        END IF;
    END LOOP;
    FOR waiter IN
        SELECT * FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting' AND expires_at <= p_now ORDER BY number
    LOOP
        PERFORM booking.end_ticket(waiter, 'timed_out', p_now, 'system');
    END LOOP;
END $$;

-- Serves those who wait: one pass over the present tickets in order of number, over all that is free; then ends the
-- tickets that nothing still obtainable can satisfy. A want that found nothing is not looked for again in the same pass.
CREATE FUNCTION booking.serve_queue(p_provider_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    wants booking.ticket[];
    waiter booking.ticket;
    want booking.ticket;
    any_free boolean;
    hopeless text[] := '{}';
    want_key text;
BEGIN
    -- One ticket for each different want: there are few, however many wait.
    SELECT array_agg(one) INTO wants
    FROM (
        SELECT DISTINCT ON (clinic_id, wanted, slots_needed) ticket AS one
        FROM booking.ticket
        WHERE provider_id = p_provider_id AND state = 'waiting'
        ORDER BY clinic_id, wanted, slots_needed
    ) AS different;
    IF wants IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO booking.presence_since (at)
    SELECT p_now WHERE NOT EXISTS (SELECT FROM booking.presence_since) ON CONFLICT DO NOTHING;
    any_free := EXISTS (
        SELECT
        FROM (SELECT min(lower(w.wanted)) AS first, max(upper(w.wanted)) AS last FROM unnest(wants) AS w) AS span,
            booking.runs(p_provider_id, NULL, span.first, span.last, 1, p_now, false, 0));
    IF any_free THEN
        FOR waiter IN
            SELECT * FROM booking.ticket
            WHERE provider_id = p_provider_id AND state = 'waiting' AND NOT absent ORDER BY number
        LOOP
            -- Nobody further back can have anything either, however many they are.
            EXIT WHEN cardinality(hopeless) = cardinality(wants);
            IF NOT booking.is_present(waiter, p_now) THEN
                PERFORM booking.withhold(waiter, NULL, NULL, p_now);
                UPDATE booking.ticket SET absent = true
                WHERE provider_id = p_provider_id AND ticket_id = waiter.ticket_id;
                PERFORM booking.record(p_provider_id, p_now, 'passed_over', NULL, waiter.ticket_id, 'system');
                CONTINUE;
            END IF;
            want_key := format('%s %s', waiter.clinic_id, waiter.wanted);
            CONTINUE WHEN waiter.slots_needed = 1 AND want_key = ANY (hopeless);
            IF NOT booking.serve(waiter, p_now) AND waiter.slots_needed = 1 THEN
                hopeless := hopeless || want_key;
            END IF;
        END LOOP;
    ELSE
        FOR waiter IN
            SELECT * FROM booking.ticket
            WHERE provider_id = p_provider_id AND state = 'waiting' AND withheld_seat IS NOT NULL ORDER BY number
        LOOP
            PERFORM booking.withhold(waiter, NULL, NULL, p_now);
        END LOOP;
    END IF;
    FOREACH want IN ARRAY wants LOOP
        IF NOT EXISTS (
            SELECT FROM booking.runs(
                p_provider_id, want.clinic_id, lower(want.wanted), upper(want.wanted), want.slots_needed, p_now, true)
        ) THEN
            FOR waiter IN
                SELECT * FROM booking.ticket
                WHERE provider_id = p_provider_id AND state = 'waiting' AND clinic_id IS NOT DISTINCT FROM want.clinic_id
                    AND wanted = want.wanted AND slots_needed = want.slots_needed
                ORDER BY number
            LOOP
                PERFORM booking.end_ticket(waiter, 'full', p_now, 'system');
            END LOOP;
        END IF;
    END LOOP;
    UPDATE booking.book SET served_version = CASE WHEN NOT any_free THEN version END, served_at = p_now
    WHERE provider_id = p_provider_id;
END $$;

-- Everything that is due: afterwards no hold is past its time, and nothing that is free and not withheld is wanted by
-- anyone present. True when someone waits and nothing at all is free between the first and the last time anyone wants.
--
-- Mostly nothing is due, and looks at three indexes tell: without a change of the book, only a lapse, the end of an hour
-- or the passing of a slot could matter to those who wait for nothing that is free, and slots pass as minutes begin.
CREATE FUNCTION booking.settle_book(p_provider_id bigint, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head booking.book;
    any_lapsed boolean := EXISTS (
        SELECT FROM booking.booking WHERE provider_id = p_provider_id AND state = 'reserved' AND deadline <= p_now);
    any_waiting boolean := EXISTS (SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting');
BEGIN
    IF NOT any_lapsed AND NOT any_waiting THEN
        RETURN false;
    END IF;
    SELECT * INTO head FROM booking.book WHERE provider_id = p_provider_id;
    IF NOT any_lapsed AND head.served_version = head.version
        AND date_trunc('minute', head.served_at) = date_trunc('minute', p_now)
        AND NOT EXISTS (
            SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting' AND expires_at <= p_now)
    THEN
        RETURN true;
    END IF;
    PERFORM booking.lapse(p_provider_id, p_now);
    PERFORM booking.serve_queue(p_provider_id, p_now);
    -- Every change has its event; a run that begins or ceases to be withheld changes what is free for all, too.
    IF (SELECT version FROM booking.book WHERE provider_id = p_provider_id) > head.version THEN
        PERFORM booking.summarise(p_provider_id, p_now);
    END IF;
    RETURN coalesce((SELECT served_version = version FROM booking.book WHERE provider_id = p_provider_id), false);
END $$;

-- What a claim stands for by the facts of its row: 'live', 'dead', or 'lapsed' (a hold that ran out unpaid). Volatile, to
-- see what was committed while its caller waited for the claim's lock.
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
        IF waiter.state = 'waiting' AND waiter.expires_at > p_now THEN
            fate := 'live';
        ELSIF waiter.state = 'offered' THEN
            SELECT * INTO held FROM booking.booking
            WHERE provider_id = p_claim.provider_id AND booking_id = waiter.offer_id;
            -- An offer nobody saw puts its ticket back to waiting, once, while its hour lasts.
            IF held.deadline > p_now OR (waiter.offers_unfetched = 0 AND waiter.expires_at > p_now AND NOT EXISTS (
                SELECT FROM booking.presence
                WHERE provider_id = p_claim.provider_id AND ticket_id = p_claim.ticket_id
                    AND fetched_offer_id = waiter.offer_id)) THEN
                fate := 'live';
            END IF;
        END IF;
    ELSE
        SELECT * INTO held FROM booking.booking
        WHERE provider_id = p_claim.provider_id AND booking_id = p_claim.booking_id;
        IF held.state = 'expired' OR held.state = 'reserved' AND held.deadline <= p_now THEN
            fate := 'lapsed';
            lapsed_at := held.deadline;
        ELSIF held.state = 'reserved' THEN
            fate := 'live';
        END IF;
    END IF;
END $$;

-- Claims a patient's one place for a hold (p_booking_id) or a ticket (p_ticket_id): NULL when it was free, else why not.
-- The last lock its caller takes. A patient who let several holds lapse may still queue.
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
    IF EXISTS (SELECT FROM people.patient WHERE patient_id = p_patient_id AND erased_at IS NOT NULL) THEN
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

-- The first result of the same request, if it came before within idempotency_time; 'key_reused' for another request
-- under its key; a NULL code when it is new.
CREATE FUNCTION booking.replay(
    p_provider_id bigint, p_caller text, p_operation text, p_key text, p_request text, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known booking.idempotency;
    answer booking.outcome;
BEGIN
    SELECT * INTO known FROM booking.idempotency
    WHERE provider_id = p_provider_id AND caller = p_caller AND operation = p_operation AND key = p_key
        AND at > p_now - booking.idempotency_time();
    IF FOUND THEN
        IF known.request_hash = sha256(convert_to(p_request, 'UTF8')) THEN
            answer := jsonb_populate_record(NULL::booking.outcome, known.outcome);
        ELSE
            answer.code := 'key_reused';
        END IF;
    END IF;
    RETURN answer;
END $$;

CREATE FUNCTION booking.remember(
    p_provider_id bigint, p_caller text, p_operation text, p_key text, p_request text, p_answer booking.outcome, p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO booking.idempotency (provider_id, caller, operation, key, request_hash, outcome, at)
    VALUES (p_provider_id, p_caller, p_operation, p_key, sha256(convert_to(p_request, 'UTF8')), jsonb_strip_nulls(to_jsonb(p_answer)), p_now)
    ON CONFLICT (provider_id, caller, operation, key)
    DO UPDATE SET request_hash = excluded.request_hash, outcome = excluded.outcome, at = excluded.at;
END $$;
