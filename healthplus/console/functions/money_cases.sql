-- What did not agree with the gateways' lists, for administrators: of all clinics, as some of it is of none.

-- The cases that are open, or the closed ones, the latest first; of an account, and of a clinic, where one is named; those before p_before_at.
CREATE FUNCTION console.money_cases(
    p_token_hash bytea, p_address text, p_account text, p_of_clinic bigint, p_is_open boolean, p_before_at timestamptz, p_rows_max integer
) RETURNS TABLE (
    case_id uuid, account text, kind text, name text, amount_minor integer, currency text, ours text, theirs text, booking_id uuid,
    provider text, clinic_id bigint, clinic text, found_at timestamptz, seen_at timestamptz, is_looked_at boolean, closed_at timestamptz,
    closed_by text, note text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_operations', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_money_cases', false, '', NULL);
    RETURN QUERY
    SELECT case_id, account, kind, money_case.name, amount_minor, money_case.currency, ours, theirs, booking_id, provider.name, clinic_id,
        clinic.name, found_at, seen_at, look_at IS NOT NULL, money_case.closed_at, coalesce(person.name, closed_by), note
    FROM payments.money_case
    LEFT JOIN directory.provider USING (provider_id)
    LEFT JOIN directory.clinic USING (clinic_id)
    LEFT JOIN staff.account AS person ON closed_by = 'staff:' || person.staff_id
    WHERE (money_case.closed_at IS NULL) = p_is_open
        AND (p_account IS NULL OR account = p_account) AND (p_of_clinic IS NULL OR clinic_id = p_of_clinic)
        AND (p_before_at IS NULL OR coalesce(money_case.closed_at, found_at) < p_before_at)
    ORDER BY coalesce(money_case.closed_at, found_at) DESC, case_id
    LIMIT p_rows_max;
END $$;

-- When each account was last compared, and when it paid out last, as far as is known; of accounts that have cases, too.
CREATE FUNCTION console.money_checks(p_token_hash bytea, p_address text) RETURNS TABLE (
    account text, finished_at timestamptz, day date, failures integer, open_cases bigint, settled_at timestamptz
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_operations', NULL);
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'see_money_cases', false, '', NULL);
    RETURN QUERY
    SELECT known.account, last.finished_at, last.day, greatest(last.failures, (
            SELECT max(failures) FROM payments.settlement_day WHERE settlement_day.account = known.account), 0), (
        SELECT count(*) FROM payments.money_case WHERE money_case.account = known.account AND closed_at IS NULL), (
        SELECT max(settled_at) FROM payments.settlement WHERE settlement.account = known.account)
    FROM (
        SELECT account FROM payments.account UNION SELECT account FROM payments.day_check
        UNION SELECT account FROM payments.money_case) AS known
    LEFT JOIN LATERAL (
        SELECT max(finished_at) AS finished_at, max(day) FILTER (WHERE finished_at IS NOT NULL) AS day, max(failures) AS failures
        FROM payments.day_check WHERE day_check.account = known.account) AS last ON true
    ORDER BY known.account;
END $$;

-- Has the gateway be looked at for a case: 'done'; or 'over' where it is closed by now, or 'not_found'.
CREATE FUNCTION console.look_at_case(p_token_hash bytea, p_address text, p_case_id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_operations', NULL);
    code := payments.look_at_case(p_case_id, public.app_now());
    PERFORM staff.append_audit(caller.actor, caller.session_id, p_address, 'look_at_case', code <> 'done', p_case_id::text, NULL);
    RETURN code;
END $$;

-- Closes a case by hand, with a note of what was done: as console.look_at_case.
CREATE FUNCTION console.close_case(p_token_hash bytea, p_address text, p_case_id uuid, p_note text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    code text;
BEGIN
    caller := staff.authorise(p_token_hash, 'see_operations', NULL, p_needs_proof => true);
    code := payments.close_case(p_case_id, caller.actor, p_note, public.app_now());
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'close_case', code <> 'done', p_case_id || ': ' || p_note, NULL);
    RETURN code;
END $$;
