-- The table of rights, as healthplus/staff/rights.py has it: tests/staff/test_rights.py compares them. No right of this name: NULL.
CREATE FUNCTION staff.roles_with(p_right text) RETURNS staff.role[] IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE p_right
        WHEN 'see_clinic' THEN '{desk,ward,administrator}'
        WHEN 'see_own_day' THEN '{practitioner}'
        WHEN 'add_patient' THEN '{desk,ward,administrator}'
        WHEN 'book' THEN '{desk,ward,administrator}'
        WHEN 'record_attendance' THEN '{desk,practitioner,ward,administrator}'
        WHEN 'change_booking' THEN '{ward,administrator}'
        WHEN 'take_payment' THEN '{desk,ward,administrator}'
        WHEN 'manage_tills' THEN '{ward,administrator}'
        WHEN 'ask_change' THEN '{desk}'
        WHEN 'manage_schedule' THEN '{ward,administrator}'
        WHEN 'ask_leave' THEN '{practitioner}'
        WHEN 'manage_desk_accounts' THEN '{ward,administrator}'
        WHEN 'manage_staff' THEN '{administrator}'
        WHEN 'manage_clinics' THEN '{administrator}'
        WHEN 'add_speciality' THEN '{administrator}'
        WHEN 'see_operations' THEN '{administrator}'
        WHEN 'see_audit' THEN '{ward,administrator}'
        WHEN 'manage_keys' THEN '{administrator}'
        WHEN 'manage_breaches' THEN '{administrator}'
    END::staff.role[]
$$;

-- Whether one has a role at every clinic, and whether it is for those alone who are a provider; rights.py says the same.
CREATE FUNCTION staff.is_everywhere(p_role staff.role) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ SELECT p_role = 'administrator' $$;
CREATE FUNCTION staff.is_of_provider(p_role staff.role) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ SELECT p_role = 'practitioner' $$;

-- As what somebody has a right at a clinic (NULL: at every clinic, as administrators alone have); NULL: they have it not. A practitioner has
-- rights for their own days only, so p_provider_id must be theirs.
CREATE FUNCTION staff.role_at(p_staff_id bigint, p_right text, p_clinic_id bigint, p_provider_id bigint DEFAULT NULL) RETURNS staff.role
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT role FROM staff.membership JOIN staff.account USING (staff_id)
        WHERE staff_id = p_staff_id AND (clinic_id = p_clinic_id OR clinic_id IS NULL) AND role = ANY (staff.roles_with(p_right))
            AND (NOT staff.is_of_provider(role) OR provider_id = p_provider_id)
        ORDER BY clinic_id NULLS LAST LIMIT 1);
END $$;

-- Whether somebody has a right at each of these clinics; of none, they have not.
CREATE FUNCTION staff.may_at_all(p_staff_id bigint, p_right text, p_clinic_ids bigint[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((
        SELECT bool_and(staff.role_at(p_staff_id, p_right, wanted) IS NOT NULL) FROM unnest(p_clinic_ids) AS wanted), false);
END $$;

-- Who asks with a session's token, if they have this right at this clinic (staff.role_at): the first thing that each function of the console
-- calls. p_needs_proof: others must not do it at an open screen. Raises HP401 (nobody is logged in with it), HP423 (the screen is locked),
-- HP403 (they may not do this) or, as staff.require_proof does, HP428; nothing is cached.
CREATE FUNCTION staff.authorise(
    p_token_hash bytea, p_right text, p_clinic_id bigint, p_provider_id bigint DEFAULT NULL, p_needs_proof boolean DEFAULT false,
    OUT staff_id bigint, OUT actor text, OUT session_id uuid, OUT role staff.role, OUT is_proven boolean
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held staff.session := staff.own_session(p_token_hash);
BEGIN
    role := staff.role_at(held.staff_id, p_right, p_clinic_id, p_provider_id);
    IF role IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'HP403', MESSAGE = format('no right %s at clinic %s', p_right, p_clinic_id);
    END IF;
    staff_id := held.staff_id;
    actor := 'staff:' || held.staff_id;
    session_id := held.session_id;
    is_proven := held.proven_at > public.app_now() - staff.proof_time();
    IF p_needs_proof THEN
        PERFORM staff.require_proof(is_proven);
    END IF;
END $$;

-- Before an act that others must not do at somebody's open screen: raises HP428 unless password or passkey was given just now.
CREATE FUNCTION staff.require_proof(p_is_proven boolean) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT p_is_proven THEN
        RAISE EXCEPTION USING ERRCODE = 'HP428', MESSAGE = 'password or passkey must be given again first';
    END IF;
END $$;
