-- Money for bookings, as far as the database decides about it. Nothing here knows what a booking is: callers say what money is for.

-- How long a capture is left to the process that booked, which knows of it; after that any process does it.
CREATE FUNCTION ledger.capture_patience() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 seconds' $$;

-- Notes money set aside for a hold, as a payment for p_booking_id: the hold itself, or what was booked in its place.
-- p_currency: NULL is the clinic's.
CREATE FUNCTION ledger.set_aside(
    p_provider_id bigint, p_hold_id uuid, p_booking_id uuid, p_authorisation text, p_amount_minor integer,
    p_due ledger.payment_step, p_source ledger.source, p_now timestamptz, p_currency text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO ledger.payment (
        provider_id, hold_id, booking_id, authorisation, amount_minor, currency, due, at, authorised_at, authorised_source)
    VALUES (p_provider_id, p_hold_id, p_booking_id, p_authorisation, p_amount_minor, p_currency, p_due,
        CASE p_due WHEN 'capture' THEN p_now + ledger.capture_patience() ELSE p_now END, p_now, p_source);
END $$;

-- The holds whose money may pay for a booking: itself, and one that expired before its money came. Payments are found by these,
-- as only those of another booking than the hold are in an index by booking.
CREATE FUNCTION ledger.holds_paid(p_provider_id bigint, p_booking_id uuid) RETURNS uuid[] STABLE LANGUAGE sql AS $$
    SELECT ARRAY (
        SELECT p_booking_id
        UNION ALL
        SELECT hold_id FROM ledger.payment
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking_id <> hold_id)
$$;

-- Orders the money of a booking that has ended to be voided, or refunded where it was captured.
CREATE FUNCTION ledger.order_return(p_provider_id bigint, p_booking_id uuid, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE ledger.payment
    SET due = CASE state WHEN 'authorised' THEN 'void' WHEN 'captured' THEN 'refund' END::ledger.payment_step, at = p_now
    WHERE provider_id = p_provider_id AND hold_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id)) AND booking_id = p_booking_id
        AND state IN ('authorised', 'captured');
END $$;

-- Notes the state that a payment has reached; the caller has locked its row. True when the payment changed. Facts come late,
-- out of order and again, so a state never goes back, and of each only the first report counts. What is due may have changed
-- meanwhile: a booking cancelled while its money was captured is due to be refunded.
CREATE FUNCTION ledger.advance_payment(
    p_payment ledger.payment, p_state ledger.payment_state, p_source ledger.source, p_now timestamptz
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF p_payment.authorised_at IS NULL THEN
        PERFORM ledger.take_over_entries(p_payment.provider_id, p_payment.hold_id);
    END IF;
    UPDATE ledger.payment
    SET state = greatest(state, p_state), at = CASE WHEN p_state > state THEN p_now ELSE at END,
        due = CASE WHEN p_state <= state THEN due WHEN p_state = 'captured' AND due = 'void' THEN 'refund'::ledger.payment_step END,
        captured_at = CASE p_state WHEN 'captured' THEN p_now ELSE captured_at END,
        captured_source = CASE p_state WHEN 'captured' THEN p_source ELSE captured_source END,
        voided_at = CASE p_state WHEN 'voided' THEN p_now ELSE voided_at END,
        voided_source = CASE p_state WHEN 'voided' THEN p_source ELSE voided_source END,
        refunded_at = CASE p_state WHEN 'refunded' THEN p_now ELSE refunded_at END,
        refunded_source = CASE p_state WHEN 'refunded' THEN p_source ELSE refunded_source END
    WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
        AND CASE p_state WHEN 'authorised' THEN authorised_at WHEN 'captured' THEN captured_at WHEN 'voided' THEN voided_at
            ELSE refunded_at END IS NULL;
    RETURN p_state > p_payment.state;
END $$;

-- Fills in what the entries of release 2 say of a provider's payments, or of those for one hold. The caller has locked the book, or them.
CREATE FUNCTION ledger.take_over_entries(p_provider_id bigint, p_hold_id uuid DEFAULT NULL) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.payment
    SET currency = fact.currency,
        authorised_at = fact.authorised_at, authorised_source = fact.authorised_source,
        captured_at = fact.captured_at, captured_source = fact.captured_source,
        voided_at = fact.voided_at, voided_source = fact.voided_source,
        refunded_at = fact.refunded_at, refunded_source = fact.refunded_source
    FROM (
        SELECT hold_id, authorisation, min(currency) AS currency,
            min(at) FILTER (WHERE state = 'authorised') AS authorised_at, min(source) FILTER (WHERE state = 'authorised') AS authorised_source,
            min(at) FILTER (WHERE state = 'captured') AS captured_at, min(source) FILTER (WHERE state = 'captured') AS captured_source,
            min(at) FILTER (WHERE state = 'voided') AS voided_at, min(source) FILTER (WHERE state = 'voided') AS voided_source,
            min(at) FILTER (WHERE state = 'refunded') AS refunded_at, min(source) FILTER (WHERE state = 'refunded') AS refunded_source
        FROM ledger.former_entry
        WHERE provider_id = p_provider_id AND (p_hold_id IS NULL OR hold_id = p_hold_id)
        GROUP BY hold_id, authorisation) AS fact
    WHERE payment.provider_id = p_provider_id AND payment.hold_id = fact.hold_id AND payment.authorisation = fact.authorisation
        AND payment.authorised_at IS NULL
$$;

-- Refuses to change what was written of a payment, or to remove it, also for the owner.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
        MESSAGE = format('what %I.%I says of money is written once: %s is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP);
END $$;

CREATE TRIGGER written_once AFTER UPDATE ON ledger.payment FOR EACH ROW WHEN (((old.provider_id IS DISTINCT FROM new.provider_id)
    OR (old.hold_id IS DISTINCT FROM new.hold_id) OR (old.booking_id IS DISTINCT FROM new.booking_id)
    OR (old.authorisation IS DISTINCT FROM new.authorisation) OR (old.amount_minor IS DISTINCT FROM new.amount_minor)
    OR ((old.currency IS NOT NULL) AND (old.currency IS DISTINCT FROM new.currency))
    OR ((old.authorised_at IS NOT NULL) AND (old.authorised_at IS DISTINCT FROM new.authorised_at))
    OR ((old.authorised_source IS NOT NULL) AND (old.authorised_source IS DISTINCT FROM new.authorised_source))
    OR ((old.captured_at IS NOT NULL) AND (old.captured_at IS DISTINCT FROM new.captured_at))
    OR ((old.captured_source IS NOT NULL) AND (old.captured_source IS DISTINCT FROM new.captured_source))
    OR ((old.voided_at IS NOT NULL) AND (old.voided_at IS DISTINCT FROM new.voided_at))
    OR ((old.voided_source IS NOT NULL) AND (old.voided_source IS DISTINCT FROM new.voided_source))
    OR ((old.refunded_at IS NOT NULL) AND (old.refunded_at IS DISTINCT FROM new.refunded_at))
    OR ((old.refunded_source IS NOT NULL) AND (old.refunded_source IS DISTINCT FROM new.refunded_source))))
EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger.payment FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.former_entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

-- Of a call of release 2 that began before its functions were replaced.
CREATE FUNCTION ledger.keep_former_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger.former_entry (provider_id, hold_id, authorisation, state, amount_minor, source, at, currency)
    VALUES (NEW.provider_id, NEW.hold_id, NEW.authorisation, NEW.state, NEW.amount_minor, NEW.source, NEW.at, NEW.currency)
    ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;

CREATE TRIGGER keep_former_entry INSTEAD OF INSERT ON ledger.entry FOR EACH ROW EXECUTE FUNCTION ledger.keep_former_entry();
