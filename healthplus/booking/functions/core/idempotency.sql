-- Has the commit of this transaction wait for the standby, where there is one, although it changes nothing. What it answers may have been
-- written by a call that was given up while its commit waited: that can be read here, and is lost if this server dies now.
CREATE FUNCTION booking.wait_for_standby() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('synchronous_standby_names') <> '' THEN
        PERFORM pg_logical_emit_message(true, 'healthplus', '');
    END IF;
END $$;

-- The result of the same request, if it came within idempotency_time; 'key_reused' for another request under its key; a NULL
-- code when it is new.
CREATE FUNCTION booking.find_result(
    p_provider_id bigint, p_caller text, p_operation text, p_key text, p_request text, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known booking.idempotency;
    answer booking.outcome;
BEGIN
    SELECT * INTO known FROM booking.idempotency
    WHERE provider_id = p_provider_id AND caller = p_caller AND operation = p_operation AND key = p_key
        AND at > p_now - booking.idempotency_time();
    IF NOT FOUND THEN
        RETURN answer;
    ELSIF known.request_hash <> sha256(convert_to(p_request, 'UTF8')) THEN
        answer.code := 'key_reused';
        RETURN answer;
    END IF;
    PERFORM booking.wait_for_standby();
    answer := jsonb_populate_record(answer, known.outcome);  -- of the release before
    answer.code := coalesce(known.code, answer.code);
    IF known.code IS NOT NULL THEN
        answer.booking_id := known.booking_id;
        answer.ticket_id := known.ticket_id;
        answer.number := known.number;
        answer.state := known.state;
        answer.clinic_id := known.clinic_id;
        answer.starts_at := known.starts_at;
        answer.ends_at := known.ends_at;
        answer.deadline := known.deadline;
        answer.fee_minor := known.fee_minor;
        answer.funding := known.funding;
        answer.version := known.version;
        answer.service_ids := known.service_ids;
        answer.terms_id := known.terms_id;
    END IF;
    RETURN answer;
END $$;

-- Whether what a request booked, whose result is p_answer, was cancelled since: sent again, it would say that it is booked.
CREATE FUNCTION booking.is_taken_back(p_provider_id bigint, p_answer booking.outcome) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_answer.code = 'booked' AND EXISTS (
        SELECT FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_answer.booking_id AND state = 'cancelled')
$$;

-- Keeps the result of a request that has changed something, without what only refusals have, which are not kept.
CREATE FUNCTION booking.store_result(
    p_provider_id bigint, p_caller text, p_operation text, p_key text, p_request text, p_answer booking.outcome, p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO booking.idempotency (
        provider_id, caller, operation, key, request_hash, at, code, booking_id, ticket_id, number, state, clinic_id, starts_at,
        ends_at, deadline, fee_minor, funding, version, service_ids, terms_id)
    VALUES (
        p_provider_id, p_caller, p_operation, p_key, sha256(convert_to(p_request, 'UTF8')), p_now, p_answer.code, p_answer.booking_id,
        p_answer.ticket_id, p_answer.number, p_answer.state, p_answer.clinic_id, p_answer.starts_at, p_answer.ends_at, p_answer.deadline,
        p_answer.fee_minor, p_answer.funding, p_answer.version, p_answer.service_ids, p_answer.terms_id)
    ON CONFLICT (provider_id, caller, operation, key) DO UPDATE
    SET request_hash = excluded.request_hash, at = excluded.at, outcome = NULL, code = excluded.code, booking_id = excluded.booking_id,
        ticket_id = excluded.ticket_id, number = excluded.number, state = excluded.state, clinic_id = excluded.clinic_id,
        starts_at = excluded.starts_at, ends_at = excluded.ends_at, deadline = excluded.deadline, fee_minor = excluded.fee_minor,
        funding = excluded.funding, version = excluded.version, service_ids = excluded.service_ids, terms_id = excluded.terms_id;
END $$;
