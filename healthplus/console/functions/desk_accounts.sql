-- What ward administrators see to of the accounts of their clinic's desk. A person who is more than the front desk, or that elsewhere too, is
-- the administrators' matter: their link would be a way to more than a ward administrator has. Each change needs proof just now that it is the
-- ward administrator who sits there. Links are good once, for a day, and are stored as their SHA-256.

-- The people of a clinic, with what they are there and how they can log in. `is_own`: its ward administrator sees to the account.
CREATE FUNCTION console.clinic_accounts(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS TABLE (
    staff_id bigint, log_on text, name text, role text, disabled_at timestamptz, has_password boolean, has_factor boolean, is_own boolean
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_desk_accounts', p_clinic_id);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_accounts', false, '', NULL, p_clinic_id);
    RETURN QUERY
    SELECT account.staff_id, account.log_on, account.name, membership.role::text, account.disabled_at, account.password_hash IS NOT NULL,
        account.totp_secret IS NOT NULL OR EXISTS (SELECT FROM staff.passkey WHERE passkey.staff_id = account.staff_id),
        staff.is_only_desk_of(account.staff_id, p_clinic_id)
    FROM staff.membership JOIN staff.account USING (staff_id)
    WHERE membership.clinic_id = p_clinic_id AND account.log_on IS NOT NULL
    ORDER BY account.disabled_at IS NOT NULL, account.name, account.staff_id;
END $$;

-- Takes the front desk of a clinic from somebody: 'done', or 'not_found' where they are not that there.
CREATE FUNCTION console.remove_from_desk(p_token_hash bytea, p_address text, p_clinic_id bigint, p_staff_id bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_desk_accounts', p_clinic_id, p_needs_proof => true);
    -- Locked, so that they do not become more meanwhile.
    PERFORM FROM staff.membership WHERE staff_id = p_staff_id AND clinic_id = p_clinic_id AND role = 'desk' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    RETURN staff.set_role(p_staff_id, p_clinic_id, NULL, caller.actor, caller.session_id, p_address);
END $$;

-- Adds somebody to the front desk, with the link of their first log-in: their id, or NULL where the log-on ID is taken.
CREATE FUNCTION console.add_to_desk(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_log_on text, p_name text, p_link_hash bytea
) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    new_id bigint;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_desk_accounts', p_clinic_id, p_needs_proof => true);
    new_id := staff.add_account(p_log_on, p_name, NULL, caller.actor, caller.session_id, p_address);
    IF new_id IS NOT NULL THEN
        PERFORM staff.set_role(new_id, p_clinic_id, 'desk', caller.actor, caller.session_id, p_address);
        PERFORM staff.make_link(new_id, p_link_hash, false, caller.actor, caller.session_id, p_address);
    END IF;
    RETURN new_id;
END $$;

-- Makes a new link for somebody of the desk: 'done', 'not_found' or 'disabled'.
CREATE FUNCTION console.link_for_desk(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_staff_id bigint, p_link_hash bytea, p_ends_factors boolean
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_desk_accounts', p_clinic_id, p_needs_proof => true);
    IF NOT staff.is_desk_of(p_staff_id, p_clinic_id) THEN
        RETURN 'not_found';
    END IF;
    RETURN CASE WHEN staff.make_link(p_staff_id, p_link_hash, p_ends_factors, caller.actor, caller.session_id, p_address)
        THEN 'done' ELSE 'disabled' END;
END $$;

-- Ends the way in of somebody of the desk, at once: 'done' or 'not_found'.
CREATE FUNCTION console.disable_desk_account(p_token_hash bytea, p_address text, p_clinic_id bigint, p_staff_id bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_desk_accounts', p_clinic_id, p_needs_proof => true);
    RETURN CASE WHEN staff.is_desk_of(p_staff_id, p_clinic_id)
        THEN staff.disable(p_staff_id, caller.actor, caller.session_id, p_address) ELSE 'not_found' END;
END $$;

-- Lets somebody of the desk in again, with a new link: 'done' or 'not_found'.
CREATE FUNCTION console.enable_desk_account(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_staff_id bigint, p_link_hash bytea
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_desk_accounts', p_clinic_id, p_needs_proof => true);
    IF NOT staff.is_desk_of(p_staff_id, p_clinic_id)
        OR NOT staff.enable(p_staff_id, caller.actor, caller.session_id, p_address)
    THEN
        RETURN 'not_found';
    END IF;
    PERFORM staff.make_link(p_staff_id, p_link_hash, false, caller.actor, caller.session_id, p_address);
    RETURN 'done';
END $$;
