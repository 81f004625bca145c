-- Events in half the bytes (docs/decisions/0040). Converting millions of rows where they are would give no room back, and a ninth column
-- costs each row eight bytes: a table of its own takes what is new, and the `.after.sql` of this name moves what there is.

-- A state that was reached, or what else was done.
CREATE TYPE booking.event_kind AS ENUM (
    'reserved', 'booked', 'expired', 'released', 'cancelled', 'arrived', 'fulfilled', 'no_show', 'moved', 'named', 'needs_rebooking',
    'waiting', 'offered', 'called', 'answered', 'accepted', 'lapsed', 'left', 'timed_out', 'full', 'withheld', 'passed_over', 'resumed',
    'shift_changed', 'leave_changed'
);

ALTER TABLE booking.event RENAME TO event_of_release_2;

-- What happened, in order, without gaps. Never changed. No more than eight columns, and in this order: 64 bytes for what a patient
-- does with a booking.
CREATE TABLE booking.event_log (
    provider_id bigint NOT NULL,
    at timestamptz NOT NULL,
    seq integer NOT NULL,
    kind booking.event_kind NOT NULL,
    booking_id uuid,
    ticket_id uuid,
    actor text,                                    -- NULL: the patient whose booking it is; where it names none, whose ticket
    reason text,
    PRIMARY KEY (provider_id, seq)
);
-- How often a booking was changed after it was made. Such events are few, so that keeping this index costs next to nothing.
CREATE INDEX event_log_changed ON booking.event_log (provider_id, booking_id)
    WHERE kind IN ('moved', 'needs_rebooking', 'cancelled');

-- What follows are the definitions of the function files, already here: between this and them the functions and queries of the release
-- before run. They read what its table had; its triggers would find no new rows.
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

-- For calls that wait to append to the table while it is renamed.
CREATE RULE insert_during_upgrade AS ON INSERT TO booking.event DO INSTEAD
INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id, ticket_id, actor, reason)
VALUES (new.provider_id, new.seq, new.at, new.kind::booking.event_kind, new.booking_id, new.ticket_id, new.actor, nullif(new.reason, ''))
RETURNING provider_id, seq::bigint, at, kind::text, booking_id, ticket_id, actor, reason;

CREATE OR REPLACE FUNCTION booking.append_event(
    p_provider_id bigint, p_now timestamptz, p_kind text, p_booking_id uuid, p_ticket_id uuid, p_actor text, p_reason text DEFAULT ''
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_version bigint;
    link booking.queue_entry;
BEGIN
    IF p_ticket_id IS NOT NULL AND p_booking_id IS NULL THEN
        link := booking.append_queue_entry(p_provider_id, p_now, p_kind, p_ticket_id, p_reason);
    END IF;
    WITH head AS (
        UPDATE booking.book SET version = version + 1,
            queue_entries = coalesce(link.entry, queue_entries), queue_hash = coalesce(link.hash, queue_hash)
        WHERE provider_id = p_provider_id RETURNING version
    )
    INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id, ticket_id, actor, reason)
    SELECT p_provider_id, version, p_now, p_kind::booking.event_kind, p_booking_id, p_ticket_id, p_actor, nullif(p_reason, '') FROM head
    RETURNING seq INTO STRICT new_version;
    RETURN new_version;
END $$;

CREATE OR REPLACE FUNCTION notices.on_event() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM notices.add(NEW.provider_id, NEW.booking_id, NEW.ticket_id, NEW.kind::text, NEW.at);
    RETURN NULL;
END $$;
CREATE TRIGGER notices_follow AFTER INSERT ON booking.event_log FOR EACH ROW
    WHEN (new.kind IN ('booked', 'expired', 'offered', 'called', 'cancelled', 'moved', 'needs_rebooking'))
    EXECUTE FUNCTION notices.on_event();
DROP TRIGGER IF EXISTS notices_follow ON booking.event_of_release_2;

-- The rights, too, come with the function files.
DO $$
DECLARE
    role name;
BEGIN
    FOR role IN
        SELECT DISTINCT pg_get_userbyid(grantee) FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = 'booking.event_of_release_2'::regclass AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE format('GRANT SELECT, INSERT ON booking.event TO %I', role);
        EXECUTE format('GRANT SELECT, INSERT ON booking.event_log TO %I', role);
    END LOOP;
END $$;
