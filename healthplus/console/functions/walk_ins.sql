-- Who comes without an appointment, or at a time that is taken, and how much of that a clinic allows.

-- The doctors of a clinic today: when one is free, and how many tokens are left of the session that runs or comes next (NULL: none comes).
CREATE FUNCTION console.walk_in_doctors(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM staff.authorise(p_token_hash, 'book', p_clinic_id);
    RETURN reception.walk_in_doctors(p_clinic_id, public.app_now());
END $$;

-- Takes in somebody who came without an appointment (reception.walk_in); p_wants_text: their token is texted to them.
CREATE FUNCTION console.walk_in(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_person_id uuid, p_service_ids bigint[], p_wants_text boolean,
    p_reason text, p_key text
) RETURNS SETOF booking.outcome LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    answer booking.outcome;
    now_at timestamptz := public.app_now();
BEGIN
    caller := staff.authorise(p_token_hash, 'book', p_clinic_id);
    IF NOT EXISTS (SELECT FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id) THEN
        RETURN QUERY SELECT (booking.refuse('not_found')).*;
        RETURN;
    END IF;
    answer := reception.walk_in(p_provider_id, p_clinic_id, p_service_ids, p_person_id, p_reason, caller.actor, p_key);
    IF answer.code = 'booked' AND p_wants_text AND NOT EXISTS (
        SELECT FROM notices.notice WHERE provider_id = p_provider_id AND booking_id = answer.booking_id AND kind = 'token')
    THEN
        PERFORM notices.add(p_provider_id, answer.booking_id, NULL, 'token', now_at);
    END IF;
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'walk_in', answer.code <> 'booked',
        concat_ws(': ', answer.code, nullif(p_reason, '')), NULL, p_clinic_id, (SELECT patient_id FROM accounts.person WHERE person_id = p_person_id AND reception.knows(p_clinic_id, p_person_id)),
        p_provider_id, CASE answer.code WHEN 'booked' THEN answer.booking_id END);
    RETURN QUERY SELECT (answer).*;
END $$;

-- A token as it is printed: whose room, since when, and what is before it.
CREATE FUNCTION console.token_slip(p_token_hash bytea, p_address text, p_clinic_id bigint, p_booking_id uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    RETURN reception.token_slip(p_clinic_id, p_booking_id, caller.actor, public.app_now());
END $$;

-- Books a time that is taken (booking.overbook), for a person whom the clinic knows.
CREATE FUNCTION console.overbook(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_start timestamptz, p_person_id uuid, p_service_ids bigint[],
    p_reason text, p_key text
) RETURNS SETOF booking.outcome LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    answer booking.outcome;
    account_id bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'change_booking', p_clinic_id);
    SELECT patient_id INTO account_id FROM accounts.person
    WHERE person_id = p_person_id AND removed_at IS NULL AND reception.knows(p_clinic_id, p_person_id);
    IF account_id IS NULL
        OR NOT EXISTS (SELECT FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id)
    THEN
        RETURN QUERY SELECT (booking.refuse('not_found')).*;
        RETURN;
    END IF;
    answer := booking.overbook(
        p_provider_id, p_clinic_id, p_start, p_service_ids, account_id, p_person_id, p_reason, caller.actor, p_key);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'overbook', answer.code <> 'booked', concat_ws(': ', answer.code, nullif(p_reason, '')), NULL,
        p_clinic_id, account_id, p_provider_id, CASE answer.code WHEN 'booked' THEN answer.booking_id END);
    RETURN QUERY SELECT (answer).*;
END $$;

-- How many walk-ins and overbooked a session of a clinic may have, and its rule of the line of tokens; with their version.
CREATE FUNCTION console.desk_rules(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    RETURN directory.desk_rules(p_clinic_id);
END $$;

-- Sets them: {"code": "done"}, or 'stale' (directory.put_desk_rules).
CREATE FUNCTION console.put_desk_rules(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_every integer, p_walk_in_cap integer, p_overbook_cap integer, p_version text
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    is_done boolean;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    is_done := directory.put_desk_rules(p_clinic_id, p_every, p_walk_in_cap, p_overbook_cap, p_version);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'set_desk_rules', NOT is_done,
        format('walk-ins %s; overbooked %s; one after %s', p_walk_in_cap, p_overbook_cap, p_every), NULL, p_clinic_id);
    RETURN CASE WHEN is_done THEN '{"code": "done"}'
        ELSE '{"code": "stale"}'::jsonb || staff.last_change('set_desk_rules', p_clinic_id, NULL) END;
END $$;
