-- Where a hold of a run of slots, or of what services need, would be, as long as that takes no look at other holds or at the queue: in the
-- one seat of an opening, free of bookings and leave, and neither the last time of its day nor what is noted as its last free one; and the
-- slot after it, where the same opening has one. No row where it takes the verb to tell. (OFFSET 0: what is above it is worked out once,
-- and looked up by its key. A plan is kept, and the planner would join what it saw empty by reading all of it.)
CREATE FUNCTION booking.plain_place(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_service_ids bigint[], p_now timestamptz
) RETURNS TABLE (during tstzrange, next_slot tstzrange, fee_minor integer, funding directory.funding, terms_id bigint)
LANGUAGE sql STABLE AS $$
    SELECT run, next_slot, chosen.fee_minor, chosen.funding, chosen.terms_id
    FROM (
        SELECT city.time_zone, place.fee_minor, place.funding, clinic.terms_id, (p_start AT TIME ZONE city.time_zone)::date AS day
        FROM directory.provider_clinic AS place
        JOIN directory.provider USING (provider_id)
        JOIN directory.clinic USING (clinic_id)
        CROSS JOIN LATERAL (SELECT time_zone FROM directory.city WHERE city.city_id = clinic.city_id OFFSET 0) AS city
        WHERE place.provider_id = p_provider_id AND place.clinic_id = p_clinic_id AND place.closed_since IS NULL
            AND p_start > p_now + make_interval(mins => lead_minutes)
            -- the last day that can be booked ends at its midnight, which is for the verb
            AND p_start < p_now + make_interval(days => max_booking_days - 1)
        OFFSET 0
    ) AS location
    CROSS JOIN LATERAL (
        SELECT booking.need(p_slots) AS need, location.fee_minor, location.funding, location.terms_id
        WHERE p_service_ids IS NULL
        UNION ALL
        SELECT booking.need_of(p_slots, p_provider_id, p_service_ids), service.fee_minor, service.funding, service.terms_id
        FROM directory.chosen_services(p_provider_id, p_clinic_id, p_service_ids, false) AS service
        WHERE p_service_ids IS NOT NULL AND refusal IS NULL
        OFFSET 0
    ) AS chosen
    CROSS JOIN LATERAL (
        SELECT tstzrange(p_start, p_start + slot * slots) AS run,
            CASE WHEN p_start + slot * (slots + 1) <= closes_at
                THEN tstzrange(p_start + slot * slots, p_start + slot * (slots + 1)) END AS next_slot
        FROM (
            SELECT make_interval(mins => slot_minutes) AS slot, (day + starts) AT TIME ZONE time_zone AS opens_at,
                (day + ends) AT TIME ZONE time_zone AS closes_at, weekday, ends,
                booking.slots_of(chosen.need, make_interval(mins => slot_minutes)) AS slots
            FROM schedule.shift
            WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND weekday = extract(isodow FROM day)::smallint
                AND valid @> day AND seats = 1 AND release_hours IS NULL AND booking.is_taken_by(chosen.need, slots_max)
            OFFSET 0
        ) AS opening
        WHERE opens_at <= p_start AND p_start + slot * slots <= closes_at
            AND booking.is_on_grid(chosen.need, p_start, opens_at, slot, weekday)
            -- Another slot of the day follows, in this shift or in a later one.
            AND (p_start + slot * (slots + 1) <= closes_at OR EXISTS (
                SELECT FROM schedule.shift AS later
                WHERE later.provider_id = p_provider_id AND later.clinic_id = p_clinic_id AND later.weekday = opening.weekday
                    AND later.valid @> day AND later.starts >= opening.ends))
        OFFSET 0
    ) AS wanted
    WHERE NOT EXISTS (
            SELECT FROM booking.booking WHERE booking.provider_id = p_provider_id AND booking.occupies AND booking.during && run OFFSET 0)
        AND NOT EXISTS (SELECT FROM schedule.leave WHERE leave.provider_id = p_provider_id AND leave.during && run OFFSET 0)
        AND NOT EXISTS (
            SELECT FROM booking.scarce_day
            WHERE scarce_day.provider_id = p_provider_id AND scarce_day.clinic_id = p_clinic_id AND scarce_day.day = location.day
                AND coalesce(run @> last_free_at, true) OFFSET 0)
$$;

-- The person for whom a patient may hold a run, as long as nothing of what they have ahead is with this provider, at this time (time kept
-- free after services included), or at a limit; and whether p_token_hash is that of a live session of the patient (NULL: the caller has
-- looked). No row where it takes the verb to tell. The caller has locked the patient.
CREATE FUNCTION booking.plain_person(
    p_patient_id bigint, p_person_id uuid, p_provider_id bigint, p_during tstzrange, p_funding directory.funding, p_token_hash bytea,
    p_now timestamptz
) RETURNS TABLE (person_id uuid, person_name text, is_signed_in boolean) LANGUAGE sql STABLE AS $$
    SELECT person.person_id, nullif(person.name, ''), p_token_hash IS NULL OR coalesce((
            SELECT session.patient_id = p_patient_id FROM accounts.session
            WHERE token_hash = p_token_hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > p_now)), false)
    FROM accounts.person
    -- erasing an account removes its persons
    WHERE person.patient_id = p_patient_id AND person.removed_at IS NULL
        AND CASE WHEN p_person_id IS NULL THEN is_holder ELSE person.person_id = p_person_id END
        AND (
            SELECT count(*) < booking.ahead_max() AND bool_or(
                own.provider_id = p_provider_id OR own.during && p_during OR (own.funding <> 'online' AND p_funding <> 'online')) IS NOT TRUE
            FROM booking.booking AS own
            WHERE own.patient_id = p_patient_id AND upper(own.during) > p_now AND own.state IN ('reserved', 'booked', 'arrived'))
        -- a group offer that they answered has no patient yet
        AND NOT EXISTS (
            SELECT FROM (
                SELECT state FROM booking.ticket WHERE ticket.patient_id = p_patient_id AND answered_at IS NOT NULL OFFSET 0) AS waiter
            WHERE waiter.state = 'called')
$$;

-- Writes a hold that nothing stands in the way of, and all that goes with it, in one statement; p_version: of the book, with this.
CREATE FUNCTION booking.put_plain_hold(
    p_provider_id bigint, p_clinic_id bigint, p_during tstzrange, p_slots integer, p_service_ids bigint[], p_fee_minor integer,
    p_funding directory.funding, p_terms_id bigint, p_patient_id bigint, p_person_id uuid, p_person_name text, p_actor text, p_key text,
    p_request text, p_version bigint, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := 'reserved';
    answer.booking_id := booking.new_id(p_provider_id);
    answer.state := 'reserved';
    answer.clinic_id := p_clinic_id;
    answer.starts_at := lower(p_during);
    answer.ends_at := booking.visit_end(p_during, p_service_ids);
    answer.service_ids := p_service_ids;
    answer.terms_id := p_terms_id;
    answer.deadline := p_now + booking.hold_time();
    answer.fee_minor := p_fee_minor;
    answer.funding := p_funding;
    answer.version := p_version;
    WITH claimed AS (
        INSERT INTO booking.claim (patient_id, provider_id, booking_id) VALUES (p_patient_id, p_provider_id, answer.booking_id)
        ON CONFLICT (patient_id) DO UPDATE SET provider_id = excluded.provider_id, booking_id = excluded.booking_id
    ), held AS (
        INSERT INTO booking.booking (
            provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, state, deadline, fee_minor, funding, created_at,
            person_id, patient_name, service_ids, terms_id)
        VALUES (p_provider_id, answer.booking_id, p_clinic_id, p_patient_id, p_during, 1, p_slots, 'reserved', answer.deadline, p_fee_minor,
            p_funding, p_now, p_person_id, p_person_name, p_service_ids, p_terms_id)
    ), noted AS (
        INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id)  -- the actor is the patient
        VALUES (p_provider_id, p_version, p_now, 'reserved', answer.booking_id)
    ), kept AS (
        INSERT INTO booking.idempotency (
            provider_id, caller, operation, key, request_hash, at, code, booking_id, state, clinic_id, starts_at, ends_at, deadline,
            fee_minor, funding, version, service_ids, terms_id)
        SELECT p_provider_id, p_actor, 'hold', p_key, sha256(convert_to(p_request, 'UTF8')), p_now, 'reserved', answer.booking_id,
            'reserved', p_clinic_id, answer.starts_at, answer.ends_at, answer.deadline, p_fee_minor, p_funding, p_version,
            p_service_ids, p_terms_id
        WHERE p_key IS NOT NULL
    )
    UPDATE booking.book SET version = p_version, next_due = least(next_due, answer.deadline) WHERE provider_id = p_provider_id;
    RETURN answer;
END $$;

-- Notes the next free time of a book where nobody queues and nothing is due, once it is taken: p_next, the slot after it, where nothing is
-- in its way, as mostly; else (or NULL) what there is.
CREATE FUNCTION booking.pass_next_free(p_provider_id bigint, p_next tstzrange, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE booking.book SET next_free_at = lower(p_next), touched_at = p_now
    WHERE provider_id = p_provider_id AND p_next IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM booking.booking WHERE booking.provider_id = p_provider_id AND booking.occupies AND booking.during && p_next)
        AND NOT EXISTS (SELECT FROM schedule.leave WHERE leave.provider_id = p_provider_id AND leave.during && p_next);
    IF NOT FOUND THEN
        PERFORM booking.refresh_next_free(p_provider_id, p_now);
    END IF;
END $$;

-- Whether a patient whose claim was not found has one that is locked, or begins with that of an account before.
CREATE FUNCTION booking.is_known_otherwise(p_patient_id bigint) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (SELECT FROM booking.claim WHERE patient_id = p_patient_id)
        OR EXISTS (SELECT FROM accounts.former_account WHERE successor_id = p_patient_id)
$$;

-- Holds a run of slots in the plain case: the locks are free, time has changed nothing in the book, nobody queues there, what the patient
-- claimed before has ended well, and all that booking.plain_place and booking.plain_person ask for. 'reserved', or a NULL code where
-- nothing was changed and the verb is to decide. Never waits for a lock. p_token_hash: 'signed_out' where it is not that of a live
-- session of the patient; NULL: the caller has looked.
CREATE FUNCTION booking.hold_plainly(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_actor text, p_key text, p_token_hash bytea
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head record;
    seen record;
    now_at timestamptz;
    answer booking.outcome;
BEGIN
    IF p_actor IS DISTINCT FROM 'patient:' || p_patient_id OR NOT pg_try_advisory_xact_lock(p_provider_id) THEN
        RETURN NULL;
    END IF;
    SELECT version, next_due, is_queued, next_free_at INTO head
    FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE SKIP LOCKED;
    now_at := public.app_now();
    -- The patient last: the verb, which keeps these locks, must not wait for the book with the patient locked.
    IF head.is_queued IS NOT FALSE OR head.next_due <= now_at OR NOT pg_try_advisory_xact_lock(-p_patient_id) THEN
        RETURN NULL;
    END IF;
    SELECT place.*, person.*, own.patient_id IS NULL AS is_first INTO seen
    FROM booking.plain_place(p_provider_id, p_clinic_id, p_start, p_slots, p_service_ids, now_at) AS place
    CROSS JOIN LATERAL booking.plain_person(
        p_patient_id, p_person_id, p_provider_id, place.during, place.funding, p_token_hash, now_at) AS person
    LEFT JOIN (
        SELECT patient_id, provider_id, booking_id, ticket_id, cardinality(lapses) + cardinality(spent) AS noted
        FROM booking.claim WHERE patient_id = p_patient_id FOR UPDATE SKIP LOCKED) AS own ON true
    WHERE (place.funding <> 'clinic' OR NOT EXISTS (  -- where one of theirs did not come, the person perhaps pays online
            SELECT FROM booking.no_show WHERE no_show.patient_id = p_patient_id AND no_show.clinic_id = p_clinic_id))
        AND (own.patient_id IS NULL OR (
            own.ticket_id IS NULL AND own.noted = 0 AND coalesce((
                SELECT state FROM booking.booking WHERE provider_id = own.provider_id AND booking_id = own.booking_id
            ) IN ('booked', 'arrived', 'fulfilled', 'no_show'), true)))
        AND NOT EXISTS (
            SELECT FROM booking.idempotency
            WHERE provider_id = p_provider_id AND caller = p_actor AND operation = 'hold' AND key = p_key);
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF NOT seen.is_signed_in THEN
        RETURN booking.refuse('signed_out');
    ELSIF seen.is_first AND booking.is_known_otherwise(p_patient_id) THEN
        RETURN NULL;
    END IF;
    answer := booking.put_plain_hold(
        p_provider_id, p_clinic_id, seen.during, p_slots, p_service_ids, seen.fee_minor, seen.funding, seen.terms_id, p_patient_id,
        seen.person_id, seen.person_name, p_actor, p_key,
        booking.hold_request(p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, NULL, NULL),
        head.version + 1, now_at);
    IF head.next_free_at IS NULL OR head.next_free_at <= now_at OR seen.during @> head.next_free_at THEN
        PERFORM booking.pass_next_free(p_provider_id, CASE WHEN head.next_free_at > now_at THEN seen.next_slot END, now_at);
    END IF;
    RETURN answer;
END $$;
