-- What a clinic's desk is paid, and its tills.

-- What the page on which a fee is recorded shows: whose appointment, what it costs and what is owed, what was recorded before, the till of who
-- asks, if it is open or closed today, and where the clinic is paid by UPI. NULL: there is no such appointment.
CREATE FUNCTION console.desk_payments(p_token_hash bytea, p_address text, p_clinic_id bigint, p_booking_id uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    target booking.booking;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    SELECT booking.* INTO target FROM directory.provider_clinic
    JOIN booking.booking ON booking.provider_id = provider_clinic.provider_id AND booking.booking_id = p_booking_id
    WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id AND booking.patient_id IS NOT NULL
        AND booking.state IN ('booked', 'cancelled', 'arrived', 'fulfilled', 'no_show');
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_booking', false, 'payment', NULL, p_clinic_id,
        target.patient_id, target.provider_id, p_booking_id)
    WHERE NOT staff.was_noted(caller.session_id, 'see_booking', p_booking_id);
    RETURN jsonb_build_object(
        'provider_id', target.provider_id, 'name', booking.as_seen(target.provider_id, p_booking_id) ->> 'name', 'state', target.state,
        'starts_at', lower(target.during), 'fee_minor', target.fee_minor, 'is_payable', till.is_payable(target),
        'is_paid_online', ledger.is_paid(target.provider_id, p_booking_id),
        'is_payable_online', payments.may_request_online(target), 'account', payments.account_of(p_clinic_id),
        'owed_minor', till.owed_minor(target), 'paid_minor', till.paid_minor(target.provider_id, p_booking_id),
        'payments', till.payments_of(target.provider_id, p_booking_id, now_at),
        'link_sent_at', notices.pay_link_at(target.provider_id, p_booking_id),
        'provider', (SELECT name FROM directory.provider WHERE provider_id = target.provider_id),
        'till', (
            SELECT CASE WHEN till.is_closed(clinic_id, session_id) THEN 'closed' ELSE 'open' END FROM till.session
            WHERE clinic_id = p_clinic_id AND staff_id = caller.staff_id AND day = till.today(p_clinic_id, now_at)))
        || (SELECT jsonb_build_object('upi_id', CASE currency WHEN 'INR' THEN upi_id END)
            FROM directory.clinic WHERE clinic_id = p_clinic_id);
END $$;

-- Records that a fee, or a part of it, was paid at the desk: what till.record answers.
CREATE FUNCTION console.record_payment(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid, p_method text, p_amount_minor integer,
    p_reference text, p_float_minor integer, p_seen_minor integer, p_is_sure boolean, p_key text
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    given till.payment;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    given.provider_id := p_provider_id;
    given.booking_id := p_booking_id;
    given.clinic_id := p_clinic_id;
    given.method := p_method::till.method;
    given.amount_minor := p_amount_minor;
    given.reference := p_reference;
    given.actor := caller.actor;
    given.key := p_key;
    code := till.record(given, caller.staff_id, p_float_minor, p_seen_minor, p_is_sure);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'record_payment', code <> 'recorded',
        concat_ws(' ', p_method, p_amount_minor, (SELECT currency FROM directory.clinic WHERE clinic_id = p_clinic_id), nullif(code, 'recorded')),
        NULL, p_clinic_id, (
            SELECT patient_id FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id),
        p_provider_id, p_booking_id);
    RETURN code;
END $$;

-- Records that the desk gave money back, of one of its payments: what till.give_back answers. As with refunds, much of it takes proof.
CREATE FUNCTION console.return_payment(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid, p_payment_id uuid, p_method text,
    p_amount_minor integer, p_reference text, p_reason text, p_float_minor integer, p_seen_minor integer, p_key text
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    given till.payment;
    code text;
    currency text;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    SELECT clinic.currency INTO currency FROM directory.clinic WHERE clinic_id = p_clinic_id;
    IF p_amount_minor > staff.proof_amount_minor(currency) THEN
        PERFORM staff.require_proof(caller.is_proven);
    END IF;
    given.provider_id := p_provider_id;
    given.booking_id := p_booking_id;
    given.clinic_id := p_clinic_id;
    given.of_id := p_payment_id;
    given.method := p_method::till.method;
    given.amount_minor := -p_amount_minor;
    given.reference := p_reference;
    given.reason := p_reason;
    given.actor := caller.actor;
    given.key := p_key;
    code := till.give_back(given, caller.staff_id, p_float_minor, p_seen_minor);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'return_payment', code <> 'returned',
        concat_ws(' ', p_method, p_amount_minor, currency, nullif(code, 'returned')) || ': ' || p_reason, NULL, p_clinic_id, (
            SELECT patient_id FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id),
        p_provider_id, p_booking_id);
    RETURN code;
END $$;

-- Texts the patient of an appointment where its fee can be paid from a phone: 'sent', or 'not_found', 'not_payable' (nothing is owed, or the
-- clinic has no UPI id and cannot take it online; p_takes_online: its gateway works), 'sent_before' (within the hour), 'unreachable'.
CREATE FUNCTION console.send_pay_link(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid, p_takes_online boolean
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    target booking.booking;
    code text;
    now_at timestamptz;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    PERFORM booking.lock_book(p_provider_id);
    now_at := public.app_now();
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF till.owed_minor(target) = 0 OR NOT (
        (p_takes_online AND payments.may_request_online(target)) OR EXISTS (
            SELECT FROM directory.clinic WHERE clinic_id = p_clinic_id AND upi_id IS NOT NULL AND currency = 'INR'))
    THEN
        code := 'not_payable';
    ELSIF notices.pay_link_at(p_provider_id, p_booking_id) > now_at - interval '1 hour' THEN
        code := 'sent_before';
    ELSE
        PERFORM notices.add(p_provider_id, p_booking_id, NULL, 'pay_link', now_at);
        code := CASE WHEN notices.pay_link_at(p_provider_id, p_booking_id) = now_at THEN 'sent' ELSE 'unreachable' END;
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'send_pay_link', code <> 'sent', nullif(code, 'sent'), NULL,
        p_clinic_id, target.patient_id, p_provider_id, p_booking_id);
    RETURN code;
END $$;

-- A till with what was recorded in it; without p_till_id that of who asks, today. Another's is for those who manage tills. NULL: there is
-- none.
CREATE FUNCTION console.till(p_token_hash bytea, p_address text, p_clinic_id bigint, p_till_id uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    sitting till.session;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    SELECT * INTO sitting FROM till.session
    WHERE clinic_id = p_clinic_id AND CASE WHEN p_till_id IS NULL
        THEN staff_id = caller.staff_id AND day = till.today(p_clinic_id, public.app_now())
        ELSE session_id = p_till_id AND (staff_id = caller.staff_id OR staff.role_at(caller.staff_id, 'manage_tills', p_clinic_id) IS NOT NULL) END;
    RETURN CASE WHEN FOUND THEN till.as_shown(sitting) || jsonb_build_object(
        'is_own', sitting.staff_id = caller.staff_id, 'rows', till.rows_of(p_clinic_id, sitting.session_id)) END;
END $$;

-- The tills of somebody at a clinic that are not closed, of days before today.
CREATE FUNCTION console.open_tills(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS TABLE (session_id uuid, day date) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    RETURN QUERY
    SELECT session.session_id, session.day FROM till.session
    WHERE clinic_id = p_clinic_id AND staff_id = caller.staff_id AND session.day < till.today(p_clinic_id, public.app_now())
        AND NOT till.is_closed(p_clinic_id, session.session_id)
    ORDER BY session.day LIMIT 31;
END $$;

-- Opens the till of who asks, for today (till.open).
CREATE FUNCTION console.open_till(p_token_hash bytea, p_address text, p_clinic_id bigint, p_float_minor integer)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    code := till.open(p_clinic_id, caller.staff_id, p_float_minor);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'open_till', code <> 'opened',
        concat_ws(' ', p_float_minor, nullif(code, 'opened')), caller.staff_id, p_clinic_id);
    RETURN code;
END $$;

-- Closes one's own till, or (who manages tills) another's: what till.close answers.
CREATE FUNCTION console.close_till(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_till_id uuid, p_counted bigint[], p_expected bigint[], p_note text
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    whose bigint;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'take_payment', p_clinic_id);
    code := 'not_found';
    SELECT staff_id INTO whose FROM till.session WHERE clinic_id = p_clinic_id AND session_id = p_till_id;
    IF whose = caller.staff_id OR staff.role_at(caller.staff_id, 'manage_tills', p_clinic_id) IS NOT NULL THEN
        code := till.close(p_clinic_id, p_till_id, p_counted, p_expected, p_note, caller.actor);
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'close_till', code <> 'closed',
        concat_ws(' ', array_to_string(p_counted, '/'), nullif(code, 'closed')), whose, p_clinic_id);
    RETURN code;
END $$;

-- Opens a closed till again (till.reopen).
CREATE FUNCTION console.reopen_till(p_token_hash bytea, p_address text, p_clinic_id bigint, p_till_id uuid, p_reason text)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_tills', p_clinic_id);
    code := till.reopen(p_clinic_id, p_till_id, p_reason, caller.actor);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'reopen_till', code <> 'reopened',
        concat_ws(': ', nullif(code, 'reopened'), p_reason),
        (SELECT staff_id FROM till.session WHERE clinic_id = p_clinic_id AND session_id = p_till_id), p_clinic_id);
    RETURN code;
END $$;

-- The tills of a clinic up to a day (NULL: today), the latest first, of the 31 days before it.
CREATE FUNCTION console.tills(p_token_hash bytea, p_address text, p_clinic_id bigint, p_last_day date)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    last_day date;
BEGIN
    PERFORM staff.authorise(p_token_hash, 'manage_tills', p_clinic_id);
    last_day := coalesce(p_last_day, till.today(p_clinic_id, public.app_now()));
    RETURN jsonb_build_object('last_day', last_day, 'tills', (
        SELECT coalesce(jsonb_agg(till.as_shown(session) ORDER BY day DESC, opened_at), '[]') FROM till.session
        WHERE clinic_id = p_clinic_id AND day BETWEEN last_day - 30 AND last_day));
END $$;
