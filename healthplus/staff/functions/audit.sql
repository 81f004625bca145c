-- What is ever noted, each with its words on the audit's pages (web/desk/office/audit_texts.py), which a test compares.
CREATE FUNCTION staff.audit_actions() RETURNS text[] IMMUTABLE LANGUAGE sql AS $$
    SELECT '{
        log_in, log_out, log_out_everywhere, lock, unlock, prove,
        change_password, add_app, remove_app, add_passkey, remove_passkey, use_link,
        add_staff, set_role, make_link, disable, enable,
        see_page, see_accounts, see_patient, see_booking, see_history, see_money, see_in_the_way, see_ask, see_refunds, see_audit, export_audit, see_clinics, see_system, see_keys,
        see_breaches, see_breach, see_money_cases, look_at_case, close_case,
        add_patient, book, record_attendance, undo_attendance, walk_in, overbook,
        change_booking, send_link, retry_refund, record_transfer,
        record_payment, return_payment, send_pay_link, open_till, close_till, reopen_till,
        see_caller, join_caller, serve_caller,
        ask_change, confirm_ask, refuse_ask, ask_over,
        change_shifts, add_leave, remove_leave,
        add_provider, change_provider, open_provider, close_provider, set_photo, remove_photo,
        add_picture, change_picture, remove_picture,
        add_clinic, change_clinic, open_clinic, close_clinic, put_service, close_service, set_terms, set_desk_rules, set_no_show_rule,
        add_payment_account, assign_payment_account, remove_payment_account,
        renew_board,
        add_key, revoke_key, note_breach, add_to_breach
    }'::text[]
$$;

-- Who did what. The row is written by the function that does the deed, so that there is none without the other.
CREATE FUNCTION staff.append_audit(
    p_actor text, p_session_id uuid, p_address text, p_action text, p_is_refused boolean, p_detail text, p_staff_id bigint,
    p_clinic_id bigint DEFAULT NULL, p_patient_id bigint DEFAULT NULL, p_provider_id bigint DEFAULT NULL, p_booking_id uuid DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF p_action = ANY (staff.audit_actions()) IS NOT TRUE THEN
        RAISE EXCEPTION 'staff.audit_actions does not list %', p_action;
    END IF;
    INSERT INTO staff.audit_entry (
        at, actor, session_id, address, action, is_refused, detail, staff_id, clinic_id, patient_id, provider_id, booking_id)
    VALUES (
        public.app_now(), p_actor, p_session_id, p_address, p_action, p_is_refused, coalesce(p_detail, ''), p_staff_id,
        p_clinic_id, p_patient_id, p_provider_id, p_booking_id);
END $$;

-- Whether a session was noted to have done something with an appointment.
CREATE FUNCTION staff.was_noted(p_session_id uuid, p_action text, p_booking_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM staff.audit_entry WHERE booking_id = p_booking_id AND session_id = p_session_id AND action = p_action AND NOT is_refused)
$$;

-- Whether a session was noted to have seen a patient in some way.
CREATE FUNCTION staff.has_seen(p_session_id uuid, p_action text, p_patient_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM staff.audit_entry WHERE patient_id = p_patient_id AND session_id = p_session_id AND action = p_action AND NOT is_refused)
$$;

-- Who made the last change of this kind at a clinic, of a provider there (NULL: of none), and when, as `by` and `changed_at`; '{}' where none
-- was made in the last day.
CREATE FUNCTION staff.last_change(p_action text, p_clinic_id bigint, p_provider_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT jsonb_build_object('by', account.name, 'changed_at', audit_entry.at)
        FROM staff.audit_entry LEFT JOIN staff.account ON 'staff:' || account.staff_id = audit_entry.actor
        WHERE audit_entry.at > public.app_now() - interval '1 day' AND clinic_id = p_clinic_id AND action = p_action AND NOT is_refused
            AND audit_entry.provider_id IS NOT DISTINCT FROM p_provider_id
        ORDER BY entry_id DESC LIMIT 1), '{}')
$$;

-- Notes what a command of the operator's did, or was refused, in the commit that does it.
CREATE FUNCTION staff.append_command(p_action text, p_is_refused boolean, p_detail text, p_clinic_id bigint, p_provider_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM staff.append_audit('system:operator', NULL, NULL, p_action, p_is_refused, p_detail, NULL, p_clinic_id, NULL, p_provider_id);
END $$;

-- Notes a log-in, an unlocking or a proof that was refused: with the above and the next, all that the login of patients may write here itself.
CREATE FUNCTION staff.append_refusal(
    p_actor text, p_session_id uuid, p_address text, p_action text, p_what text, p_staff_id bigint
) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM staff.append_audit(p_actor, p_session_id, p_address, p_action, true, p_what, p_staff_id);
END $$;

-- Notes a page that was refused, with the right that it is for: who tries what is not theirs, another clinic's above all, is seen to.
CREATE FUNCTION staff.append_forbidden(p_actor text, p_session_id uuid, p_address text, p_right text, p_clinic_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM staff.append_audit(p_actor, p_session_id, p_address, 'see_page', true, p_right, NULL, p_clinic_id);
END $$;

-- What somebody was at a clinic at an instant: by the audit or, where what made them that is no longer kept, what they are now.
CREATE FUNCTION staff.role_then(p_staff_id bigint, p_clinic_id bigint, p_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT detail FROM staff.audit_entry
        WHERE staff_id = p_staff_id AND at <= p_at AND action = 'set_role' AND NOT is_refused AND detail <> 'none'
            AND (clinic_id = p_clinic_id OR clinic_id IS NULL)
        ORDER BY at DESC, entry_id DESC LIMIT 1
    ), (
        SELECT role::text FROM staff.membership
        WHERE staff_id = p_staff_id AND (clinic_id = p_clinic_id OR clinic_id IS NULL) ORDER BY clinic_id NULLS LAST LIMIT 1))
$$;

-- Which of the staff saw or changed what of a patient, for themselves: when, at which clinic, as what; not their names.
CREATE FUNCTION staff.accesses_of(p_patient_id bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'at', at, 'action', action, 'clinic_id', clinic_id, 'clinic', clinic.name, 'booking_id', booking_id,
        'role', CASE WHEN actor ^@ 'staff:' THEN staff.role_then(substr(actor, 7)::bigint, clinic_id, at) END) ORDER BY at, entry_id), '[]')
    FROM staff.audit_entry LEFT JOIN directory.clinic USING (clinic_id)
    WHERE patient_id = p_patient_id AND NOT is_refused
$$;

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

-- An entry, with the names of who did it and of what it is about.
CREATE VIEW staff.audit_row AS
SELECT entry.entry_id, entry.at, entry.actor, doer.name AS actor_name, doer.log_on AS actor_log_on, entry.session_id, entry.address,
    entry.action, entry.is_refused, entry.detail, entry.staff_id, about.name AS about_name, about.log_on AS about_log_on, entry.clinic_id,
    clinic.name AS clinic, entry.patient_id, entry.provider_id, provider.name AS provider, entry.booking_id
FROM staff.audit_entry AS entry
LEFT JOIN staff.account AS doer ON entry.actor = 'staff:' || doer.staff_id
LEFT JOIN staff.account AS about ON about.staff_id = entry.staff_id
LEFT JOIN directory.clinic ON clinic.clinic_id = entry.clinic_id
LEFT JOIN directory.provider ON provider.provider_id = entry.provider_id;

-- The entries that fit what is asked (NULL: whatever it is), the latest first, from the one on that comes after p_before_at and p_before_id.
-- Planned for each call: another column makes another index the right one.
CREATE FUNCTION staff.find_audit(
    p_clinic_id bigint, p_actor text, p_action text, p_patient_id bigint, p_booking_from uuid, p_booking_to uuid, p_from timestamptz,
    p_to timestamptz, p_before_at timestamptz, p_before_id bigint, p_rows_max integer
) RETURNS SETOF staff.audit_row LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    PERFORM staff.require_one_number(p_booking_from, p_booking_to);
    RETURN QUERY
    SELECT audit_row.*
    FROM (
        SELECT entry_id FROM staff.audit_entry
        WHERE (p_clinic_id IS NULL OR clinic_id = p_clinic_id) AND (p_actor IS NULL OR actor = p_actor)
            AND (p_action IS NULL OR action = p_action) AND (p_patient_id IS NULL OR patient_id = p_patient_id)
            AND (p_booking_from IS NULL OR booking_id BETWEEN p_booking_from AND p_booking_to)
            AND (p_from IS NULL OR at >= p_from) AND (p_to IS NULL OR at < p_to)
            AND (p_before_at IS NULL OR (at, entry_id) < (p_before_at, p_before_id))
        ORDER BY at DESC, entry_id DESC LIMIT p_rows_max) AS found
    JOIN staff.audit_row USING (entry_id)
    ORDER BY at DESC, entry_id DESC;
END $$;

-- Notes that somebody at the desk was shown patients of a clinic, each once a session; p_detail: by what.
CREATE FUNCTION staff.note_seen(p_actor text, p_session_id uuid, p_address text, p_detail text, p_clinic_id bigint, p_patient_ids bigint[])
RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT staff.append_audit(p_actor, p_session_id, p_address, 'see_patient', false, p_detail, NULL, p_clinic_id, seen_id)
    FROM (SELECT DISTINCT seen_id FROM unnest(p_patient_ids) AS seen_id) AS seen
    WHERE seen_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM staff.audit_entry
        WHERE patient_id = seen_id AND session_id = p_session_id AND action = 'see_patient' AND clinic_id = p_clinic_id)
$$;

-- Of which provider a member of the staff last booked a time at a clinic, in the last day; NULL: of none.
CREATE FUNCTION staff.last_booked_provider(p_actor text, p_clinic_id bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT provider_id FROM staff.audit_entry
    WHERE actor = p_actor AND at > public.app_now() - interval '1 day' AND action = 'book' AND clinic_id = p_clinic_id AND NOT is_refused
    ORDER BY at DESC, entry_id DESC LIMIT 1
$$;
