-- Callers and who comes: whom a clinic knows, new patients, and bookings for both.

-- Whom the desk looks for: by the whole of a number (p_phone, in E.164), by its end or a token (p_digits; p_letter: a token of the doctor
-- with this letter alone), by an appointment's number (ids between two) or by name, p_text. `rows` are persons whom the clinic knows
-- (reception.people_of), and `is_all` is false while it still reads who was there before. `is_account`: the number has an account; of whom
-- in it the clinic does not know, nothing is said.
CREATE FUNCTION console.find_people(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_text text, p_letter text, p_digits text, p_phone text,
    p_booking_from uuid, p_booking_to uuid
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    is_all boolean;
    ids uuid[];
    shown jsonb;
    account_id bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    PERFORM staff.require_one_number(p_booking_from, p_booking_to);
    is_all := reception.learn(p_clinic_id);
    IF p_phone IS NOT NULL THEN
        ids := reception.household(p_clinic_id, p_phone);
        SELECT patient_id INTO account_id FROM accounts.patient WHERE phone = p_phone;
    END IF;
    IF p_booking_from IS NOT NULL THEN
        SELECT array_agg(reception.person_id_of(booking)) INTO ids
        FROM directory.provider_clinic
        JOIN booking.booking ON booking.provider_id = provider_clinic.provider_id AND booking_id BETWEEN p_booking_from AND p_booking_to
        WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id AND reception.knows(
            p_clinic_id, reception.person_id_of(booking));
    END IF;
    IF length(p_digits) BETWEEN 4 AND 6 AND p_letter IS NULL THEN
        ids := ids || reception.with_number_ending(p_clinic_id, p_digits, 12);
    END IF;
    IF length(p_digits) <= 4 THEN
        ids := ids || reception.with_token(p_clinic_id, p_letter, p_digits::integer, reception.during_day(
            p_clinic_id, (now_at AT TIME ZONE (SELECT time_zone FROM directory.clinic JOIN directory.city USING (city_id)
                WHERE clinic_id = p_clinic_id))::date));
    END IF;
    IF p_text IS NOT NULL THEN
        ids := ids || reception.with_name(p_clinic_id, p_text, 12);
    END IF;
    shown := reception.people_of(p_clinic_id, ids, now_at);
    PERFORM staff.note_seen(caller.actor, caller.session_id, p_address, 'search', p_clinic_id, account_id || ARRAY (
        SELECT (one ->> 'patient_id')::bigint FROM jsonb_array_elements(shown) AS one));
    RETURN jsonb_build_object('now_at', now_at, 'rows', shown, 'is_all', is_all, 'is_account', account_id IS NOT NULL);
END $$;

-- Adds a person to the account of a number (accounts.add_at_desk), and has the clinic know them. Who is the account's holder is told.
CREATE FUNCTION console.add_person(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_phone text, p_takes_sms boolean, p_phone_hash bytea, p_name text,
    p_birth_year integer, p_sex text, p_purpose text, p_version text
) RETURNS TABLE (outcome text, person_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    answer record;
BEGIN
    caller := staff.authorise(p_token_hash, 'add_patient', p_clinic_id);
    answer := accounts.add_at_desk(
        p_phone, p_takes_sms, p_phone_hash, p_name, p_birth_year, p_sex, p_purpose, p_version, caller.actor);
    IF answer.outcome IN ('added', 'linked') THEN
        PERFORM reception.meet(
            p_clinic_id, answer.person_id, public.app_now(), answer.outcome = 'linked' AND NOT accounts.is_born_in(answer.person_id, p_birth_year));
    END IF;
    PERFORM notices.add_of_person(answer.patient_id, p_clinic_id, public.app_now()) WHERE answer.outcome = 'added';
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'add_patient', answer.outcome NOT IN ('added', 'linked'),
        answer.outcome, NULL, p_clinic_id, answer.patient_id);
    RETURN QUERY SELECT answer.outcome, answer.person_id;
END $$;

-- What can be booked for a person (NULL: nobody yet) at a clinic: its doctors; of the one who is asked for, or else whom the same member of
-- the staff booked last, or else the first: what is offered, what the choice costs, the next free times, and how many wait in the queue.
-- NULL: nobody of this clinic.
CREATE FUNCTION console.booking_choices(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_person_id uuid, p_provider_id bigint, p_service_ids bigint[], p_after timestamptz
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    shown jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'book', p_clinic_id);
    IF p_person_id IS NOT NULL THEN
        IF NOT reception.knows(p_clinic_id, p_person_id) THEN
            RETURN NULL;
        END IF;
        shown := reception.people_of(p_clinic_id, ARRAY[p_person_id], now_at) -> 0;
        PERFORM staff.note_seen(
            caller.actor, caller.session_id, p_address, 'booking', p_clinic_id, ARRAY[(shown ->> 'patient_id')::bigint]);
    END IF;
    RETURN jsonb_build_object('now_at', now_at, 'person', shown) || reception.choices(
        p_clinic_id, coalesce(p_provider_id, staff.last_booked_provider(caller.actor, p_clinic_id)), p_service_ids,
        greatest(p_after, now_at), now_at);
END $$;

-- Books a time for a person whom the clinic knows: 'booked', or 'not_found', or why not, as booking.hold and booking.confirm say it. One
-- commit: what is refused leaves nothing held. p_reason: why beyond what a person may have ahead. p_key: a repeat is the same booking.
CREATE FUNCTION console.book(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_person_id uuid, p_starts_at timestamptz,
    p_service_ids bigint[], p_reason text, p_key text
) RETURNS TABLE (code text, reason text, booking_id uuid, starts_at timestamptz, limit_max integer, retry_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    account_id bigint;
    answer booking.outcome;
BEGIN
    caller := staff.authorise(p_token_hash, 'book', p_clinic_id);
    SELECT person.patient_id INTO account_id FROM accounts.person
    WHERE person.person_id = p_person_id AND removed_at IS NULL AND reception.knows(p_clinic_id, p_person_id);
    IF account_id IS NULL THEN
        RETURN QUERY SELECT 'not_found', NULL::text, NULL::uuid, NULL::timestamptz, NULL::integer, NULL::timestamptz;
        RETURN;
    END IF;
    -- First without the reason: it is noted only where the time could not be had without it.
    answer := booking.hold(
        p_provider_id, p_clinic_id, p_starts_at, 1, p_service_ids, account_id, p_person_id, NULL, NULL, caller.actor, p_key, NULL);
    IF answer.code IN ('same_day', 'too_many_unpaid', 'too_many_ahead') AND p_reason <> '' THEN
        answer := booking.hold(
            p_provider_id, p_clinic_id, p_starts_at, 1, p_service_ids, account_id, p_person_id, NULL, NULL, caller.actor, p_key, p_reason);
    END IF;
    IF answer.code = 'reserved' THEN
        answer := booking.confirm(p_provider_id, answer.booking_id, NULL, caller.actor, p_key);
        IF answer.code <> 'booked' THEN
            RAISE EXCEPTION 'a hold of the desk was not confirmed: %', answer.code;
        END IF;
    END IF;
    IF booking.is_taken_back(p_provider_id, answer) THEN
        answer := booking.refuse('taken_back');
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'book', answer.code <> 'booked',
        concat_ws(': ', answer.code, nullif(p_reason, '')), NULL, p_clinic_id, account_id, p_provider_id,
        CASE WHEN answer.code = 'booked' THEN answer.booking_id END);
    RETURN QUERY SELECT answer.code, answer.reason, answer.booking_id, answer.starts_at, answer.limit_max, answer.retry_at;
END $$;
