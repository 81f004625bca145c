-- What a patient who cancels leaves, by the terms that their booking has had since it was held.

-- Whether anything may be kept of a booking: only of what is paid online, and never where the clinic has a change to make good for, or runs
-- so late that waiting for it is no longer what was booked.
CREATE FUNCTION booking.has_terms(p_booking booking.booking) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_booking.terms_id IS NOT NULL AND p_booking.funding = 'online' AND NOT p_booking.needs_rebooking
        AND NOT EXISTS (
            SELECT FROM booking.delay
            WHERE provider_id = p_booking.provider_id AND booking_id = p_booking.booking_id AND starts_at = lower(p_booking.during))
$$;

-- Notes that a clinic runs so late that changing these appointments costs nothing, for the times that they have now.
CREATE FUNCTION booking.note_delay(p_provider_id bigint, p_booking_ids uuid[], p_now timestamptz) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO booking.delay AS known (provider_id, booking_id, starts_at, noted_at)
    SELECT provider_id, booking_id, lower(during), p_now FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = ANY (p_booking_ids) AND state = 'booked'
    ORDER BY booking_id  -- in one order for all, so that no two wait for each other
    ON CONFLICT (provider_id, booking_id) DO UPDATE SET starts_at = excluded.starts_at, noted_at = excluded.noted_at
    WHERE known.starts_at <> excluded.starts_at
$$;

-- What is kept and given back of what was paid online, if the patient cancels a booking at an instant; changes_at: after which instant more
-- is kept (NULL: never). What is shown, what cancelling does and what moving must not lessen is all worked out here.
CREATE FUNCTION booking.cancelling(
    p_booking booking.booking, p_at timestamptz, OUT kept_minor integer, OUT returned_minor integer, OUT changes_at timestamptz
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    starts_at timestamptz := lower(p_booking.during);
    -- of what is left of it, where parts have gone back; nothing was paid for a hold
    left_minor integer := p_booking.fee_minor - CASE p_booking.state
        WHEN 'reserved' THEN 0 ELSE least(p_booking.fee_minor, ledger.booking_parts_minor(p_booking.provider_id, p_booking.booking_id)) END;
BEGIN
    kept_minor := 0;
    IF booking.has_terms(p_booking) THEN
        kept_minor := least(left_minor, greatest(
            p_booking.kept_min_minor, directory.kept_minor(p_booking.terms_id, p_booking.fee_minor, starts_at, p_at)));
        SELECT min(directory.begins_after(terms_step, starts_at)) INTO changes_at
        FROM directory.terms_step
        WHERE terms_id = p_booking.terms_id AND directory.begins_after(terms_step, starts_at) >= p_at
            AND least(left_minor, directory.kept_by(terms_step, p_booking.fee_minor)) > cancelling.kept_minor;
    END IF;
    returned_minor := CASE p_booking.funding WHEN 'online' THEN left_minor - kept_minor ELSE 0 END;
END $$;

-- The same with the steps of the terms as they are for this booking, the first to come first: after how many hours before its start
-- how much is kept.
CREATE FUNCTION booking.shown_terms(
    p_booking booking.booking, p_at timestamptz, OUT kept_minor integer, OUT returned_minor integer, OUT changes_at timestamptz,
    OUT step_hours integer[], OUT step_kept_minor integer[]
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT * INTO kept_minor, returned_minor, changes_at FROM booking.cancelling(p_booking, p_at);
    step_hours := '{}';
    step_kept_minor := '{}';
    IF booking.has_terms(p_booking) THEN
        SELECT coalesce(array_agg(hours_before ORDER BY hours_before DESC), '{}'),
            coalesce(array_agg(greatest(p_booking.kept_min_minor, directory.kept_by(terms_step, p_booking.fee_minor))
                ORDER BY hours_before DESC), '{}')
        INTO step_hours, step_kept_minor
        FROM directory.terms_step WHERE terms_id = p_booking.terms_id;
    END IF;
END $$;
