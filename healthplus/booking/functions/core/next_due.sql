-- What a book knows of the time to come: next_due, before which nothing in it runs out, and is_queued, which is false only while nobody
-- queues there. Verbs bring both up to date under the lock: what begins moves next_due down (booking.append_event), an event of a ticket sets
-- is_queued. What ends leaves them as they are; they are worked out again once next_due has come.

-- The holds and offers of a book whose rows say that they are reserved. A deadline is set to some minutes from an instant before the
-- time that is held, so that none of these lies an hour before next_due. Not whole rows: the planner inlines this, and would find
-- a column too many once a release adds one.
CREATE FUNCTION booking.reserved(p_provider_id bigint)
RETURNS TABLE (provider_id bigint, booking_id uuid, ticket_id uuid, offer boolean, during tstzrange, deadline timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT provider_id, booking_id, ticket_id, offer, during, deadline FROM booking.booking
    WHERE provider_id = p_provider_id AND occupies AND state = 'reserved'
        -- a subquery, as the planner would use no index for a join
        AND during && tstzrange((SELECT next_due FROM booking.book WHERE provider_id = p_provider_id) - interval '1 hour', NULL)
$$;

-- Works out next_due and is_queued of a book, and returns next_due; the caller has the book locked.
CREATE FUNCTION booking.refresh_next_due(p_provider_id bigint) RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    first_due timestamptz;
    anybody boolean;
BEGIN
    SELECT coalesce(min(due_at), 'infinity'), bool_or(is_ticket) IS TRUE INTO first_due, anybody
    FROM (
        SELECT deadline AS due_at, offer AS is_ticket FROM booking.reserved(p_provider_id)
        UNION ALL
        (SELECT expires_at, true FROM booking.ticket
         WHERE provider_id = p_provider_id AND state = 'waiting' ORDER BY expires_at LIMIT 1)
    ) AS due;
    UPDATE booking.book SET next_due = first_due, is_queued = anybody
    WHERE provider_id = p_provider_id AND (next_due, is_queued) IS DISTINCT FROM (first_due, anybody);
    RETURN first_due;
END $$;
