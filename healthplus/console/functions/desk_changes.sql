-- What a day sheet's row leads to: changing an appointment, and its history.

-- Changes an appointment at a clinic at once, as console.answer_ask does what was asked, where it still is what was seen of it
-- (p_seen, as staff.part_of_seen has it): 'done', and until when who did it can take it back; 'over' (somebody changed it meanwhile),
-- 'wrong_ask', 'not_found', or why it cannot be done, as the verbs of the booking area say it.
CREATE FUNCTION console.change_booking(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid, p_kind text, p_wish jsonb,
    p_seen jsonb, p_reason text
) RETURNS TABLE (outcome text, undo_until timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    target booking.booking;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'change_booking', p_clinic_id);
    IF NOT staff.is_ask(p_kind, p_wish, p_reason) THEN
        RETURN QUERY SELECT 'wrong_ask', NULL::timestamptz;
        RETURN;
    END IF;
    PERFORM FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'not_found', NULL::timestamptz;
        RETURN;
    END IF;
    -- So that nothing changes between looking and doing.
    PERFORM booking.lock_book(p_provider_id);
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    IF staff.part_of_seen(p_kind::staff.ask_kind, booking.as_seen(p_provider_id, p_booking_id)) IS DISTINCT FROM p_seen THEN
        code := 'over';
    ELSE
        IF p_kind IN ('cancel', 'refund') AND booking.moved_minor(target, p_wish) > staff.proof_amount_minor((
            SELECT currency FROM directory.clinic WHERE clinic_id = p_clinic_id))
        THEN
            PERFORM staff.require_proof(caller.is_proven);
        END IF;
        code := booking.change(p_kind, p_provider_id, p_booking_id, p_wish, caller.actor);
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'change_booking', code <> 'done',
        staff.ask_detail(p_kind, p_wish, code) || p_reason, NULL, p_clinic_id, target.patient_id,
        p_provider_id, p_booking_id);
    RETURN QUERY SELECT code, reception.undo_until(p_provider_id, p_booking_id, caller.actor, public.app_now());
END $$;

-- Texts the patient of an appointment that is ahead a link by which they move it themselves: 'sent', 'unreachable', 'wrong_state', 'not_found'.
CREATE FUNCTION console.send_link(p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    target booking.booking;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'ask_change', p_clinic_id);
    PERFORM FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND clinic_id = p_clinic_id;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    PERFORM booking.lock_book(p_provider_id);  -- of two desks at once one sends it
    SELECT * INTO target FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id;
    code := CASE
        WHEN target.state <> 'booked' OR lower(target.during) <= public.app_now() THEN 'wrong_state'
        WHEN notices.tell_to_choose(p_provider_id, p_booking_id, public.app_now()) THEN 'sent'
        ELSE 'unreachable' END;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'send_link', code <> 'sent', CASE code WHEN 'sent' THEN '' ELSE code END,
        NULL, p_clinic_id, target.patient_id, p_provider_id, p_booking_id);
    RETURN code;
END $$;

-- What became of one appointment at a clinic, and who did it: what the book has, and what staff changed; not who looked at it, which is
-- for those who see the audit (console.history). The latest first, each with the patient's name.
CREATE FUNCTION console.booking_history(p_token_hash bytea, p_address text, p_clinic_id bigint, p_booking_id uuid)
RETURNS TABLE (at timestamptz, is_event boolean, actor text, actor_name text, action text, is_refused boolean, detail text, name text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    target booking.booking;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    SELECT booking.* INTO target FROM directory.provider_clinic
    JOIN booking.booking ON booking.provider_id = provider_clinic.provider_id AND booking.booking_id = p_booking_id
    WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_history', false, '', NULL, p_clinic_id,
        target.patient_id, target.provider_id, p_booking_id);
    RETURN QUERY
    SELECT found.at, found.is_event, found.actor, doer.name, found.action, found.is_refused, found.detail,
        booking.as_seen(target.provider_id, p_booking_id) ->> 'name'
    FROM (
        SELECT event.at, true AS is_event, event.actor, event.kind AS action, false AS is_refused, event.reason AS detail, event.seq AS number
        FROM booking.event
        WHERE event.provider_id = target.provider_id AND event.booking_id = p_booking_id
        UNION ALL
        SELECT entry.at, false, entry.actor, entry.action, entry.is_refused, entry.detail, entry.entry_id
        FROM staff.find_audit(p_clinic_id, NULL, NULL, NULL, p_booking_id, p_booking_id, NULL, NULL, NULL, NULL, 300) AS entry
        WHERE NOT entry.action ^@ 'see_'
    ) AS found
    LEFT JOIN staff.account AS doer ON found.actor = 'staff:' || doer.staff_id
    ORDER BY found.at DESC, found.is_event, found.number DESC
    LIMIT 300;
END $$;

-- The receipts and credit notes for an appointment at a clinic; one row of NULLs where it has none.
CREATE FUNCTION console.booking_receipts(p_token_hash bytea, p_address text, p_clinic_id bigint, p_booking_id uuid) RETURNS TABLE (
    kind text, number text, provider_id bigint, booking_id uuid, amount_minor integer, currency text, at timestamptz, issued_at timestamptz,
    person_name text, payer_name text, said text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
    target booking.booking;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_clinic', p_clinic_id);
    SELECT booking.* INTO target FROM directory.provider_clinic
    JOIN booking.booking ON booking.provider_id = provider_clinic.provider_id AND booking.booking_id = p_booking_id
    WHERE provider_clinic.clinic_id = p_clinic_id AND booking.clinic_id = p_clinic_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_booking', false, '', NULL, p_clinic_id,
        target.patient_id, target.provider_id, p_booking_id);
    RETURN QUERY SELECT * FROM receipts.documents(target.provider_id, p_booking_id);
    IF NOT FOUND THEN
        RETURN NEXT;
    END IF;
END $$;
