-- Notes who a live hold is for, by name; NULL: the patient whose account it is. 'named', or 'wrong_state', 'not_found'.
CREATE FUNCTION booking.name_patient(p_provider_id bigint, p_booking_id uuid, p_patient_name text, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    held booking.booking;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'name_patient', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO held FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking.may_act(p_actor, patient_id);
    IF NOT FOUND THEN
        RETURN booking.refuse('not_found');
    ELSIF held.state <> 'reserved' THEN
        RETURN booking.describe('wrong_state', held);
    END IF;
    IF held.patient_name IS DISTINCT FROM p_patient_name THEN
        UPDATE booking.booking SET patient_name = p_patient_name
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
        PERFORM booking.append_event(p_provider_id, opened.now_at, 'named', p_booking_id, held.ticket_id, p_actor);
    END IF;
    RETURN booking.describe('named', held);
END $$;
