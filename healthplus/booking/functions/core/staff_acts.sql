-- What staff change of an appointment is told after three minutes, and can be taken back until then.

-- When a patient is told what an actor did to an appointment, and when the money follows, p_starts being when it was and is: of what begins
-- within two hours, and of what others than staff do, at once. The one place that decides it.
CREATE FUNCTION booking.told_at(p_actor text, p_now timestamptz, p_starts timestamptz[]) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN booking.is_staff(p_actor) AND NOT EXISTS (
        SELECT FROM unnest(p_starts) AS at WHERE at >= p_now AND at < p_now + booking.soon_time())
        THEN p_now + booking.undo_time() ELSE p_now END
$$;

-- Keeps what an appointment was before one of the staff changed it, as long as they can take that back; p_seq: of its event. Of a booking,
-- p_until looks at no start: it is taken back also where its patient was told at once, who is then told of that, too.
CREATE FUNCTION booking.keep_staff_act(
    p_before booking.booking, p_kind text, p_seq bigint, p_actor text, p_now timestamptz, p_until timestamptz
) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO booking.staff_act (
        provider_id, booking_id, kind, seq, actor, until, during, fee_minor, funding, terms_id, kept_min_minor, needs_rebooking, extra)
    SELECT p_before.provider_id, p_before.booking_id, p_kind, p_seq, p_actor, p_until, p_before.during, p_before.fee_minor, p_before.funding,
        p_before.terms_id, p_before.kept_min_minor, p_before.needs_rebooking, p_before.extra
    WHERE p_until > p_now
    ON CONFLICT (provider_id, booking_id) DO UPDATE SET
        kind = excluded.kind, seq = excluded.seq, actor = excluded.actor, until = excluded.until, during = excluded.during,
        fee_minor = excluded.fee_minor, funding = excluded.funding, terms_id = excluded.terms_id,
        kept_min_minor = excluded.kept_min_minor, needs_rebooking = excluded.needs_rebooking,
        extra = excluded.extra
$$;

-- The last change of an appointment that who made it can still take back, if there is one: nothing happened to it since, but for what was
-- recorded on the day, which is undone apart (reception.undo) and, unless a fee was given back, before.
CREATE FUNCTION booking.last_act(p_provider_id bigint, p_booking_id uuid, p_now timestamptz) RETURNS SETOF booking.staff_act
LANGUAGE sql STABLE AS $$
    SELECT staff_act.*
    FROM booking.staff_act JOIN booking.booking USING (provider_id, booking_id)
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND until > p_now
        AND (kind = 'refunded' OR state = CASE kind WHEN 'cancelled' THEN 'cancelled' ELSE 'booked' END::booking.booking_state)
        AND NOT EXISTS (
            SELECT FROM booking.event_log
            WHERE event_log.provider_id = p_provider_id AND event_log.seq > staff_act.seq AND event_log.booking_id = p_booking_id
                AND event_log.kind NOT IN (
                    'arrived', 'called_in', 'entered', 'left_unseen', 'fulfilled', 'no_show', 'taken_back', 'attendance_undone'))
$$;

-- Until when somebody can take back what they changed last of an appointment; NULL: not any more.
CREATE FUNCTION booking.undo_until(p_provider_id bigint, p_booking_id uuid, p_actor text, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT until FROM booking.last_act(p_provider_id, p_booking_id, p_now) WHERE actor = p_actor $$;
