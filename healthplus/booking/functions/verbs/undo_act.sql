-- Brings an appointment to a time that it had, unless others have it by now (rule 6) or its person is elsewhere then: NULL where it is, or why
-- not: 'slot_full', 'slot_held', 'no_such_slot', 'cap_reached' (of what has no seat of its shift), 'not_found' (the account or person is gone),
-- or what booking.refuse_ahead refuses with.
CREATE FUNCTION booking.bring_back(p_target booking.booking, p_act booking.staff_act, p_kind text, p_actor text, p_now timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    wanted booking.booking := p_target;
    need booking.need := booking.need_of(p_target.slots_needed, p_target.provider_id, p_target.service_ids);
    starts_at timestamptz := lower(p_act.during);
    refusal booking.outcome;
BEGIN
    IF p_act.extra IS NOT NULL THEN
        refusal.code := booking.refuse_extra(p_target.provider_id, p_target.clinic_id, p_act.extra, p_act.during, p_now);
        IF refusal.code IS NOT NULL THEN
            RETURN refusal.code;
        END IF;
        wanted.during := p_act.during;
        wanted.seat := booking.extra_seat(p_target.provider_id, p_act.during);
    ELSE
        SELECT seat, during INTO wanted.seat, wanted.during
        FROM booking.seat_for(p_target.provider_id, p_target.clinic_id, starts_at, need, p_now, NULL, p_target.booking_id, p_is_desk => true);
    END IF;
    IF wanted.seat IS NULL THEN
        RETURN (booking.refuse_run(
            p_target.provider_id, p_target.clinic_id, starts_at, need, p_now,
            booking.why_not(p_target.provider_id, p_target.clinic_id, starts_at, need, p_now, p_target.booking_id, p_is_desk => true))).code;
    END IF;
    PERFORM booking.lock_patient(p_target.patient_id);
    IF EXISTS (SELECT FROM accounts.patient WHERE patient_id = p_target.patient_id AND erased_at IS NOT NULL)
        OR (p_target.person_id IS NOT NULL AND (booking.person_of(p_target.patient_id, p_target.person_id)).person_id IS NULL)
    THEN
        RETURN 'not_found';
    END IF;
    refusal := booking.refuse_ahead(wanted, false, p_now);
    IF refusal.code IS NOT NULL THEN
        RETURN refusal.code;
    END IF;
    UPDATE booking.booking SET state = 'booked', during = wanted.during, seat = wanted.seat, extra = p_act.extra, terms_id = p_act.terms_id,
        kept_min_minor = p_act.kept_min_minor, needs_rebooking = p_act.needs_rebooking
    WHERE provider_id = p_target.provider_id AND booking_id = p_target.booking_id;
    PERFORM ledger.take_back_return(p_target.provider_id, p_target.booking_id, p_act.until, p_now);
    PERFORM booking.append_event(p_target.provider_id, p_now, p_kind, p_target.booking_id, p_target.ticket_id, p_actor);
    PERFORM booking.make_offers(p_target.provider_id, p_now);
    PERFORM booking.refresh_availability(p_target.provider_id, p_now);
    PERFORM booking.refresh_scarce_days(p_target.provider_id, p_now, p_target.clinic_id, wanted.during);
    RETURN NULL;
END $$;

-- Cancels an appointment that was booked a moment ago, whose patient has spent nothing by that, and serves the queue. p_reason: 'undone' where
-- nobody is to be told.
CREATE FUNCTION booking.unbook(p_target booking.booking, p_reason text, p_actor text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.end_booking(p_target, 'cancelled', p_now, p_actor, p_reason);
    PERFORM booking.lock_patient(p_target.patient_id);
    UPDATE booking.claim SET provider_id = 0, booking_id = gen_random_uuid()  -- of nothing, as where there never was one
    WHERE patient_id = p_target.patient_id AND provider_id = p_target.provider_id AND booking_id = p_target.booking_id;
    PERFORM booking.make_offers(p_target.provider_id, p_now);
    PERFORM booking.refresh_availability(p_target.provider_id, p_now);
END $$;

-- Takes back what one of the staff changed last of an appointment at a clinic: 'undone'; or 'too_late' (three minutes are over, its patient
-- was told, or something happened since), 'not_found', or why it cannot have its time again, as above. p_is_here: its patient is at the
-- desk, and need not be told.
CREATE FUNCTION booking.undo_act(
    p_provider_id bigint, p_booking_id uuid, p_clinic_id bigint, p_actor text, p_is_here boolean DEFAULT false
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    opened record;
    now_at timestamptz;
    target booking.booking;
    act booking.staff_act;
    refusal text;
BEGIN
    opened := booking.open_book(p_provider_id, p_actor, 'undo_act', NULL, NULL);
    now_at := opened.now_at;
    SELECT * INTO target FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id AND booking.may_act(p_actor, NULL);
    IF NOT FOUND OR (opened.answer).code IS NOT NULL THEN
        RETURN 'not_found';
    END IF;
    SELECT * INTO act FROM booking.last_act(p_provider_id, p_booking_id, now_at) WHERE actor = p_actor;
    IF NOT FOUND THEN
        RETURN 'too_late';
    END IF;
    CASE act.kind
        WHEN 'cancelled' THEN
            refusal := booking.bring_back(target, act, 'uncancelled', p_actor, now_at);
        WHEN 'moved' THEN
            refusal := booking.bring_back(target, act, 'moved_back', p_actor, now_at);
        WHEN 'refunded' THEN
            UPDATE booking.booking SET fee_minor = act.fee_minor, funding = act.funding
            WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
            PERFORM ledger.take_back_return(p_provider_id, p_booking_id, act.until, now_at);
            PERFORM booking.append_event(p_provider_id, now_at, 'refund_undone', p_booking_id, target.ticket_id, p_actor);
        ELSE
            PERFORM booking.unbook(target, CASE
                WHEN p_is_here OR booking.told_at(p_actor, act.until - booking.undo_time(), ARRAY[lower(target.during)]) = act.until
                THEN 'undone' ELSE '' END, p_actor, now_at);
    END CASE;
    IF refusal IS NOT NULL THEN
        RETURN refusal;
    END IF;
    -- What comes back cannot be taken back again.
    DELETE FROM booking.staff_act WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    RETURN 'undone';
END $$;
