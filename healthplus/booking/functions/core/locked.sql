-- Locks a provider's book if that can be done without waiting, by its row, too, as an import does; false where something has it locked, and
-- where it has no row yet. Nobody is overtaken: where others wait for the lock, it is not to be had.
CREATE FUNCTION booking.try_book(p_provider_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(p_provider_id) THEN
        RETURN false;
    END IF;
    PERFORM FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Locks a patient if that can be done without waiting: as verbs do it, and the row of the claim. True where something else has one of them
-- locked. In a statement of its own it keeps nothing locked.
CREATE FUNCTION booking.is_patient_locked(p_patient_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(-p_patient_id) THEN
        RETURN true;
    END IF;
    PERFORM FROM booking.claim WHERE patient_id = p_patient_id FOR UPDATE SKIP LOCKED;
    RETURN NOT FOUND AND EXISTS (SELECT FROM booking.claim WHERE patient_id = p_patient_id);
END $$;
