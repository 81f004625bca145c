-- Records what came of an appointment: 'arrived', 'fulfilled' or 'no_show'; else 'wrong_state', 'not_found'. No patient may.
CREATE FUNCTION booking.attend(p_provider_id bigint, p_booking_id uuid, p_state booking.booking_state, p_actor text)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    answer booking.outcome;
    target booking.booking;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'attend', NULL, NULL);
    answer := opened.answer;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    IF NOT FOUND OR NOT booking.may_act(p_actor, NULL) THEN
        RETURN booking.refuse('not_found');
    ELSIF (p_state, target.state) NOT IN (('arrived', 'booked'), ('fulfilled', 'arrived'), ('no_show', 'booked'))
        OR (p_state = 'no_show' AND NOT booking.can_be_missed(target, opened.now_at))
    THEN
        RETURN booking.describe('wrong_state', target);
    END IF;
    UPDATE booking.booking SET state = p_state
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id RETURNING * INTO target;
    PERFORM booking.note_no_show(target) WHERE p_state = 'no_show';
    PERFORM booking.append_event(p_provider_id, opened.now_at, p_state::text, p_booking_id, target.ticket_id, p_actor);
    RETURN booking.describe(p_state::text, target);
END $$;
