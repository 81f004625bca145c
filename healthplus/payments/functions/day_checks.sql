-- The daily comparison of the ledger with the gateways' lists.

-- How much of a payment that was captured has gone back, or is on its way; of payments that went back before refunds had rows, all that was
-- not kept.
CREATE FUNCTION payments.returned_minor(p_payment ledger.payment) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (
            SELECT sum(amount_minor) FILTER (WHERE state IN ('pending', 'processed')) FROM ledger.refund
            WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation)::integer,
        CASE WHEN p_payment.state = 'refunded' AND NOT EXISTS (
            SELECT FROM ledger.refund
            WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation)
            THEN p_payment.amount_minor - coalesce(p_payment.kept_minor, 0) END,
        0)
$$;

-- What the ledger says of a payment, in the terms of a gateway's list; its refunds each with the gateway's name for it, NULL where that is not
-- known, and how much it is. is_kept: it was taken, and no booking keeps it, nor is it due to go back.
-- may_lapse: the gateway has no call that lets go of it, and three to five days may pass until it does.
CREATE FUNCTION payments.as_listed(
    p_payment ledger.payment, OUT name text, OUT provider_id bigint, OUT hold_id uuid, OUT booking_id uuid, OUT clinic_id bigint, OUT state text,
    OUT amount_minor integer, OUT currency text, OUT returned_minor integer, OUT is_kept boolean, OUT may_lapse boolean,
    OUT refunds jsonb
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    target booking.booking;
BEGIN
    SELECT * INTO target FROM booking.booking
    WHERE booking.provider_id = p_payment.provider_id AND booking.booking_id = p_payment.booking_id;
    name := substr(p_payment.authorisation, strpos(p_payment.authorisation, '/') + 1);
    provider_id := p_payment.provider_id;
    hold_id := p_payment.hold_id;
    booking_id := p_payment.booking_id;
    clinic_id := target.clinic_id;
    state := CASE WHEN p_payment.state = 'refunded' THEN 'captured' ELSE p_payment.state::text END;
    amount_minor := p_payment.amount_minor;
    currency := coalesce(p_payment.currency, (SELECT clinic.currency FROM directory.clinic WHERE clinic.clinic_id = target.clinic_id));
    returned_minor := payments.returned_minor(p_payment);
    refunds := (
        SELECT coalesce(jsonb_agg(jsonb_build_array(refund.name, refund.amount_minor)), '[]') FROM ledger.refund
        WHERE refund.provider_id = p_payment.provider_id AND refund.hold_id = p_payment.hold_id
            AND refund.authorisation = p_payment.authorisation AND refund.state IN ('pending', 'processed'));
    is_kept := p_payment.state = 'captured' AND p_payment.due IS NULL AND p_payment.kept_minor IS NULL AND returned_minor < amount_minor
        AND (target.funding = 'online' AND target.state IN ('booked', 'arrived', 'fulfilled', 'no_show')) IS NOT TRUE;
    may_lapse := p_payment.state = 'voided' AND p_payment.authorised_at > (SELECT public.app_now()) - interval '6 days'
        AND EXISTS (SELECT FROM payments.account WHERE account = payments.account_named(p_payment.authorisation) AND lets_lapse);
END $$;

-- Has each of these accounts have a row for each of the days that are to be compared: p_days before today. A day is compared once all of it is
-- two hours past.
CREATE FUNCTION payments.plan_day_checks(p_accounts text[], p_days integer, p_now timestamptz) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO payments.day_check (account, day, due_at)
    SELECT account, day, (day + 1)::timestamp AT TIME ZONE 'UTC' + interval '2 hours'
    FROM unnest(p_accounts) AS account
    CROSS JOIN LATERAL (
        SELECT (p_now AT TIME ZONE 'UTC')::date - ago AS day FROM generate_series(1, p_days) AS ago) AS past
    ON CONFLICT DO NOTHING
$$;

-- Takes the day of an account that has waited longest for its comparison; it comes up again after p_again_after unless that goes on by then.
CREATE FUNCTION payments.take_day_check(p_accounts text[], p_now timestamptz, p_again_after interval) RETURNS SETOF payments.day_check
LANGUAGE sql VOLATILE AS $$
    UPDATE payments.day_check SET due_at = p_now + p_again_after, began_at = p_now
    WHERE (account, day) IN (
        SELECT account, day FROM payments.day_check
        WHERE due_at <= p_now AND account = ANY (p_accounts)
        ORDER BY due_at, account LIMIT 1
        FOR UPDATE SKIP LOCKED)
    RETURNING day_check.*
$$;

-- Notes that a day was compared as a whole; it is compared again a day later, p_runs times in all.
CREATE FUNCTION payments.finish_day_check(
    p_account text, p_day date, p_payments integer, p_different integer, p_runs integer, p_now timestamptz
) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE payments.day_check SET
        runs = runs + 1, finished_at = p_now, payments = p_payments, different = p_different, failures = 0,
        due_at = CASE WHEN runs + 1 < p_runs
            THEN greatest((day + runs + 2)::timestamp AT TIME ZONE 'UTC' + interval '2 hours', p_now + interval '1 hour') END
    WHERE account = p_account AND day = p_day
$$;

-- Notes what does not agree; returns whether that is new. What somebody has closed stays closed while neither side says anything else; what
-- agreed meanwhile, and does not again, is open again.
CREATE FUNCTION payments.note_case(
    p_account text, p_kind text, p_name text, p_provider_id bigint, p_hold_id uuid, p_booking_id uuid, p_clinic_id bigint,
    p_amount_minor integer, p_currency text, p_ours text, p_theirs text, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_new boolean;
    is_open boolean;
BEGIN
    INSERT INTO payments.money_case AS known (
        account, kind, name, provider_id, hold_id, booking_id, clinic_id, amount_minor, currency, ours, theirs, found_at, seen_at)
    VALUES (
        p_account, p_kind, p_name, p_provider_id, p_hold_id, p_booking_id, p_clinic_id, p_amount_minor, p_currency, p_ours, p_theirs, p_now,
        p_now)
    ON CONFLICT ON CONSTRAINT money_case_once DO UPDATE SET
        provider_id = coalesce(excluded.provider_id, known.provider_id), hold_id = coalesce(excluded.hold_id, known.hold_id),
        booking_id = coalesce(excluded.booking_id, known.booking_id),
        clinic_id = coalesce(excluded.clinic_id, known.clinic_id), amount_minor = excluded.amount_minor, currency = excluded.currency,
        ours = excluded.ours, theirs = excluded.theirs, seen_at = p_now, look_at = NULL,
        found_at = CASE WHEN payments.stays_closed(known, p_ours, p_theirs) OR known.closed_at IS NULL THEN known.found_at ELSE p_now END,
        closed_at = CASE WHEN payments.stays_closed(known, p_ours, p_theirs) THEN known.closed_at END,
        closed_by = CASE WHEN payments.stays_closed(known, p_ours, p_theirs) THEN known.closed_by END,
        note = CASE WHEN payments.stays_closed(known, p_ours, p_theirs) THEN known.note END
    RETURNING old.case_id IS NULL OR old.closed_at IS NOT NULL, new.closed_at IS NULL INTO is_new, is_open;
    RETURN is_new AND is_open;
END $$;

CREATE FUNCTION payments.stays_closed(p_case payments.money_case, p_ours text, p_theirs text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT p_case.closed_at IS NOT NULL AND starts_with(p_case.closed_by, 'staff:') AND p_case.ours = p_ours AND p_case.theirs = p_theirs
$$;

-- Closes the open cases of these names, each named with the kinds that are left of it: the others agree by now. Those of settlements, or those
-- of lists.
CREATE FUNCTION payments.close_agreed(p_account text, p_names text[], p_kept text[], p_is_settled boolean, p_now timestamptz)
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH closed AS (
        UPDATE payments.money_case SET closed_at = p_now, closed_by = 'system:comparison', look_at = NULL
        WHERE account = p_account AND name = ANY (p_names) AND closed_at IS NULL AND kind || ' ' || name <> ALL (p_kept)
            AND starts_with(kind, 'settled_') = p_is_settled
        RETURNING 1)
    SELECT count(*) FROM closed
$$;

-- Closes a case by hand: 'done'; or 'over' where that was done before, or it agrees by now; or 'not_found'.
CREATE FUNCTION payments.close_case(p_case_id uuid, p_by text, p_note text, p_now timestamptz) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known payments.money_case;
BEGIN
    SELECT * INTO known FROM payments.money_case WHERE case_id = p_case_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF known.closed_at IS NOT NULL THEN
        RETURN 'over';
    END IF;
    UPDATE payments.money_case SET closed_at = p_now, closed_by = p_by, note = p_note, look_at = NULL WHERE case_id = p_case_id;
    RETURN 'done';
END $$;

-- Has the gateway be looked at for a case: as payments.close_case.
CREATE FUNCTION payments.look_at_case(p_case_id uuid, p_now timestamptz) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known payments.money_case;
BEGIN
    SELECT * INTO known FROM payments.money_case WHERE case_id = p_case_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF known.closed_at IS NOT NULL THEN
        RETURN 'over';
    END IF;
    UPDATE payments.money_case SET look_at = p_now WHERE case_id = p_case_id;
    RETURN 'done';
END $$;
