-- Accounts of staff. What ends sessions raises the account's version; every function that changes an account locks it first (lock_account, or
-- own_session_to_change for one's own), and looks at the session after that: it may have ended while the lock was waited for.
CREATE FUNCTION staff.link_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 day' $$;

-- Locks an account for those who change it: by right of a session, which must still go on; NULL: by that of an operator. The row is of NULLs
-- where there is no such account. Raises HP401.
CREATE FUNCTION staff.lock_account(p_staff_id bigint, p_session_id uuid) RETURNS staff.account LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held staff.account;
BEGIN
    PERFORM FROM staff.account WHERE staff_id = p_staff_id FOR UPDATE;
    IF p_session_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM staff.session WHERE session_id = p_session_id AND staff.is_live(session, public.app_now()))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'HP401', MESSAGE = 'the session has ended';
    END IF;
    SELECT * INTO held FROM staff.account WHERE staff_id = p_staff_id;
    RETURN held;
END $$;

-- Ends all that somebody logs in with, and their sessions. The account is locked.
CREATE FUNCTION staff.end_way_in(p_staff_id bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE staff.account SET version = version + 1, password_hash = NULL, password_is_long = false, totp_secret = NULL
    WHERE staff_id = p_staff_id;
    DELETE FROM staff.passkey WHERE staff_id = p_staff_id;
    DELETE FROM staff.device WHERE staff_id = p_staff_id;
    DELETE FROM staff.link WHERE staff_id = p_staff_id AND used_at IS NULL;
END $$;

-- Adds an account; NULL where the log-on ID is taken.
CREATE FUNCTION staff.add_account(
    p_log_on text, p_name text, p_provider_id bigint, p_actor text, p_session_id uuid DEFAULT NULL, p_address text DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO staff.account (log_on, name, provider_id, created_at) VALUES (p_log_on, p_name, p_provider_id, public.app_now())
    ON CONFLICT DO NOTHING RETURNING staff_id INTO new_id;
    IF FOUND THEN
        PERFORM staff.append_audit(p_actor, p_session_id, p_address, 'add_staff', false, '', new_id);
    END IF;
    RETURN new_id;
END $$;

-- Locks all that could be the last administrator, in one order, so that two who disable each other are looked at one after the other;
-- whether there is another one than p_staff_id, who has something to log in with.
CREATE FUNCTION staff.has_other_administrator(p_staff_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM staff.account WHERE staff_id IN (SELECT staff_id FROM staff.membership WHERE role = 'administrator')
    ORDER BY staff_id FOR UPDATE;
    RETURN EXISTS (
        SELECT FROM staff.membership JOIN staff.account USING (staff_id)
        WHERE role = 'administrator' AND disabled_at IS NULL AND staff_id <> p_staff_id
            AND (password_hash IS NOT NULL OR EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = account.staff_id)));
END $$;

CREATE FUNCTION staff.is_last_administrator(p_staff_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM staff.membership JOIN staff.account USING (staff_id)
        WHERE staff_id = p_staff_id AND role = 'administrator' AND disabled_at IS NULL)
        AND NOT staff.has_other_administrator(p_staff_id);
END $$;

-- Has an account be a provider's, and stay so; whether it is now.
CREATE FUNCTION staff.be_provider(p_staff_id bigint, p_provider_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE staff.account SET provider_id = p_provider_id
    WHERE staff_id = p_staff_id AND provider_id IS NULL AND p_provider_id IS NOT NULL AND disabled_at IS NULL;
    RETURN EXISTS (SELECT FROM staff.account WHERE staff_id = p_staff_id AND provider_id = p_provider_id);
END $$;

-- Whether a role would be more than what somebody is who is the desk of one clinic at most. Its ward administrator made their link, and
-- may have chosen what they log in with.
CREATE FUNCTION staff.widens(p_staff_id bigint, p_clinic_id bigint, p_role staff.role) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN p_role IS NOT NULL
        AND NOT EXISTS (SELECT FROM staff.membership WHERE staff_id = p_staff_id AND role <> 'desk')
        AND (SELECT count(*) FROM staff.membership WHERE staff_id = p_staff_id) < 2
        AND NOT EXISTS (SELECT FROM staff.membership WHERE staff_id = p_staff_id AND clinic_id = p_clinic_id AND role = p_role);
END $$;

-- Has somebody be p_role at a clinic (NULL: at every), or nothing any more where p_role is NULL: 'done', 'not_found', 'last'; or 'link_due':
-- it is more than what a ward administrator sees to, so all that they logged in with has ended, and those who gave it make a link.
CREATE FUNCTION staff.set_role(
    p_staff_id bigint, p_clinic_id bigint, p_role staff.role, p_actor text, p_session_id uuid DEFAULT NULL, p_address text DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held staff.account;
    is_due boolean;
BEGIN
    IF p_clinic_id IS NULL AND p_role IS NULL AND staff.is_last_administrator(p_staff_id) THEN
        RETURN 'last';
    END IF;
    held := staff.lock_account(p_staff_id, p_session_id);
    IF held.staff_id IS NULL OR held.disabled_at IS NOT NULL THEN
        RETURN 'not_found';
    END IF;
    is_due := staff.widens(p_staff_id, p_clinic_id, p_role) AND (
        held.password_hash IS NOT NULL
        OR EXISTS (SELECT FROM staff.link WHERE staff_id = p_staff_id AND used_at IS NULL)
        OR EXISTS (SELECT FROM staff.passkey WHERE staff_id = p_staff_id));
    IF is_due THEN
        PERFORM staff.end_way_in(p_staff_id);
    END IF;
    IF p_role IS NULL THEN
        DELETE FROM staff.membership WHERE staff_id = p_staff_id AND clinic_id IS NOT DISTINCT FROM p_clinic_id;
    ELSE
        INSERT INTO staff.membership (staff_id, clinic_id, role) VALUES (p_staff_id, p_clinic_id, p_role)
        ON CONFLICT (staff_id, clinic_id) DO UPDATE SET role = excluded.role;
    END IF;
    PERFORM staff.append_audit(
        p_actor, p_session_id, p_address, 'set_role', false, coalesce(p_role::text, 'none'), p_staff_id, p_clinic_id);
    RETURN CASE WHEN is_due THEN 'link_due' ELSE 'done' END;
END $$;

-- Whether somebody is the front desk of this clinic, and nothing else anywhere: then its ward administrator sees to their account, as its link
-- or name are no way to more.
CREATE FUNCTION staff.is_only_desk_of(p_staff_id bigint, p_clinic_id bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM staff.membership WHERE staff_id = p_staff_id AND clinic_id = p_clinic_id AND role = 'desk')
        AND NOT EXISTS (SELECT FROM staff.membership WHERE staff_id = p_staff_id AND (clinic_id <> p_clinic_id OR role <> 'desk'));
END $$;

-- The same, and locks the account, so that it stays so.
CREATE FUNCTION staff.is_desk_of(p_staff_id bigint, p_clinic_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM staff.account WHERE staff_id = p_staff_id FOR UPDATE;
    RETURN staff.is_only_desk_of(p_staff_id, p_clinic_id);
END $$;

-- Ends an account's way in: its secrets, devices, links and sessions: 'done', 'not_found', 'last'.
CREATE FUNCTION staff.disable(p_staff_id bigint, p_actor text, p_session_id uuid DEFAULT NULL, p_address text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held staff.account;
BEGIN
    IF staff.is_last_administrator(p_staff_id) THEN
        RETURN 'last';
    END IF;
    held := staff.lock_account(p_staff_id, p_session_id);
    IF held.staff_id IS NULL OR held.disabled_at IS NOT NULL THEN
        RETURN 'not_found';
    END IF;
    PERFORM staff.end_way_in(p_staff_id);
    UPDATE staff.account SET disabled_at = public.app_now() WHERE staff_id = p_staff_id;
    PERFORM staff.append_audit(p_actor, p_session_id, p_address, 'disable', false, '', p_staff_id);
    RETURN 'done';
END $$;

CREATE FUNCTION staff.enable(p_staff_id bigint, p_actor text, p_session_id uuid DEFAULT NULL, p_address text DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM staff.lock_account(p_staff_id, p_session_id);
    UPDATE staff.account SET disabled_at = NULL, version = version + 1
    WHERE staff_id = p_staff_id AND disabled_at IS NOT NULL AND log_on IS NOT NULL;
    IF FOUND THEN
        PERFORM staff.append_audit(p_actor, p_session_id, p_address, 'enable', false, '', p_staff_id);
        RETURN true;
    END IF;
    RETURN false;
END $$;

-- Stores a link, in the place of those made before; whether there is such an account.
CREATE FUNCTION staff.make_link(
    p_staff_id bigint, p_token_hash bytea, p_ends_factors boolean, p_actor text, p_session_id uuid DEFAULT NULL, p_address text DEFAULT NULL
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held staff.account := staff.lock_account(p_staff_id, p_session_id);
    now_at timestamptz;
BEGIN
    IF held.staff_id IS NULL OR held.disabled_at IS NOT NULL THEN
        RETURN false;
    END IF;
    now_at := public.app_now();
    DELETE FROM staff.link WHERE staff_id = p_staff_id AND used_at IS NULL;
    INSERT INTO staff.link (token_hash, staff_id, ends_factors, made_by, created_at, expires_at)
    VALUES (p_token_hash, p_staff_id, p_ends_factors, p_actor, now_at, now_at + staff.link_time());
    PERFORM staff.append_audit(
        p_actor, p_session_id, p_address, 'make_link', false, CASE WHEN p_ends_factors THEN 'ends second factors' ELSE '' END, p_staff_id);
    RETURN true;
END $$;

-- Takes a link, once: sets the password, and the app that was set up with it, if one was. All sessions end; whether the link was good.
CREATE FUNCTION staff.use_link(
    p_token_hash bytea, p_password_hash text, p_is_long boolean, p_totp_secret bytea, p_totp_step bigint, p_address text
) RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    used staff.link;
BEGIN
    PERFORM FROM staff.account WHERE staff_id = (SELECT staff_id FROM staff.link WHERE token_hash = p_token_hash) AND disabled_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE staff.link SET used_at = public.app_now()
    WHERE token_hash = p_token_hash AND used_at IS NULL AND expires_at > public.app_now() RETURNING * INTO used;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF used.ends_factors THEN
        DELETE FROM staff.passkey WHERE staff_id = used.staff_id;
    END IF;
    UPDATE staff.account
    SET password_hash = p_password_hash, password_is_long = p_is_long, version = version + 1,
        totp_secret = coalesce(p_totp_secret, CASE WHEN NOT used.ends_factors THEN totp_secret END),
        totp_step = CASE WHEN p_totp_secret IS NULL THEN totp_step ELSE p_totp_step END
    WHERE staff_id = used.staff_id;
    DELETE FROM staff.device WHERE staff_id = used.staff_id;
    PERFORM staff.append_audit('staff:' || used.staff_id, NULL, p_address, 'use_link', false,
        CASE WHEN p_totp_secret IS NOT NULL THEN 'with an app' ELSE '' END, used.staff_id);
    RETURN true;
END $$;

-- Whose link a token is, while it can be used.
CREATE FUNCTION staff.link_for(p_token_hash bytea)
RETURNS TABLE (staff_id bigint, log_on text, name text, ends_factors boolean, has_app boolean, has_passkey boolean)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT account.staff_id, log_on, account.name, ends_factors, totp_secret IS NOT NULL AND NOT ends_factors,
        EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = account.staff_id) AND NOT ends_factors
    FROM staff.link JOIN staff.account USING (staff_id)
    WHERE token_hash = p_token_hash AND used_at IS NULL AND expires_at > public.app_now() AND disabled_at IS NULL
$$;

-- What a password must not be made of: names of the person and of their clinics.
CREATE FUNCTION staff.own_words(p_staff_id bigint) RETURNS TABLE (log_on text, name text, clinics text[])
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT log_on, name, ARRAY (
            SELECT clinic.name FROM directory.clinic
            WHERE clinic_id IN (SELECT membership.clinic_id FROM staff.membership WHERE membership.staff_id = account.staff_id))
    FROM staff.account WHERE staff_id = p_staff_id
$$;

-- What an account can log in with: of the person whose password was right, or who is logged in.
CREATE FUNCTION staff.factors_of(p_staff_id bigint, p_version integer)
RETURNS TABLE (has_app boolean, totp_secret bytea, totp_step bigint, has_passkey boolean, now_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT totp_secret IS NOT NULL, totp_secret, totp_step,
        EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = account.staff_id), public.app_now()
    FROM staff.account WHERE staff_id = p_staff_id AND version = p_version AND disabled_at IS NULL
$$;

CREATE FUNCTION staff.own_factors(p_token_hash bytea)
RETURNS TABLE (handle uuid, has_password boolean, password_is_long boolean, has_app boolean, has_passkey boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own staff.session := staff.own_session(p_token_hash);
BEGIN
    RETURN QUERY
    SELECT handle, password_hash IS NOT NULL, password_is_long, totp_secret IS NOT NULL,
        EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = account.staff_id)
    FROM staff.account WHERE staff_id = own.staff_id;
END $$;

-- The passkeys of a person, for a question to their browser; of who is logged in, with what the page of the account shows.
CREATE FUNCTION staff.credentials_of(p_staff_id bigint) RETURNS SETOF bytea
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT credential_id FROM staff.passkey WHERE staff_id = p_staff_id ORDER BY created_at, passkey_id
$$;

CREATE FUNCTION staff.own_passkeys(p_token_hash bytea)
RETURNS TABLE (passkey_id uuid, agent text, created_at timestamptz, used_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own staff.session := staff.own_session(p_token_hash);
BEGIN
    RETURN QUERY
    SELECT passkey_id, agent, created_at, used_at FROM staff.passkey WHERE staff_id = own.staff_id ORDER BY created_at, passkey_id;
END $$;

CREATE FUNCTION staff.passkey_of(p_credential_id bytea)
RETURNS TABLE (staff_id bigint, log_on text, public_key bytea, sign_count bigint, version integer, now_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT passkey.staff_id, log_on, public_key, sign_count, account.version, public.app_now()
    FROM staff.passkey JOIN staff.account USING (staff_id)
    WHERE credential_id = p_credential_id AND disabled_at IS NULL
$$;

-- At which clinics who is logged in works, and as what.
CREATE FUNCTION staff.own_memberships(p_token_hash bytea) RETURNS TABLE (clinic_id bigint, role text, clinic text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own staff.session := staff.own_session(p_token_hash);
BEGIN
    RETURN QUERY
    SELECT clinic_id, role::text, clinic.name FROM staff.membership LEFT JOIN directory.clinic USING (clinic_id)
    WHERE staff_id = own.staff_id ORDER BY clinic.name, clinic_id;
END $$;

-- Uses up the code of a time step; whether it was not used before, nor a later one.
CREATE FUNCTION staff.use_code(p_staff_id bigint, p_version integer, p_step bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE staff.account SET totp_step = p_step WHERE staff_id = p_staff_id AND version = p_version AND totp_step < p_step;
    RETURN FOUND;
END $$;

-- Changes the password of who is logged in; other sessions end, this one goes on.
CREATE FUNCTION staff.change_password(
    p_token_hash bytea, p_password_hash text, p_is_long boolean, p_address text
) RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own staff.session := staff.own_session_to_change(p_token_hash);
    new_version integer;
BEGIN
    UPDATE staff.account SET password_hash = p_password_hash, password_is_long = p_is_long, version = version + 1
    WHERE staff_id = own.staff_id AND disabled_at IS NULL
        AND (p_is_long OR totp_secret IS NOT NULL OR EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = own.staff_id))
    RETURNING version INTO new_version;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE staff.session SET version = new_version
    WHERE session_id = own.session_id AND staff_id = own.staff_id AND version = new_version - 1;
    PERFORM staff.append_audit('staff:' || own.staff_id, own.session_id, p_address, 'change_password', false, '', own.staff_id);
    RETURN true;
END $$;

-- Sets up an app, or with NULL takes it away: false where a password too short to stand alone would.
CREATE FUNCTION staff.set_app(p_token_hash bytea, p_totp_secret bytea, p_totp_step bigint, p_address text)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own staff.session := staff.own_session_to_change(p_token_hash);
BEGIN
    UPDATE staff.account SET totp_secret = p_totp_secret, totp_step = coalesce(p_totp_step, totp_step)
    WHERE staff_id = own.staff_id AND disabled_at IS NULL
        AND (p_totp_secret IS NOT NULL OR password_is_long OR EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = own.staff_id));
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM staff.append_audit('staff:' || own.staff_id, own.session_id, p_address,
        CASE WHEN p_totp_secret IS NULL THEN 'remove_app' ELSE 'add_app' END, false, '', own.staff_id);
    RETURN true;
END $$;

CREATE FUNCTION staff.add_passkey(
    p_token_hash bytea, p_credential_id bytea, p_public_key bytea, p_sign_count bigint, p_agent text, p_address text
) RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own staff.session := staff.own_session_to_change(p_token_hash);
BEGIN
    INSERT INTO staff.passkey (credential_id, staff_id, public_key, sign_count, agent, created_at)
    VALUES (p_credential_id, own.staff_id, p_public_key, p_sign_count, p_agent, public.app_now()) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM staff.append_audit('staff:' || own.staff_id, own.session_id, p_address, 'add_passkey', false, p_agent, own.staff_id);
    END IF;
    RETURN FOUND;
END $$;

-- As with an app: false for the last second factor of a short password, and for a passkey that is not there.
CREATE FUNCTION staff.remove_passkey(p_token_hash bytea, p_passkey_id uuid, p_address text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own staff.session := staff.own_session_to_change(p_token_hash);
BEGIN
    DELETE FROM staff.passkey
    WHERE passkey_id = p_passkey_id AND staff_id = own.staff_id
        AND (EXISTS (
                SELECT FROM staff.account
                WHERE account.staff_id = own.staff_id AND (password_is_long OR totp_secret IS NOT NULL))
            OR EXISTS (SELECT FROM staff.passkey AS other WHERE other.staff_id = own.staff_id AND other.passkey_id <> p_passkey_id));
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM staff.append_audit('staff:' || own.staff_id, own.session_id, p_address, 'remove_passkey', false, '', own.staff_id);
    RETURN true;
END $$;

-- Notes a passkey's use, for which its answer came; whether the challenge was not answered before.
CREATE FUNCTION staff.use_passkey(p_credential_id bytea, p_sign_count bigint, p_challenge_hash bytea, p_expires_at timestamptz)
RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO staff.spent_challenge (challenge_hash, expires_at) VALUES (p_challenge_hash, p_expires_at) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE staff.passkey SET sign_count = p_sign_count, used_at = public.app_now() WHERE credential_id = p_credential_id;
    RETURN FOUND;
END $$;

-- What somebody is where: objects with `clinic_id` (NULL: every clinic), `clinic` and `role`.
CREATE FUNCTION staff.roles_of(p_staff_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        jsonb_agg(jsonb_build_object('clinic_id', clinic_id, 'clinic', clinic.name, 'role', role) ORDER BY clinic.name NULLS FIRST, clinic_id), '[]')
    FROM staff.membership LEFT JOIN directory.clinic USING (clinic_id)
    WHERE staff_id = p_staff_id
$$;
