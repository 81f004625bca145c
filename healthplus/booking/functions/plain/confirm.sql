-- Writes that a hold is booked, and all that goes with it; p_version: of the book, with this.
CREATE FUNCTION booking.put_plain_booking(
    p_provider_id bigint, p_booking_id uuid, p_clinic_id bigint, p_during tstzrange, p_fee_minor integer, p_funding directory.funding,
    p_service_ids bigint[], p_terms_id bigint, p_name text, p_authorisation text, p_actor text, p_key text, p_request text,
    p_version bigint, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := 'booked';
    answer.booking_id := p_booking_id;
    answer.state := 'booked';
    answer.clinic_id := p_clinic_id;
    answer.starts_at := lower(p_during);
    answer.ends_at := booking.visit_end(p_during, p_service_ids);
    answer.service_ids := p_service_ids;
    answer.terms_id := p_terms_id;
    answer.fee_minor := p_fee_minor;
    answer.funding := p_funding;
    answer.version := p_version;
    WITH booked AS (
        UPDATE booking.booking SET state = 'booked', patient_name = p_name
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id
    ), noted AS (
        INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id)  -- the actor is the patient
        VALUES (p_provider_id, p_version, p_now, 'booked', p_booking_id)
    ), kept AS (
        INSERT INTO booking.idempotency (
            provider_id, caller, operation, key, request_hash, at, code, booking_id, state, clinic_id, starts_at, ends_at, fee_minor,
            funding, version, service_ids, terms_id)
        SELECT p_provider_id, p_actor, 'confirm', p_key, sha256(convert_to(p_request, 'UTF8')), p_now, 'booked', p_booking_id,
            'booked', p_clinic_id, answer.starts_at, answer.ends_at, p_fee_minor, p_funding, p_version,
            p_service_ids, p_terms_id
        WHERE p_key IS NOT NULL
    )
    UPDATE booking.book SET version = p_version WHERE provider_id = p_provider_id;
    IF p_authorisation IS NOT NULL THEN
        PERFORM ledger.set_aside(p_provider_id, p_booking_id, p_booking_id, p_authorisation, p_fee_minor, 'capture', 'answer', p_now);
    END IF;
    RETURN answer;
END $$;

-- Books a hold in the plain case: the locks are free, time has changed nothing in the book, nobody queues there, the hold is live, for a
-- person, its patient's claim, no offer, replaces nothing, and comes with new money where it is to be paid online, and without any where
-- not. 'booked', or a NULL code where nothing was changed and the verb is to decide. Never waits for a lock. p_token_hash: as in
-- booking.hold_plainly; p_shown_at as in booking.confirm.
CREATE FUNCTION booking.confirm_plainly(
    p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_authorisation text, p_actor text, p_key text, p_method text,
    p_token_hash bytea DEFAULT NULL, p_shown_at timestamptz DEFAULT NULL
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head record;
    seen record;
    now_at timestamptz;
BEGIN
    IF p_actor IS DISTINCT FROM 'patient:' || p_patient_id OR NOT pg_try_advisory_xact_lock(p_provider_id) THEN
        RETURN NULL;
    END IF;
    SELECT version, next_due, is_queued INTO head FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE SKIP LOCKED;
    now_at := public.app_now();
    -- The patient last, as in booking.hold_plainly.
    IF head.is_queued IS NOT FALSE OR head.next_due <= now_at OR NOT pg_try_advisory_xact_lock(-p_patient_id) THEN
        RETURN NULL;
    END IF;
    SELECT held.clinic_id, held.during, held.fee_minor, held.funding, held.service_ids, held.terms_id,
        coalesce(nullif(person.name, ''), held.patient_name) AS patient_name,
        p_token_hash IS NULL OR coalesce((
            SELECT session.patient_id = p_patient_id FROM accounts.session
            WHERE token_hash = p_token_hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now_at)), false) AS is_signed_in
    INTO seen
    FROM (  -- OFFSET 0: found by its key, as in booking.plain_place
        SELECT clinic_id, during, fee_minor, funding, service_ids, terms_id, patient_name, patient_id, person_id
        FROM booking.booking AS held
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND state = 'reserved' AND NOT booking.is_due(held, now_at)
            AND NOT offer AND ticket_id IS NULL AND instead_of_id IS NULL AND (funding = 'online') = (p_authorisation IS NOT NULL)
            AND (p_shown_at IS NULL OR p_authorisation IS NOT NULL OR lower(during) = p_shown_at)
        OFFSET 0) AS held
    CROSS JOIN (
        SELECT FROM booking.claim
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND patient_id = p_patient_id FOR UPDATE SKIP LOCKED) AS own
    JOIN accounts.person USING (person_id)
    WHERE held.patient_id = p_patient_id
        AND NOT EXISTS (SELECT FROM ledger.payment WHERE provider_id = p_provider_id AND hold_id = p_booking_id)
        AND NOT EXISTS (
            SELECT FROM booking.idempotency
            WHERE provider_id = p_provider_id AND caller = p_actor AND operation = 'confirm' AND key = p_key);
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF NOT seen.is_signed_in THEN
        RETURN booking.refuse('signed_out');
    END IF;
    RETURN booking.put_plain_booking(
        p_provider_id, p_booking_id, seen.clinic_id, seen.during, seen.fee_minor, seen.funding, seen.service_ids, seen.terms_id,
        seen.patient_name, p_authorisation, p_actor, p_key, booking.confirm_request(p_booking_id, p_authorisation, p_method),
        head.version + 1, now_at);
END $$;
