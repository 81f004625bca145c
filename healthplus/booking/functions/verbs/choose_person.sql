-- Notes which person of the account a live hold is for; NULL: the holder. 'named', or 'wrong_state', 'not_found'.
CREATE FUNCTION booking.choose_person(p_provider_id bigint, p_booking_id uuid, p_person_id uuid, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    held booking.booking;
    person accounts.person;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'choose_person', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO held FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking.may_act(p_actor, patient_id);
    person := booking.person_of(held.patient_id, p_person_id);
    IF held.booking_id IS NULL OR person.person_id IS NULL THEN
        RETURN booking.refuse('not_found');
    ELSIF held.state <> 'reserved' OR held.offer THEN
        RETURN booking.describe('wrong_state', held);
    END IF;
    IF (held.person_id, held.patient_name) IS DISTINCT FROM (person.person_id, nullif(person.name, '')) THEN
        UPDATE booking.booking SET person_id = person.person_id, patient_name = nullif(person.name, '')
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
        PERFORM booking.append_event(p_provider_id, opened.now_at, 'named', p_booking_id, held.ticket_id, p_actor);
    END IF;
    RETURN booking.describe('named', held);
END $$;
