-- Where a patient can be reached by a channel; NULL: nowhere. The planner inlines it.
CREATE FUNCTION notices.address(p_patient accounts.patient, p_channel notices.channel) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_channel IN ('sms', 'whatsapp') AND p_patient.takes_sms THEN p_patient.phone
        WHEN p_channel = 'email' AND p_patient.email_verified_at IS NOT NULL THEN p_patient.email
        WHEN p_channel = 'push' AND p_patient.erased_at IS NULL THEN p_patient.patient_id::text END
$$;

-- The channels by which a patient is told something: texts by SMS or by WhatsApp, and not by both. A patient who books and cancels all
-- day long must not make us send texts all day long.
CREATE FUNCTION notices.channels_of(p_patient_id bigint, p_now timestamptz) RETURNS TABLE (channel notices.channel) LANGUAGE sql STABLE AS $$
    SELECT way.channel
    FROM accounts.patient
    LEFT JOIN notices.preference ON preference.patient_id = patient.patient_id
    CROSS JOIN LATERAL (VALUES (coalesce(text_by, 'sms')), ('email'), ('push')) AS way (channel)
    WHERE patient.patient_id = p_patient_id AND notices.address(patient, way.channel) IS NOT NULL
        AND (way.channel <> 'push' OR EXISTS (
            SELECT FROM notices.push_subscription WHERE push_subscription.patient_id = p_patient_id))
        AND (way.channel NOT IN ('sms', 'whatsapp') OR (
            SELECT count(*) FROM notices.notice
            WHERE notice.patient_id = p_patient_id AND notice.channel IN ('sms', 'whatsapp')
                AND created_at > p_now - interval '1 day') < 20)
$$;

-- Until when somebody wants to be told.
CREATE FUNCTION notices.until(p_kind text, p_deadline timestamptz, p_now timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_kind IN ('offered', 'called') THEN p_deadline
        WHEN p_kind IN ('expired', 'withdrawn', 'queue_closed', 'queued') THEN p_now + interval '1 hour'
        ELSE p_now + interval '1 day' END
$$;

-- Notes that a booking's patient is to be sent a notice, by each channel on which they can be reached. p_booking_id may be NULL
-- for an offer or a call, whose ticket names it. Called in the transaction that changes the booking. p_due_at: not before then (NULL: at once).
CREATE FUNCTION notices.add(
    p_provider_id bigint, p_booking_id uuid, p_ticket_id uuid, p_kind text, p_now timestamptz, p_due_at timestamptz DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO notices.notice (provider_id, channel, kind, patient_id, booking_id, ticket_id, created_at, until, due_at)
    SELECT p_provider_id, way.channel, p_kind::notices.kind, way.patient_id, booking_id, p_ticket_id, p_now,
        notices.until(p_kind, deadline, p_now), coalesce(p_due_at, p_now)
    FROM booking.booking
    CROSS JOIN LATERAL (
        SELECT patient_id, channel
        FROM coalesce(booking.patient_id, (  -- a group offer has no patient of its own
            SELECT patient_id FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id)) AS patient_id
        CROSS JOIN LATERAL notices.channels_of(patient_id, p_now)
        OFFSET 0) AS way
    WHERE booking.provider_id = p_provider_id
        AND booking.booking_id = coalesce(p_booking_id, (
            SELECT offer_id FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id))
        AND (p_kind <> 'moved' OR booking.state = 'booked')  -- a patient who moves a hold is looking at the page
        AND (p_kind <> 'withdrawn' OR NOT booking.offer);  -- who was offered it waits on
END $$;

-- The same for somebody who waits, and has no booking.
CREATE FUNCTION notices.add_of_ticket(p_provider_id bigint, p_ticket_id uuid, p_kind text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO notices.notice (provider_id, channel, kind, patient_id, ticket_id, created_at, until, due_at)
    SELECT p_provider_id, channel, p_kind::notices.kind, patient_id, p_ticket_id, p_now, notices.until(p_kind, NULL, p_now), p_now
    FROM booking.ticket CROSS JOIN LATERAL notices.channels_of(patient_id, p_now)
    WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
END $$;

-- Texts the patient of an appointment a link by which they move it themselves; once an hour. Whether they can be reached.
CREATE FUNCTION notices.tell_to_choose(p_provider_id bigint, p_booking_id uuid, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    is_told boolean := false;
BEGIN
    FOR turn IN 1..2 LOOP
        SELECT EXISTS (
            SELECT FROM booking.booking JOIN notices.notice USING (patient_id)
            WHERE booking.provider_id = p_provider_id AND booking.booking_id = p_booking_id AND notice.booking_id = p_booking_id
                AND notice.kind = 'choose_time' AND notice.created_at > p_now - interval '1 hour') INTO is_told;
        EXIT WHEN is_told OR turn = 2;
        PERFORM notices.add(p_provider_id, p_booking_id, NULL, 'choose_time', p_now);
    END LOOP;
    RETURN is_told;
END $$;

-- Tells the holder of an account that the desk of a clinic added a person to it, unless the desk books something for them in the next minutes,
-- of which they are told. It belongs to no appointment, and so is kept with any of the clinic's providers.
CREATE FUNCTION notices.add_of_person(p_patient_id bigint, p_clinic_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO notices.notice (provider_id, channel, kind, patient_id, created_at, until, due_at)
    SELECT provider_id, channel, 'person_added', p_patient_id, p_now, notices.until('person_added', NULL, p_now), p_now + interval '10 minutes'
    FROM (SELECT min(provider_id) AS provider_id FROM directory.provider_clinic WHERE clinic_id = p_clinic_id) AS any_of
    CROSS JOIN LATERAL notices.channels_of(p_patient_id, p_now)
    WHERE provider_id IS NOT NULL;
END $$;

-- What an event of an appointment does to what its patient is still to be told of what staff did: what was taken back is not told, and what
-- was done before it waits as long as it does, as a notice says how an appointment is.
CREATE FUNCTION notices.hold_back(p_event booking.event_log, p_told_at timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    undone text := CASE p_event.kind WHEN 'uncancelled' THEN 'cancelled' WHEN 'moved_back' THEN 'moved' WHEN 'cancelled' THEN 'booked' END;
BEGIN
    IF undone IS NOT NULL AND p_told_at IS NULL THEN
        UPDATE notices.notice SET due_at = NULL
        FROM (
            SELECT provider_id, notice_id, rank() OVER (ORDER BY notice.created_at DESC) AS turn
            FROM booking.booking JOIN notices.notice USING (patient_id, provider_id, booking_id)
            WHERE booking.provider_id = p_event.provider_id AND booking.booking_id = p_event.booking_id
                AND notice.created_at > p_event.at - booking.undo_time() AND notice.kind = undone::notices.kind
                AND notice.due_at > p_event.at AND tries = 0
        ) AS last
        WHERE notice.provider_id = last.provider_id AND notice.notice_id = last.notice_id AND turn = 1;
    ELSIF p_told_at > p_event.at THEN
        UPDATE notices.notice SET due_at = p_told_at
        FROM booking.booking
        WHERE booking.provider_id = p_event.provider_id AND booking.booking_id = p_event.booking_id
            AND notice.patient_id = booking.patient_id AND notice.provider_id = booking.provider_id
            AND notice.booking_id = booking.booking_id AND notice.created_at > p_event.at - booking.undo_time()
            AND notice.due_at > p_event.at AND tries = 0 AND notice.kind IN ('booked', 'moved');
    END IF;
END $$;

-- When a booking's patient was last sent where to pay its fee; NULL: never, or long ago.
CREATE FUNCTION notices.pay_link_at(p_provider_id bigint, p_booking_id uuid) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT max(notice.created_at)
    FROM booking.booking JOIN notices.notice USING (patient_id, provider_id, booking_id)
    WHERE booking.provider_id = p_provider_id AND booking.booking_id = p_booking_id AND notice.kind = 'pay_link'
$$;

-- Tells somebody whom the desk had join a queue where they see their place; once.
CREATE FUNCTION notices.tell_queued(p_provider_id bigint, p_ticket_id uuid, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM notices.add_of_ticket(p_provider_id, p_ticket_id, 'queued', p_now)
    WHERE NOT EXISTS (
        SELECT FROM notices.notice JOIN booking.ticket USING (patient_id)
        WHERE ticket.provider_id = p_provider_id AND ticket.ticket_id = p_ticket_id
            AND notice.ticket_id = p_ticket_id AND kind = 'queued');
END $$;

-- What happens to a booking is noted in the same transaction, so that there is no change without its notice and no notice without
-- its change. A trigger keeps its function, which is therefore replaced in place. While old events are moved, which
-- are no news, healthplus.retention is set.
CREATE OR REPLACE FUNCTION notices.on_event() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    told_at timestamptz;
BEGIN
    IF coalesce(current_setting('healthplus.retention', true), '') = 'on' THEN
        RETURN NULL;
    ELSIF NEW.kind = 'full' THEN
        PERFORM notices.add_of_ticket(NEW.provider_id, NEW.ticket_id, 'queue_closed', NEW.at);
        RETURN NULL;
    ELSIF NEW.kind IN ('uncancelled', 'moved_back') OR (NEW.kind = 'cancelled' AND NEW.reason = 'undone') THEN
        PERFORM notices.hold_back(NEW, NULL);
        RETURN NULL;
    ELSIF NEW.actor ^@ 'staff:' AND NEW.kind IN ('booked', 'cancelled', 'moved', 'needs_rebooking', 'stands') THEN
        SELECT booking.told_at(NEW.actor, NEW.at, ARRAY[lower(during), booking.moved_from(NEW.reason)]) INTO told_at
        FROM booking.booking WHERE provider_id = NEW.provider_id AND booking_id = NEW.booking_id;
        PERFORM notices.hold_back(NEW, told_at);
    END IF;
    -- Most who book can be reached nowhere: to see that costs half of what `add` does.
    PERFORM FROM booking.booking
    CROSS JOIN LATERAL (
        SELECT notices.address(patient, 'sms') AS phone, notices.address(patient, 'email') AS email
        FROM accounts.patient WHERE patient.patient_id = booking.patient_id OFFSET 0) AS reached
    WHERE booking.provider_id = NEW.provider_id AND booking_id = NEW.booking_id AND phone IS NULL AND email IS NULL
        AND NOT EXISTS (SELECT FROM notices.push_subscription WHERE push_subscription.patient_id = booking.patient_id);
    IF NOT FOUND THEN
        PERFORM notices.add(
            NEW.provider_id, NEW.booking_id, NEW.ticket_id, CASE NEW.kind WHEN 'released' THEN 'withdrawn' ELSE NEW.kind::text END, NEW.at,
            told_at);
    END IF;
    RETURN NULL;
END $$;

-- Of holds that are released and tickets that find nothing, only those that a change of schedule ended: the others' patients did it, or know.
CREATE OR REPLACE TRIGGER notices_follow AFTER INSERT ON booking.event_log FOR EACH ROW
    WHEN (((new.kind = ANY (ARRAY['booked'::booking.event_kind, 'expired'::booking.event_kind, 'offered'::booking.event_kind,
        'called'::booking.event_kind, 'cancelled'::booking.event_kind, 'moved'::booking.event_kind,
        'needs_rebooking'::booking.event_kind, 'stands'::booking.event_kind, 'uncancelled'::booking.event_kind,
        'moved_back'::booking.event_kind]))
        OR ((new.kind = ANY (ARRAY['released'::booking.event_kind, 'full'::booking.event_kind]))
        AND (new.reason = ANY (ARRAY['shift_changed'::text, 'leave_changed'::text])))))
    EXECUTE FUNCTION notices.on_event();
