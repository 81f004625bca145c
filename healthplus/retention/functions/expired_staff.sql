-- What is deleted of the staff: as in expired.sql.

CREATE FUNCTION retention.forget_staff_sessions(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM staff.session WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM staff.session WHERE created_at <= p_now - interval '30 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_staff_links(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM staff.link WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM staff.link WHERE expires_at <= p_now
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_staff_devices(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM staff.device WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM staff.device WHERE seen_at <= p_now - staff.device_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- After a day without a guess every bucket of the staff's log-in has long been empty.
CREATE FUNCTION retention.forget_guesses(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM staff.guess WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM staff.guess WHERE at <= p_now - interval '1 day'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_challenges_of_staff(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM staff.spent_challenge WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM staff.spent_challenge WHERE expires_at <= p_now
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Those who left: their secrets went when the account was disabled, now their names do. The audit goes on naming them by their ids.
CREATE FUNCTION retention.forget_staff(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        UPDATE staff.account SET name = '', log_on = NULL, provider_id = NULL WHERE staff_id = ANY (ARRAY (
            SELECT staff_id FROM staff.account WHERE log_on IS NOT NULL AND disabled_at <= p_now - interval '400 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- The log has to be kept for a year; a month more, so that a year can be looked back on.
CREATE FUNCTION retention.forget_audit(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    gone bigint;
    last_link bigint;
BEGIN
    PERFORM set_config('healthplus.retention', 'on', true);
    DELETE FROM staff.audit_entry WHERE entry_id = ANY (ARRAY (
        SELECT entry_id FROM staff.audit_entry WHERE at <= p_now - staff.audit_time() LIMIT p_rows_max));
    GET DIAGNOSTICS gone = ROW_COUNT;
    -- Links after the entries that they stand for, and never the last: it shows that the chain was not cut off there by somebody.
    IF gone < p_rows_max THEN
        SELECT max(link) INTO last_link FROM staff.audit_link WHERE at <= p_now - staff.audit_time();
        DELETE FROM staff.audit_link WHERE link = ANY (ARRAY (SELECT link FROM staff.audit_link WHERE link < last_link LIMIT p_rows_max));
        GET DIAGNOSTICS gone = ROW_COUNT;
    END IF;
    PERFORM set_config('healthplus.retention', '', true);
    RETURN gone;
END $$;

-- What the front desk asked: as long as the audit says so.
CREATE FUNCTION retention.forget_asks(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM staff.ask WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM staff.ask WHERE asked_at <= p_now - staff.ask_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- What staff could take back.
CREATE FUNCTION retention.forget_staff_acts(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM booking.staff_act WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM booking.staff_act WHERE until <= p_now
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;
