-- Notes down that a booking's patient is to be told of something, by each way there is to reach them; p_booking_id may be NULL
-- for an offer, whose ticket names it. Called by whatever changes the booking, in the same transaction.
CREATE FUNCTION notices.add(p_provider_id bigint, p_booking_id uuid, p_ticket_id uuid, p_kind text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO notices.notice (provider_id, channel, kind, patient_id, booking_id, ticket_id, created_at, until, due_at)
    SELECT p_provider_id, way.channel, p_kind::notices.kind, patient_id, booking_id, p_ticket_id, p_now,
        CASE p_kind WHEN 'offered' THEN deadline WHEN 'expired' THEN p_now + interval '1 hour' ELSE p_now + interval '1 day' END,
        p_now
    FROM booking.booking
    JOIN accounts.patient USING (patient_id)
    CROSS JOIN LATERAL (
        VALUES ('sms'::notices.channel, CASE WHEN patient.takes_sms THEN patient.phone END), ('email', patient.email)) AS way (channel, address)
    WHERE booking.provider_id = p_provider_id
        AND booking.booking_id = coalesce(p_booking_id, (
            SELECT offer_id FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id))
        AND way.address IS NOT NULL
        -- who books and cancels all day long must not have us send texts all day long
        AND (way.channel <> 'sms' OR (
            SELECT count(*) FROM notices.notice
            WHERE notice.patient_id = patient.patient_id AND channel = 'sms' AND created_at > p_now - interval '1 day') < 20)
        AND (p_kind <> 'moved' OR booking.state = 'booked');  -- who moves a hold is at the page
END $$;
