-- The position that the next ticket to join will have; 100: there or further back.
CREATE FUNCTION booking.next_position(p_provider_id bigint) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT 1 + count(*)::integer
    FROM (SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting' LIMIT 99) AS ahead
$$;

-- What came of the waits that began at a position in the last 90 days and are over: how many there were (the last thousand
-- at most), and how many of these took a time.
CREATE FUNCTION booking.odds(p_provider_id bigint, p_position integer, OUT waits integer, OUT got integer)
LANGUAGE sql STABLE AS $$
    SELECT count(*)::integer, (count(*) FILTER (WHERE state = 'accepted'))::integer
    FROM (
        SELECT state FROM booking.ticket
        WHERE provider_id = p_provider_id AND joined_position = p_position
            AND joined_at > (SELECT public.app_now()) - interval '90 days' AND state NOT IN ('waiting', 'offered')
        ORDER BY joined_at DESC LIMIT 1000
    ) AS over
$$;
