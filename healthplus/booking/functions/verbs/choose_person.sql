-- Notes which person of the account a live hold is for; NULL: the holder. 'named', or 'expired', 'wrong_state', 'not_found', or what
-- booking.refuse_ahead refuses with, or, as often as it was chosen before, 'hold_budget'. What the hold was to replace was another person's, and is kept.
CREATE FUNCTION booking.choose_person(p_provider_id bigint, p_booking_id uuid, p_person_id uuid, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    held booking.booking;
    old booking.booking;
    person accounts.person;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'choose_person', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO old FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking.may_act(p_actor, patient_id);
    PERFORM booking.lock_patient(old.patient_id) WHERE old.patient_id IS NOT NULL;
    person := booking.person_of(old.patient_id, p_person_id);  -- under the lock, without which nobody is removed
    IF old.booking_id IS NULL OR person.person_id IS NULL THEN
        RETURN booking.refuse('not_found');
    ELSIF old.state = 'expired' THEN
        RETURN booking.describe('expired', old);
    ELSIF old.state <> 'reserved' OR old.offer THEN
        RETURN booking.describe('wrong_state', old);
    END IF;
    held := old;
    held.patient_name := nullif(person.name, '');
    IF NOT booking.keeps_claim(held) THEN
        held.state := 'expired';
        RETURN booking.describe('expired', held);
    ELSIF held.person_id IS DISTINCT FROM person.person_id THEN
        held.person_id := person.person_id;
        held.instead_of_provider_id := NULL;
        held.instead_of_id := NULL;
        held.funding := booking.funding_for(held.funding, held.fee_minor, held.person_id, held.clinic_id, opened.now_at);
        answer := booking.refuse_ahead(held, true, opened.now_at);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
    END IF;
    IF held IS DISTINCT FROM old THEN
        held.times_named := coalesce(old.times_named, 0) + 1;
        IF held.times_named > booking.names_max() THEN
            answer := booking.spend(held.patient_id, opened.now_at);
            IF answer.code IS NOT NULL THEN
                RETURN answer;
            END IF;
        END IF;
        UPDATE booking.booking
        SET funding = held.funding, times_named = held.times_named, person_id = held.person_id, patient_name = held.patient_name, instead_of_provider_id = held.instead_of_provider_id,
            instead_of_id = held.instead_of_id
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
        PERFORM booking.append_event(p_provider_id, opened.now_at, 'named', p_booking_id, held.ticket_id, p_actor);
    END IF;
    RETURN booking.describe('named', held);
END $$;
