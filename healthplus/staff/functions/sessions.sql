-- Sessions of staff. Each request looks its own up here, so what ends one does so at the next request, in every process.
--
-- The login of patients serves log-in, too, and has no right on a table of this schema: in all of its files, what that login calls is
-- SECURITY DEFINER, and what it must not call is not. The session's token says who is logged in.
CREATE FUNCTION staff.session_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '24 hours' $$;
CREATE FUNCTION staff.idle_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 hour' $$;
CREATE FUNCTION staff.lock_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '10 minutes' $$;
CREATE FUNCTION staff.proof_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '5 minutes' $$;

-- Whether a session goes on: it is neither ended nor too old, its account is not disabled, and nothing has ended all that began before.
CREATE FUNCTION staff.is_live(p_session staff.session, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN p_session.ended_at IS NULL AND p_session.created_at > p_now - staff.session_time()
        AND p_session.seen_at > p_now - staff.idle_time()
        AND EXISTS (
            SELECT FROM staff.account
            WHERE staff_id = p_session.staff_id AND version = p_session.version AND disabled_at IS NULL);
END $$;

-- Whose session a token is, by its SHA-256, with what they may do where; no row where it is nobody's. It notes that the session is in
-- use, unless a page asks by itself (p_is_use), and locks one in which nothing was done for too long. Roles are read with it, so none outlasts its end.
CREATE FUNCTION staff.use_session(p_token_hash bytea, p_is_use boolean DEFAULT true)
RETURNS TABLE (
    session_id uuid, staff_id bigint, version integer, log_on text, name text, provider_id bigint, is_locked boolean, is_proven boolean,
    clinic_ids bigint[], roles text[]
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := public.app_now();
    held staff.session;
    writes boolean := NOT current_setting('transaction_read_only')::boolean;
BEGIN
    SELECT * INTO held FROM staff.session WHERE token_hash = p_token_hash;
    IF NOT FOUND OR NOT staff.is_live(held, now_at) THEN
        RETURN;
    END IF;
    IF held.locked_at IS NULL AND held.seen_at <= now_at - staff.lock_time() THEN
        held.locked_at := now_at;
        IF writes THEN
            UPDATE staff.session SET locked_at = now_at WHERE token_hash = p_token_hash AND locked_at IS NULL;
            IF FOUND THEN
                PERFORM staff.append_audit('system:desk', held.session_id, NULL, 'lock', false, 'idle', held.staff_id);
            END IF;
        END IF;
    ELSIF held.locked_at IS NULL AND held.seen_at <= now_at - interval '15 seconds' AND writes AND p_is_use THEN
        UPDATE staff.session SET seen_at = greatest(seen_at, now_at) WHERE token_hash = p_token_hash;
    END IF;
    RETURN QUERY
    SELECT held.session_id, account.staff_id, account.version, account.log_on, account.name, account.provider_id,
        held.locked_at IS NOT NULL, held.proven_at > now_at - staff.proof_time(),
        coalesce(array_agg(clinic_id ORDER BY clinic_id) FILTER (WHERE role IS NOT NULL), '{}'),
        coalesce(array_agg(role::text ORDER BY clinic_id) FILTER (WHERE role IS NOT NULL), '{}')
    FROM staff.account LEFT JOIN staff.membership USING (staff_id)
    WHERE account.staff_id = held.staff_id
    GROUP BY account.staff_id;
END $$;

-- Begins a session, in the place of the one that was open in the browser; no row where the account has changed since it was looked at.
-- The account is locked: otherwise what ends all its sessions could miss this one.
CREATE FUNCTION staff.begin_session(
    p_staff_id bigint, p_version integer, p_token_hash bytea, p_former_hash bytea, p_device_hash bytea, p_agent text, p_address text,
    p_how text
) RETURNS TABLE (session_id uuid) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz;
    new_id uuid;
BEGIN
    PERFORM FROM staff.account WHERE staff_id = p_staff_id AND version = p_version AND disabled_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    now_at := public.app_now();
    PERFORM staff.end_session(p_former_hash, 'another log-in here', p_address);
    INSERT INTO staff.session (token_hash, staff_id, version, agent, created_at, seen_at, proven_at)
    VALUES (p_token_hash, p_staff_id, p_version, p_agent, now_at, now_at, now_at) RETURNING session.session_id INTO new_id;
    INSERT INTO staff.device (device_hash, staff_id, seen_at) VALUES (p_device_hash, p_staff_id, now_at)
    ON CONFLICT (device_hash) DO UPDATE SET seen_at = excluded.seen_at;
    PERFORM staff.append_audit('staff:' || p_staff_id, new_id, p_address, 'log_in', false, p_how, p_staff_id);
    RETURN QUERY SELECT new_id;
END $$;

CREATE FUNCTION staff.end_session(p_token_hash bytea, p_why text, p_address text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held staff.session;
BEGIN
    UPDATE staff.session SET ended_at = public.app_now() WHERE token_hash = p_token_hash AND ended_at IS NULL RETURNING * INTO held;
    IF FOUND THEN
        PERFORM staff.append_audit('staff:' || held.staff_id, held.session_id, p_address, 'log_out', false, p_why, held.staff_id);
    END IF;
END $$;

-- Return the live, unlocked session of a token; raises HP401 and HP423 as staff.authorise does.
CREATE FUNCTION staff.own_session(p_token_hash bytea) RETURNS staff.session LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    held staff.session;
BEGIN
    SELECT * INTO held FROM staff.session WHERE token_hash = p_token_hash;
    IF NOT FOUND OR NOT staff.is_live(held, now_at) THEN
        RAISE EXCEPTION USING ERRCODE = 'HP401', MESSAGE = 'nobody is logged in with this token';
    ELSIF held.locked_at IS NOT NULL OR held.seen_at <= now_at - staff.lock_time() THEN
        RAISE EXCEPTION USING ERRCODE = 'HP423', MESSAGE = 'the screen is locked';
    END IF;
    RETURN held;
END $$;

-- The same for who changes their own account, which is locked until then: what ends the session may be under way.
CREATE FUNCTION staff.own_session_to_change(p_token_hash bytea) RETURNS staff.session LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM staff.account WHERE staff_id = (SELECT staff_id FROM staff.session WHERE token_hash = p_token_hash) FOR UPDATE;
    RETURN staff.own_session(p_token_hash);
END $$;

-- The live sessions of who is logged in; is_this marks the one that asks.
CREATE FUNCTION staff.own_sessions(p_token_hash bytea)
RETURNS TABLE (session_id uuid, agent text, created_at timestamptz, seen_at timestamptz, is_this boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own staff.session := staff.own_session(p_token_hash);
BEGIN
    RETURN QUERY
    SELECT session_id, agent, created_at, seen_at, session_id = own.session_id FROM staff.session
    WHERE staff_id = own.staff_id AND staff.is_live(session, public.app_now()) ORDER BY created_at DESC;
END $$;

-- Ends another session of who is logged in; whether there was one.
CREATE FUNCTION staff.end_other(p_token_hash bytea, p_session_id uuid, p_address text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own staff.session := staff.own_session_to_change(p_token_hash);
BEGIN
    UPDATE staff.session SET ended_at = public.app_now()
    WHERE staff_id = own.staff_id AND session_id = p_session_id AND ended_at IS NULL;
    IF FOUND THEN
        PERFORM staff.append_audit(
            'staff:' || own.staff_id, own.session_id, p_address, 'log_out', false, 'another device', own.staff_id);
        RETURN true;
    END IF;
    RETURN false;
END $$;

-- Ends every session of who is logged in, and knows none of their browsers any more.
CREATE FUNCTION staff.end_sessions(p_token_hash bytea, p_address text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own staff.session := staff.own_session_to_change(p_token_hash);
BEGIN
    UPDATE staff.account SET version = version + 1 WHERE staff_id = own.staff_id;
    DELETE FROM staff.device WHERE staff_id = own.staff_id;
    PERFORM staff.append_audit(
        'staff:' || own.staff_id, own.session_id, p_address, 'log_out_everywhere', false, '', own.staff_id);
END $$;

-- Locks the screen of a token's session, with its row in the audit; nothing where it is locked or ended.
CREATE FUNCTION staff.lock_session(p_token_hash bytea, p_address text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held staff.session;
BEGIN
    UPDATE staff.session SET locked_at = public.app_now()
    WHERE token_hash = p_token_hash AND locked_at IS NULL AND ended_at IS NULL RETURNING * INTO held;
    IF FOUND THEN
        PERFORM staff.append_audit('staff:' || held.staff_id, held.session_id, p_address, 'lock', false, '', held.staff_id);
    END IF;
END $$;

-- Notes that the person has just given password or passkey again, which also opens a locked screen; whether the session still goes on.
CREATE FUNCTION staff.prove_session(p_token_hash bytea, p_version integer, p_action text, p_how text, p_address text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_at timestamptz;
    held staff.session;
BEGIN
    SELECT * INTO held FROM staff.session WHERE token_hash = p_token_hash FOR UPDATE;
    now_at := public.app_now();
    IF NOT FOUND OR held.version <> p_version OR NOT staff.is_live(held, now_at) THEN
        RETURN false;
    END IF;
    UPDATE staff.session SET locked_at = NULL, seen_at = now_at, proven_at = now_at WHERE token_hash = p_token_hash;
    PERFORM staff.append_audit('staff:' || held.staff_id, held.session_id, p_address, p_action, false, p_how, held.staff_id);
    RETURN true;
END $$;
