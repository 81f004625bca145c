-- Why the patient of a booking comes. It may stand at an expired hold, whose money has booked its slot again.
CREATE FUNCTION booking.reason_of(p_provider_id bigint, p_booking_id uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT text FROM booking.reason
    WHERE provider_id = p_provider_id AND booking_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id))
    ORDER BY booking_id = p_booking_id DESC LIMIT 1
$$;

-- Stores why a patient comes, or, where p_reason is NULL, that they do not say: 'stored', or 'expired', 'too_late', 'wrong_state',
-- 'not_found'. The booking's row is locked, so that nothing is stored for a patient who is being erased: their hold is released first.
CREATE FUNCTION booking.give_reason(p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_reason text)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    own booking.booking;
BEGIN
    SELECT * INTO own FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND patient_id = p_patient_id
    FOR SHARE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF booking.state_at(own, now_at) = 'expired' THEN
        RETURN 'expired';
    ELSIF own.state NOT IN ('reserved', 'booked') OR (own.state = 'reserved' AND own.offer) THEN
        RETURN 'wrong_state';
    ELSIF lower(own.during) <= now_at THEN
        RETURN 'too_late';
    END IF;
    IF p_reason IS NULL THEN
        DELETE FROM booking.reason
        WHERE provider_id = p_provider_id AND booking_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id));
    ELSE
        INSERT INTO booking.reason (provider_id, booking_id, patient_id, text, said_at)
        VALUES (p_provider_id, p_booking_id, p_patient_id, p_reason, now_at)
        ON CONFLICT (provider_id, booking_id) DO UPDATE SET text = excluded.text, said_at = excluded.said_at;
    END IF;
    RETURN 'stored';
END $$;
