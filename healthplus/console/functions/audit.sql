-- What administrators read of the audit; ward administrators of their clinic's. Without a clinic: of all, which is for administrators.

-- A page of it.
CREATE FUNCTION console.audit(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_who text, p_action text, p_patient_id bigint, p_booking_from uuid,
    p_booking_to uuid, p_from timestamptz, p_to timestamptz, p_before_at timestamptz, p_before_id bigint, p_rows_max integer
) RETURNS SETOF staff.audit_row LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_audit', p_clinic_id);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'see_audit', false, concat_ws(' ', p_who, p_action), NULL, p_clinic_id, p_patient_id, NULL,
        (SELECT booking_id FROM staff.audit_entry WHERE booking_id BETWEEN p_booking_from AND p_booking_to LIMIT 1));
    RETURN QUERY SELECT * FROM staff.find_audit(
        p_clinic_id, staff.actor_named(p_who), p_action, p_patient_id, p_booking_from, p_booking_to, p_from, p_to, p_before_at, p_before_id,
        least(p_rows_max, 200));
END $$;

-- The same to take away, a page at a time: each begins after the last row of the one before, and one row of the audit stands for all pages
-- that a session takes of the same in ten minutes.
CREATE FUNCTION console.export_audit(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_who text, p_action text, p_patient_id bigint, p_booking_from uuid,
    p_booking_to uuid, p_from timestamptz, p_to timestamptz, p_before_at timestamptz, p_before_id bigint, p_rows_max integer
) RETURNS SETOF staff.audit_row LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    about_id uuid;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_audit', p_clinic_id, p_needs_proof => true);
    about_id := (SELECT booking_id FROM staff.audit_entry WHERE booking_id BETWEEN p_booking_from AND p_booking_to LIMIT 1);
    IF p_before_at IS NULL OR NOT EXISTS (
        SELECT FROM staff.audit_entry
        WHERE actor = caller.actor AND at > public.app_now() - interval '10 minutes' AND session_id = caller.session_id
            AND action = 'export_audit' AND detail = concat_ws(' ', p_who, p_action) AND clinic_id IS NOT DISTINCT FROM p_clinic_id
            AND patient_id IS NOT DISTINCT FROM p_patient_id AND booking_id IS NOT DISTINCT FROM about_id)
    THEN
        PERFORM staff.append_audit(
            caller.actor, caller.session_id, p_address, 'export_audit', false, concat_ws(' ', p_who, p_action), NULL, p_clinic_id,
            p_patient_id, NULL, about_id);
    END IF;
    RETURN QUERY SELECT * FROM staff.find_audit(
        p_clinic_id, staff.actor_named(p_who), p_action, p_patient_id, p_booking_from, p_booking_to, p_from, p_to, p_before_at, p_before_id,
        least(p_rows_max, 1000));
END $$;

-- All that is known of one appointment, or of all of a patient: what the book and the audit have of it, the latest first. `is_event`: it
-- comes from the book, and `action` is the event's kind. One of p_patient_id and p_booking_from is NULL.
CREATE FUNCTION console.history(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_patient_id bigint, p_booking_from uuid, p_booking_to uuid, p_rows_max integer
) RETURNS TABLE (
    at timestamptz, is_event boolean, actor text, actor_name text, actor_log_on text, action text, is_refused boolean, detail text,
    patient_id bigint, provider_id bigint, provider text, booking_id uuid
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    provider_ids bigint[];
    booking_ids uuid[];
    one record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_audit', p_clinic_id);
    IF p_patient_id IS NULL THEN
        PERFORM staff.require_one_number(p_booking_from, p_booking_to);
        FOR one IN
            SELECT booking.provider_id, booking.booking_id, booking.patient_id
            FROM (
                SELECT DISTINCT provider_clinic.provider_id FROM directory.provider_clinic
                WHERE p_clinic_id IS NULL OR provider_clinic.clinic_id = p_clinic_id) AS known
            JOIN booking.booking ON booking.provider_id = known.provider_id AND booking.booking_id BETWEEN p_booking_from AND p_booking_to
            WHERE p_clinic_id IS NULL OR booking.clinic_id = p_clinic_id
        LOOP
            provider_ids := provider_ids || one.provider_id;
            booking_ids := booking_ids || one.booking_id;
            PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_history', false, '', NULL, p_clinic_id,
                one.patient_id, one.provider_id, one.booking_id);
        END LOOP;
    ELSE
        SELECT array_agg(DISTINCT booking.provider_id), array_agg(booking.booking_id) INTO provider_ids, booking_ids
        FROM booking.booking
        WHERE booking.patient_id = p_patient_id AND (p_clinic_id IS NULL OR booking.clinic_id = p_clinic_id);
    END IF;
    IF p_patient_id IS NOT NULL OR booking_ids IS NULL THEN
        PERFORM staff.append_audit(
            caller.actor, caller.session_id, p_address, 'see_history', false, '', NULL, p_clinic_id, p_patient_id, provider_ids[1]);
    END IF;
    RETURN QUERY
    SELECT found.at, found.is_event, found.actor, doer.name, doer.log_on, found.action, found.is_refused, found.detail, found.patient_id,
        found.provider_id, provider.name, found.booking_id
    FROM (
        SELECT event.at, true AS is_event, event.actor, event.kind AS action, false AS is_refused, event.reason AS detail,
            booking.patient_id, event.provider_id, event.booking_id, event.seq AS number
        FROM booking.event LEFT JOIN booking.booking ON booking.provider_id = event.provider_id AND booking.booking_id = event.booking_id
        WHERE event.provider_id = ANY (provider_ids) AND event.booking_id = ANY (booking_ids)
        UNION ALL
        SELECT entry.at, false, entry.actor, entry.action, entry.is_refused, entry.detail, entry.patient_id, entry.provider_id,
            entry.booking_id, entry.entry_id
        FROM staff.find_audit(
            p_clinic_id, NULL, NULL, p_patient_id, p_booking_from, p_booking_to, NULL, NULL, NULL, NULL, p_rows_max) AS entry
    ) AS found
    LEFT JOIN staff.account AS doer ON found.actor = 'staff:' || doer.staff_id
    LEFT JOIN directory.provider ON provider.provider_id = found.provider_id
    ORDER BY found.at DESC, found.is_event, found.number DESC
    LIMIT p_rows_max;
END $$;
