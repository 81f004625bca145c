-- Codes by SMS: when one may be sent, how often one may guess, and the sign-in after a right one.
--
-- The chance of getting into an account by guessing: a code is one of 10^6, each drawn independently, so n wrong guesses at a
-- number succeed with a chance of at most n / 10^6, however they are spread over its codes. wrong_guesses_max = 100 in any
-- guess_memory_time = 30 days makes that 100 / 10^6 = 10^-4 (100 failures is also what NIST SP 800-63B allows). The five
-- tries a code are for people; without the 100, eight codes a day would allow 8 x 5 x 30 = 1,200 guesses in 30 days.
CREATE FUNCTION accounts.code_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '5 minutes' $$;
CREATE FUNCTION accounts.resend_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 seconds' $$;
CREATE FUNCTION accounts.tries_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 5 $$;
CREATE FUNCTION accounts.wrong_guesses_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 100 $$;
CREATE FUNCTION accounts.guess_memory_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 days' $$;
CREATE FUNCTION accounts.session_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '90 days' $$;
CREATE FUNCTION accounts.key_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '24 hours' $$;

-- Requests and guesses are counted one at a time over all processes, so that simultaneous ones cannot get past a limit.
CREATE FUNCTION accounts.lock_codes() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(18, 2);
END $$;

CREATE FUNCTION accounts.seconds_until(p_instant timestamptz, p_now timestamptz) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT greatest(0, ceil(extract(epoch FROM p_instant - p_now)))::integer
$$;

-- Until when no code is sent to a number, nor any guess checked, because of too many wrong guesses; NULL when there were not.
CREATE FUNCTION accounts.paused_until(p_phone_hash bytea, p_now timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT tried_at + accounts.guess_memory_time()
    FROM (
        SELECT tried_at, sum(tries) OVER (ORDER BY tried_at DESC ROWS UNBOUNDED PRECEDING) AS wrong_since
        FROM accounts.challenge
        WHERE phone_hash = p_phone_hash AND tried_at > p_now - accounts.guess_memory_time()
    ) AS tried
    WHERE wrong_since >= accounts.wrong_guesses_max()
    ORDER BY tried_at DESC LIMIT 1
$$;

-- When another code may be sent at the earliest, and which limit is in the way; no row: now. The limit of an address leaves room
-- for a family or a small clinic that shares one. The limit of a prefix (all but the last four digits) is against those who earn
-- from messages to a range of numbers. An hour may use a quarter of the day's budget, so that some is left for the evening.
CREATE FUNCTION accounts.full_until(
    p_phone_hash bytea, p_prefix_hash bytea, p_requester_hash bytea, p_per_day integer, p_now timestamptz,
    OUT reason text, OUT until timestamptz
) RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT reason, until FROM (
        SELECT 'number' AS reason, last.created_at + span AS until
        FROM (VALUES (accounts.resend_time(), 1), (interval '1 hour', 4), (interval '1 day', 8)) AS figure (span, most),
            LATERAL (SELECT created_at FROM accounts.challenge WHERE phone_hash = p_phone_hash
                     ORDER BY created_at DESC OFFSET most - 1 LIMIT 1) AS last
        UNION ALL
        SELECT 'prefix', last.created_at + span
        FROM (VALUES (interval '1 hour', 20), (interval '1 day', 60)) AS figure (span, most),
            LATERAL (SELECT created_at FROM accounts.challenge WHERE prefix_hash = p_prefix_hash
                     ORDER BY created_at DESC OFFSET most - 1 LIMIT 1) AS last
        UNION ALL
        SELECT 'address', last.created_at + span
        FROM (VALUES (interval '1 hour', 30), (interval '1 day', 200)) AS figure (span, most),
            LATERAL (SELECT created_at FROM accounts.challenge WHERE requester_hash = p_requester_hash
                     ORDER BY created_at DESC OFFSET most - 1 LIMIT 1) AS last
        UNION ALL
        SELECT 'all', created_at + span
        FROM (VALUES (interval '1 hour', (p_per_day + 3) / 4), (interval '1 day', p_per_day)) AS figure (span, most)
            JOIN accounts.challenge ON serial = (SELECT max(serial) FROM accounts.challenge) - most + 1
        UNION ALL
        SELECT 'guesses', accounts.paused_until(p_phone_hash, p_now)
    ) AS limits
    WHERE until > p_now
    ORDER BY until DESC LIMIT 1
$$;

-- Stores a code to be sent: 'sent', or 'repeated' for a repeat of a request (nothing is sent again), or 'key_reused', 'full'.
-- Whether the number is a patient's is not looked at, so that neither the answer nor the time it takes can depend on it.
CREATE FUNCTION accounts.request_code(
    p_challenge_id uuid, p_phone text, p_phone_hash bytea, p_prefix_hash bytea, p_requester_hash bytea, p_key_hash bytea,
    p_request_hash bytea, p_code_hash bytea, p_consent_version text, p_per_day integer,
    OUT outcome text, OUT reason text, OUT challenge_id uuid, OUT expires_in integer, OUT resend_in integer, OUT retry_after integer
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz;
    known accounts.challenge;
    full_at timestamptz;
BEGIN
    PERFORM accounts.lock_codes();
    now_at := public.app_now();
    SELECT * INTO known FROM accounts.challenge
    WHERE requester_hash = p_requester_hash AND key_hash = p_key_hash AND created_at > now_at - accounts.key_time()
    ORDER BY created_at DESC LIMIT 1;
    IF FOUND AND known.request_hash <> p_request_hash THEN
        outcome := 'key_reused';
        RETURN;
    ELSIF FOUND THEN
        outcome := 'repeated';
    ELSE
        SELECT limits.reason, limits.until INTO reason, full_at
        FROM accounts.full_until(p_phone_hash, p_prefix_hash, p_requester_hash, p_per_day, now_at) AS limits;
        IF FOUND THEN
            outcome := 'full';
            retry_after := accounts.seconds_until(full_at, now_at);
            RETURN;
        END IF;
        -- Only codes requested from the same address end: a stranger must not end the code that somebody is typing.
        UPDATE accounts.challenge SET phone = NULL
        WHERE phone_hash = p_phone_hash AND requester_hash = p_requester_hash AND phone IS NOT NULL;
        INSERT INTO accounts.challenge (
            challenge_id, serial, phone, phone_hash, prefix_hash, requester_hash, key_hash, request_hash, code_hash,
            consent_version, created_at, expires_at)
        VALUES (
            p_challenge_id, (SELECT coalesce(max(serial), 0) + 1 FROM accounts.challenge), p_phone, p_phone_hash, p_prefix_hash,
            p_requester_hash, p_key_hash, p_request_hash, p_code_hash, p_consent_version, now_at, now_at + accounts.code_time())
        RETURNING * INTO known;
        outcome := 'sent';
    END IF;
    challenge_id := known.challenge_id;
    expires_in := accounts.seconds_until(known.expires_at, now_at);
    resend_in := accounts.seconds_until(known.created_at + accounts.resend_time(), now_at);
END $$;

-- Counts a guess, before it is checked: 'try' with the hash to compare it to; 'repeated' when the same request signed in before;
-- or 'not_found', 'over', 'spent', 'paused'. Whether the number is a patient's is not looked at here either.
CREATE FUNCTION accounts.try_code(
    p_challenge_id uuid, p_key_hash bytea,
    OUT outcome text, OUT code_hash bytea, OUT tries_left integer, OUT retry_after integer
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    held accounts.challenge;
    paused_until timestamptz;
BEGIN
    PERFORM FROM accounts.challenge WHERE challenge_id = p_challenge_id;
    IF NOT FOUND THEN
        outcome := 'not_found';
        RETURN;
    END IF;
    PERFORM accounts.lock_codes();
    now_at := public.app_now();
    SELECT * INTO held FROM accounts.challenge WHERE challenge_id = p_challenge_id;
    paused_until := accounts.paused_until(held.phone_hash, now_at);
    IF held.used_key_hash = p_key_hash AND held.used_at > now_at - accounts.key_time() THEN
        outcome := 'repeated';
        code_hash := held.code_hash;
    ELSIF held.phone IS NULL OR held.expires_at <= now_at THEN
        outcome := 'over';
    ELSIF held.tries >= accounts.tries_max() THEN
        outcome := 'spent';
    ELSIF paused_until IS NOT NULL THEN
        outcome := 'paused';
        retry_after := accounts.seconds_until(paused_until, now_at);
    ELSE
        UPDATE accounts.challenge SET tries = tries + 1, tried_at = now_at WHERE challenge_id = p_challenge_id;
        outcome := 'try';
        code_hash := held.code_hash;
        tries_left := accounts.tries_max() - held.tries - 1;
    END IF;
END $$;

-- Starts a session after the right code: 'signed_in', as the patient who has the number, who is added if there is none;
-- 'repeated' when the same request did so a moment ago; 'over' when another request did.
CREATE FUNCTION accounts.sign_in(
    p_challenge_id uuid, p_key_hash bytea, p_token_hash bytea, p_agent text, p_purpose text, OUT outcome text, OUT patient_id bigint
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz;
    held accounts.challenge;
    owner_id bigint;
BEGIN
    SELECT * INTO held FROM accounts.challenge WHERE challenge_id = p_challenge_id FOR UPDATE;
    now_at := public.app_now();
    IF held.used_key_hash = p_key_hash THEN
        outcome := 'repeated';
        RETURN;
    ELSIF held.phone IS NULL THEN
        outcome := 'over';
        RETURN;
    END IF;
    LOOP
        INSERT INTO accounts.patient (phone, created_at) VALUES (held.phone, now_at) ON CONFLICT DO NOTHING;
        -- Locked: otherwise an erasure under way would leave a session behind. A patient just erased is not found: try again.
        SELECT patient.patient_id INTO owner_id FROM accounts.patient WHERE phone = held.phone FOR UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    UPDATE accounts.former_account SET successor_id = owner_id
    WHERE phone_hash = held.phone_hash AND successor_id IS NULL AND erased_at > now_at - accounts.former_time();
    INSERT INTO accounts.consent (patient_id, purpose, version, given_at)
    VALUES (owner_id, p_purpose, held.consent_version, held.created_at) ON CONFLICT DO NOTHING;
    INSERT INTO accounts.session (token_hash, patient_id, created_at, expires_at, used_on, agent)
    VALUES (p_token_hash, owner_id, now_at, now_at + accounts.session_time(), (now_at AT TIME ZONE 'UTC')::date, p_agent);
    -- A right code was no guess.
    UPDATE accounts.challenge
    SET used_at = now_at, used_key_hash = p_key_hash, phone = NULL, tries = greatest(0, tries - 1)
    WHERE challenge_id = p_challenge_id;
    outcome := 'signed_in';
    patient_id := owner_id;
END $$;
