-- What is ahead for a person: appointments that are not over, and the hold, offer or ticket of the account's claim. An offer's id is
-- its ticket's. Volatile, to see what was committed while its caller waited for the patient's lock.
CREATE FUNCTION booking.expected(p_patient_id bigint, p_person_id uuid, p_now timestamptz)
RETURNS TABLE (provider_id bigint, id uuid, state text, clinic_id bigint, starts_at timestamptz) LANGUAGE sql VOLATILE AS $$
    SELECT booking.provider_id, booking_id, state::text, booking.clinic_id, lower(during)
    FROM booking.booking
    WHERE patient_id = p_patient_id AND person_id = p_person_id AND upper(during) > p_now
        AND booking.visit_end(during, service_ids) > p_now
        AND (state IN ('booked', 'arrived') OR (state = 'reserved' AND NOT offer AND NOT booking.is_due(booking, p_now)))
    UNION ALL
    SELECT claim.provider_id, claim.ticket_id, 'waiting', ticket.clinic_id, lower(queue_window)
    FROM booking.claim JOIN booking.ticket USING (provider_id, ticket_id)
    WHERE claim.patient_id = p_patient_id AND person_id = p_person_id AND (booking.claim_fate(claim, p_now)).fate = 'live'
$$;

-- Removes a person from an account: 'removed', or 'expected' while something is ahead for them, 'holder', 'not_found'. Under the
-- patient's lock, without which nothing is held or waited for.
CREATE FUNCTION booking.remove_person(p_patient_id bigint, p_person_id uuid) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.lock_patient(p_patient_id);
    IF EXISTS (SELECT FROM booking.expected(p_patient_id, p_person_id, public.app_now())) THEN
        RETURN 'expected';
    END IF;
    RETURN accounts.remove_person(p_patient_id, p_person_id, EXISTS (
        SELECT FROM booking.booking WHERE patient_id = p_patient_id AND person_id = p_person_id
    ) OR EXISTS (
        SELECT FROM booking.ticket WHERE patient_id = p_patient_id AND person_id = p_person_id));
END $$;
