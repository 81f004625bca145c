-- How old a fact about money is when it is counted: by then whatever noted it has ended, which a statement's longest time sees to.
CREATE FUNCTION monitoring.count_after() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '2 minutes' $$;

-- Adds the money that reached a state since it was last counted, a week of it at most; each fact has a time of its own and never
-- changes, so none is counted twice. Returns whether there is more to count. Of several who ask at once, one counts.
CREATE FUNCTION monitoring.count_money() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    counted timestamptz;
    upto timestamptz;
    newest timestamptz := public.app_now() - monitoring.count_after();
BEGIN
    SELECT until INTO counted FROM monitoring.money_counted FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF counted = '-infinity' THEN
        SELECT coalesce(min(authorised_at) - interval '1 microsecond', newest) INTO counted FROM ledger.payment;
    END IF;
    upto := least(counted + interval '7 days', newest);
    IF upto <= counted THEN
        RETURN false;
    END IF;
    INSERT INTO monitoring.money AS known (currency, state, payments, amount_minor)
    SELECT coalesce(fact.currency, clinic.currency, '?'), fact.state, count(*), sum(fact.amount_minor)
    FROM (
        SELECT provider_id, booking_id, currency, amount_minor, 'authorised'::ledger.payment_state AS state
        FROM ledger.payment WHERE authorised_at > counted AND authorised_at <= upto
        UNION ALL
        SELECT provider_id, booking_id, currency, amount_minor, 'captured' FROM ledger.payment WHERE captured_at > counted AND captured_at <= upto
        UNION ALL
        SELECT provider_id, booking_id, currency, amount_minor, 'voided' FROM ledger.payment WHERE voided_at > counted AND voided_at <= upto
        UNION ALL
        SELECT provider_id, booking_id, currency, ledger.rest_minor(payment), 'refunded' FROM ledger.payment
        WHERE refunded_at > counted AND refunded_at <= upto
        UNION ALL
        SELECT refund.provider_id, refund.booking_id, currency, refund.amount_minor, 'refunded'
        FROM ledger.refund JOIN ledger.payment USING (provider_id, hold_id, authorisation)
        WHERE NOT is_rest AND processed_at > counted AND processed_at <= upto) AS fact
    LEFT JOIN booking.booking USING (provider_id, booking_id)
    LEFT JOIN directory.clinic USING (clinic_id)
    GROUP BY 1, 2
    ON CONFLICT (currency, state) DO UPDATE
    SET payments = known.payments + excluded.payments, amount_minor = known.amount_minor + excluded.amount_minor;
    UPDATE monitoring.money_counted SET until = upto;
    RETURN upto < newest;
END $$;
