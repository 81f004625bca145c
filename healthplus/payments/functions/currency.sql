-- Whether a clinic has fees, bookings or amounts in its terms: it then keeps its currency, or they would come to mean another amount.
CREATE FUNCTION payments.has_money(p_clinic_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM directory.provider_clinic
        WHERE clinic_id = p_clinic_id AND (
            fee_minor > 0
            OR EXISTS (
                SELECT FROM directory.service
                WHERE service.provider_id = provider_clinic.provider_id AND coalesce(service.clinic_id, p_clinic_id) = p_clinic_id
                    AND closed_at IS NULL AND service.fee_minor > 0)
            OR EXISTS (
                SELECT FROM booking.booking
                WHERE booking.provider_id = provider_clinic.provider_id AND booking.clinic_id = p_clinic_id)))
        OR EXISTS (
            SELECT FROM directory.terms_step
            WHERE kept_minor IS NOT NULL AND terms_id IN (
                SELECT terms_id FROM directory.clinic WHERE clinic_id = p_clinic_id
                UNION ALL
                SELECT terms_id FROM directory.service_terms WHERE clinic_id = p_clinic_id))
$$;

CREATE OR REPLACE FUNCTION payments.keep_currency() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- What is being booked, or is getting a fee, is seen below, and what comes later waits.
    PERFORM FROM booking.book
    WHERE provider_id IN (SELECT provider_id FROM directory.provider_clinic WHERE clinic_id = NEW.clinic_id)
    ORDER BY provider_id FOR UPDATE;
    PERFORM FROM directory.clinic WHERE clinic_id = NEW.clinic_id FOR UPDATE;
    PERFORM FROM directory.provider_clinic WHERE clinic_id = NEW.clinic_id FOR UPDATE;
    IF payments.has_money(NEW.clinic_id) THEN
        RAISE check_violation USING CONSTRAINT = 'clinic_currency_is_kept', MESSAGE = format(
            'Clinic %s has fees or bookings in %s, so its currency cannot become %s.', NEW.clinic_id, OLD.currency, NEW.currency);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER keep_currency BEFORE UPDATE OF currency ON directory.clinic
FOR EACH ROW WHEN ((old.currency <> new.currency)) EXECUTE FUNCTION payments.keep_currency();
