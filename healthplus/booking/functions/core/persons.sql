-- The person of a patient's account that something is for; p_person_id NULL: the holder. All NULL for a person of another account,
-- or one who was removed.
CREATE FUNCTION booking.person_of(p_patient_id bigint, p_person_id uuid) RETURNS accounts.person LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_one accounts.person;
BEGIN
    SELECT * INTO found_one FROM accounts.person
    WHERE patient_id = p_patient_id AND removed_at IS NULL
        AND CASE WHEN p_person_id IS NULL THEN is_holder ELSE person_id = p_person_id END;
    RETURN found_one;
END $$;

-- Whether a booking is one that another for this person may replace: booked, and not begun.
CREATE FUNCTION booking.is_replaceable(
    p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_person accounts.person, p_now timestamptz
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM booking.booking
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND patient_id = p_patient_id
            AND coalesce(person_id = p_person.person_id, p_person.is_holder, true)
            AND state = 'booked' AND lower(during) > p_now)
$$;
