-- Callers who wait in a queue, as the desk of a clinic sees and serves them (booking/functions/verbs/phone.sql).

-- A clinic's callers who wait, are offered something or hold it, who must be called first; and (p_person_id) somebody of the clinic's who is to
-- join, with the doctors and services that can be waited for. Each patient who is shown for the first time in a session is noted.
CREATE FUNCTION console.phone_queue(p_token_hash bytea, p_address text, p_clinic_id bigint, p_person_id uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    callers jsonb;
    joining jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'ticket_id', (one.waiter).ticket_id, 'provider_id', provider.provider_id, 'provider', provider.name, 'number', (one.waiter).number,
        'patient_id', patient.patient_id, 'name', coalesce(nullif(person.name, ''), patient.name), 'phone', patient.phone,
        'state', (one.waiter).state, 'seen', booking.turn_of(one.waiter), 'is_answered', (one.waiter).answered_at IS NOT NULL,
        'place', CASE WHEN (one.waiter).state = 'waiting' THEN 1 + (
            SELECT count(*) FROM booking.ticket AS ahead
            WHERE ahead.provider_id = (one.waiter).provider_id AND ahead.state IN ('waiting', 'called')
                AND ahead.number < (one.waiter).number) END,
        'from_at', lower((one.waiter).queue_window), 'to_at', upper((one.waiter).queue_window),
        'expires_at', (one.waiter).expires_at, 'starts_at', lower((one.held).during), 'deadline_at', (one.held).deadline,
        'by', account.name
        ) ORDER BY (one.held).deadline, (one.waiter).number, provider.provider_id), '[]')
    INTO callers
    FROM booking.callers_of(p_clinic_id, now_at) AS one
    JOIN directory.provider ON provider.provider_id = (one.waiter).provider_id
    JOIN accounts.patient ON patient.patient_id = (one.waiter).patient_id
    LEFT JOIN accounts.person ON person.person_id = (one.waiter).person_id
    LEFT JOIN staff.account ON account.staff_id = one.by_staff_id;
    SELECT jsonb_build_object(
        'person_id', known.person_id, 'patient_id', patient_id, 'name', coalesce(nullif(known.name, ''), patient.name), 'phone', patient.phone)
    INTO joining
    FROM accounts.person AS known JOIN accounts.patient USING (patient_id)
    WHERE known.person_id = p_person_id AND removed_at IS NULL AND reception.knows(p_clinic_id, known.person_id);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'see_caller', false, 'queue', NULL, p_clinic_id, shown.patient_id)
    FROM (
        SELECT (one ->> 'patient_id')::bigint AS patient_id FROM jsonb_array_elements(callers) AS one
        UNION SELECT (joining ->> 'patient_id')::bigint WHERE joining IS NOT NULL) AS shown
    WHERE NOT staff.has_seen(caller.session_id, 'see_caller', shown.patient_id);
    RETURN jsonb_build_object('now_at', now_at, 'callers', callers, 'person', joining, 'providers', CASE WHEN joining IS NOT NULL THEN (
        SELECT coalesce(jsonb_agg(jsonb_build_object('provider_id', provider_id, 'name', provider.name, 'services', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('service_id', service_id, 'name', service_type.name)
                ORDER BY service_type.name, service_id), '[]')
            FROM directory.offered_services(provider_id, p_clinic_id) JOIN directory.service_type USING (service_type_id))
            ) ORDER BY provider.name, provider_id), '[]')
        FROM directory.provider_clinic JOIN directory.provider USING (provider_id)
        WHERE provider_clinic.clinic_id = p_clinic_id AND provider_clinic.closed_since IS NULL) END);
END $$;

-- Has somebody of a clinic's who called wait for a time there (booking.join_by_phone), and has them told. What is kept free after a service may
-- go beyond p_during.
CREATE FUNCTION console.join_by_phone(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_person_id uuid, p_during tstzrange, p_service_id bigint,
    p_key text
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    owner_id bigint;
    wanted bigint[];
    answer booking.outcome;
BEGIN
    caller := staff.authorise(p_token_hash, 'book', p_clinic_id);
    SELECT patient_id INTO owner_id FROM accounts.person
    WHERE person_id = p_person_id AND removed_at IS NULL AND reception.knows(p_clinic_id, person_id);
    wanted := CASE WHEN p_service_id IS NOT NULL THEN ARRAY[p_service_id] END;
    answer.code := 'not_found';
    IF owner_id IS NOT NULL THEN
        answer := booking.join_by_phone(
            p_provider_id, p_clinic_id, tstzrange(lower(p_during), upper(p_during) + booking.buffer_of(wanted)), 1, wanted, owner_id,
            p_person_id, p_clinic_id, caller.staff_id, p_key);
    END IF;
    IF answer.ticket_id IS NOT NULL AND answer.code = 'waiting' THEN  -- who is offered something is told that
        PERFORM notices.tell_queued(p_provider_id, answer.ticket_id, public.app_now());
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'join_caller', answer.ticket_id IS NULL, answer.code, NULL,
        p_clinic_id, owner_id, p_provider_id);
    RETURN to_jsonb(answer);
END $$;

-- Does something for one of a clinic's callers (booking.serve_caller); 'being_paid': they are paying by the link for what is held for them.
CREATE FUNCTION console.serve_caller(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_ticket_id uuid, p_act text, p_key text,
    p_seen text
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    answer booking.outcome;
BEGIN
    caller := staff.authorise(p_token_hash, 'book', p_clinic_id);
    IF p_act <> 'call' AND EXISTS (
        SELECT FROM booking.phone_ticket
        JOIN booking.ticket USING (provider_id, ticket_id)
        JOIN booking.booking AS held ON held.provider_id = ticket.provider_id AND held.booking_id = offer_id
        JOIN payments.intent ON intent.provider_id = ticket.provider_id AND hold_id = offer_id
        WHERE ticket.provider_id = p_provider_id AND ticket.ticket_id = p_ticket_id AND phone_ticket.clinic_id = p_clinic_id
            AND booking.state_at(held, public.app_now()) = 'reserved')
    THEN
        answer.code := 'being_paid';
    ELSE
        answer := booking.serve_caller(p_provider_id, p_ticket_id, p_clinic_id, p_act, caller.staff_id, p_key, p_seen);
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'serve_caller',
        answer.code <> ALL ('{accepted,answered,booked,left,released}'), p_act || ' ' || answer.code, NULL, p_clinic_id, (
            SELECT patient_id FROM booking.ticket
            WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id AND answer.code <> 'not_found'),
        p_provider_id, CASE answer.code WHEN 'booked' THEN answer.booking_id END);
    RETURN to_jsonb(answer);
END $$;
