-- Tries to lock a provider's book, as verbs do and by its row, as an import does. Never waits, and overtakes nobody: false where something
-- has the book locked or waits for it, and where it has no row yet.
CREATE FUNCTION booking.try_book(p_provider_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(p_provider_id) THEN
        RETURN false;
    END IF;
    PERFORM FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Tries to lock a patient, as verbs do and by the row of the claim. Never waits: true where something else has one of these locked. What it
-- locked stays so until the transaction ends; in a statement of its own it only looks.
CREATE FUNCTION booking.is_patient_locked(p_patient_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(-p_patient_id) THEN
        RETURN true;
    END IF;
    PERFORM FROM booking.claim WHERE patient_id = p_patient_id FOR UPDATE SKIP LOCKED;
    RETURN NOT FOUND AND EXISTS (SELECT FROM booking.claim WHERE patient_id = p_patient_id);
END $$;
