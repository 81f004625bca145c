-- What a code by SMS costs, in work or in time, and how many there are.
--
-- A known device has signed in with this number before: it pays nothing, and has budgets of its own. Everybody else is a
-- stranger. Up to a free number of codes an hour strangers pay nothing either; beyond it, the price rises by steps, each
-- twice the work of the one before (accounts/proofs.py), with how many codes were sent to strangers from the same address and
-- network, to the same range of numbers and the same number, and with how little is left of their part of the budget.
CREATE FUNCTION accounts.steps_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 8 $$;
CREATE FUNCTION accounts.waiting_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '90 seconds' $$;
CREATE FUNCTION accounts.device_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '400 days' $$;
CREATE FUNCTION accounts.device_guesses_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 20 $$;
CREATE FUNCTION accounts.known_codes_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 12 $$;

-- The budget has parts, so that strangers cannot use up what known devices need, nor those who wait what those who work need.
CREATE FUNCTION accounts.sms_share(p_part text) RETURNS double precision IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE p_part WHEN 'known' THEN 0.25 WHEN 'waiting' THEN 0.125 WHEN 'strangers' THEN 0.625 END
$$;

-- A quarter of the day's budget can be sent at once. The other three quarters come back evenly over the day, so that no 24 hours
-- ever send more than the budget.
CREATE FUNCTION accounts.sms_room(p_part text, p_per_day integer) RETURNS double precision IMMUTABLE LANGUAGE sql AS $$
    SELECT accounts.sms_share(p_part) * p_per_day / 4
$$;

CREATE FUNCTION accounts.sms_left(p_part text, p_per_day integer, p_now timestamptz)
RETURNS double precision STABLE LANGUAGE sql AS $$
    SELECT least(room, coalesce((
        SELECT messages + room * 3 * greatest(0, extract(epoch FROM p_now - at)) / 86400
        FROM accounts.sms_budget WHERE part = p_part), room))
    FROM accounts.sms_room(p_part, p_per_day) AS room
$$;

-- When a part has room for one message again.
CREATE FUNCTION accounts.sms_again_at(p_part text, p_per_day integer, p_now timestamptz)
RETURNS timestamptz STABLE LANGUAGE sql AS $$
    SELECT p_now + greatest(0, 1 - accounts.sms_left(p_part, p_per_day, p_now))
        * 86400 / (3 * accounts.sms_room(p_part, p_per_day)) * interval '1 second'
$$;

CREATE FUNCTION accounts.take_sms(p_part text, p_per_day integer, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO accounts.sms_budget AS kept (part, messages, at)
    VALUES (p_part, accounts.sms_left(p_part, p_per_day, p_now) - 1, p_now)
    ON CONFLICT (part) DO UPDATE SET messages = excluded.messages, at = excluded.at;
END $$;

-- Whether a device has signed in with a number, and has not since used up the wrong guesses of a known device; for so many codes a
-- day in all: a person who reads a number's messages can have each of them make another device known.
CREATE FUNCTION accounts.is_known_device(p_phone_hash bytea, p_device_hash bytea, p_now timestamptz)
RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (
            SELECT FROM accounts.device
            WHERE phone_hash = p_phone_hash AND device_hash = p_device_hash AND signed_in_at > p_now - accounts.device_time())
        AND (SELECT coalesce(sum(tries), 0) < accounts.device_guesses_max() FROM accounts.challenge
             WHERE phone_hash = p_phone_hash AND device_hash = p_device_hash AND tried_at > p_now - accounts.guess_memory_time())
        AND (SELECT count(*) < accounts.known_codes_max() FROM accounts.challenge
             WHERE phone_hash = p_phone_hash AND is_known AND issued_by IS NULL AND created_at > p_now - interval '1 day')
$$;

-- How many tries a stranger's code has: few, once strangers have guessed often at the number.
CREATE FUNCTION accounts.tries_for_stranger(p_phone_hash bytea, p_now timestamptz) RETURNS integer STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN coalesce(sum(tries), 0) < accounts.free_guesses() THEN accounts.tries_max() ELSE accounts.tries_min() END
    FROM accounts.challenge
    WHERE phone_hash = p_phone_hash AND NOT is_known AND tried_at > p_now - accounts.guess_memory_time()
$$;

-- How long after one code the next may be sent to a number, when so many were sent in 24 hours: nobody is bombed with messages.
CREATE FUNCTION accounts.cooling_time(p_sent bigint) RETURNS interval IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN p_sent < 4 THEN accounts.resend_time() WHEN p_sent < 8 THEN interval '15 minutes' ELSE interval '3 hours' END
$$;

-- Codes sent to a number in the last 24 hours, and the latest: by one known device, or by all strangers for whom it is NULL.
CREATE FUNCTION accounts.codes_sent_to(
    p_phone_hash bytea, p_device_hash bytea, p_now timestamptz, OUT sent bigint, OUT last_at timestamptz
) STABLE LANGUAGE sql AS $$
    SELECT count(*), max(created_at) FROM accounts.challenge
    WHERE phone_hash = p_phone_hash AND created_at > p_now - interval '1 day' AND issued_by IS NULL
        AND CASE WHEN p_device_hash IS NULL THEN NOT is_known ELSE device_hash = p_device_hash END
$$;

-- In how many seconds another code can be sent to a number.
CREATE FUNCTION accounts.resend_in(p_phone_hash bytea, p_device_hash bytea, p_is_known boolean, p_now timestamptz)
RETURNS integer STABLE LANGUAGE sql AS $$
    SELECT accounts.seconds_until(last_at + accounts.cooling_time(sent), p_now)
    FROM accounts.codes_sent_to(p_phone_hash, CASE WHEN p_is_known THEN p_device_hash END, p_now)
$$;

CREATE FUNCTION accounts.steps_beyond(p_sent bigint, p_free integer, p_more integer) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN p_sent < p_free THEN 0 ELSE least(accounts.steps_max(), 1 + (p_sent - p_free) / p_more)::integer END
$$;

-- The price of a stranger's next code, and which of the counts made it the highest. Of each no more is read than the price needs.
CREATE FUNCTION accounts.stranger_price(
    p_phone_hash bytea, p_prefix_hash bytea, p_requester_hash bytea, p_network_hash bytea, p_per_day integer, p_now timestamptz,
    OUT reason text, OUT step integer
) STABLE LANGUAGE sql AS $$
    SELECT reason, step FROM (
        SELECT 'address' AS reason, accounts.steps_beyond(count(*), 30, 10) AS step FROM (
            SELECT FROM accounts.challenge WHERE requester_hash = p_requester_hash AND created_at > p_now - interval '1 hour'
                AND NOT is_known LIMIT 110)
        UNION ALL
        SELECT 'network', accounts.steps_beyond(count(*), 60, 10) FROM (
            SELECT FROM accounts.challenge WHERE network_hash = p_network_hash AND created_at > p_now - interval '1 hour'
                AND NOT is_known LIMIT 140)
        UNION ALL
        SELECT 'prefix', accounts.steps_beyond(count(*), 20, 5) FROM (
            SELECT FROM accounts.challenge WHERE prefix_hash = p_prefix_hash AND created_at > p_now - interval '1 hour'
                AND NOT is_known LIMIT 60)
        UNION ALL
        SELECT 'number', accounts.steps_beyond(sent, 4, 1) FROM accounts.codes_sent_to(p_phone_hash, NULL, p_now)
        UNION ALL
        -- One step for each time that what is left of the budget has halved.
        SELECT 'all', least(accounts.steps_max(), floor(log(2, (
            accounts.sms_room('strangers', p_per_day) / greatest(0.001, accounts.sms_left('strangers', p_per_day, p_now))
        )::numeric)))::integer
    ) AS price
    ORDER BY step DESC LIMIT 1
$$;

-- How long a stranger must have waited instead of working. It doubles with every code that was sent for waiting to the same
-- network in the last hour, beyond four: otherwise one attacker could wait with a thousand forms at once.
CREATE FUNCTION accounts.wait_needed(p_network_hash bytea, p_now timestamptz) RETURNS interval STABLE LANGUAGE sql AS $$
    SELECT least(interval '1 hour', accounts.waiting_time() * 2 ^ greatest(0, count(*) - 3)) FROM (
        SELECT FROM accounts.challenge WHERE network_hash = p_network_hash AND created_at > p_now - interval '1 hour'
            AND is_waited LIMIT 12)
$$;

-- What stands between a request and its code: whether it is a repeat, whether its proof was used before, for how long the number
-- cools, the price in steps and which count made it, and how long waiting takes instead. It is asked first without a lock, so that
-- requests which are refused do not wait for the lock, nor others for them; and again under the lock, where it counts.
CREATE FUNCTION accounts.price_of_code(
    p_phone_hash bytea, p_prefix_hash bytea, p_requester_hash bytea, p_network_hash bytea, p_device_hash bytea, p_key_hash bytea,
    p_per_day integer, p_proof_hash bytea,
    OUT now_at timestamptz, OUT is_repeat boolean, OUT is_known boolean, OUT is_spent boolean, OUT cools_for integer,
    OUT step integer, OUT reason text, OUT wait_seconds integer
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    now_at := public.app_now();
    is_spent := EXISTS (SELECT FROM accounts.spent_proof WHERE proof_hash = p_proof_hash);
    is_known := accounts.is_known_device(p_phone_hash, p_device_hash, now_at);
    cools_for := coalesce(accounts.resend_in(p_phone_hash, p_device_hash, is_known, now_at), 0);
    step := 0;
    wait_seconds := 0;
    IF NOT is_known THEN
        SELECT price.step, price.reason INTO step, reason
        FROM accounts.stranger_price(p_phone_hash, p_prefix_hash, p_requester_hash, p_network_hash, p_per_day, now_at) AS price;
        wait_seconds := extract(epoch FROM accounts.wait_needed(p_network_hash, now_at));
    END IF;
    -- Last: without the lock, a request at once with this one may have been granted since, and be what the others found.
    is_repeat := EXISTS (
        SELECT FROM accounts.challenge
        WHERE requester_hash = p_requester_hash AND key_hash = p_key_hash AND created_at > now_at - accounts.key_time());
END $$;
