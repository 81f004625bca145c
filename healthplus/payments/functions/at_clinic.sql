-- Paying a fee online that was to be paid at the clinic. The appointment has the id of its hold, whose key at the gateway nothing was paid with.

-- Whether the fee of an appointment can be paid online: nothing of it was paid at the desk, or is kept there.
CREATE FUNCTION payments.is_payable_online(p_booking booking.booking) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_booking.fee_minor > 0 AND till.is_payable(p_booking) AND till.paid_minor(p_booking.provider_id, p_booking.booking_id) = 0
$$;

-- Whether money may be requested for that. A gateway answers a key that was paid with as it did before, so what came with it and went back
-- leaves the desk to pay at; and so does an order that was made for another fee.
CREATE FUNCTION payments.may_request_online(p_booking booking.booking) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT payments.is_payable_online(p_booking)
        AND NOT EXISTS (SELECT FROM ledger.payment WHERE provider_id = p_booking.provider_id AND hold_id = p_booking.booking_id)
        AND NOT EXISTS (
            SELECT FROM payments.intent
            WHERE provider_id = p_booking.provider_id AND hold_id = p_booking.booking_id AND amount_minor <> p_booking.fee_minor)
$$;

-- Notes money that was set aside for an appointment: 'paid', and it is due to be captured; or 'not_payable', and it is due to go back, where
-- the appointment has ended, was paid meanwhile, at the desk or online, or has another fee by now. Money that is known gets the same answer
-- again, as long as it pays. 'not_found': there is none of the actor's.
CREATE FUNCTION payments.pay_online(
    p_provider_id bigint, p_booking_id uuid, p_authorisation text, p_amount_minor integer, p_actor text, p_source ledger.source
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    target booking.booking;
    is_paid boolean;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'pay_online', NULL, NULL);
    IF (opened.answer).code IS NOT NULL THEN
        RETURN 'not_found';
    END IF;
    SELECT * INTO target FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking.may_act(p_actor, patient_id);
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF EXISTS (
        SELECT FROM ledger.payment
        WHERE provider_id = p_provider_id AND hold_id = p_booking_id AND authorisation = p_authorisation)
    THEN
        is_paid := ledger.is_paid(p_provider_id, p_booking_id);
    ELSE
        is_paid := payments.is_payable_online(target) AND target.fee_minor = p_amount_minor;
        IF is_paid THEN
            PERFORM booking.pay_online(target, p_actor, opened.now_at);
        END IF;
        PERFORM ledger.set_aside(
            p_provider_id, p_booking_id, p_booking_id, p_authorisation, p_amount_minor,
            CASE WHEN is_paid THEN 'capture' ELSE 'void' END::ledger.payment_step, p_source, opened.now_at);
    END IF;
    RETURN CASE WHEN is_paid THEN 'paid' ELSE 'not_payable' END;
END $$;
