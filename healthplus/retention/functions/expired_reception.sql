-- As in expired.sql: what the desks of clinics recorded, and patients were told of it.

-- What a clinic's desk recorded, after a year and a month; what became of each appointment stays with it.
CREATE FUNCTION retention.forget_attendance(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM reception.attendance WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM reception.attendance WHERE act_at <= p_now - reception.attendance_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_reception_sessions(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM reception.session WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM reception.session
            WHERE upper(during) <= p_now - reception.attendance_time() AND NOT EXISTS (
                SELECT FROM reception.attendance
                WHERE attendance.provider_id = session.provider_id AND attendance.session_id = session.session_id)
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Of a day that is over, and whose tokens no one says any more: sessions keep their letters.
CREATE FUNCTION retention.forget_letters(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM reception.letter WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM reception.letter WHERE day < p_now::date - 7 LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_told(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM reception.told WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM reception.told WHERE told_at <= p_now - reception.attendance_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- A session's chain goes with what was recorded of it.
CREATE FUNCTION retention.forget_call_entries(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM set_config('healthplus.retention', 'on', true);
    DELETE FROM reception.call_entry WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM reception.call_entry WHERE at <= p_now - reception.attendance_time() LIMIT p_rows_max FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('healthplus.retention', '', true);
    RETURN gone;
END $$;
