-- Tills: one of each member of the staff at a clinic on a day, opened with its cash, closed with a count.

CREATE FUNCTION till.is_closed(p_clinic_id bigint, p_session_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM till.closing WHERE clinic_id = p_clinic_id AND session_id = p_session_id AND reopened_at IS NULL)
$$;

-- The day that it is at a clinic.
CREATE FUNCTION till.today(p_clinic_id bigint, p_now timestamptz) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT (p_now AT TIME ZONE time_zone)::date FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = p_clinic_id
$$;

-- Locks a till, so that it is not closed while something is recorded; whether it is open.
CREATE FUNCTION till.lock_open(p_clinic_id bigint, p_session_id uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM till.session WHERE clinic_id = p_clinic_id AND session_id = p_session_id FOR UPDATE;
    RETURN FOUND AND NOT till.is_closed(p_clinic_id, p_session_id);
END $$;

-- Opens somebody's till of today with the cash that is in it: 'opened', or 'is_open', 'till_closed' where there is one already.
CREATE FUNCTION till.open(p_clinic_id bigint, p_staff_id bigint, p_float_minor integer) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
BEGIN
    INSERT INTO till.session (clinic_id, staff_id, day, currency, float_minor, opened_at)
    SELECT clinic_id, p_staff_id, till.today(clinic_id, now_at), currency, p_float_minor, now_at
    FROM directory.clinic WHERE clinic_id = p_clinic_id
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN 'opened';
    END IF;
    RETURN CASE WHEN till.is_closed(p_clinic_id, session_id) THEN 'till_closed' ELSE 'is_open' END
        FROM till.session WHERE clinic_id = p_clinic_id AND staff_id = p_staff_id AND day = till.today(p_clinic_id, now_at);
END $$;

-- Somebody's till of today, locked while something is recorded in it, which p_float_minor opens where there is none. Else a code: 'no_till'
-- (there is none, and nothing to open it with), or 'till_closed'.
CREATE FUNCTION till.use_session(p_clinic_id bigint, p_staff_id bigint, p_float_minor integer, OUT code text, OUT session_id uuid)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    IF p_float_minor IS NOT NULL THEN
        PERFORM till.open(p_clinic_id, p_staff_id, p_float_minor);
    END IF;
    SELECT session.session_id INTO use_session.session_id FROM till.session
    WHERE clinic_id = p_clinic_id AND staff_id = p_staff_id AND day = till.today(p_clinic_id, public.app_now());
    IF use_session.session_id IS NULL THEN
        code := 'no_till';
    ELSIF NOT till.lock_open(p_clinic_id, use_session.session_id) THEN
        code := 'till_closed';
    END IF;
END $$;

-- What should be in a till, by each method, as was recorded: cash with what it began with.
CREATE FUNCTION till.expected(p_session till.session, OUT cash_minor bigint, OUT card_minor bigint, OUT upi_minor bigint)
LANGUAGE sql STABLE AS $$
    SELECT p_session.float_minor + coalesce(sum(amount_minor) FILTER (WHERE method = 'cash'), 0),
        coalesce(sum(amount_minor) FILTER (WHERE method = 'card'), 0), coalesce(sum(amount_minor) FILTER (WHERE method = 'upi'), 0)
    FROM till.payment WHERE clinic_id = p_session.clinic_id AND session_id = p_session.session_id
$$;

-- Closes a till with what was counted in it, p_seen being what was expected as it was shown, both as cash, card and UPI: 'closed', or
-- 'not_found', 'till_closed', 'over' (more was recorded meanwhile), 'note_needed' (something is too much or missing, and nobody says why).
CREATE FUNCTION till.close(p_clinic_id bigint, p_session_id uuid, p_counted bigint[], p_seen bigint[], p_note text, p_actor text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    sitting till.session;
    expected record;
BEGIN
    SELECT * INTO sitting FROM till.session WHERE clinic_id = p_clinic_id AND session_id = p_session_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF till.is_closed(p_clinic_id, p_session_id) THEN
        RETURN 'till_closed';
    END IF;
    SELECT * INTO expected FROM till.expected(sitting);
    IF p_seen IS DISTINCT FROM ARRAY[expected.cash_minor, expected.card_minor, expected.upi_minor] THEN
        RETURN 'over';
    ELSIF p_note = '' AND p_counted <> p_seen THEN
        RETURN 'note_needed';
    END IF;
    INSERT INTO till.closing (
        clinic_id, session_id, number, cash_minor, card_minor, upi_minor, cash_counted_minor, card_counted_minor, upi_counted_minor, note,
        closed_at, closed_by)
    SELECT p_clinic_id, p_session_id, count(*) + 1, p_seen[1], p_seen[2], p_seen[3], p_counted[1], p_counted[2], p_counted[3], p_note,
        public.app_now(), p_actor
    FROM till.closing WHERE clinic_id = p_clinic_id AND session_id = p_session_id;
    RETURN 'closed';
END $$;

-- Opens a till again that was closed: 'reopened', 'not_found', or 'is_open'.
CREATE FUNCTION till.reopen(p_clinic_id bigint, p_session_id uuid, p_why text, p_actor text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM till.session WHERE clinic_id = p_clinic_id AND session_id = p_session_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    UPDATE till.closing SET reopened_at = public.app_now(), reopened_by = p_actor, reopened_why = p_why
    WHERE clinic_id = p_clinic_id AND session_id = p_session_id AND reopened_at IS NULL;
    RETURN CASE WHEN FOUND THEN 'reopened' ELSE 'is_open' END;
END $$;

-- A till: whose, what should be in it, and each time that it was closed, the last first.
CREATE FUNCTION till.as_shown(p_session till.session) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'session_id', p_session.session_id, 'staff_id', p_session.staff_id, 'day', p_session.day, 'currency', p_session.currency,
        'float_minor', p_session.float_minor, 'opened_at', p_session.opened_at, 'is_closed', till.is_closed(p_session.clinic_id, p_session.session_id),
        'by', (SELECT name FROM staff.account WHERE staff_id = p_session.staff_id), 'expected', to_jsonb(expected), 'closings', (
            SELECT coalesce(jsonb_agg(to_jsonb(closing) || jsonb_build_object(
                'by', (SELECT name FROM staff.account WHERE 'staff:' || staff_id = closed_by),
                'reopened_name', (SELECT name FROM staff.account WHERE 'staff:' || staff_id = reopened_by)) ORDER BY number DESC), '[]')
            FROM till.closing WHERE clinic_id = p_session.clinic_id AND session_id = p_session.session_id))
    FROM till.expected(p_session)
$$;

-- What was recorded in a till, in order; of whom, no name says.
CREATE FUNCTION till.rows_of(p_clinic_id bigint, p_session_id uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'booking_id', booking_id, 'provider', provider.name, 'kind', kind, 'method', method, 'amount_minor', amount_minor,
        'reference', reference, 'reason', reason, 'paid_at', paid_at) ORDER BY paid_at, kind), '[]')
    FROM till.payment JOIN directory.provider USING (provider_id)
    WHERE clinic_id = p_clinic_id AND session_id = p_session_id
$$;

-- Refuses to change a closing, but that it is opened again, once.
CREATE FUNCTION till.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
        MESSAGE = format('what %I.%I says is written once: %s is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP);
END $$;

CREATE TRIGGER written_once BEFORE UPDATE ON till.closing FOR EACH ROW WHEN (((old.reopened_at IS NOT NULL) OR (new.reopened_at IS NULL)
    OR (old.clinic_id IS DISTINCT FROM new.clinic_id)
    OR (old.session_id IS DISTINCT FROM new.session_id)
    OR (old.number IS DISTINCT FROM new.number)
    OR (old.cash_minor IS DISTINCT FROM new.cash_minor)
    OR (old.card_minor IS DISTINCT FROM new.card_minor)
    OR (old.upi_minor IS DISTINCT FROM new.upi_minor)
    OR (old.cash_counted_minor IS DISTINCT FROM new.cash_counted_minor)
    OR (old.card_counted_minor IS DISTINCT FROM new.card_counted_minor)
    OR (old.upi_counted_minor IS DISTINCT FROM new.upi_counted_minor)
    OR (old.note IS DISTINCT FROM new.note)
    OR (old.closed_at IS DISTINCT FROM new.closed_at)
    OR (old.closed_by IS DISTINCT FROM new.closed_by)))
EXECUTE FUNCTION till.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON till.closing FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON till.session FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
