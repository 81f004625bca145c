-- How an appointment's money stands, and refunds that failed.

-- The money of an appointment at a clinic, step by step (payments.money_steps), as its patient sees it.
CREATE FUNCTION console.booking_money(p_token_hash bytea, p_address text, p_clinic_id bigint, p_booking_id uuid)
RETURNS TABLE (provider_id bigint, name text, provider text, starts_at timestamptz, currency text, time_zone text, steps jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    target booking.booking;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    SELECT booking.* INTO target FROM directory.provider_clinic
    JOIN booking.booking ON booking.provider_id = provider_clinic.provider_id AND booking.booking_id = p_booking_id
    WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_money', false, '', NULL, p_clinic_id,
        target.patient_id, target.provider_id, p_booking_id);
    RETURN QUERY
    SELECT target.provider_id, booking.as_seen(target.provider_id, p_booking_id) ->> 'name', provider.name::text, lower(target.during),
        clinic.currency::text, city.time_zone::text, payments.money_steps(target.provider_id, p_booking_id)
    FROM directory.provider
    JOIN directory.clinic ON clinic.clinic_id = p_clinic_id
    JOIN directory.city USING (city_id)
    WHERE provider.provider_id = target.provider_id;
END $$;

-- Refunds that failed as often as they are tried by themselves, of the bookings at a clinic, and that nobody has seen to, the first that failed
-- first.
CREATE FUNCTION console.failed_refunds(p_token_hash bytea, p_address text, p_clinic_id bigint) RETURNS TABLE (
    refund_id uuid, provider_id bigint, provider text, booking_id uuid, patient text, starts_at timestamptz, amount_minor integer,
    currency text, time_zone text, why text, ordered_at timestamptz, failed_at timestamptz, tries integer, name text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    one record;
BEGIN
    caller := staff.authorise(p_token_hash, 'change_booking', p_clinic_id);
    FOR one IN
        SELECT refund, booking AS target, provider.name AS provider, coalesce(payment.currency, clinic.currency) AS currency, city.time_zone
        FROM directory.provider_clinic
        JOIN ledger.refund ON refund.provider_id = provider_clinic.provider_id
            AND refund.state = 'failed' AND refund.is_last AND refund.paid_at IS NULL
        JOIN booking.booking ON booking.provider_id = refund.provider_id AND booking.booking_id = refund.booking_id
        JOIN ledger.payment ON payment.provider_id = refund.provider_id AND payment.hold_id = refund.hold_id
            AND payment.authorisation = refund.authorisation
        JOIN directory.provider ON provider.provider_id = refund.provider_id
        JOIN directory.clinic ON clinic.clinic_id = p_clinic_id
        JOIN directory.city ON city.city_id = clinic.city_id
        WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id
        ORDER BY refund.failed_at LIMIT 200
    LOOP
        PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_refunds', false, '', NULL, p_clinic_id,
            (one.target).patient_id, (one.target).provider_id, (one.target).booking_id);
        RETURN QUERY SELECT (one.refund).refund_id, (one.refund).provider_id, one.provider::text, (one.refund).booking_id,
            (one.target).patient_name, lower((one.target).during), (one.refund).amount_minor, one.currency::text, one.time_zone::text,
            (one.refund).why, (one.refund).ordered_at, (one.refund).failed_at, (one.refund).tries::integer, (one.refund).name;
    END LOOP;
END $$;

-- Has a refund that failed be tried again at once (p_reference NULL), or notes that it was paid by bank transfer instead, under that reference:
-- 'again' or 'paid'; or 'over' (somebody has seen to it), 'wrong_reference', 'not_found'.
CREATE FUNCTION console.settle_refund(p_token_hash bytea, p_address text, p_clinic_id bigint, p_refund_id uuid, p_reference text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    failed ledger.refund;
    target booking.booking;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'change_booking', p_clinic_id, p_needs_proof => true);
    SELECT refund.* INTO failed FROM directory.provider_clinic
    JOIN ledger.refund ON refund.provider_id = provider_clinic.provider_id AND refund.refund_id = p_refund_id
    JOIN booking.booking ON booking.provider_id = refund.provider_id AND booking.booking_id = refund.booking_id
    WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id
    FOR UPDATE OF refund;
    IF NOT FOUND THEN
        RETURN 'not_found';
    -- It comes in by healthplus/text.py; spaces alone are none, from any caller.
    ELSIF p_reference IS NOT NULL AND NOT length(btrim(p_reference)) BETWEEN 4 AND 60 THEN
        RETURN 'wrong_reference';
    END IF;
    SELECT * INTO target FROM booking.booking WHERE provider_id = failed.provider_id AND booking_id = failed.booking_id;
    IF failed.state <> 'failed' OR NOT failed.is_last OR failed.paid_at IS NOT NULL THEN
        code := 'over';
    ELSIF p_reference IS NULL THEN
        code := 'again';
        PERFORM ledger.try_refund_again(failed, caller.actor, public.app_now());
    ELSE
        code := 'paid';
        PERFORM ledger.pay_otherwise(failed, caller.actor, p_reference, public.app_now());
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address,
        CASE WHEN p_reference IS NULL THEN 'retry_refund' ELSE 'record_transfer' END, code = 'over',
        CASE WHEN code = 'over' THEN code ELSE concat_ws(' ', failed.amount_minor, p_reference) END, NULL, p_clinic_id, target.patient_id,
        target.provider_id, target.booking_id);
    RETURN code;
END $$;
