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

-- Notes a log-in, an unlocking, a proof or a page that was refused: all that the login of patients may write here itself.
CREATE FUNCTION staff.append_refusal(
    p_actor text, p_session_id uuid, p_address text, p_action text, p_what text, p_staff_id bigint, p_clinic_id bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM staff.append_audit(p_actor, p_session_id, p_address, p_action, true, p_what, p_staff_id, p_clinic_id);
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON staff.audit_entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');

-- Before a look at the appointments of a number: raises 22023 for ids further apart, as each patient who is shown has a row.
CREATE FUNCTION staff.require_one_number(p_booking_from uuid, p_booking_to uuid) RETURNS void IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF left(p_booking_from::text, 11) IS DISTINCT FROM left(p_booking_to::text, 11) THEN  -- 40 bits, as booking/numbers.py has it
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'these are the ids of more than one appointment number';
    END IF;
END $$;

-- Whom somebody means who looks for what they did: a member of the staff by their log-on ID, else an actor as it is written.
CREATE FUNCTION staff.actor_named(p_who text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT 'staff:' || staff_id FROM staff.account WHERE log_on = lower(p_who)), p_who)
$$;

-- The entries that fit what is asked (NULL: whatever it is), the latest first, from the one on that comes after p_before_at and p_before_id;
-- with the names of those who did it, and of what it is about. Planned for each call: another column makes another index the right one.
CREATE FUNCTION staff.find_audit(
    p_clinic_id bigint, p_actor text, p_action text, p_patient_id bigint, p_booking_from uuid, p_booking_to uuid, p_from timestamptz,
    p_to timestamptz, p_before_at timestamptz, p_before_id bigint, p_rows_max integer
) RETURNS TABLE (
    entry_id bigint, at timestamptz, actor text, actor_name text, actor_log_on text, session_id uuid, address text, action text,
    is_refused boolean, detail text, staff_id bigint, about_name text, about_log_on text, clinic_id bigint, clinic text, patient_id bigint,
    provider_id bigint, provider text, booking_id uuid
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
BEGIN
    PERFORM staff.require_one_number(p_booking_from, p_booking_to);
    RETURN QUERY
    SELECT found.entry_id, found.at, found.actor, doer.name, doer.log_on, found.session_id, found.address, found.action, found.is_refused,
        found.detail, found.staff_id, about.name, about.log_on, found.clinic_id, clinic.name, found.patient_id, found.provider_id,
        provider.name, found.booking_id
    FROM (
        SELECT * FROM staff.audit_entry
        WHERE (p_clinic_id IS NULL OR clinic_id = p_clinic_id) AND (p_actor IS NULL OR actor = p_actor)
            AND (p_action IS NULL OR action = p_action) AND (p_patient_id IS NULL OR patient_id = p_patient_id)
            AND (p_booking_from IS NULL OR booking_id BETWEEN p_booking_from AND p_booking_to)
            AND (p_from IS NULL OR at >= p_from) AND (p_to IS NULL OR at < p_to)
            AND (p_before_at IS NULL OR (at, entry_id) < (p_before_at, p_before_id))
        ORDER BY at DESC, entry_id DESC LIMIT p_rows_max) AS found
    LEFT JOIN staff.account AS doer ON found.actor = 'staff:' || doer.staff_id
    LEFT JOIN staff.account AS about ON about.staff_id = found.staff_id
    LEFT JOIN directory.clinic ON clinic.clinic_id = found.clinic_id
    LEFT JOIN directory.provider ON provider.provider_id = found.provider_id
    ORDER BY found.at DESC, found.entry_id DESC;
END $$;
