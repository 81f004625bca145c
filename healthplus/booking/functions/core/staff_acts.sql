-- What staff change of an appointment is told after three minutes, and can be taken back until then.

-- When a patient is told what an actor did to an appointment, and when the money follows, p_starts being when it was and is: of what begins
-- within two hours, and of what others than staff do, at once. The one place that decides it.
CREATE FUNCTION booking.told_at(p_actor text, p_now timestamptz, p_starts timestamptz[]) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN coalesce(p_actor, '') ^@ 'staff:' AND NOT EXISTS (
        SELECT FROM unnest(p_starts) AS at WHERE at >= p_now AND at < p_now + booking.soon_time())
        THEN p_now + booking.undo_time() ELSE p_now END
$$;

-- Keeps what an appointment was before one of the staff changed it, as long as they can take that back; p_seq: of its event.
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

-- Until when somebody can take back what they did last to an appointment; NULL: not any more. Nothing happened to it since.
CREATE FUNCTION booking.undo_until(p_provider_id bigint, p_booking_id uuid, p_actor text, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT until FROM booking.staff_act
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND actor = p_actor AND until > p_now
        AND NOT EXISTS (
            SELECT FROM booking.event_log
            WHERE event_log.provider_id = p_provider_id AND event_log.seq > staff_act.seq AND event_log.booking_id = p_booking_id)
$$;
