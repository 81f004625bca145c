-- Whether somebody has a right at each of these clinics; of none, they have not.
CREATE FUNCTION staff.may_at_all(p_staff_id bigint, p_right text, p_clinic_ids bigint[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((
        SELECT bool_and(EXISTS (
            SELECT FROM staff.membership
            WHERE membership.staff_id = p_staff_id AND role = ANY (staff.roles_with(p_right)) AND (clinic_id IS NULL OR clinic_id = wanted)))
        FROM unnest(p_clinic_ids) AS wanted), false);
END $$;
