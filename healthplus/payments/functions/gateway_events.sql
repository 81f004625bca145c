-- Those of these holds for which money was requested at the gateway, which has not said yet whether it moved any.
CREATE FUNCTION payments.unanswered(p_provider_ids bigint[], p_hold_ids uuid[]) RETURNS TABLE (provider_id bigint, hold_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT intent.provider_id, intent.hold_id
    FROM payments.intent JOIN unnest(p_provider_ids, p_hold_ids) AS asked (provider_id, hold_id) USING (provider_id, hold_id)
    WHERE NOT EXISTS (
        SELECT FROM ledger.payment
        WHERE payment.provider_id = intent.provider_id AND payment.hold_id = intent.hold_id)
$$;

-- Notes the states that payments have reached, of those that nobody else has locked, and notifies patients of what went back: of
-- an appointment that was cancelled, or that was paid twice. Of a block for a hold that ran out, the hold's own notice has said so.
CREATE FUNCTION payments.advance_payments(
    p_provider_ids bigint[], p_hold_ids uuid[], p_authorisations text[], p_states ledger.payment_state[], p_source ledger.source,
    p_now timestamptz
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    changed record;
BEGIN
    FOR changed IN
        SELECT * FROM ledger.advance_payments(p_provider_ids, p_hold_ids, p_authorisations, p_states, p_source, p_now)
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

-- A verb. Every report of a payment that is not the gateway's answer to us enters here. Returns 'recorded'; or 'duplicate' for a
-- state or a webhook (p_event_id) that came before; or 'unknown' if money was never requested for such a hold; or 'mismatch', and notes
-- nothing, where the gateway has given back another amount (p_refunded_minor) than what is not kept: people have to look. A payment that
-- was unknown so far pays for its hold as if the patient's own request had brought it. Of what is over, the intent may be gone:
-- money for it is taken note of all the same, so that it goes back.
CREATE FUNCTION payments.record_gateway_event(
    p_provider_id bigint, p_hold_id uuid, p_authorisation text, p_state ledger.payment_state, p_amount_minor integer,
    p_currency text, p_source ledger.source, p_event_id text DEFAULT NULL, p_refunded_minor integer DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    amount_requested integer;
    money ledger.payment;
    held booking.booking;
    clinic_currency text;
BEGIN
    IF p_state = 'refunded' AND EXISTS (
        SELECT FROM ledger.payment
        WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation
            AND p_refunded_minor <> amount_minor - coalesce(kept_minor, 0)
    ) THEN
        RETURN 'mismatch';
    END IF;
    -- Most webhooks say what the gateway's answer has said: that changes nothing, and needs no lock.
    IF EXISTS (
        SELECT FROM ledger.entry
        WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation AND state = p_state
    ) THEN
        INSERT INTO payments.webhook_event (provider_id, event_id, hold_id, authorisation, state, at)
        SELECT p_provider_id, p_event_id, p_hold_id, p_authorisation, p_state, public.app_now() WHERE p_event_id IS NOT NULL
        ON CONFLICT DO NOTHING;
        RETURN 'duplicate';
    END IF;
    SELECT amount_minor INTO amount_requested FROM payments.intent
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
            AND provider_id = p_provider_id AND booking_id = p_hold_id AND funding = 'online'
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
        IF p_state IN ('authorised', 'captured')
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
    PERFORM payments.advance_payment(money, p_state, p_source, now_at);
    RETURN 'recorded';
END $$;
