-- Lanes: calls of several providers in one transaction (docs/decisions/0043-lanes.md). Call i is the i-th element of each array. Nothing here
-- ever waits for a lock: a transaction that has some books and patients locked and waits for another deadlocks with one that does the same
-- the other way round, and keeps everybody waiting who needs what it has. Each call is in a block of its own, so that one that raises undoes
-- itself alone. Where outcome.code is NULL or failed_with has an SQLSTATE, nothing was changed, and the call must go again alone.

-- Services as a lane has them, one text a call since an array has no arrays of different lengths: their ids with commas; NULL: none.
CREATE FUNCTION booking.service_ids(p_services text) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT string_to_array(p_services, ',')::bigint[]
$$;

-- From here on, this transaction waits for no lock: what a call has not tried first raises instead (55P03).
CREATE FUNCTION booking.wait_no_more() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT set_config('lock_timeout', '1ms', true)
$$;

-- The plain cases of booking.hold, one call after another.
CREATE FUNCTION booking.hold_lane(
    p_provider_ids bigint[], p_clinic_ids bigint[], p_starts timestamptz[], p_slots integer[], p_services text[],
    p_patient_ids bigint[], p_person_ids uuid[],
    p_actors text[], p_keys text[], p_token_hashes bytea[]
) RETURNS TABLE (ordinal integer, failed_with text, outcome booking.outcome) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.wait_no_more();
    FOR i IN 1 .. cardinality(p_provider_ids) LOOP
        ordinal := i;
        failed_with := NULL;
        BEGIN
            outcome := booking.hold_plainly(
                p_provider_ids[i], p_clinic_ids[i], p_starts[i], p_slots[i], booking.service_ids(p_services[i]),
                p_patient_ids[i], p_person_ids[i], p_actors[i], p_keys[i], p_token_hashes[i]);
        EXCEPTION WHEN OTHERS THEN
            outcome := NULL;
            failed_with := sqlstate;
        END;
        RETURN NEXT;
    END LOOP;
END $$;

-- The plain cases of booking.confirm, one call after another.
CREATE FUNCTION booking.confirm_lane(
    p_provider_ids bigint[], p_booking_ids uuid[], p_patient_ids bigint[], p_authorisations text[], p_actors text[], p_keys text[],
    p_methods text[], p_token_hashes bytea[], p_shown_at timestamptz[]
) RETURNS TABLE (ordinal integer, failed_with text, outcome booking.outcome) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.wait_no_more();
    FOR i IN 1 .. cardinality(p_provider_ids) LOOP
        ordinal := i;
        failed_with := NULL;
        BEGIN
            outcome := booking.confirm_plainly(
                p_provider_ids[i], p_booking_ids[i], p_patient_ids[i], p_authorisations[i], p_actors[i], p_keys[i], p_methods[i],
                p_token_hashes[i], p_shown_at[i]);
        EXCEPTION WHEN OTHERS THEN
            outcome := NULL;
            failed_with := sqlstate;
        END;
        RETURN NEXT;
    END LOOP;
END $$;

-- The plain cases of booking.join_queue, one call after another.
CREATE FUNCTION booking.join_lane(
    p_provider_ids bigint[], p_clinic_ids bigint[], p_windows tstzrange[], p_slots integer[], p_services text[],
    p_patient_ids bigint[], p_person_ids uuid[],
    p_actors text[], p_keys text[], p_token_hashes bytea[]
) RETURNS TABLE (ordinal integer, failed_with text, outcome booking.outcome) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.wait_no_more();
    FOR i IN 1 .. cardinality(p_provider_ids) LOOP
        ordinal := i;
        failed_with := NULL;
        BEGIN
            outcome := booking.join_plainly(
                p_provider_ids[i], p_clinic_ids[i], p_windows[i], p_slots[i], p_services[i],
                p_patient_ids[i], p_person_ids[i], p_actors[i], p_keys[i], p_token_hashes[i]);
        EXCEPTION WHEN OTHERS THEN
            outcome := NULL;
            failed_with := sqlstate;
        END;
        RETURN NEXT;
    END LOOP;
END $$;

-- What the rows rule out already of holds at any providers, as booking.refuse_hold: without a lock, and so without waiting.
CREATE FUNCTION booking.refuse_holds(
    p_provider_ids bigint[], p_clinic_ids bigint[], p_starts timestamptz[], p_slots integer[], p_services text[],
    p_patient_ids bigint[], p_person_ids uuid[],
    p_instead_of_provider_ids bigint[], p_instead_of_ids uuid[], p_actors text[], p_keys text[]
) RETURNS TABLE (ordinal integer, failed_with text, outcome booking.outcome) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_provider_ids) LOOP
        ordinal := i;
        failed_with := NULL;
        BEGIN
            outcome := booking.refuse_hold(
                p_provider_ids[i], p_clinic_ids[i], p_starts[i], p_slots[i], booking.service_ids(p_services[i]), p_patient_ids[i],
                p_person_ids[i], p_instead_of_provider_ids[i], p_instead_of_ids[i], p_actors[i], p_keys[i]);
        EXCEPTION WHEN OTHERS THEN
            outcome := NULL;
            failed_with := sqlstate;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
