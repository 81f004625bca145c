-- Whether a hold or offer has run out by p_now, whether or not its row says so yet: the one place that decides it.
-- The planner inlines this and state_at, so that queries with them use the same indexes as if they were written out.
CREATE FUNCTION booking.is_due(p_booking booking.booking, p_now timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_booking.state = 'reserved' AND p_booking.deadline <= p_now
$$;

-- The state of a booking at p_now.
CREATE FUNCTION booking.state_at(p_booking booking.booking, p_now timestamptz)
RETURNS booking.booking_state LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN booking.is_due(p_booking, p_now) THEN 'expired' ELSE p_booking.state END
$$;
