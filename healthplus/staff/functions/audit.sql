-- Who did what. The row is written by the function that does the deed, so that there is none without the other.
CREATE FUNCTION staff.append_audit(
    p_actor text, p_session_id uuid, p_address text, p_action text, p_is_refused boolean, p_detail text, p_staff_id bigint,
    p_clinic_id bigint DEFAULT NULL, p_patient_id bigint DEFAULT NULL, p_provider_id bigint DEFAULT NULL, p_booking_id uuid DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO staff.audit_entry (
        at, actor, session_id, address, action, is_refused, detail, staff_id, clinic_id, patient_id, provider_id, booking_id)
    VALUES (
        public.app_now(), p_actor, p_session_id, p_address, p_action, p_is_refused, coalesce(p_detail, ''), p_staff_id,
        p_clinic_id, p_patient_id, p_provider_id, p_booking_id);
END $$;

-- Notes a log-in, an unlocking or a proof that was refused: all that the login of patients may write here itself.
CREATE FUNCTION staff.append_refusal(
    p_actor text, p_session_id uuid, p_address text, p_action text, p_what text, p_staff_id bigint
) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM staff.append_audit(p_actor, p_session_id, p_address, p_action, true, p_what, p_staff_id);
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON staff.audit_entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');
