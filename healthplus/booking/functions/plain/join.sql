-- Which of several joins of one queue are plain, in a book that is as served as booking.is_served says: for each the person it is for, or
-- NULL where it takes the verb. Plain is: the same window is waited for, so that joining adds a ticket and nothing else; the patient and
-- the claim's row can be locked without waiting; what they claimed before came to a booking, and nothing of theirs has lapsed, was given
-- back or let go lately; all that booking.plain_person asks for; and a new key. Waits for nothing. The look is a statement of its own, as
-- its snapshot must be from after the locks.
CREATE FUNCTION booking.plain_joins(
    p_provider_id bigint, p_clinic_ids bigint[], p_windows tstzrange[], p_slots integer[], p_services text[], p_patient_ids bigint[],
    p_person_ids uuid[], p_actors text[], p_keys text[], p_token_hashes bytea[], p_now timestamptz
) RETURNS uuid[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    locked boolean[];
    persons uuid[];
BEGIN
    SELECT array_agg(pg_try_advisory_xact_lock(-patient_id) ORDER BY ordinal) INTO locked
    FROM unnest(p_patient_ids) WITH ORDINALITY AS call (patient_id, ordinal);
    SELECT array_agg(plain.person_id ORDER BY ordinal) INTO persons
    FROM unnest(p_clinic_ids, p_windows, p_slots, p_services, p_patient_ids, p_person_ids, p_actors, p_keys, p_token_hashes, locked)
        WITH ORDINALITY
        AS call (clinic_id, queue_window, slots, services, patient_id, person_id, actor, key, token_hash, is_locked, ordinal)
    LEFT JOIN LATERAL booking.price_of(p_provider_id, call.clinic_id, booking.service_ids(call.services)) AS price ON true
    LEFT JOIN LATERAL (
        SELECT person.person_id
        FROM booking.plain_person(
            call.patient_id, call.person_id, p_provider_id, call.queue_window, price.funding, call.token_hash, p_now) AS person
        LEFT JOIN (SELECT * FROM booking.claim WHERE patient_id = call.patient_id FOR UPDATE SKIP LOCKED) AS own ON true
        LEFT JOIN booking.booking AS claimed ON claimed.provider_id = own.provider_id AND claimed.booking_id = own.booking_id
        WHERE call.is_locked AND call.actor = 'patient:' || call.patient_id AND person.is_signed_in
            AND CASE WHEN own.patient_id IS NULL
                THEN NOT EXISTS (SELECT FROM booking.claim WHERE patient_id = call.patient_id)
                ELSE own.ticket_id IS NULL AND cardinality(own.lapses) + cardinality(own.spent) = 0
                    AND coalesce(claimed.state IN ('booked', 'arrived', 'fulfilled', 'no_show'), true) END
            AND NOT EXISTS (SELECT FROM accounts.former_account WHERE successor_id = call.patient_id)
            AND NOT EXISTS (
                SELECT FROM booking.ticket
                WHERE ticket.provider_id = p_provider_id AND ticket.patient_id = call.patient_id
                    AND let_go_at > p_now - booking.lapse_memory_time())
            AND NOT EXISTS (
                SELECT FROM booking.idempotency
                WHERE provider_id = p_provider_id AND caller = call.actor AND operation = 'join' AND key = call.key)
            AND booking.is_window_waited_for(
                p_provider_id, call.clinic_id, call.queue_window, call.slots, booking.service_ids(call.services))
            AND (call.services IS NULL OR (
                booking.refuse_services(p_provider_id, call.clinic_id, booking.service_ids(call.services))).code IS NULL)
    ) AS plain ON true;
    RETURN persons;
END $$;

-- Writes joins that nothing stands in the way of, and all that goes with them, in one statement, with numbers in their order; p_persons:
-- as booking.plain_joins says. Returns the outcome of each.
CREATE FUNCTION booking.put_plain_joins(
    p_provider_id bigint, p_clinic_ids bigint[], p_windows tstzrange[], p_slots integer[], p_services text[], p_patient_ids bigint[],
    p_person_ids uuid[], p_persons uuid[], p_keys text[], p_now timestamptz
) RETURNS booking.outcome[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head record;
    answer booking.outcome;
    answers booking.outcome[];
    link booking.queue_entry;
    links booking.queue_entry[];
BEGIN
    SELECT version, last_ticket_number, queue_entries, queue_hash, booking.next_position(p_provider_id) AS position INTO head
    FROM booking.book WHERE provider_id = p_provider_id;
    answer.code := 'waiting';
    answer.state := 'waiting';
    link.provider_id := p_provider_id;
    link.at := p_now;
    link.kind := 'joined';
    link.hash := head.queue_hash;
    FOR i IN 1 .. cardinality(p_windows) LOOP
        answer.ticket_id := gen_random_uuid();
        answer.number := head.last_ticket_number + i;
        answer.version := head.version + i;
        answers[i] := answer;
        link.entry := head.queue_entries + i;
        link.number := answer.number;
        link.clinic_id := p_clinic_ids[i];
        link.during := p_windows[i];
        link.slots_needed := p_slots[i];
        IF p_services[i] IS NOT NULL THEN
            link.slots_needed := booking.slots_at_most(
                booking.need_of(p_slots[i], p_provider_id, booking.service_ids(p_services[i])), p_provider_id, p_clinic_ids[i]);
        END IF;
        link.hash := booking.queue_hash(link.hash, link);
        links[i] := link;
    END LOOP;
    WITH call AS MATERIALIZED (
        SELECT call.*, (links[ordinal]).slots_needed, (answers[ordinal]).ticket_id, (answers[ordinal]).number, (answers[ordinal]).version
        FROM unnest(p_clinic_ids, p_windows, p_slots, p_services, p_patient_ids, p_person_ids, p_persons, p_keys) WITH ORDINALITY
            AS call (clinic_id, queue_window, slots, services, patient_id, person_id, found_id, key, ordinal)
    ), claimed AS (
        INSERT INTO booking.claim (patient_id, provider_id, ticket_id) SELECT patient_id, p_provider_id, ticket_id FROM call
        ON CONFLICT (patient_id) DO UPDATE SET provider_id = excluded.provider_id, booking_id = NULL, ticket_id = excluded.ticket_id
    ), joined AS (
        INSERT INTO booking.ticket (
            provider_id, ticket_id, number, patient_id, clinic_id, queue_window, slots_needed, state, joined_at, expires_at, present_at,
            joined_position, person_id, service_ids, need_key)
        SELECT p_provider_id, ticket_id, number, patient_id, clinic_id, queue_window, slots_needed, 'waiting',
            p_now, p_now + booking.wait_time(), p_now, least(head.position + ordinal - 1, 100), found_id,
            booking.service_ids(services), booking.need_key(p_provider_id, booking.service_ids(services))
        FROM call
    ), chained AS (
        INSERT INTO booking.queue_entry SELECT added.* FROM unnest(links) AS added
    ), noted AS (
        INSERT INTO booking.event_log (provider_id, seq, at, kind, ticket_id)  -- the actor is the patient
        SELECT p_provider_id, version, p_now, 'waiting', ticket_id FROM call
    ), kept AS (
        INSERT INTO booking.idempotency (
            provider_id, caller, operation, key, request_hash, at, code, ticket_id, number, state, version)
        SELECT p_provider_id, 'patient:' || patient_id, 'join', key,
            sha256(convert_to(booking.join_request(
                clinic_id, queue_window, slots, booking.service_ids(services), patient_id, person_id), 'UTF8')), p_now, 'waiting',
            ticket_id, number, 'waiting', version
        FROM call WHERE key IS NOT NULL
    )
    UPDATE booking.book
    SET version = answer.version, last_ticket_number = answer.number, queue_entries = link.entry, queue_hash = link.hash,
        next_due = least(next_due, p_now + booking.wait_time()), served_version = answer.version  -- as far advanced as before
    WHERE provider_id = p_provider_id;
    RETURN answers;
END $$;

-- Joins in the plain case: the locks are free, time has changed nothing in the book, nothing in it is free, and all that booking.plain_joins
-- asks for. 'waiting', or a NULL code where nothing was changed and the verb is to decide. Never waits for a lock. p_token_hash: that of a
-- live session of the patient; NULL: the caller has looked.
CREATE FUNCTION booking.join_plainly(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_services text, p_patient_id bigint, p_person_id uuid,
    p_actor text, p_key text, p_token_hash bytea
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    persons uuid[];
BEGIN
    IF NOT booking.try_book(p_provider_id) THEN
        RETURN NULL;
    END IF;
    now_at := public.app_now();
    IF NOT booking.is_served(p_provider_id, now_at) THEN
        RETURN NULL;
    END IF;
    persons := booking.plain_joins(
        p_provider_id, ARRAY[p_clinic_id], ARRAY[p_window], ARRAY[p_slots], ARRAY[p_services], ARRAY[p_patient_id], ARRAY[p_person_id],
        ARRAY[p_actor], ARRAY[p_key], ARRAY[p_token_hash], now_at);
    IF persons[1] IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (booking.put_plain_joins(
        p_provider_id, ARRAY[p_clinic_id], ARRAY[p_window], ARRAY[p_slots], ARRAY[p_services], ARRAY[p_patient_id], ARRAY[p_person_id],
        persons, ARRAY[p_key], now_at))[1];
END $$;
