-- Codes by SMS: when one is sent, how often one may guess, and the sign-in after a right one. What one costs: code_prices.sql.
--
-- The chance of getting into an account by guessing: a code is one of 10^6, each drawn independently, so n guesses at a number
-- succeed with a chance of at most n / 10^6, however they are spread. A code can be guessed only by the one who asked for it, who
-- alone knows its id; so nobody's guesses are ever in the way of another's right code. What bounds the guesses is how many codes
-- strangers get for a number: 15 in 24 hours by cooling_time, of five tries each, or of two once strangers have guessed 20 times
-- in 30 days. That is 75 guesses a day at most, and 30 a day from then on: docs/decisions/0035.
CREATE FUNCTION accounts.code_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '5 minutes' $$;
CREATE FUNCTION accounts.desk_code_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '15 minutes' $$;
CREATE FUNCTION accounts.resend_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 seconds' $$;
CREATE FUNCTION accounts.tries_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 5 $$;
CREATE FUNCTION accounts.tries_min() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 2 $$;
CREATE FUNCTION accounts.free_guesses() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 20 $$;
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

-- Stores a code to be sent: 'sent', or 'repeated' for a repeat of a request (nothing is sent again), or 'key_reused'; 'full' where
-- the number cools or the budget is used up, or 'unpaid' with the price. A proof is of work, of so many steps, or of having waited
-- since an instant; one step less than the price will do, since it may have risen meanwhile.
-- Whether the number is a patient's is not looked at, so that neither the answer nor the time it takes can depend on it.
CREATE FUNCTION accounts.request_code(
    p_challenge_id uuid, p_phone text, p_phone_hash bytea, p_prefix_hash bytea, p_requester_hash bytea, p_network_hash bytea,
    p_device_hash bytea, p_key_hash bytea, p_request_hash bytea, p_code_hash bytea, p_consent_version text, p_per_day integer,
    p_proof_hash bytea, p_proof_expires_at timestamptz, p_worked_steps integer, p_waited_since timestamptz,
    OUT outcome text, OUT reason text, OUT challenge_id uuid, OUT expires_in integer, OUT resend_in integer, OUT retry_after integer,
    OUT now_at timestamptz, OUT is_spent boolean, OUT step integer, OUT wait_seconds integer
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    price record;
    known accounts.challenge;
    part text;
BEGIN
    PERFORM accounts.lock_codes();
    SELECT * INTO price FROM accounts.price_of_code(
        p_phone_hash, p_prefix_hash, p_requester_hash, p_network_hash, p_device_hash, p_key_hash, p_per_day, p_proof_hash);
    SELECT price.now_at, price.is_spent, price.step, price.wait_seconds, price.reason
    INTO now_at, is_spent, step, wait_seconds, reason;
    SELECT * INTO known FROM accounts.challenge
    WHERE requester_hash = p_requester_hash AND key_hash = p_key_hash AND created_at > now_at - accounts.key_time()
    ORDER BY created_at DESC LIMIT 1;
    IF FOUND AND known.request_hash <> p_request_hash THEN
        outcome := 'key_reused';
    ELSIF FOUND THEN
        outcome := 'repeated';
    ELSIF price.cools_for > 0 THEN
        outcome := 'full';
        reason := 'number';
        retry_after := price.cools_for;
    ELSIF step = 0 THEN
        outcome := 'sent';
        part := CASE WHEN price.is_known AND accounts.sms_left('known', p_per_day, now_at) >= 1 THEN 'known' ELSE 'strangers' END;
    ELSIF is_spent IS NOT TRUE AND p_worked_steps >= step - 1 THEN
        outcome := 'sent';
        part := 'strangers';
    ELSIF is_spent IS NOT TRUE AND p_waited_since <= now_at - make_interval(secs => wait_seconds) THEN
        outcome := 'sent';
        part := 'waiting';
    ELSE
        outcome := 'unpaid';
    END IF;
    IF outcome = 'sent' AND accounts.sms_left(part, p_per_day, now_at) < 1 THEN
        outcome := 'full';
        reason := 'all';
        retry_after := accounts.seconds_until(accounts.sms_again_at(part, p_per_day, now_at), now_at);
    ELSIF outcome = 'sent' THEN
        PERFORM accounts.take_sms(part, p_per_day, now_at);
        IF step > 0 THEN
            INSERT INTO accounts.spent_proof (proof_hash, expires_at) VALUES (p_proof_hash, p_proof_expires_at);
        END IF;
        INSERT INTO accounts.challenge (
            challenge_id, serial, phone, phone_hash, prefix_hash, requester_hash, network_hash, device_hash, key_hash, request_hash,
            code_hash, consent_version, created_at, expires_at, is_known, is_waited, tries_max)
        VALUES (
            p_challenge_id, (SELECT coalesce(max(serial), 0) + 1 FROM accounts.challenge), p_phone, p_phone_hash, p_prefix_hash,
            p_requester_hash, p_network_hash, CASE WHEN price.is_known THEN p_device_hash END, p_key_hash, p_request_hash,
            p_code_hash, p_consent_version, now_at, now_at + accounts.code_time(), price.is_known, part = 'waiting',
            CASE WHEN price.is_known THEN accounts.tries_max() ELSE accounts.tries_for_stranger(p_phone_hash, now_at) END)
        RETURNING * INTO known;
    END IF;
    IF outcome IN ('sent', 'repeated') THEN
        challenge_id := known.challenge_id;
        expires_in := accounts.seconds_until(known.expires_at, now_at);
        resend_in := accounts.resend_in(p_phone_hash, p_device_hash, price.is_known, now_at);
    END IF;
END $$;

-- Stores a code that the desk tells the person who stands before it. It can be asked for by its hash alone, so it must be one
-- that nobody guesses: no message is sent, and no limit counts it.
CREATE FUNCTION accounts.issue_code(
    p_challenge_id uuid, p_phone text, p_phone_hash bytea, p_nobody_hash bytea, p_code_hash bytea, p_consent_version text,
    p_issued_by text, OUT expires_at timestamptz
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
BEGIN
    PERFORM accounts.lock_codes();
    now_at := public.app_now();
    expires_at := now_at + accounts.desk_code_time();
    INSERT INTO accounts.challenge (
        challenge_id, serial, phone, phone_hash, prefix_hash, requester_hash, key_hash, request_hash, code_hash, consent_version,
        created_at, expires_at, is_known, issued_by)
    VALUES (
        p_challenge_id, (SELECT coalesce(max(serial), 0) + 1 FROM accounts.challenge), p_phone, p_phone_hash, p_nobody_hash,
        p_nobody_hash, p_nobody_hash, p_nobody_hash, p_code_hash, p_consent_version, now_at, expires_at, true, p_issued_by);
END $$;

-- Counts a guess, before it is checked: 'try' with the hash to compare it to; 'repeated' when the same request signed in before;
-- or 'not_found', 'over', 'spent'. Whether the number is a patient's is not looked at here either.
CREATE FUNCTION accounts.count_guess(
    p_challenge_id uuid, p_key_hash bytea, OUT outcome text, OUT code_hash bytea, OUT tries_left integer
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    held accounts.challenge;
BEGIN
    PERFORM FROM accounts.challenge WHERE challenge_id = p_challenge_id;
    IF NOT FOUND THEN
        outcome := 'not_found';
        RETURN;
    END IF;
    PERFORM accounts.lock_codes();
    now_at := public.app_now();
    SELECT * INTO held FROM accounts.challenge WHERE challenge_id = p_challenge_id;
    IF held.used_key_hash = p_key_hash AND held.used_at > now_at - accounts.key_time() THEN
        outcome := 'repeated';
        code_hash := held.code_hash;
    ELSIF held.phone IS NULL OR held.expires_at <= now_at THEN
        outcome := 'over';
    ELSIF held.tries >= held.tries_max THEN
        outcome := 'spent';
    ELSE
        UPDATE accounts.challenge SET tries = tries + 1, tried_at = now_at WHERE challenge_id = p_challenge_id;
        outcome := 'try';
        code_hash := held.code_hash;
        tries_left := held.tries_max - held.tries - 1;
    END IF;
END $$;

-- Starts a session after the right code, and remembers the device: 'signed_in', as the patient with the number, added if there is none;
-- 'repeated' when the same request did so a moment ago; 'over' when another request did.
CREATE FUNCTION accounts.sign_in(
    p_challenge_id uuid, p_key_hash bytea, p_token_hash bytea, p_agent text, p_purpose text, p_device_hash bytea,
    OUT outcome text, OUT patient_id bigint
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
    INSERT INTO accounts.device (phone_hash, device_hash, signed_in_at) VALUES (held.phone_hash, p_device_hash, now_at)
    ON CONFLICT (phone_hash, device_hash) DO UPDATE SET signed_in_at = excluded.signed_in_at;
    -- A right code was no guess.
    UPDATE accounts.challenge
    SET used_at = now_at, used_key_hash = p_key_hash, phone = NULL, tries = greatest(0, tries - 1)
    WHERE challenge_id = p_challenge_id;
    outcome := 'signed_in';
    patient_id := owner_id;
END $$;
