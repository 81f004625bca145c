-- How guesses at a password are slowed. Nobody is locked out: an outsider could have that done to anybody.
--
-- Guesses fill buckets, which run empty again with time. Only that of an address's guesses at one account says how long to wait. Those of
-- the address, for any account, and of its wider network say that a guess is one of too many, which wait in a line of their own:
-- whom others share an address with, gets in. Each browser in which the person has logged in before has a bucket of its own, which
-- others' guesses do not fill. That of the account has each guess of a stranger be held for a moment (docs/decisions/0057-staff.md).
CREATE FUNCTION staff.device_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '400 days' $$;

-- Puts a guess into a bucket of so many, one of which goes every p_every: 0, or where there is no room, seconds until there is.
CREATE FUNCTION staff.take_guess(p_key_hash bytea, p_room integer, p_every interval, p_now timestamptz)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    every double precision := extract(epoch FROM p_every);
    kept staff.guess;
BEGIN
    INSERT INTO staff.guess AS known (key_hash, used, at) VALUES (p_key_hash, 1, p_now)
    ON CONFLICT (key_hash) DO UPDATE
    SET used = 1 + greatest(0, known.used - extract(epoch FROM greatest(excluded.at, known.at) - known.at) / every),
        at = greatest(excluded.at, known.at)
    WHERE known.used - extract(epoch FROM greatest(excluded.at, known.at) - known.at) / every <= p_room - 1;
    IF FOUND THEN
        RETURN 0;
    END IF;
    SELECT * INTO kept FROM staff.guess WHERE key_hash = p_key_hash;
    RETURN greatest(1, ceil((kept.used - (p_room - 1)) * every - extract(epoch FROM p_now - kept.at)));
END $$;

-- Counts a guess at a password before it is checked: whether it may be made now (wait_seconds is 0), for how long it is to be held
-- first, whether it is one of too many (is_beyond), into which buckets it went, and what to check it against. An account that there is
-- not is counted and answered alike.
CREATE FUNCTION staff.count_guess(
    p_log_on text, p_pair_hash bytea, p_address_hash bytea, p_network_hash bytea, p_account_hash bytea, p_device_hash bytea,
    OUT wait_seconds integer, OUT held_seconds double precision, OUT is_known boolean, OUT is_beyond boolean, OUT counted bytea[],
    OUT staff_id bigint, OUT version integer, OUT password_hash text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := public.app_now();
BEGIN
    SELECT account.staff_id, account.version, account.password_hash INTO staff_id, version, password_hash
    FROM staff.account WHERE log_on = p_log_on AND disabled_at IS NULL;
    is_known := EXISTS (
        SELECT FROM staff.device
        WHERE device_hash = p_device_hash AND device.staff_id = count_guess.staff_id AND seen_at > now_at - staff.device_time());
    held_seconds := 0;
    is_beyond := false;
    IF is_known AND staff.take_guess(p_device_hash, 20, interval '3 minutes', now_at) = 0 THEN
        wait_seconds := 0;
        counted := ARRAY[p_device_hash];
        RETURN;
    END IF;
    is_known := false;
    wait_seconds := staff.take_guess(p_pair_hash, 10, interval '1 minute', now_at);
    IF wait_seconds > 0 THEN
        RETURN;
    END IF;
    counted := ARRAY[p_pair_hash];
    IF staff.take_guess(p_address_hash, 10, interval '1 minute', now_at) = 0 THEN
        counted := counted || p_address_hash;
    ELSE
        is_beyond := true;
    END IF;
    IF staff.take_guess(p_network_hash, 60, interval '10 seconds', now_at) = 0 THEN
        counted := counted || p_network_hash;
    ELSE
        is_beyond := true;
    END IF;
    -- With room for all of them.
    PERFORM staff.take_guess(p_account_hash, 1000000000, interval '1 minute', now_at);
    counted := counted || p_account_hash;
    IF is_beyond THEN
        held_seconds := 2;
    ELSE
        SELECT least(2, greatest(0, used - 5) * 0.2) INTO held_seconds FROM staff.guess WHERE key_hash = p_account_hash;
    END IF;
END $$;

-- Counts a guess at a code of an app, which only those make who know the password: 0, or how long to wait, and in which bucket. A browser
-- in which the person has logged in before has one of its own; all others share one, whatever they say of themselves.
CREATE FUNCTION staff.count_code(
    p_staff_id bigint, p_device_hash bytea, p_device_key bytea, p_strangers_key bytea, OUT wait_seconds integer, OUT key_hash bytea
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_at timestamptz := public.app_now();
BEGIN
    key_hash := p_strangers_key;
    IF EXISTS (
        SELECT FROM staff.device
        WHERE device_hash = p_device_hash AND staff_id = p_staff_id AND seen_at > now_at - staff.device_time()) THEN
        key_hash := p_device_key;
    END IF;
    wait_seconds := staff.take_guess(key_hash, 5, interval '1 minute', now_at);
END $$;

-- Counts a bad answer of a passkey from an address: whether the audit has room for it. Nobody can guess one, so none is refused for others'.
CREATE FUNCTION staff.count_answer(p_address_hash bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN staff.take_guess(p_address_hash, 10, interval '1 minute', public.app_now()) = 0;
END $$;

-- A right one was no guess. In the order in which they were taken.
CREATE FUNCTION staff.return_guess(VARIADIC p_key_hashes bytea[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key bytea;
BEGIN
    FOREACH key IN ARRAY p_key_hashes LOOP
        UPDATE staff.guess SET used = greatest(0, used - 1) WHERE key_hash = key;
    END LOOP;
END $$;
