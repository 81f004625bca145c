-- Whether an actor is one of the staff: what they hold is the desk's.
CREATE FUNCTION booking.is_staff(p_actor text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(p_actor ^@ 'staff:', false) $$;

-- Whether an actor may read and change what belongs to a patient: that patient, the staff and the system may.
-- What is no patient's (p_patient_id is NULL) is for the staff and the system.
-- An actor is written `patient:ID`, `staff:ID`, `system` or `system:PART`; any other text may do nothing.
CREATE FUNCTION booking.may_act(p_actor text, p_patient_id bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        p_actor = 'patient:' || p_patient_id OR booking.is_staff(p_actor) OR p_actor = 'system' OR p_actor ^@ 'system:', false)
$$;
