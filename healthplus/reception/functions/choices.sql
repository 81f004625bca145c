-- What the desk can book.

-- The next starts from an instant on, p_count at most, that the desk could book for a visit or for services, passing nobody. Looks in growing steps.
CREATE FUNCTION reception.next_starts(
    p_provider_id bigint, p_clinic_id bigint, p_service_ids bigint[], p_from timestamptz, p_count integer, p_now timestamptz
) RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    need booking.need := booking.need_of(1, p_provider_id, p_service_ids);
    starts timestamptz[] := '{}';
    steps interval[] := '{0 days,2 days,8 days,60 days,370 days}';
BEGIN
    FOR i IN 1 .. array_length(steps, 1) - 1 LOOP
        starts := starts || ARRAY (
            SELECT DISTINCT starts_at
            -- what begins in a step may end after it
            FROM booking.obtainable_runs(
                p_provider_id, p_clinic_id, p_from + steps[i], p_from + steps[i + 1] + make_interval(hours => 8, mins => coalesce(need.minutes, 0)),
                need, p_now, p_is_desk => true)
            WHERE starts_at >= p_from + steps[i] AND starts_at < p_from + steps[i + 1] AND starts_at > p_now
            ORDER BY starts_at LIMIT p_count - cardinality(starts));
        EXIT WHEN cardinality(starts) >= p_count;
    END LOOP;
    RETURN starts;
END $$;

-- A clinic's doctors, and of one of them (p_provider_id; else the first) what can be chosen: see console.booking_choices.
CREATE FUNCTION reception.choices(
    p_clinic_id bigint, p_provider_id bigint, p_service_ids bigint[], p_from timestamptz, p_now timestamptz
) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    posts jsonb;
    chosen_id bigint;
    offered jsonb;
    refusal booking.outcome;
    needs_test boolean;
    price record;
BEGIN
    SELECT coalesce(jsonb_agg(jsonb_build_object('provider_id', provider_id, 'name', name) ORDER BY name, provider_id), '[]') INTO posts
    FROM directory.provider_clinic JOIN directory.provider USING (provider_id)
    WHERE clinic_id = p_clinic_id AND provider_clinic.closed_since IS NULL;
    SELECT (one ->> 'provider_id')::bigint INTO chosen_id FROM jsonb_array_elements(posts) WITH ORDINALITY AS post (one, place)
    ORDER BY (one ->> 'provider_id')::bigint = p_provider_id DESC NULLS LAST, place LIMIT 1;
    IF chosen_id IS NULL THEN
        RETURN jsonb_build_object('providers', posts);
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'service_id', service_id, 'name', service_type.name, 'is_test', is_test, 'minutes', length_minutes, 'fee_minor', fee_minor)
        ORDER BY is_test, service_type.name, service_id), '[]'), coalesce(bool_or(is_test), false) AND (
        SELECT type = 'lab' FROM directory.provider WHERE provider_id = chosen_id)
    INTO offered, needs_test
    FROM directory.offered_services(chosen_id, p_clinic_id) JOIN directory.service_type USING (service_type_id);
    -- At a laboratory a visit is for tests, the first of them if none was chosen.
    IF p_service_ids IS NULL AND needs_test THEN
        p_service_ids := ARRAY (SELECT (one ->> 'service_id')::bigint FROM jsonb_array_elements(offered) AS one WHERE (one ->> 'is_test')::boolean LIMIT 1);
    END IF;
    IF p_service_ids IS NOT NULL THEN
        SELECT directory_says.refusal INTO refusal.reason
        FROM directory.chosen_services(chosen_id, p_clinic_id, p_service_ids, false) AS directory_says;
    END IF;
    SELECT fee_minor, funding INTO price FROM booking.price_of(chosen_id, p_clinic_id, p_service_ids);
    RETURN jsonb_build_object(
        'providers', posts, 'provider_id', chosen_id, 'services', offered, 'needs_test', needs_test,
        'service_ids', coalesce(to_jsonb(p_service_ids), '[]'), 'fault', refusal.reason, 'fee_minor', price.fee_minor,
        'starts', CASE WHEN refusal.reason IS NULL
            THEN to_jsonb(reception.next_starts(chosen_id, p_clinic_id, p_service_ids, p_from, 5, p_now)) ELSE '[]' END,
        'waiting', (
            SELECT count(*) FROM booking.ticket
            WHERE ticket.provider_id = chosen_id AND ticket.state = 'waiting' AND expires_at > p_now
                AND (ticket.clinic_id IS NULL OR ticket.clinic_id = p_clinic_id)));
END $$;
