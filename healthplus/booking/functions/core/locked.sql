-- Whether anything has a patient locked: as verbs do it, or the row of the claim. Waits for nothing, and keeps nothing locked.
CREATE FUNCTION booking.is_patient_locked(p_patient_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(-p_patient_id) THEN
        RETURN true;
    END IF;
    PERFORM FROM booking.claim WHERE patient_id = p_patient_id FOR UPDATE SKIP LOCKED;
    RETURN NOT FOUND AND EXISTS (SELECT FROM booking.claim WHERE patient_id = p_patient_id);
END $$;
