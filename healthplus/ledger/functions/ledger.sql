-- Money for bookings, as far as the database decides about it. Nothing here knows what a booking is: callers say what money is for.

-- Notes money set aside for a hold, as a payment for p_booking_id: the hold itself, or what was booked in its place.
-- p_currency: NULL is the clinic's.
CREATE FUNCTION ledger.set_aside(
    p_provider_id bigint, p_hold_id uuid, p_booking_id uuid, p_authorisation text, p_amount_minor integer,
    p_due ledger.payment_step, p_source ledger.source, p_now timestamptz, p_currency text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO ledger.payment (provider_id, hold_id, booking_id, authorisation, amount_minor, due, at)
    VALUES (p_provider_id, p_hold_id, p_booking_id, p_authorisation, p_amount_minor, p_due, p_now);
    INSERT INTO ledger.entry (provider_id, hold_id, authorisation, state, amount_minor, currency, source, at)
    VALUES (p_provider_id, p_hold_id, p_authorisation, 'authorised', p_amount_minor, p_currency, p_source, p_now);
END $$;

-- Orders the money of a booking that has ended to be voided, or refunded where it was captured.
CREATE FUNCTION ledger.order_return(p_provider_id bigint, p_booking_id uuid, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE ledger.payment
    SET due = CASE state WHEN 'authorised' THEN 'void' WHEN 'captured' THEN 'refund' END::ledger.payment_step, at = p_now
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND state IN ('authorised', 'captured');
END $$;

-- Notes the state that a payment has reached; the caller has locked its row. True when the payment changed. Facts come late,
-- out of order and again, so a state never goes back. What is due may have changed meanwhile: a booking cancelled while its
-- money was captured is due to be refunded.
CREATE FUNCTION ledger.advance_payment(
    p_payment ledger.payment, p_state ledger.payment_state, p_source ledger.source, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO ledger.entry (provider_id, hold_id, authorisation, state, amount_minor, currency, source, at)
    SELECT provider_id, hold_id, authorisation, p_state, amount_minor, currency, p_source, p_now
    FROM ledger.entry
    WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
        AND state = 'authorised'
    ON CONFLICT DO NOTHING;
    IF p_state <= p_payment.state THEN
        RETURN false;
    END IF;
    UPDATE ledger.payment
    SET state = p_state, due = CASE WHEN p_state = 'captured' AND due = 'void' THEN 'refund'::ledger.payment_step END, at = p_now
    WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation;
    RETURN true;
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
