-- Those of these holds for which money was requested at the gateway, which has not said yet whether it moved any.
CREATE FUNCTION payments.unanswered(p_provider_ids bigint[], p_hold_ids uuid[]) RETURNS TABLE (provider_id bigint, hold_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT intent.provider_id, intent.hold_id
    FROM payments.intent JOIN unnest(p_provider_ids, p_hold_ids) AS asked (provider_id, hold_id) USING (provider_id, hold_id)
    WHERE NOT EXISTS (
        SELECT FROM ledger.payment
        WHERE payment.provider_id = intent.provider_id AND payment.hold_id = intent.hold_id)
$$;

-- Notes the states that payments have reached, of those that nobody else has locked, and how they were paid; notifies patients of what
-- went back: of an appointment that was cancelled, or that was paid twice. Of a block for a hold that ran out, the hold's own notice has said so.
CREATE FUNCTION payments.advance_payments(
    p_provider_ids bigint[], p_hold_ids uuid[], p_authorisations text[], p_states ledger.payment_state[], p_source ledger.source,
    p_now timestamptz, p_methods text[] DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    changed record;
BEGIN
    FOR changed IN
        SELECT * FROM ledger.advance_payments(p_provider_ids, p_hold_ids, p_authorisations, p_states, p_source, p_now, p_methods)
    LOOP
        IF changed.state = 'refunded' OR (changed.state = 'voided' AND (
            EXISTS (
                SELECT FROM booking.booking
                WHERE provider_id = changed.provider_id AND booking_id = changed.booking_id AND state = 'cancelled')
            OR ledger.is_paid(changed.provider_id, changed.booking_id)))
        THEN
            PERFORM notices.add(changed.provider_id, changed.booking_id, NULL::uuid, 'refunded', p_now);
        END IF;
    END LOOP;
END $$;

-- Notes the state that one payment has reached; the caller has locked its row.
CREATE FUNCTION payments.advance_payment(
    p_payment ledger.payment, p_state ledger.payment_state, p_source ledger.source, p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM payments.advance_payments(
        ARRAY[p_payment.provider_id], ARRAY[p_payment.hold_id], ARRAY[p_payment.authorisation], ARRAY[p_state], p_source, p_now);
END $$;

-- Notes what a gateway says of one refund of a payment, whose row the caller has locked, and notifies its patient, once each, of what was
-- ordered and of what has been processed: of an appointment that was cancelled or a time that was lost, they were told with that what goes back.
CREATE FUNCTION payments.note_refund(
    p_payment ledger.payment, p_key text, p_name text, p_amount_minor integer, p_state text, p_reference text, p_source ledger.source,
    p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    why text;
    noted ledger.refund;
BEGIN
    SELECT CASE
            WHEN state = 'cancelled' THEN 'cancelled'
            WHEN state IN ('reserved', 'expired', 'released') THEN 'lost'
            WHEN ledger.is_paid(p_payment.provider_id, p_payment.booking_id) THEN 'twice' ELSE 'desk' END INTO why
    FROM booking.booking WHERE provider_id = p_payment.provider_id AND booking_id = p_payment.booking_id;
    FOR noted IN
        SELECT * FROM ledger.note_refund(
            p_payment, p_key, p_name, p_amount_minor, p_state::ledger.refund_state, p_reference, coalesce(why, 'lost'), p_source = 'answer', p_now)
    LOOP
        IF noted.is_rest AND p_payment.state = 'captured' THEN
            PERFORM FROM ledger.advance_payments(
                ARRAY[p_payment.provider_id], ARRAY[p_payment.hold_id], ARRAY[p_payment.authorisation],
                ARRAY['refunded'::ledger.payment_state], p_source, p_now);
        END IF;
        -- A process of release 6 has notified of what it had refunded.
        IF (noted.state = 'processed' OR (noted.state = 'pending' AND noted.why IN ('twice', 'desk'))
                OR (noted.state = 'failed' AND noted.key IS NOT NULL AND noted.tries >= ledger.refund_tries_max()))
            AND NOT (noted.is_rest AND noted.tries = 1 AND p_payment.state = 'refunded' AND noted.ordered_at = p_now)
        THEN
            PERFORM notices.add(p_payment.provider_id, p_payment.booking_id, NULL::uuid, 'refunded', p_now);
        END IF;
    END LOOP;
END $$;

-- Notes what the gateway answered to orders of refunds, of those payments that nobody else has locked: the others are asked for again.
CREATE FUNCTION payments.note_refunds(
    p_provider_ids bigint[], p_hold_ids uuid[], p_authorisations text[], p_keys text[], p_names text[], p_amounts integer[], p_states text[],
    p_references text[], p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer record;
    money ledger.payment;
BEGIN
    FOR answer IN
        SELECT * FROM unnest(p_provider_ids, p_hold_ids, p_authorisations, p_keys, p_names, p_amounts, p_states, p_references)
            AS answer (provider_id, hold_id, authorisation, key, name, amount_minor, state, reference)
    LOOP
        SELECT * INTO money FROM ledger.payment
        WHERE provider_id = answer.provider_id AND hold_id = answer.hold_id AND authorisation = answer.authorisation
        FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            PERFORM payments.note_refund(
                money, answer.key, answer.name, answer.amount_minor, answer.state, answer.reference, 'answer', p_now);
        END IF;
    END LOOP;
END $$;

-- The refunds that a report is about, as p_refunds has them or, of a gateway that says only how much has gone back in all (p_refunded_minor),
-- what is new of that.
CREATE FUNCTION payments.reported_refunds(
    p_provider_id bigint, p_hold_id uuid, p_authorisation text, p_refunds jsonb, p_refunded_minor integer
) RETURNS TABLE (name text, key text, amount_minor integer, state text, reference text) LANGUAGE sql STABLE AS $$
    SELECT * FROM jsonb_to_recordset(p_refunds) AS refund (name text, key text, amount_minor integer, state text, reference text)
    UNION ALL
    SELECT '', '', p_refunded_minor - known.minor, 'processed', ''
    FROM (
        SELECT coalesce(sum(refund.amount_minor), 0)::integer AS minor FROM ledger.refund
        WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation
            AND refund.state IN ('pending', 'processed')
    ) AS known
    WHERE p_refunds IS NULL AND p_refunded_minor > known.minor
$$;

-- Whether the ledger has all that a report says of a payment and its refunds.
CREATE FUNCTION payments.has_reported(
    p_provider_id bigint, p_hold_id uuid, p_authorisation text, p_state ledger.payment_state, p_refunds jsonb
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
            SELECT FROM ledger.entry
            WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation AND state = p_state)
        AND NOT EXISTS (
            SELECT FROM jsonb_to_recordset(p_refunds) AS told (name text, state text, reference text)
            LEFT JOIN ledger.refund AS known ON known.provider_id = p_provider_id AND known.hold_id = p_hold_id
                AND known.authorisation = p_authorisation AND known.name = told.name
            WHERE known.name IS NULL OR known.state < told.state::ledger.refund_state OR (known.reference IS NULL AND told.reference <> ''))
$$;

-- A verb. Every report of a payment that is not the gateway's answer to us enters here. Returns 'recorded'; or 'duplicate' for a
-- state or a webhook (p_event_id) that came before; or 'unknown' if money was never requested for such a hold. A payment that
-- was unknown so far pays for its hold, or the appointment, as if the patient's own request had brought it. Of what is over, the intent may be gone:
-- money for it is taken note of all the same, so that it goes back. p_refunds: what the gateway has of its refunds, as an array of objects with
-- name, key, amount_minor, state and reference, those by hand there, too; or else p_refunded_minor: how much has gone back in all.
CREATE FUNCTION payments.record_gateway_event(
    p_provider_id bigint, p_hold_id uuid, p_authorisation text, p_state ledger.payment_state, p_amount_minor integer,
    p_currency text, p_source ledger.source, p_event_id text DEFAULT NULL, p_refunded_minor integer DEFAULT NULL,
    p_refunds jsonb DEFAULT NULL, p_method text DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    amount_requested integer;
    stands boolean;  -- it was requested for an appointment
    money ledger.payment;
    held booking.booking;
    clinic_currency text;
    refund record;
    has_gone boolean := p_state IN ('voided', 'refunded') OR EXISTS (
        SELECT FROM jsonb_to_recordset(p_refunds) AS told (state text) WHERE told.state <> 'failed');
    -- What went back is said by the refunds, of which there may be several.
    reached ledger.payment_state := CASE
        WHEN p_state = 'refunded' AND coalesce(p_refunds::text, p_refunded_minor::text) IS NOT NULL THEN 'captured' ELSE p_state END;
BEGIN
    -- Most webhooks say what the gateway's answer has said: that changes nothing, and needs no lock.
    IF payments.has_reported(p_provider_id, p_hold_id, p_authorisation, p_state, p_refunds)
        OR (p_refunds IS NOT NULL AND payments.has_reported(p_provider_id, p_hold_id, p_authorisation, reached, p_refunds))
    THEN
        INSERT INTO payments.webhook_event (provider_id, event_id, hold_id, authorisation, state, at)
        SELECT p_provider_id, p_event_id, p_hold_id, p_authorisation, p_state, public.app_now() WHERE p_event_id IS NOT NULL
        ON CONFLICT DO NOTHING;
        RETURN 'duplicate';
    END IF;
    SELECT amount_minor, is_for_booking INTO amount_requested, stands FROM payments.intent
    WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND account = payments.account_named(p_authorisation);
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM payments.intent WHERE provider_id = p_provider_id AND hold_id = p_hold_id) THEN
            RETURN 'unknown';  -- it was requested with another account
        END IF;
        SELECT fee_minor INTO amount_requested FROM booking.booking
        WHERE payments.account_named(p_authorisation) IN (
                SELECT payments.account_of(clinic_id)
                UNION ALL
                SELECT payments.account_named(authorisation) FROM ledger.payment
                WHERE payment.provider_id = p_provider_id AND payment.hold_id = p_hold_id)
            AND provider_id = p_provider_id AND booking_id = p_hold_id AND funding IN ('online', 'clinic')
            AND booking.state_at(booking, (SELECT public.app_now())) <> 'reserved';
        IF NOT FOUND THEN
            RETURN 'unknown';
        END IF;
    END IF;
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN 'unknown';
    END IF;
    now_at := public.app_now();
    IF p_event_id IS NOT NULL THEN
        INSERT INTO payments.webhook_event (provider_id, event_id, hold_id, authorisation, state, at)
        VALUES (p_provider_id, p_event_id, p_hold_id, p_authorisation, p_state, now_at)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN 'duplicate';
        END IF;
    END IF;
    SELECT * INTO money FROM ledger.payment
    WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation FOR UPDATE;
    IF NOT FOUND THEN
        SELECT * INTO STRICT held FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_hold_id;
        SELECT currency INTO STRICT clinic_currency FROM directory.clinic WHERE clinic_id = held.clinic_id;
        IF stands AND NOT has_gone AND p_currency = clinic_currency THEN
            PERFORM payments.pay_online(p_provider_id, p_hold_id, p_authorisation, p_amount_minor, 'system:gateway', p_source);
        ELSIF NOT has_gone
            AND (p_amount_minor, p_currency) = (amount_requested, clinic_currency)
        THEN
            PERFORM booking.confirm(p_provider_id, p_hold_id, p_authorisation, 'system:gateway', NULL, NULL, p_source);
        ELSE  -- gone already, or not the money that was requested
            PERFORM ledger.set_aside(
                p_provider_id, p_hold_id, p_hold_id, p_authorisation, p_amount_minor, 'void', p_source, now_at,
                nullif(p_currency, clinic_currency));
        END IF;
        SELECT * INTO STRICT money FROM ledger.payment
        WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation;
    END IF;
    PERFORM payments.advance_payment(money, reached, p_source, now_at);
    PERFORM ledger.note_method(money, p_method);
    FOR refund IN SELECT * FROM payments.reported_refunds(p_provider_id, p_hold_id, p_authorisation, p_refunds, p_refunded_minor) LOOP
        -- The row as it is by now: the first of several may be the rest of it.
        SELECT * INTO STRICT money FROM ledger.payment
        WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation;
        PERFORM payments.note_refund(
            money, refund.key, refund.name, refund.amount_minor, refund.state, refund.reference, p_source, now_at);
    END LOOP;
    RETURN 'recorded';
END $$;
