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
    IF FOUND THEN
        IF known.request_hash = sha256(convert_to(p_request, 'UTF8')) THEN
            answer := jsonb_populate_record(NULL::booking.outcome, known.outcome);
        ELSE
            answer.code := 'key_reused';
        END IF;
    END IF;
    RETURN answer;
END $$;

CREATE FUNCTION booking.store_result(
    p_provider_id bigint, p_caller text, p_operation text, p_key text, p_request text, p_answer booking.outcome, p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO booking.idempotency (provider_id, caller, operation, key, request_hash, outcome, at)
    VALUES (p_provider_id, p_caller, p_operation, p_key, sha256(convert_to(p_request, 'UTF8')), jsonb_strip_nulls(to_jsonb(p_answer)), p_now)
    ON CONFLICT (provider_id, caller, operation, key)
    DO UPDATE SET request_hash = excluded.request_hash, outcome = excluded.outcome, at = excluded.at;
END $$;
