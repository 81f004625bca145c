-- Who comes without an appointment.

-- Takes in a person whom the clinic knows, who is there, for a doctor's services (NULL: a visit): 'booked', recorded as arrived with a token.
-- They get the doctor's next free time today like anybody, and where there is none a token beyond the times (booking.add_walk_in). Else what
-- booking.hold or add_walk_in refuses with, 'taken_back' (this was sent before, and is cancelled since), or 'not_found'. p_reason: why they get
-- more than a person may have ahead.
CREATE FUNCTION reception.walk_in(
    p_provider_id bigint, p_clinic_id bigint, p_service_ids bigint[], p_person_id uuid, p_reason text, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    request text := concat_ws('|', p_clinic_id, p_person_id, array_to_string(p_service_ids, ','));
    opened record;
    answer booking.outcome;
    recorded record;
    account_id bigint;
    ends_at timestamptz;
    free_at timestamptz;
BEGIN
    SELECT patient_id INTO account_id FROM accounts.person
    WHERE person_id = p_person_id AND removed_at IS NULL AND reception.knows(p_clinic_id, p_person_id);
    IF NOT FOUND OR NOT booking.may_act(p_actor, NULL) THEN
        RETURN booking.refuse('not_found');
    END IF;
    opened := booking.open_book(p_provider_id, p_actor, 'walk_in', p_key, request);
    answer := opened.answer;
    IF answer.code IS NULL AND p_service_ids IS NOT NULL THEN
        answer := booking.refuse_services(p_provider_id, p_clinic_id, p_service_ids);
    ELSIF booking.is_taken_back(p_provider_id, answer) THEN
        answer := booking.refuse('taken_back');
    END IF;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    SELECT least(upper(reception.during_day(p_clinic_id, (opened.now_at AT TIME ZONE time_zone)::date)), opened.now_at + reception.early_time())
    INTO ends_at FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = p_clinic_id;
    SELECT min(starts_at) INTO free_at
    FROM booking.obtainable_runs(
        p_provider_id, p_clinic_id, opened.now_at, ends_at, booking.need_of(1, p_provider_id, p_service_ids), opened.now_at,
        p_is_desk => true);
    IF free_at IS NULL THEN
        answer := booking.add_walk_in(
            p_provider_id, p_clinic_id, p_service_ids, account_id, p_person_id, ends_at, p_actor, opened.now_at);
    ELSE
        answer := booking.hold_in_book(
            p_provider_id, p_clinic_id, free_at, 1, p_service_ids, account_id, p_person_id, NULL, NULL, p_actor, NULL, p_reason,
            opened.now_at, p_is_here => true);
        IF answer.code = 'reserved' THEN
            answer := booking.confirm(p_provider_id, answer.booking_id, NULL, p_actor, NULL);
            IF answer.code <> 'booked' THEN
                RAISE EXCEPTION 'a hold of the desk was not confirmed: %', answer.code;
            END IF;
        END IF;
    END IF;
    IF answer.code <> 'booked' THEN
        RETURN answer;
    END IF;
    recorded := reception.record(p_provider_id, answer.booking_id, p_clinic_id, 'arrive', p_actor);
    IF recorded.code <> 'recorded' THEN
        RAISE EXCEPTION 'a walk-in was not recorded: %', recorded.code;
    END IF;
    UPDATE reception.attendance SET before = before || '{"walk_in": true}'
    WHERE provider_id = p_provider_id AND booking_id = answer.booking_id;
    PERFORM booking.store_result(p_provider_id, p_actor, 'walk_in', p_key, request, answer, opened.now_at) WHERE p_key IS NOT NULL;
    RETURN answer;
END $$;

-- The doctors whom a clinic has today, as console.walk_in_doctors shows them: the first time that is free, and what add_walk_in would find.
CREATE FUNCTION reception.walk_in_doctors(p_clinic_id bigint, p_now timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'provider_id', provider_id, 'name', provider.name, 'free_at', (
            SELECT min(starts_at) FROM booking.obtainable_runs(
                provider_id, clinic_id, p_now, least(upper(today.during), p_now + reception.early_time()), 1, p_now, p_is_desk => true)),
        'tokens_left', greatest(0, walk_in_cap - booking.count_extra(provider_id, clinic_id, 'walk_in', shift.during)),
        'session_starts_at', lower(shift.during), 'session_ends_at', upper(shift.during)) ORDER BY provider.name, provider_id), '[]')
    FROM directory.clinic
    JOIN directory.city USING (city_id)
    JOIN directory.provider_clinic USING (clinic_id)
    JOIN directory.provider USING (provider_id)
    CROSS JOIN LATERAL reception.during_day(clinic_id, (p_now AT TIME ZONE time_zone)::date) AS today(during)
    CROSS JOIN LATERAL (
        SELECT opening.during FROM schedule.openings(provider_id, clinic_id, p_now, upper(today.during), p_now) AS opening
        WHERE upper(opening.during) > p_now AND lower(opening.during) < least(upper(today.during), p_now + reception.early_time())
        ORDER BY lower(opening.during) LIMIT 1) AS shift
    WHERE clinic_id = p_clinic_id
$$;

-- A token as it is printed: its label, for which doctor, whether it is a walk-in's beyond the times, the place in the order where its patient
-- waits, and whether p_actor may still take it back. NULL: there is none.
CREATE FUNCTION reception.token_slip(p_clinic_id bigint, p_booking_id uuid, p_actor text, p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'label', reception.token_label(letter, token), 'provider_id', provider_id, 'provider', provider.name, 'extra', booking.extra, 'arrived_at', arrived_at,
        'starts_at', lower(booking.during), 'place', (
            SELECT place FROM reception.order_of(provider_id, session_id, p_now) AS ranked WHERE ranked.booking_id = p_booking_id),
        'undo_until_at', reception.undo_until(provider_id, booking_id, p_actor, p_now))
    FROM directory.provider_clinic AS post
    JOIN directory.provider USING (provider_id)
    JOIN booking.booking USING (provider_id)
    JOIN reception.attendance USING (provider_id, booking_id)
    JOIN reception.session USING (provider_id, session_id)
    WHERE post.clinic_id = p_clinic_id AND booking_id = p_booking_id AND booking.clinic_id = p_clinic_id AND token IS NOT NULL
$$;
