-- Developers' keys: counts requests made with a key, as many of them as are allowed: 'counted' (let_in says how many), or 'full',
-- 'unknown', 'revoked', 'expired', 'out_of_scope'.
--
-- Quotas are for fixed windows: minutes and days of UTC. Both are counted in the row of the day, by one statement that checks
-- and adds, so that PostgreSQL takes simultaneous requests one after another, each after the count of the one before. A request
-- that read the clock just before a minute began, and waited until after, is counted in the new one: a window never comes back.
CREATE FUNCTION accounts.use_developer_key(
    p_key_hash bytea, p_scope accounts.developer_scope, p_requests integer DEFAULT 1,
    OUT outcome text, OUT let_in integer, OUT key_id bigint, OUT per_minute integer, OUT minute_left integer, OUT minute_ends_in integer,
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
    let_in := 0;
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
    -- Refused without waiting for the row when a quota is used up already.
    SELECT * INTO used FROM accounts.developer_key_use WHERE day = today AND key_id = held.key_id;
    IF used.requests >= held.per_day OR (used.minute_at >= this_minute AND used.minute_requests >= held.per_minute) THEN
        outcome := 'full';
    ELSIF current_setting('transaction_read_only')::boolean THEN  -- nothing can be counted, but what there is can be read
        outcome := 'counted';
        let_in := p_requests;
        used.requests := coalesce(used.requests, 0) + p_requests - 1;  -- so that the first of them is told what there is
        used.minute_at := coalesce(used.minute_at, this_minute);
        used.minute_requests := coalesce(used.minute_requests, 0);
    ELSE
        -- The count does not wait for the disc: neither this request nor the next one at the row. A crash may lose the counts
        -- of its last moments (three times wal_writer_delay, 0.6 s), which does no harm, and nothing else. This cannot be a
        -- setting of the function: that would end before the commit.
        PERFORM set_config('synchronous_commit', 'off', true);
        INSERT INTO accounts.developer_key_use AS counted (day, key_id, requests, minute_at, minute_requests)
        SELECT today, held.key_id, requests, this_minute, requests
        FROM (SELECT least(p_requests, held.per_minute, held.per_day)) AS allowed (requests)
        ON CONFLICT (day, key_id) DO UPDATE
        SET (requests, minute_at, minute_requests) = (
            SELECT counted.requests + more, greatest(counted.minute_at, excluded.minute_at), in_minute + more
            FROM (SELECT CASE WHEN counted.minute_at < excluded.minute_at THEN 0 ELSE counted.minute_requests END) AS now (in_minute),
                least(excluded.requests, held.per_day - counted.requests, held.per_minute - in_minute) AS allowed (more))
        WHERE counted.requests < held.per_day
            AND (counted.minute_at < excluded.minute_at OR counted.minute_requests < held.per_minute)
        RETURNING day, key_id, requests, minute_at, minute_requests, new.requests - coalesce(old.requests, 0)
        INTO used.day, used.key_id, used.requests, used.minute_at, used.minute_requests, let_in;
        outcome := 'counted';
        IF NOT FOUND THEN
            -- The row is locked although it was not written: what is read now is what the decision was based on.
            outcome := 'full';
            let_in := 0;
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

-- Adds a developer's key, as its SHA-256; returns its id. p_expires_in: NULL is never.
CREATE FUNCTION accounts.add_developer_key(
    p_name text, p_key_hash bytea, p_scopes accounts.developer_scope[], p_per_minute integer, p_per_day integer, p_expires_in interval
) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    INSERT INTO accounts.developer_key (name, key_hash, scopes, per_minute, per_day, created_at, expires_at)
    SELECT p_name, p_key_hash, p_scopes, p_per_minute, p_per_day, now_at, now_at + p_expires_in FROM public.app_now() AS now_at
    RETURNING key_id
$$;

-- Every developer's key, and how often it was used: today (in UTC), and in the last 7 and 30 days including today.
CREATE FUNCTION accounts.developer_keys() RETURNS TABLE (
    key_id bigint, name text, scopes text[], per_minute integer, per_day integer, expires_at timestamptz, is_expired boolean,
    revoked_at timestamptz, today bigint, last_7_days bigint, last_30_days bigint, used_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT key_id, name, scopes::text[], per_minute, per_day, expires_at, expires_at <= now_at, revoked_at,
        coalesce(sum(requests) FILTER (WHERE day = today), 0)::bigint, coalesce(sum(requests) FILTER (WHERE day > today - 7), 0)::bigint,
        coalesce(sum(requests) FILTER (WHERE day > today - 30), 0)::bigint, max(minute_at)
    FROM public.app_now() AS now_at
    CROSS JOIN LATERAL (SELECT (now_at AT TIME ZONE 'UTC')::date AS today) AS clock
    CROSS JOIN accounts.developer_key LEFT JOIN accounts.developer_key_use USING (key_id)
    GROUP BY key_id, now_at
    ORDER BY key_id
$$;

-- Revokes a key; its developer's name, or NULL where there is no such key, or it was revoked before.
CREATE FUNCTION accounts.revoke_developer_key(p_key_id bigint) RETURNS text LANGUAGE sql VOLATILE AS $$
    UPDATE accounts.developer_key SET revoked_at = (SELECT public.app_now())
    WHERE key_id = p_key_id AND revoked_at IS NULL
    RETURNING name
$$;
