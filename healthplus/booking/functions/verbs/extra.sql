-- Appointments beyond what the shifts have room for (booking.extra): a seat that no shift has, so that they take no time from anybody, and
-- no chart, search or queue sees them. Made by staff alone, each kind so many a session as the clinic allows. That one was made, when and
-- where, is an entry of the queue's public chain; who it is for, and why, is not.

-- The last seat that a shift can have.
CREATE FUNCTION booking.seats_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 100 $$;

-- How many of a kind there are in a stretch of a provider's time at a clinic; those that were cancelled count no more.
CREATE FUNCTION booking.count_extra(p_provider_id bigint, p_clinic_id bigint, p_extra booking.extra, p_during tstzrange) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM booking.booking
    WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND occupies AND during && p_during AND lower(during) <@ p_during
        AND extra = p_extra
$$;

-- Whether a session has as many of a kind as its clinic allows.
CREATE FUNCTION booking.is_cap_reached(p_provider_id bigint, p_clinic_id bigint, p_extra booking.extra, p_session tstzrange) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT booking.count_extra(p_provider_id, p_clinic_id, p_extra, p_session)
        >= CASE p_extra WHEN 'walk_in' THEN walk_in_cap ELSE overbook_cap END
    FROM directory.clinic WHERE clinic_id = p_clinic_id
$$;

-- A seat beyond the times that nobody has in a stretch of a provider's time.
CREATE FUNCTION booking.extra_seat(p_provider_id bigint, p_during tstzrange) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT greatest(max(seat), booking.seats_max()) + 1 FROM booking.booking
    WHERE provider_id = p_provider_id AND occupies AND during && p_during
$$;

-- Why one of a kind cannot come back to its time: 'no_such_slot' (no session any more, or leave), or 'cap_reached'; NULL: it can.
CREATE FUNCTION booking.refuse_extra(
    p_provider_id bigint, p_clinic_id bigint, p_extra booking.extra, p_during tstzrange, p_now timestamptz
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN opening.during IS NULL OR EXISTS (
            SELECT FROM schedule.leave
            WHERE provider_id = p_provider_id AND leave.during && p_during AND (leave.clinic_id IS NULL OR leave.clinic_id = p_clinic_id))
        THEN 'no_such_slot'
        WHEN booking.is_cap_reached(p_provider_id, p_clinic_id, p_extra, opening.during) THEN 'cap_reached' END
    FROM (VALUES (true)) AS one
    LEFT JOIN schedule.openings(p_provider_id, p_clinic_id, lower(p_during), upper(p_during), p_now) AS opening ON opening.during @> p_during
$$;

-- Appends to the queue's chain that somebody was let in beside it. Nobody joins the queue by it.
CREATE FUNCTION booking.append_override(p_booking booking.booking, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    link booking.queue_entry;
    previous bytea;
BEGIN
    SELECT queue_entries + 1, queue_hash INTO link.entry, previous FROM booking.book WHERE provider_id = p_booking.provider_id;
    link.provider_id := p_booking.provider_id;
    link.at := p_now;
    link.kind := p_booking.extra::text;
    link.number := 0;
    link.clinic_id := p_booking.clinic_id;
    link.during := p_booking.during;
    link.slots_needed := p_booking.slots_needed;
    link.hash := booking.queue_hash(previous, link);
    INSERT INTO booking.queue_entry SELECT (link).*;
    UPDATE booking.book SET queue_entries = link.entry, queue_hash = link.hash WHERE provider_id = p_booking.provider_id;
END $$;

-- Books p_wanted (its clinic, patient, person, services, slots, time and kind) in a book that the caller has locked and advanced: 'booked', or
-- what booking.refuse_ahead finds of the same time and day, 'online_only' (who is not there yet, as in booking.hold), 'not_found'. Paid at the
-- clinic, if at all.
CREATE FUNCTION booking.put_extra(p_wanted booking.booking, p_reason text, p_actor text, p_now timestamptz) RETURNS booking.outcome
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    person accounts.person;
    answer booking.outcome;
    booked booking.booking;
BEGIN
    PERFORM booking.lock_patient(p_wanted.patient_id);
    person := booking.person_of(p_wanted.patient_id, p_wanted.person_id);
    IF person.person_id IS NULL OR NOT booking.may_act(p_actor, NULL)
        OR EXISTS (SELECT FROM accounts.patient WHERE patient_id = p_wanted.patient_id AND erased_at IS NOT NULL)
    THEN
        RETURN booking.refuse('not_found');
    END IF;
    IF p_wanted.extra = 'overbooked' THEN  -- a walk-in is there, and can pay
        answer := booking.refuse_at_clinic(person.person_id, p_wanted.clinic_id, (
            SELECT fee_minor FROM booking.price_of(p_wanted.provider_id, p_wanted.clinic_id, p_wanted.service_ids)), p_now);
        IF answer.code IS NOT NULL THEN
            RETURN answer;
        END IF;
    END IF;
    p_wanted.booking_id := booking.new_id(p_wanted.provider_id);
    p_wanted.person_id := person.person_id;
    answer := booking.refuse_ahead(p_wanted, false, p_now);
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    INSERT INTO booking.booking (
        provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, state, fee_minor, funding, created_at, person_id,
        patient_name, service_ids, terms_id, extra)
    SELECT p_wanted.provider_id, p_wanted.booking_id, p_wanted.clinic_id, p_wanted.patient_id, p_wanted.during,
        booking.extra_seat(p_wanted.provider_id, p_wanted.during), p_wanted.slots_needed, 'booked', fee_minor, CASE funding WHEN 'online' THEN 'clinic' ELSE funding END, p_now, person.person_id,
        nullif(person.name, ''), p_wanted.service_ids, terms_id, p_wanted.extra
    FROM booking.price_of(p_wanted.provider_id, p_wanted.clinic_id, p_wanted.service_ids)
    RETURNING * INTO booked;
    PERFORM booking.append_event(booked.provider_id, p_now, 'reserved', booked.booking_id, NULL, p_actor);
    PERFORM booking.keep_staff_act(
        booked, 'booked', booking.append_event(booked.provider_id, p_now, 'booked', booked.booking_id, NULL, p_actor, p_reason),
        p_actor, p_now, booking.told_at(p_actor, p_now, '{}'));
    PERFORM booking.append_override(booked, p_now);
    RETURN booking.describe('booked', booked);
END $$;

-- Books somebody who is there, from now on or from when the provider's next session of p_until's day begins, at most so many a session as
-- the clinic's walk_in_cap: 'booked', or 'not_working' (no more today), 'no_token' (they are all given), or what booking.put_extra refuses
-- with. For a book that the caller has locked and advanced, and found nothing free in.
CREATE FUNCTION booking.add_walk_in(
    p_provider_id bigint, p_clinic_id bigint, p_service_ids bigint[], p_patient_id bigint, p_person_id uuid, p_until timestamptz,
    p_actor text, p_now timestamptz
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    wanted booking.booking;
    opening record;
    begins timestamptz;
BEGIN
    SELECT shift.*, part.during AS stretch INTO opening
    FROM schedule.openings(p_provider_id, p_clinic_id, p_now, p_until, p_now) AS shift
    CROSS JOIN LATERAL unnest(tstzmultirange(shift.during) - coalesce((
        SELECT range_agg(leave.during) FROM schedule.leave
        WHERE provider_id = p_provider_id AND leave.during && shift.during AND (leave.clinic_id IS NULL OR leave.clinic_id = p_clinic_id)
    ), '{}')) AS part(during)
    WHERE upper(part.during) > p_now AND lower(part.during) < p_until
    ORDER BY lower(part.during) LIMIT 1;
    IF NOT FOUND THEN
        RETURN booking.refuse('not_working');
    ELSIF booking.is_cap_reached(p_provider_id, p_clinic_id, 'walk_in', opening.during) THEN
        RETURN booking.refuse('no_token');
    END IF;
    begins := greatest(date_trunc('minute', p_now), lower(opening.stretch));
    wanted.provider_id := p_provider_id;
    wanted.clinic_id := p_clinic_id;
    wanted.patient_id := p_patient_id;
    wanted.person_id := p_person_id;
    wanted.service_ids := p_service_ids;
    wanted.slots_needed := 1;
    wanted.during := tstzrange(begins, least(begins + opening.slot, upper(opening.stretch)));
    wanted.extra := 'walk_in';
    RETURN booking.put_extra(wanted, 'walk_in', p_actor, p_now);
END $$;

-- Books a time that is taken, for a reason (the caller keeps it: it may say what somebody has, and events are kept for good), at most so many
-- a session as the clinic's overbook_cap: 'booked', or 'is_free' (it can be had as any other), 'no_such_slot', 'cap_reached', 'no_reason', 'taken_back', or
-- what booking.put_extra refuses with.
CREATE FUNCTION booking.overbook(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_service_ids bigint[], p_patient_id bigint, p_person_id uuid,
    p_reason text, p_actor text, p_key text
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    request text := concat_ws('|', p_clinic_id, extract(epoch FROM p_start), p_patient_id, p_person_id, array_to_string(p_service_ids, ','));
    opened record;
    answer booking.outcome;
    need booking.need := booking.need_of(1, p_provider_id, p_service_ids);
    why text;
    opening record;
    wanted booking.booking;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'overbook', p_key, request);
    answer := opened.answer;
    IF answer.code IS NULL AND coalesce(p_reason, '') = '' THEN
        RETURN booking.refuse('no_reason');
    ELSIF answer.code IS NULL AND p_service_ids IS NOT NULL THEN
        answer := booking.refuse_services(p_provider_id, p_clinic_id, p_service_ids);
    ELSIF booking.is_taken_back(p_provider_id, answer) THEN
        RETURN booking.refuse('taken_back');
    END IF;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    END IF;
    why := booking.why_not(p_provider_id, p_clinic_id, p_start, need, opened.now_at, p_is_desk => true);
    IF why NOT IN ('booked', 'held', 'free') THEN
        RETURN booking.refuse('no_such_slot', why);
    ELSIF EXISTS (SELECT FROM booking.seat_for(p_provider_id, p_clinic_id, p_start, need, opened.now_at, p_is_desk => true)) THEN
        RETURN booking.refuse('is_free');
    END IF;
    SELECT * INTO opening
    FROM schedule.openings(p_provider_id, p_clinic_id, p_start, p_start + interval '1 microsecond', opened.now_at) AS shift
    WHERE shift.during @> p_start;
    IF booking.is_cap_reached(p_provider_id, p_clinic_id, 'overbooked', opening.during) THEN
        RETURN booking.refuse('cap_reached');
    END IF;
    wanted.provider_id := p_provider_id;
    wanted.clinic_id := p_clinic_id;
    wanted.patient_id := p_patient_id;
    wanted.person_id := p_person_id;
    wanted.service_ids := p_service_ids;
    wanted.slots_needed := 1;
    wanted.during := tstzrange(p_start, p_start + opening.slot * booking.slots_of(need, opening.slot));
    wanted.extra := 'overbooked';
    answer := booking.put_extra(wanted, 'overbooked', p_actor, opened.now_at);
    IF answer.code = 'booked' THEN
        PERFORM booking.store_result(p_provider_id, p_actor, 'overbook', p_key, request, answer, opened.now_at) WHERE p_key IS NOT NULL;
    END IF;
    RETURN answer;
END $$;
