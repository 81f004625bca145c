-- What the front desk asks to have changed of appointments. Callers have looked whether they may; they do, and say, what comes of it.
CREATE FUNCTION staff.ask_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '400 days' $$;

-- From which amount on giving money back needs proof just now of who does it: over 1,000 rupees; of other currencies, whose worth nobody
-- here knows, over 10 units.
CREATE FUNCTION staff.proof_amount_minor(p_currency text) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE p_currency WHEN 'INR' THEN 1000 ELSE 10 END * (10 ^ directory.currency_digits(p_currency))::integer
$$;

-- What of an appointment an ask of this kind is about: when that changes, the ask is over. NULL: there is no such appointment.
CREATE FUNCTION staff.part_of_seen(p_kind staff.ask_kind, p_seen jsonb) RETURNS jsonb IMMUTABLE STRICT LANGUAGE sql AS $$
    SELECT CASE p_kind
        WHEN 'edit_patient' THEN jsonb_build_object('name', p_seen -> 'name', 'birth_year', p_seen -> 'birth_year', 'sex', p_seen -> 'sex')
        ELSE jsonb_build_object('state', p_seen -> 'state', 'starts_at', p_seen -> 'starts_at', 'funding', p_seen -> 'funding')
            -- what has gone back of it already; it says nothing where that is nothing, as it did before there were parts
            || CASE WHEN p_kind = 'refund' AND p_seen ->> 'parts_minor' <> '0' THEN jsonb_build_object('parts_minor', p_seen -> 'parts_minor')
                ELSE '{}' END END
$$;

-- Whether a wish is one of its kind, and a reason one: pages and verbs take them as they are.
CREATE FUNCTION staff.is_ask(p_kind text, p_wish jsonb, p_reason text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT coalesce(
        length(btrim(p_reason)) > 0 AND length(p_reason) <= 500 AND jsonb_typeof(p_wish) = 'object' AND length(p_wish::text) <= 2000
            AND CASE p_kind
                WHEN 'move' THEN jsonb_typeof(p_wish -> 'starts_at') = 'number'
                    AND (p_wish ->> 'starts_at')::numeric BETWEEN 0 AND 7258118400  -- until 2200
                WHEN 'cancel' THEN true
                WHEN 'refund' THEN jsonb_typeof(coalesce(p_wish -> 'amount_minor', 'null')) = 'null'
                    OR (jsonb_typeof(p_wish -> 'amount_minor') = 'number' AND p_wish ->> 'amount_minor' ~ '^[1-9][0-9]{0,8}$')
                WHEN 'correct' THEN p_wish ->> 'state' IN ('booked', 'arrived', 'fulfilled', 'no_show')
                WHEN 'edit_patient' THEN p_wish ?| ARRAY['name', 'birth_year', 'sex']
                    AND (NOT p_wish ? 'name' OR jsonb_typeof(p_wish -> 'name') = 'string' AND length(btrim(p_wish ->> 'name')) BETWEEN 1 AND 200)
                    AND (jsonb_typeof(coalesce(p_wish -> 'birth_year', 'null')) = 'null' OR p_wish ->> 'birth_year' ~ '^[12][0-9]{3}$')
                    AND coalesce(p_wish ->> 'sex', 'unknown') IN ('female', 'male', 'other', 'unknown') END,
        false)
$$;

-- What the audit says of a change before its reason: the kind and, of a refund of a part, how much; or with which code it was refused.
CREATE FUNCTION staff.ask_detail(p_kind text, p_wish jsonb, p_code text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT concat_ws(' ', p_kind, CASE WHEN p_code <> 'done' THEN p_code WHEN p_kind = 'refund' THEN p_wish ->> 'amount_minor' END) || ': '
$$;

-- Notes an ask; NULL where the same was asked of this appointment and is open. What cannot be stored is told without its row, in which the
-- patient's name is.
CREATE FUNCTION staff.open_ask(
    p_clinic_id bigint, p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_kind staff.ask_kind, p_wish jsonb, p_seen jsonb,
    p_reason text, p_asked_by bigint
) RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_id uuid;
BEGIN
    INSERT INTO staff.ask (clinic_id, provider_id, booking_id, patient_id, kind, wish, seen, reason, asked_by, asked_at)
    VALUES (
        p_clinic_id, p_provider_id, p_booking_id, p_patient_id, p_kind, p_wish, staff.part_of_seen(p_kind, p_seen), p_reason, p_asked_by,
        public.app_now())
    ON CONFLICT DO NOTHING RETURNING ask_id INTO new_id;
    RETURN new_id;
EXCEPTION WHEN integrity_constraint_violation THEN
    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'an ask that cannot be stored';
END $$;

-- Answers an open ask: 'done' or 'refused'; or 'over', with how the appointment was found.
CREATE FUNCTION staff.close_ask(p_ask_id uuid, p_state staff.ask_state, p_answered_by bigint, p_found jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE staff.ask SET state = p_state, answered_by = p_answered_by, answered_at = public.app_now(), found = p_found
    WHERE ask_id = p_ask_id AND state = 'open';
END $$;

-- What was asked of a patient's appointments, for themselves.
CREATE FUNCTION staff.asks_of(p_patient_id bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(ask) - 'asked_by' - 'answered_by' ORDER BY asked_at), '[]') FROM staff.ask WHERE patient_id = p_patient_id
$$;

-- Deletes it, with their account.
CREATE FUNCTION staff.erase_asks(p_patient_id bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM staff.ask WHERE patient_id = p_patient_id
$$;
