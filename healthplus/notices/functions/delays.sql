-- Tells patients who are still to come that their doctor runs late, by the ways in which they are reminded, and once for a time.

-- Whether a patient wants to be told by a channel that is no answer to what they did.
CREATE FUNCTION notices.is_reminded_by(p_patient_id bigint, p_channel notices.channel) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT CASE p_channel WHEN 'email' THEN reminds_by_email WHEN 'push' THEN reminds_by_push ELSE reminds_by_text END
        FROM notices.preference WHERE patient_id = p_patient_id), true)
$$;

-- Looks into the next days of doctors at a clinic that run, p_max at most, and puts into the outbox who is to be told when to come; returns how many
-- it looked into. Processes that do so at once look into different ones.
CREATE FUNCTION notices.add_delays(p_max integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    looked integer;
    sitting reception.session;
    late record;
BEGIN
    looked := reception.take_looks(p_max, now_at);
    FOR sitting IN SELECT * FROM reception.looked_into(now_at) LOOP
        FOR late IN
            SELECT delayed.*, booking.patient_id FROM reception.delayed(sitting, reception.texted_delay(), now_at) AS delayed
            JOIN booking.booking ON booking.provider_id = sitting.provider_id AND booking.booking_id = delayed.booking_id
            WHERE delayed.starts_at <= now_at + reception.text_ahead() AND delayed.come_at > now_at AND booking.patient_id IS NOT NULL
            ORDER BY delayed.booking_id
        LOOP
            CONTINUE WHEN NOT EXISTS (
                SELECT FROM notices.channels_of(late.patient_id, now_at) AS way
                WHERE notices.is_reminded_by(late.patient_id, way.channel));
            CONTINUE WHEN NOT reception.tell(sitting.provider_id, late.booking_id, late.expected_at, late.come_at, true, now_at);
            INSERT INTO notices.notice (provider_id, channel, kind, patient_id, booking_id, created_at, until, due_at)
            SELECT sitting.provider_id, way.channel, 'running_late', late.patient_id, late.booking_id, now_at, late.come_at, now_at
            FROM notices.channels_of(late.patient_id, now_at) AS way
            WHERE notices.is_reminded_by(late.patient_id, way.channel);
        END LOOP;
    END LOOP;
    RETURN looked;
END $$;
