-- The front desk changes nothing that is recorded: it asks, and a ward administrator confirms or refuses.

-- The appointments at a clinic whose ids lie between two, those of one number (booking/numbers.py); `seen` is what an ask is about, and
-- `free_starts` when it could be instead, in the 14 days from p_from on, or else from its own time on; `soon_until`: what begins before it is told
-- at once (booking.told_at); part_max_minor and by_terms_minor: how much can go back in parts, and what the terms would give back.
CREATE FUNCTION console.find_booking(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_booking_from uuid, p_booking_to uuid, p_from timestamptz DEFAULT NULL
) RETURNS TABLE (
    provider_id bigint, booking_id uuid, patient_id bigint, provider text, seen jsonb, starts_at timestamptz, ends_at timestamptz,
    has_begun boolean, paid_minor integer, currency text, time_zone text, open_kinds text[], free_starts timestamptz[],
    starts_from timestamptz, soon_until timestamptz, part_max_minor integer, by_terms_minor integer
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    one record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    PERFORM staff.require_one_number(p_booking_from, p_booking_to);
    FOR one IN
        SELECT booking AS found, provider.name AS provider, clinic.currency, city.time_zone,
            greatest(coalesce(p_from, lower(during)), now_at) AS starts_from
        FROM directory.provider_clinic
        JOIN booking.booking ON booking.provider_id = provider_clinic.provider_id AND booking.booking_id BETWEEN p_booking_from AND p_booking_to
        JOIN directory.provider ON provider.provider_id = booking.provider_id
        JOIN directory.clinic ON clinic.clinic_id = p_clinic_id
        JOIN directory.city ON city.city_id = clinic.city_id
        WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id
            AND booking.state IN ('booked', 'cancelled', 'arrived', 'fulfilled', 'no_show')
    LOOP
        PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_booking', false, '', NULL, p_clinic_id,
            (one.found).patient_id, (one.found).provider_id, (one.found).booking_id);
        RETURN QUERY
        SELECT (one.found).provider_id, (one.found).booking_id, (one.found).patient_id, one.provider::text,
            booking.as_seen((one.found).provider_id, (one.found).booking_id) || CASE
                WHEN reception.knows_details(p_clinic_id, (one.found).person_id) THEN '{}' ELSE '{"birth_year": null, "sex": null}'::jsonb END,
            lower((one.found).during),
            booking.visit_end((one.found).during, (one.found).service_ids), lower((one.found).during) <= now_at,
            booking.paid_minor(one.found), one.currency::text, one.time_zone::text,
            ARRAY (
                SELECT kind::text FROM staff.ask
                WHERE ask.clinic_id = p_clinic_id AND ask.booking_id = (one.found).booking_id AND ask.state = 'open'),
            CASE WHEN (one.found).state = 'booked' AND lower((one.found).during) > now_at THEN ARRAY (
                SELECT DISTINCT run.starts_at
                FROM booking.obtainable_runs(
                    (one.found).provider_id, p_clinic_id, one.starts_from, one.starts_from + interval '14 days',
                    booking.need_of((one.found).slots_needed, (one.found).provider_id, (one.found).service_ids), now_at,
                    p_except => (one.found).booking_id, p_is_desk => true) AS run
                WHERE run.starts_at <> lower((one.found).during)
                ORDER BY run.starts_at LIMIT 300) ELSE '{}' END,
            one.starts_from, now_at + booking.soon_time(), booking.part_max_minor(one.found), booking.by_terms_minor(one.found, now_at);
    END LOOP;
END $$;

-- Asks for a change of an appointment: 'asked'; or 'not_found', 'asked_before' (the same, and it is open), 'wrong_state' (it cannot be
-- changed so), 'wrong_ask' (a kind, wish or reason that is none).
CREATE FUNCTION console.ask(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid, p_kind text, p_wish jsonb, p_reason text
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    target booking.booking;
    is_ahead boolean;
    is_possible boolean;
BEGIN
    caller := staff.authorise(p_token_hash, 'ask_change', p_clinic_id);
    IF NOT staff.is_ask(p_kind, p_wish, p_reason) THEN
        RETURN 'wrong_ask';
    END IF;
    SELECT * INTO target FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id
        AND state IN ('booked', 'cancelled', 'arrived', 'fulfilled', 'no_show');
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    is_ahead := target.state = 'booked' AND lower(target.during) > public.app_now();
    is_possible := CASE p_kind
        WHEN 'move' THEN is_ahead
        WHEN 'cancel' THEN is_ahead
        WHEN 'refund' THEN coalesce((p_wish ->> 'amount_minor')::integer <= booking.part_max_minor(target), false)
            OR (target.state IN ('arrived', 'fulfilled', 'no_show') AND booking.paid_minor(target) > 0
                AND coalesce((p_wish ->> 'amount_minor')::integer <= booking.paid_minor(target), true))
        WHEN 'correct' THEN target.state IN ('arrived', 'no_show') AND p_wish ->> 'state' <> target.state::text
        ELSE true END;
    IF NOT is_possible THEN
        RETURN 'wrong_state';
    ELSIF staff.open_ask(
        p_clinic_id, p_provider_id, p_booking_id, target.patient_id, p_kind::staff.ask_kind, p_wish,
        booking.as_seen(p_provider_id, p_booking_id), p_reason, caller.staff_id) IS NULL
    THEN
        RETURN 'asked_before';
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'ask_change', false, staff.ask_detail(p_kind, p_wish, 'done') || p_reason, NULL,
        p_clinic_id, target.patient_id, p_provider_id, p_booking_id);
    RETURN 'asked';
END $$;

-- What is asked at a clinic, the first asked first, and after it what was answered in the last seven days, the last answered first: of
-- that, no names of patients. What is asked of an appointment that changed meanwhile is over from now on.
CREATE FUNCTION console.asks(p_token_hash bytea, p_address text, p_clinic_id bigint) RETURNS TABLE (
    ask_id uuid, kind text, wish jsonb, seen jsonb, found jsonb, reason text, state text, asked_by text, asked_at timestamptz,
    answered_by text, answered_at timestamptz, provider_id bigint, provider text, booking_id uuid, patient text, starts_at timestamptz,
    paid_minor integer, currency text, time_zone text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    one staff.ask;
    now_so jsonb;
    open_ids uuid[];
BEGIN
    caller := staff.authorise(p_token_hash, 'change_booking', p_clinic_id);
    FOR one IN SELECT * FROM staff.ask WHERE ask.clinic_id = p_clinic_id AND ask.state = 'open' ORDER BY ask.asked_at LIMIT 200 LOOP
        now_so := staff.part_of_seen(one.kind, booking.as_seen(one.provider_id, one.booking_id));
        IF now_so IS DISTINCT FROM one.seen THEN
            -- One that is locked is being answered, and shown until it is.
            PERFORM FROM staff.ask WHERE ask.ask_id = one.ask_id AND ask.state = 'open' FOR UPDATE SKIP LOCKED;
            IF FOUND THEN
                PERFORM staff.close_ask(one.ask_id, 'over', NULL, coalesce(now_so, '{}'));
                PERFORM staff.append_audit('system:desk', caller.session_id, p_address, 'ask_over', false, one.kind::text, one.asked_by,
                    p_clinic_id, one.patient_id, one.provider_id, one.booking_id);
                CONTINUE;
            END IF;
        END IF;
        open_ids := open_ids || one.ask_id;
        PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_ask', false, one.kind::text, one.asked_by,
            p_clinic_id, one.patient_id, one.provider_id, one.booking_id);
    END LOOP;
    -- Of those that are open none but these, which the audit has.
    RETURN QUERY
    SELECT shown.ask_id, shown.kind::text, CASE WHEN shows_name THEN '{}' ELSE shown.wish END,
        CASE WHEN shows_name THEN '{}' ELSE shown.seen END, CASE WHEN NOT shows_name THEN shown.found END, shown.reason, shown.state::text, asker.name,
        shown.asked_at, answerer.name, shown.answered_at, shown.provider_id, provider.name, shown.booking_id,
        CASE WHEN shown.state = 'open' THEN booking.patient_name END, lower(booking.during), booking.paid_minor(booking), clinic.currency,
        city.time_zone
    FROM (
        (
            SELECT * FROM staff.ask WHERE ask.ask_id = ANY (open_ids) AND ask.state = 'open')
        UNION ALL
        (
            SELECT * FROM staff.ask
            WHERE ask.clinic_id = p_clinic_id AND ask.state <> 'open' AND ask.answered_at > public.app_now() - interval '7 days'
            ORDER BY ask.answered_at DESC LIMIT 50)
    ) AS shown
    CROSS JOIN LATERAL (SELECT shown.state <> 'open' AND shown.kind = 'edit_patient' AS shows_name) AS answered
    LEFT JOIN booking.booking ON booking.provider_id = shown.provider_id AND booking.booking_id = shown.booking_id
    LEFT JOIN directory.provider ON provider.provider_id = shown.provider_id
    JOIN directory.clinic ON clinic.clinic_id = p_clinic_id
    JOIN directory.city ON city.city_id = clinic.city_id
    LEFT JOIN staff.account AS asker ON asker.staff_id = shown.asked_by
    LEFT JOIN staff.account AS answerer ON answerer.staff_id = shown.answered_by
    ORDER BY shown.state <> 'open', CASE WHEN shown.state = 'open' THEN shown.asked_at END, shown.answered_at DESC;
END $$;

-- Confirms or refuses what was asked: 'done' (the confirmer did it, by their own right), 'refused', 'over' (the appointment changed
-- meanwhile), 'answered' (before), 'not_found'; or why it cannot be done, as the verbs of the booking area say it: then it stays open.
CREATE FUNCTION console.answer_ask(p_token_hash bytea, p_address text, p_clinic_id bigint, p_ask_id uuid, p_confirms boolean)
RETURNS TABLE (outcome text, provider_id bigint) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    asked staff.ask;
    target booking.booking;
    now_so jsonb;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'change_booking', p_clinic_id);
    SELECT * INTO asked FROM staff.ask WHERE ask.ask_id = p_ask_id AND ask.clinic_id = p_clinic_id FOR UPDATE;
    IF NOT FOUND OR asked.state <> 'open' THEN
        RETURN QUERY SELECT CASE WHEN asked.ask_id IS NULL THEN 'not_found' ELSE 'answered' END, NULL::bigint;
        RETURN;
    END IF;
    -- So that nothing changes between looking and doing.
    PERFORM booking.lock_book(asked.provider_id);
    SELECT * INTO target FROM booking.booking WHERE booking.provider_id = asked.provider_id AND booking.booking_id = asked.booking_id;
    now_so := staff.part_of_seen(asked.kind, booking.as_seen(asked.provider_id, asked.booking_id));
    IF now_so IS DISTINCT FROM asked.seen THEN
        code := 'over';
        PERFORM staff.close_ask(p_ask_id, 'over', NULL, coalesce(now_so, '{}'));
    ELSIF NOT p_confirms THEN
        code := 'refused';
        PERFORM staff.close_ask(p_ask_id, 'refused', caller.staff_id);
    ELSE
        IF asked.kind IN ('cancel', 'refund') AND booking.moved_minor(target, asked.wish) > staff.proof_amount_minor((
            SELECT currency FROM directory.clinic WHERE clinic_id = p_clinic_id))
        THEN
            PERFORM staff.require_proof(caller.is_proven);
        END IF;
        code := booking.change(asked.kind::text, asked.provider_id, asked.booking_id, asked.wish, caller.actor);
        IF code = 'done' THEN
            PERFORM staff.close_ask(p_ask_id, 'done', caller.staff_id);
        END IF;
    END IF;
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address,
        CASE code WHEN 'over' THEN 'ask_over' WHEN 'refused' THEN 'refuse_ask' ELSE 'confirm_ask' END, code NOT IN ('done', 'over', 'refused'),
        staff.ask_detail(asked.kind::text, asked.wish, CASE WHEN code IN ('over', 'refused') THEN 'done' ELSE code END) || asked.reason, asked.asked_by,
        p_clinic_id, asked.patient_id, asked.provider_id, asked.booking_id);
    RETURN QUERY SELECT code, asked.provider_id;
END $$;
