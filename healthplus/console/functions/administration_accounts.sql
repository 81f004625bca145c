-- What administrators see to: every account, and what each is where. Changes need proof just now that it is the administrator who sits there.

-- The accounts whose log-on ID or name has what is looked for in it, by log-on ID, from the one on that comes after p_after.
CREATE FUNCTION console.accounts(p_token_hash bytea, p_address text, p_search text, p_after text, p_rows_max integer) RETURNS TABLE (
    staff_id bigint, log_on text, name text, disabled_at timestamptz, has_password boolean, has_factor boolean, roles jsonb
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_staff', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_accounts', false, '', NULL);
    RETURN QUERY
    SELECT account.staff_id, account.log_on, account.name, account.disabled_at, account.password_hash IS NOT NULL,
        account.totp_secret IS NOT NULL OR EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = account.staff_id),
        staff.roles_of(account.staff_id)
    FROM staff.account
    WHERE account.log_on IS NOT NULL AND (p_after IS NULL OR account.log_on > p_after)
        AND (p_search IS NULL OR strpos(account.log_on, lower(p_search)) > 0 OR strpos(lower(account.name), lower(p_search)) > 0)
    ORDER BY account.log_on
    LIMIT p_rows_max;
END $$;

-- One account with what it is where and, of a practitioner, which provider; no row where there is none.
CREATE FUNCTION console.account(p_token_hash bytea, p_address text, p_staff_id bigint) RETURNS TABLE (
    staff_id bigint, log_on text, name text, disabled_at timestamptz, has_password boolean, has_factor boolean, roles jsonb, provider text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_staff', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_accounts', false, '', p_staff_id);
    RETURN QUERY
    SELECT account.staff_id, account.log_on, account.name, account.disabled_at, account.password_hash IS NOT NULL,
        account.totp_secret IS NOT NULL OR EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = account.staff_id),
        staff.roles_of(account.staff_id), provider.name
    FROM staff.account LEFT JOIN directory.provider USING (provider_id)
    WHERE account.staff_id = p_staff_id AND account.log_on IS NOT NULL;
END $$;

-- Adds somebody with a role at a clinic (an administrator: at every), and the link of their first log-in: their id; or NULL, and 'taken',
-- 'no_clinic' or 'no_provider' (a practitioner is one, at that clinic).
CREATE FUNCTION console.add_account(
    p_token_hash bytea, p_address text, p_log_on text, p_name text, p_role text, p_clinic_id bigint, p_provider_id bigint,
    p_link_hash bytea, OUT staff_id bigint, OUT refusal text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_staff', NULL, p_needs_proof => true);
    refusal := CASE
        WHEN NOT staff.is_everywhere(p_role::staff.role) AND NOT EXISTS (SELECT FROM directory.clinic WHERE clinic_id = p_clinic_id) THEN 'no_clinic'
        WHEN staff.is_of_provider(p_role::staff.role) AND NOT EXISTS (
            SELECT FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id) THEN 'no_provider' END;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    staff_id := staff.add_account(p_log_on, p_name, p_provider_id, caller.actor, caller.session_id, p_address);
    IF staff_id IS NULL THEN
        refusal := 'taken';
        RETURN;
    END IF;
    PERFORM staff.set_role(staff_id, p_clinic_id, p_role::staff.role, caller.actor, caller.session_id, p_address);
    PERFORM staff.make_link(staff_id, p_link_hash, false, caller.actor, caller.session_id, p_address);
END $$;

-- Has somebody be p_role at a clinic (an administrator: at every, which is NULL), or nothing any more: 'done', 'not_found', 'last',
-- 'no_clinic', or 'no_provider' (a practitioner is one, at that clinic: p_provider_id, or NULL for who they are already); or 'link': what they
-- logged in with has ended, as a ward administrator may know it, and they choose again by this link.
CREATE FUNCTION console.set_role(
    p_token_hash bytea, p_address text, p_staff_id bigint, p_clinic_id bigint, p_role text, p_link_hash bytea,
    p_provider_id bigint
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    outcome text;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_staff', NULL, p_needs_proof => true);
    IF p_role IS NOT NULL AND p_clinic_id IS NOT NULL AND NOT EXISTS (SELECT FROM directory.clinic WHERE clinic_id = p_clinic_id) THEN
        RETURN 'no_clinic';
    ELSIF staff.is_of_provider(p_role::staff.role) AND NOT staff.be_provider(p_staff_id, (
        SELECT provider_clinic.provider_id FROM directory.provider_clinic
        WHERE provider_clinic.clinic_id = p_clinic_id
            AND provider_clinic.provider_id = coalesce(p_provider_id, (SELECT account.provider_id FROM staff.account WHERE staff_id = p_staff_id))
    )) THEN
        RETURN 'no_provider';
    END IF;
    outcome := staff.set_role(p_staff_id, p_clinic_id, p_role::staff.role, caller.actor, caller.session_id, p_address);
    IF outcome = 'link_due' THEN
        PERFORM staff.make_link(p_staff_id, p_link_hash, false, caller.actor, caller.session_id, p_address);
        RETURN 'link';
    END IF;
    RETURN outcome;
END $$;

-- Makes a new link: 'done', or 'not_found' (or disabled).
CREATE FUNCTION console.make_link(p_token_hash bytea, p_address text, p_staff_id bigint, p_link_hash bytea, p_ends_factors boolean)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_staff', NULL, p_needs_proof => true);
    RETURN CASE WHEN staff.make_link(p_staff_id, p_link_hash, p_ends_factors, caller.actor, caller.session_id, p_address)
        THEN 'done' ELSE 'not_found' END;
END $$;

-- Ends somebody's way in, at once: 'done', 'not_found', or 'last' (of the administrators).
CREATE FUNCTION console.disable_account(p_token_hash bytea, p_address text, p_staff_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_staff', NULL, p_needs_proof => true);
    RETURN staff.disable(p_staff_id, caller.actor, caller.session_id, p_address);
END $$;

-- Lets somebody in again, with a new link: 'done' or 'not_found'.
CREATE FUNCTION console.enable_account(p_token_hash bytea, p_address text, p_staff_id bigint, p_link_hash bytea) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_staff', NULL, p_needs_proof => true);
    IF NOT staff.enable(p_staff_id, caller.actor, caller.session_id, p_address) THEN
        RETURN 'not_found';
    END IF;
    PERFORM staff.make_link(p_staff_id, p_link_hash, false, caller.actor, caller.session_id, p_address);
    RETURN 'done';
END $$;
