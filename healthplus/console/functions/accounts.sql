-- What ward administrators see to of the accounts of their clinic's desk. A person who is more than the front desk, or that elsewhere too, is
-- the administrators' matter: their link would be a way to more than a ward administrator has.
--
-- Every function of this schema is like these two (tests/console/test_contract.py):
--   * SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp: it runs with its owner's rights; the logins of staff have none on tables.
--   * First p_token_hash (SHA-256 of the session's token; never a staff id), then p_address (where the request comes from, for the audit).
--   * First statement: `caller := staff.authorise(p_token_hash, 'a right', p_clinic_id);`, or PERFORM, with the right as a literal: who has
--     EXECUTE is read from there. NULL for the clinic: of every clinic, which administrators alone are. A function for practitioners passes whose day
--     it is about, p_provider_id, as a fourth argument. What others must not do at an open screen: `p_needs_proof => true` as the last.
--   * Objects are looked for at that clinic (WHERE clinic_id = p_clinic_id), so that another clinic's number finds nothing.
--   * An audit row in the same function, of reads of patients and accounts, too: staff.append_audit(caller.actor, caller.session_id, …).
--   * Tables of other areas are written by those areas' functions (tests/database/test_walls.py), which may leave the audit's row themselves.
--   * What cannot be done is answered by a word ('not_found'), as verbs do; verbs of the booking area get caller.actor as p_actor.
-- In Python: `await console(request).fetch(queries.clinic_accounts, clinic_id)`, which passes the first two arguments itself.

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
