-- Developers' keys: may this request be made with this key? The same call that says so counts it.
--
-- Quotas are for fixed windows, minutes and days of UTC. Both are counted in the row of the day, by one statement that looks
-- and adds: PostgreSQL has those that come at once do so one after another, each on what the one before has left. Whoever
-- read the clock just before a minute began, and waited until after, is counted in the new one: a window never comes back.
CREATE FUNCTION accounts.use_developer_key(
    p_key_hash bytea, p_scope accounts.developer_scope,
    OUT outcome text, OUT key_id bigint, OUT per_minute integer, OUT minute_left integer, OUT minute_ends_in integer,
    OUT per_day integer, OUT day_left integer, OUT day_ends_in integer
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := public.app_now();
    today date := (now_at AT TIME ZONE 'UTC')::date;
    this_minute timestamptz := date_trunc('minute', now_at, 'UTC');
    held accounts.developer_key;
    used accounts.developer_key_use;
BEGIN
    SELECT * INTO held FROM accounts.developer_key WHERE key_hash = p_key_hash;
    outcome := CASE
        WHEN NOT FOUND THEN 'unknown'
        WHEN held.revoked_at IS NOT NULL THEN 'revoked'
        WHEN held.expires_at <= now_at THEN 'expired'
        WHEN p_scope <> ALL (held.scopes) THEN 'out_of_scope'
    END;
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;
    -- What is used up already is refused without standing in line for the row.
    SELECT * INTO used FROM accounts.developer_key_use WHERE day = today AND key_id = held.key_id;
    IF used.requests >= held.per_day OR (used.minute_at >= this_minute AND used.minute_requests >= held.per_minute) THEN
        outcome := 'full';
    ELSE
        -- Nobody waits for the disc to count, neither who asks nor who is next at the row: a crash may forget the counts of
        -- its last moments (three times wal_writer_delay, 0.6 s), which does no harm, and nothing else. Not as a setting of
        -- the function: that would end before the commit does.
        PERFORM set_config('synchronous_commit', 'off', true);
        INSERT INTO accounts.developer_key_use AS counted (day, key_id, requests, minute_at, minute_requests)
        VALUES (today, held.key_id, 1, this_minute, 1)
        ON CONFLICT (day, key_id) DO UPDATE
        SET requests = counted.requests + 1,
            minute_at = greatest(counted.minute_at, excluded.minute_at),
            minute_requests = CASE WHEN counted.minute_at < excluded.minute_at THEN 1 ELSE counted.minute_requests + 1 END
        WHERE counted.requests < held.per_day
            AND (counted.minute_at < excluded.minute_at OR counted.minute_requests < held.per_minute)
        RETURNING * INTO used;
        outcome := 'counted';
        IF NOT FOUND THEN
            -- The row is locked although it was not written: what is read of it now is what was decided on.
            outcome := 'full';
            SELECT * INTO used FROM accounts.developer_key_use WHERE day = today AND key_id = held.key_id;
        END IF;
    END IF;
    key_id := held.key_id;
    per_minute := held.per_minute;
    per_day := held.per_day;
    minute_left := greatest(0, held.per_minute - CASE WHEN used.minute_at < this_minute THEN 0 ELSE used.minute_requests END);
    minute_ends_in := accounts.seconds_until(greatest(used.minute_at, this_minute) + interval '1 minute', now_at);
    day_left := greatest(0, held.per_day - used.requests);
    day_ends_in := accounts.seconds_until((today + 1)::timestamp AT TIME ZONE 'UTC', now_at);
END $$;
