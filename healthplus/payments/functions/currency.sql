-- A clinic keeps its currency once money is counted in it: a fee or a booking would come to mean another amount.
CREATE OR REPLACE FUNCTION payments.keep_currency() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- As a verb that books does: what is being booked now is seen below, and what comes later waits.
    PERFORM FROM booking.book
    WHERE provider_id IN (SELECT provider_id FROM directory.provider_clinic WHERE clinic_id = NEW.clinic_id)
    ORDER BY provider_id FOR UPDATE;
    IF EXISTS (
        SELECT FROM directory.provider_clinic
        WHERE clinic_id = NEW.clinic_id AND (fee_minor > 0 OR EXISTS (
            SELECT FROM booking.booking
            WHERE booking.provider_id = provider_clinic.provider_id AND booking.clinic_id = NEW.clinic_id))
    ) THEN
        RAISE check_violation USING CONSTRAINT = 'clinic_currency_is_kept', MESSAGE = format(
            'Clinic %s has fees or bookings in %s, so its currency cannot become %s.', NEW.clinic_id, OLD.currency, NEW.currency);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER keep_currency BEFORE UPDATE OF currency ON directory.clinic
FOR EACH ROW WHEN ((old.currency <> new.currency)) EXECUTE FUNCTION payments.keep_currency();
