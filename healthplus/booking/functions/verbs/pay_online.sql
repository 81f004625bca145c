-- Notes that an appointment whose fee was to be paid at the clinic is paid online; returns it. The caller has locked the book, notes the money
-- in the same transaction, and knows that nothing is paid yet.
CREATE FUNCTION booking.pay_online(p_booking booking.booking, p_actor text, p_now timestamptz) RETURNS booking.booking
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    paid booking.booking;
BEGIN
    UPDATE booking.booking SET funding = 'online'
    WHERE provider_id = p_booking.provider_id AND booking_id = p_booking.booking_id RETURNING * INTO STRICT paid;
    PERFORM booking.append_event(paid.provider_id, p_now, 'paid_online', paid.booking_id, NULL, p_actor);
    RETURN paid;
END $$;
