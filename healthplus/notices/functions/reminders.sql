-- How many hours before an appointment patients are reminded, where the clinic says nothing else.
CREATE FUNCTION notices.usual_hours() RETURNS smallint[] LANGUAGE sql IMMUTABLE AS $$ SELECT '{24,2}'::smallint[] $$;

-- Late is no use: how long after its time a reminder is still sent.
CREATE FUNCTION notices.reminder_patience() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '1 hour' $$;

-- When a reminder so many hours before an appointment is sent. Nobody is woken: what would come between 20:00 and 8:00 in the clinic's
-- zone comes at 20:00, the evening before. With its patience, none comes after 21:00.
CREATE FUNCTION notices.reminder_time(p_starts_at timestamptz, p_hours integer, p_zone text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN local::time >= '20:00' THEN (local::date + time '20:00') AT TIME ZONE p_zone
        WHEN local::time < '08:00' THEN (local::date - 1 + time '20:00') AT TIME ZONE p_zone
        ELSE p_starts_at - make_interval(hours => p_hours) END
    FROM (SELECT (p_starts_at - make_interval(hours => p_hours)) AT TIME ZONE p_zone AS local) AS at
$$;

-- Puts into the outbox the reminders that are due so many hours before appointments of a zone which begin within a stretch of time, and that nobody
-- has put there yet: p_rows_max at most; returns how many. Not of appointments that were booked or moved so late that the patient still knows
-- it, or whose clinic cannot keep the time. Processes that do so at once find the same; the reminder's key lets one of them have it.
CREATE FUNCTION notices.add_reminders_between(
    p_now timestamptz, p_hours integer, p_zone text, p_from timestamptz, p_to timestamptz, p_rows_max integer)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    added integer;
BEGIN
    WITH due AS MATERIALIZED (
        -- Once for each start, of which there are few, however many appointments begin then: it takes longer than all else.
        SELECT starts_at, notices.reminder_time(starts_at, p_hours, p_zone) AS at
        FROM (
            SELECT DISTINCT lower(during) AS starts_at FROM booking.booking
            WHERE lower(during) > p_from AND lower(during) <= p_to) AS start
    ), new AS (
        INSERT INTO notices.reminder (provider_id, booking_id, starts_at, due_at, patient_id)
        SELECT booking.provider_id, booking.booking_id, lower(during), due.at, booking.patient_id
        FROM due
        JOIN booking.booking ON lower(during) = due.starts_at
        JOIN directory.clinic ON clinic.clinic_id = booking.clinic_id AND p_hours = ANY (coalesce(reminder_hours, notices.usual_hours()))
        JOIN directory.city ON city.city_id = clinic.city_id AND city.time_zone = p_zone
        WHERE booking.state = 'booked' AND booking.patient_id IS NOT NULL AND NOT needs_rebooking
            AND due.at <= p_now AND due.at > p_now - notices.reminder_patience()
            AND booking.created_at <= due.at - interval '10 minutes'
            AND NOT EXISTS (
                SELECT FROM booking.event_log
                WHERE event_log.provider_id = booking.provider_id AND event_log.booking_id = booking.booking_id
                    AND event_log.kind = 'moved' AND event_log.at > due.at - interval '10 minutes')
            AND NOT EXISTS (
                SELECT FROM notices.reminder
                WHERE reminder.provider_id = booking.provider_id AND reminder.booking_id = booking.booking_id
                    AND reminder.starts_at = lower(during) AND reminder.due_at = due.at)
        ORDER BY booking.provider_id, booking.booking_id  -- in one order for all, so that no two wait for each other
        LIMIT p_rows_max
        ON CONFLICT DO NOTHING
        RETURNING *
    ), told AS (
        INSERT INTO notices.notice (provider_id, channel, kind, patient_id, booking_id, reminder_id, created_at, until, due_at)
        SELECT provider_id, way.channel, 'reminder', patient_id, booking_id, reminder_id, p_now,
            least(new.due_at + notices.reminder_patience(), starts_at), p_now
        FROM new CROSS JOIN LATERAL notices.channels_of(patient_id, p_now) AS way
        LEFT JOIN notices.preference USING (patient_id)
        WHERE CASE way.channel WHEN 'email' THEN coalesce(reminds_by_email, true) WHEN 'push' THEN coalesce(reminds_by_push, true)
            ELSE coalesce(reminds_by_text, true) END
    )
    SELECT count(*) INTO added FROM new;
    RETURN added;
END $$;

-- Puts due reminders into the outbox, p_rows_max at most; returns how many. Each stretch of appointments is looked through by itself, so that the
-- index on their start finds it; in the evening that is the whole of the night and the morning after: 13 hours where clocks go back.
CREATE FUNCTION notices.add_reminders(p_rows_max integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    part record;
    added integer := 0;
BEGIN
    FOR part IN
        SELECT hours, time_zone, greatest(now_at, now_at + make_interval(hours => hours) - notices.reminder_patience()) AS starts_after,
            now_at + make_interval(hours => hours) + CASE
                WHEN (now_at AT TIME ZONE time_zone)::time BETWEEN '20:00' AND '21:00' THEN interval '13 hours'
                ELSE interval '0' END AS starts_until
        FROM (
            SELECT unnest(notices.usual_hours()) AS hours
            UNION
            SELECT unnest(reminder_hours) FROM directory.clinic WHERE reminder_hours IS NOT NULL) AS all_hours
        CROSS JOIN (SELECT DISTINCT time_zone FROM directory.city) AS all_zones
        ORDER BY hours, time_zone
    LOOP
        EXIT WHEN added >= p_rows_max;
        added := added + notices.add_reminders_between(
            now_at, part.hours, part.time_zone, part.starts_after, part.starts_until, p_rows_max - added);
    END LOOP;
    RETURN added;
END $$;

-- What a reply by SMS does: YES says that the patient is coming to the appointment of their last reminder, STOP ends reminders by text
-- and what was asked to be told of earlier times.
-- Neither NO nor anything else cancels anything: NO is answered, once for each reminder, by how to do so. Returns what was done.
CREATE FUNCTION notices.take_reply(p_phone text, p_answer text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    patient bigint := (SELECT patient_id FROM accounts.patient WHERE phone = p_phone);
    last notices.reminder;
BEGIN
    IF patient IS NULL THEN
        RETURN 'unknown';
    ELSIF p_answer = 'stop' THEN
        INSERT INTO notices.preference AS known (patient_id, language, reminds_by_text) VALUES (patient, 'en', false)
        ON CONFLICT (patient_id) DO UPDATE SET reminds_by_text = false;
        DELETE FROM notices.earlier_alert WHERE earlier_alert.patient_id = patient;
        RETURN 'stopped';
    END IF;
    SELECT reminder.* INTO last FROM notices.reminder
    JOIN booking.booking ON booking.provider_id = reminder.provider_id AND booking.booking_id = reminder.booking_id
        AND state = 'booked' AND lower(during) = starts_at AND starts_at > now_at
    WHERE reminder.patient_id = patient
    ORDER BY due_at DESC, starts_at LIMIT 1 FOR UPDATE OF reminder;
    IF last.reminder_id IS NULL THEN
        RETURN 'nothing';
    ELSIF p_answer = 'yes' THEN
        PERFORM notices.note_coming(last.provider_id, last.booking_id, patient);
        RETURN 'coming';
    END IF;
    DELETE FROM notices.coming WHERE provider_id = last.provider_id AND booking_id = last.booking_id;
    IF last.said_no_at IS NULL THEN
        UPDATE notices.reminder SET said_no_at = now_at WHERE reminder_id = last.reminder_id;
        INSERT INTO notices.notice (provider_id, channel, kind, patient_id, booking_id, reminder_id, created_at, until, due_at)
        SELECT last.provider_id, 'sms', 'not_cancelled', patient, last.booking_id, last.reminder_id, now_at, last.starts_at, now_at;
    END IF;
    RETURN 'answered';
END $$;

-- Notes that a patient is coming to an appointment of theirs that is ahead; returns whether it is.
CREATE FUNCTION notices.note_coming(p_provider_id bigint, p_booking_id uuid, p_patient_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO notices.coming AS known (provider_id, booking_id, starts_at, patient_id, said_at)
    SELECT provider_id, booking_id, lower(during), patient_id, now_at
    FROM booking.booking, public.app_now() AS now_at
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND patient_id = p_patient_id
        AND state = 'booked' AND NOT needs_rebooking AND lower(during) > now_at
    ON CONFLICT (provider_id, booking_id) DO UPDATE
    SET starts_at = excluded.starts_at, patient_id = excluded.patient_id,
        said_at = CASE WHEN known.starts_at = excluded.starts_at THEN known.said_at ELSE excluded.said_at END;
    RETURN FOUND;
END $$;
