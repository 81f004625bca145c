-- A rush: calls that have gathered for one provider's book, in one transaction, in order of asking (docs/decisions/0043-lanes.md). The book is
-- locked in order of arrival, as by a verb, and advanced once; after that nothing waits. Patients are only tried, since a transaction that
-- has some of them locked and waits for another may deadlock. Else as in a lane: call i is the i-th element of each array, and where
-- outcome.code is NULL or failed_with has an SQLSTATE, nothing was changed, and the call must go again alone.

-- What must be so before a call of a rush changes anything: a NULL code and reason when it is; 'signed_out'; the result of the same request;
-- or a NULL code and the reason 'busy', where something else has the patient locked.
CREATE FUNCTION booking.begin_in_rush(
    p_provider_id bigint, p_patient_id bigint, p_actor text, p_operation text, p_key text, p_request text, p_token_hash bytea,
    p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF p_token_hash IS NOT NULL AND NOT accounts.is_signed_in(p_token_hash, p_patient_id) THEN
        RETURN booking.refuse('signed_out');
    END IF;
    IF p_key IS NOT NULL THEN
        answer := booking.find_result(p_provider_id, p_actor, p_operation, p_key, p_request, p_now);
    END IF;
    IF answer.code IS NULL AND booking.is_patient_locked(p_patient_id) THEN
        answer := booking.refuse(NULL, 'busy');
    END IF;
    RETURN answer;
END $$;

-- Holds at one provider, as booking.hold. What the rows rule out already needs no lock. Of the others, p_locked_max at most take their
-- turn; the rest answer a NULL code with the reason 'later'.
CREATE FUNCTION booking.hold_many(
    p_provider_id bigint, p_clinic_ids bigint[], p_starts timestamptz[], p_slots integer[], p_services text[], p_patient_ids bigint[],
    p_person_ids uuid[], p_actors text[], p_keys text[], p_token_hashes bytea[], p_locked_max integer
) RETURNS TABLE (ordinal integer, failed_with text, outcome booking.outcome) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    early booking.outcome[];
    opened record;
    locked integer := 0;
BEGIN
    SELECT array_agg(refusal.outcome ORDER BY refusal.ordinal) INTO early
    FROM booking.refuse_holds(
        array_fill(p_provider_id, ARRAY[cardinality(p_starts)]), p_clinic_ids, p_starts, p_slots, p_services, p_patient_ids,
        p_person_ids, '{}', '{}', p_actors, p_keys) AS refusal;
    IF EXISTS (SELECT FROM unnest(early) AS refusal WHERE refusal.code IS NULL) THEN
        opened := booking.open_book(p_provider_id, NULL, 'hold', NULL, NULL);
        PERFORM booking.wait_no_more();
    END IF;
    FOR i IN 1 .. cardinality(p_starts) LOOP
        ordinal := i;
        failed_with := NULL;
        outcome := early[i];
        IF outcome.code IS NULL AND locked = p_locked_max THEN
            outcome := booking.refuse(NULL, 'later');
        ELSIF outcome.code IS NULL THEN
            locked := locked + 1;
            BEGIN
                outcome := booking.hold_in_rush(
                    p_provider_id, p_clinic_ids[i], p_starts[i], p_slots[i], booking.service_ids(p_services[i]), p_patient_ids[i],
                    p_person_ids[i], p_actors[i], p_keys[i], p_token_hashes[i], opened.answer, opened.now_at);
            EXCEPTION WHEN OTHERS THEN
                outcome := NULL;
                failed_with := sqlstate;
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- One call of booking.hold_many; p_opened: the refusal where there is no such book.
CREATE FUNCTION booking.hold_in_rush(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_actor text, p_key text, p_token_hash bytea, p_opened booking.outcome, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF p_opened.code IS NOT NULL THEN
        RETURN booking.refuse('no_such_slot', p_opened.reason);
    END IF;
    answer := booking.begin_in_rush(
        p_provider_id, p_patient_id, p_actor, 'hold', p_key,
        booking.hold_request(p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, NULL, NULL), p_token_hash, p_now);
    IF answer.code IS NOT NULL OR answer.reason IS NOT NULL THEN
        RETURN answer;
    END IF;
    RETURN booking.hold_in_book(
        p_provider_id, p_clinic_id, p_start, p_slots, p_service_ids, p_patient_id, p_person_id, NULL, NULL, p_actor, p_key, NULL, p_now);
END $$;

-- What the rows rule out already of joins of one queue, as booking.refuse_join_early: without a lock. A window is looked at once for the
-- calls in a row that want it.
CREATE FUNCTION booking.refuse_joins_early(
    p_provider_id bigint, p_clinic_ids bigint[], p_windows tstzrange[], p_slots integer[], p_services text[], p_patient_ids bigint[],
    p_person_ids uuid[], p_actors text[], p_keys text[]
) RETURNS booking.outcome[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    refusals booking.outcome[] := array_fill(NULL::booking.outcome, ARRAY[cardinality(p_windows)]);
    now_at timestamptz := public.app_now();
    charged bigint[] := ARRAY(
        SELECT patient_id FROM booking.claim WHERE patient_id = ANY (p_patient_ids) AND cardinality(spent) + cardinality(lapses) > 0);
    is_hopeless boolean;
BEGIN
    FOR i IN 1 .. cardinality(p_windows) LOOP
        IF i = 1 OR (p_clinic_ids[i], p_windows[i], p_slots[i], p_services[i])
            IS DISTINCT FROM (p_clinic_ids[i - 1], p_windows[i - 1], p_slots[i - 1], p_services[i - 1])
        THEN
            is_hopeless := booking.is_hopeless(
                p_provider_id, p_clinic_ids[i], p_windows[i],
                booking.need_of(p_slots[i], p_provider_id, booking.service_ids(p_services[i])), now_at);
        END IF;
        IF is_hopeless OR p_patient_ids[i] = ANY (charged) THEN
            refusals[i] := booking.refuse_join_early(
                p_provider_id, p_clinic_ids[i], p_windows[i], p_slots[i], booking.service_ids(p_services[i]), p_patient_ids[i], p_actors[i],
                p_keys[i], booking.join_request(
                    p_clinic_ids[i], p_windows[i], p_slots[i], booking.service_ids(p_services[i]), p_patient_ids[i], p_person_ids[i]),
                now_at);
        END IF;
    END LOOP;
    RETURN refusals;
EXCEPTION WHEN OTHERS THEN  -- which it is shows under the lock
    RETURN refusals;
END $$;

-- Joins of one queue, as booking.join_queue. What the rows rule out already needs no lock. Plain ones that come one after another are written
-- together; once that has raised, each goes by itself.
CREATE FUNCTION booking.join_many(
    p_provider_id bigint, p_clinic_ids bigint[], p_windows tstzrange[], p_slots integer[], p_services text[], p_patient_ids bigint[],
    p_person_ids uuid[], p_actors text[], p_keys text[], p_token_hashes bytea[]
) RETURNS TABLE (ordinal integer, failed_with text, outcome booking.outcome) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    early booking.outcome[] := booking.refuse_joins_early(
        p_provider_id, p_clinic_ids, p_windows, p_slots, p_services, p_patient_ids, p_person_ids, p_actors, p_keys);
    opened record;
    is_full boolean;  -- NULL: the book is to be advanced, as after a ticket that was not plain
    persons uuid[];  -- of the plain ones, as they were when the book was last advanced
    is_together boolean := true;
    first integer := 1;
    last integer;
    answers booking.outcome[];
BEGIN
    IF EXISTS (SELECT FROM unnest(early) AS refusal WHERE refusal.code IS NULL) THEN
        opened := booking.open_book(p_provider_id, NULL, 'join', NULL, NULL);
        PERFORM booking.wait_no_more();
    END IF;
    WHILE first <= cardinality(p_windows) LOOP
        last := first;
        failed_with := NULL;
        answers := early[first:first];
        IF (answers[1]).code IS NULL THEN
            BEGIN
                IF is_full IS NULL THEN
                    is_full := booking.advance_book(p_provider_id, opened.now_at);
                    persons := NULL;
                END IF;
                IF is_full AND is_together AND persons IS NULL THEN
                    persons := booking.plain_joins(
                        p_provider_id, p_clinic_ids, p_windows, p_slots, p_services, p_patient_ids, p_person_ids, p_actors, p_keys,
                        p_token_hashes, opened.now_at);
                END IF;
                IF is_full AND persons[first] IS NOT NULL THEN
                    WHILE persons[last + 1] IS NOT NULL AND (early[last + 1]).code IS NULL LOOP
                        last := last + 1;
                    END LOOP;
                    answers := booking.put_plain_joins(
                        p_provider_id, p_clinic_ids[first:last], p_windows[first:last], p_slots[first:last], p_services[first:last],
                        p_patient_ids[first:last], p_person_ids[first:last], persons[first:last], p_keys[first:last], opened.now_at);
                ELSE
                    answers[1] := booking.join_in_rush(p_provider_id, p_clinic_ids[first], p_windows[first], p_slots[first],
                        booking.service_ids(p_services[first]), p_patient_ids[first], p_person_ids[first], p_actors[first], p_keys[first],
                        p_token_hashes[first], is_full, opened.answer, opened.now_at);
                    IF (answers[1]).number IS NOT NULL THEN  -- as served as it was, where that ticket changed nothing for others
                        is_full := (SELECT is_full AND served_version = version FROM booking.book WHERE provider_id = p_provider_id)
                            OR NULL;
                    END IF;
                END IF;
            EXCEPTION WHEN OTHERS THEN
                is_full := NULL;  -- it may have been advanced in this block
                is_together := false;
                IF persons[first] IS NOT NULL THEN
                    persons := NULL;
                    RAISE LOG 'joins of a rush go one by one, as together they failed: %', sqlstate;
                    CONTINUE;
                END IF;
                answers := ARRAY[NULL::booking.outcome];
                failed_with := sqlstate;
            END;
        END IF;
        FOR i IN 1 .. cardinality(answers) LOOP
            ordinal := first;
            outcome := answers[i];
            first := first + 1;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

-- One call of booking.join_many; p_opened: the refusal where there is no such book.
CREATE FUNCTION booking.join_in_rush(
    p_provider_id bigint, p_clinic_id bigint, p_window tstzrange, p_slots integer, p_service_ids bigint[], p_patient_id bigint,
    p_person_id uuid, p_actor text, p_key text, p_token_hash bytea, p_is_full boolean, p_opened booking.outcome, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF p_opened.code IS NOT NULL THEN
        RETURN booking.refuse('no_such_slot', p_opened.reason);
    END IF;
    answer := booking.begin_in_rush(
        p_provider_id, p_patient_id, p_actor, 'join', p_key,
        booking.join_request(p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id), p_token_hash, p_now);
    IF answer.code IS NOT NULL OR answer.reason IS NOT NULL THEN
        RETURN answer;
    END IF;
    RETURN booking.join_in_book(
        p_provider_id, p_clinic_id, p_window, p_slots, p_service_ids, p_patient_id, p_person_id, p_actor, p_key, p_is_full, p_now);
END $$;
