-- An instant as it is hashed, and shown beside the hash: in UTC, to the microsecond.
CREATE FUNCTION booking.hashed_instant(p_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- The hash of an entry of the queue's chain: of the hash before it and of all that the entry says. Entries without a leader are
-- hashed as they were before there were any.
CREATE FUNCTION booking.queue_hash(p_previous bytea, p_entry booking.queue_entry) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(p_previous, '') || convert_to(concat_ws('|',
        p_entry.provider_id, p_entry.entry, booking.hashed_instant(p_entry.at), p_entry.kind, p_entry.number,
        coalesce(p_entry.clinic_id::text, ''), coalesce(booking.hashed_instant(lower(p_entry.during)), ''),
        coalesce(booking.hashed_instant(upper(p_entry.during)), ''), p_entry.slots_needed, p_entry.leader), 'UTF8'))
$$;

-- Appends what happened to a ticket to the queue's chain, and returns the entry; the caller keeps its number and hash in the
-- book.
CREATE FUNCTION booking.append_queue_entry(p_provider_id bigint, p_now timestamptz, p_kind text, p_ticket_id uuid, p_reason text)
RETURNS booking.queue_entry LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    waiter booking.ticket;
    link booking.queue_entry;
    previous bytea;
BEGIN
    SELECT * INTO waiter FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    SELECT queue_entries + 1, queue_hash INTO link.entry, previous FROM booking.book WHERE provider_id = p_provider_id;
    link.provider_id := p_provider_id;
    link.at := p_now;
    link.number := waiter.number;
    link.slots_needed := waiter.slots_needed;
    link.kind := CASE WHEN p_kind <> 'waiting' THEN p_kind
        WHEN p_reason = '' THEN 'joined' WHEN p_reason = 'offer_unseen' THEN 'missed'
        WHEN p_reason = 'outrun' THEN 'outrun' ELSE 'withdrawn' END;
    IF link.kind = 'joined' THEN
        link.clinic_id := waiter.clinic_id;
        link.during := waiter.queue_window;
    ELSIF link.kind IN ('offered', 'called', 'accepted') THEN
        SELECT booking.clinic_id, booking.during, CASE link.kind WHEN 'called' THEN leader.number END
        INTO link.clinic_id, link.during, link.leader
        FROM booking.booking JOIN booking.ticket AS leader USING (provider_id, ticket_id)
        WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    ELSIF link.kind = 'withheld' THEN
        link.during := waiter.withheld_during;
    END IF;
    link.hash := booking.queue_hash(previous, link);
    INSERT INTO booking.queue_entry SELECT (link).*;
    RETURN link;
END $$;

-- What the event of a moved appointment says: when it was before and, where the desk went beyond what a person may have ahead, why.
CREATE FUNCTION booking.moved_text(p_was timestamptz, p_reason text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws(': ', 'was ' || to_char(p_was AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), nullif(p_reason, ''))
$$;

-- When an appointment was before it was moved, as its event says; NULL of one that does not say it, as before release 6.
CREATE FUNCTION booking.moved_from(p_reason text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT substring(p_reason FROM '^was (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)')::timestamptz
$$;

-- Events in words, as people and exports read them. Where a row names no actor, it was the patient of its booking, or else of its ticket:
-- as a patient, nobody else may act on these (booking.may_act). The second half is empty once its rows have been moved, and goes with the
-- next release.
CREATE VIEW booking.event AS
SELECT provider_id, seq::bigint AS seq, at, kind::text AS kind, booking_id, ticket_id,
    coalesce(actor, 'patient:' || CASE WHEN booking_id IS NULL
        THEN (SELECT patient_id FROM booking.ticket WHERE ticket.provider_id = event_log.provider_id AND ticket.ticket_id = event_log.ticket_id)
        ELSE (SELECT patient_id FROM booking.booking WHERE booking.provider_id = event_log.provider_id AND booking.booking_id = event_log.booking_id)
        END) AS actor,
    coalesce(reason, '') AS reason
FROM booking.event_log
UNION ALL
SELECT provider_id, seq, at, kind, booking_id, ticket_id, actor, reason FROM booking.event_of_release_2;

-- Appends an event and returns the book's new version; the caller has the book locked. What happens to a ticket itself goes
-- into the queue's chain, too. An actor who is the patient of the booking, or else of the ticket, is not written down again.
-- p_due_at: when what begins with this event will run out (NULL: never).
CREATE FUNCTION booking.append_event(
    p_provider_id bigint, p_now timestamptz, p_kind text, p_booking_id uuid, p_ticket_id uuid, p_actor text, p_reason text DEFAULT '',
    p_due_at timestamptz DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_version bigint;
    link booking.queue_entry;
    owner_id bigint;
BEGIN
    IF p_ticket_id IS NOT NULL AND p_booking_id IS NULL THEN
        link := booking.append_queue_entry(p_provider_id, p_now, p_kind, p_ticket_id, p_reason);
    END IF;
    IF p_actor ^@ 'patient:' AND p_booking_id IS NOT NULL THEN
        SELECT patient_id INTO owner_id FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    ELSIF p_actor ^@ 'patient:' THEN
        SELECT patient_id INTO owner_id FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    END IF;
    IF p_due_at IS NULL AND p_kind = 'reserved' THEN  -- by a call of the release before that began before the upgrade
        SELECT deadline INTO p_due_at FROM booking.booking
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND state = 'reserved';
    END IF;
    WITH head AS (
        UPDATE booking.book SET version = version + 1, next_due = least(next_due, p_due_at), is_queued = is_queued OR link.entry IS NOT NULL,
            queue_entries = coalesce(link.entry, queue_entries), queue_hash = coalesce(link.hash, queue_hash)
        WHERE provider_id = p_provider_id RETURNING version
    )
    INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id, ticket_id, actor, reason)
    SELECT p_provider_id, version, p_now, p_kind::booking.event_kind, p_booking_id, p_ticket_id,
        nullif(p_actor, 'patient:' || owner_id), nullif(p_reason, '')
    FROM head
    RETURNING seq INTO STRICT new_version;
    RETURN new_version;
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON booking.event_log
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON booking.event_of_release_2
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON booking.queue_entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
