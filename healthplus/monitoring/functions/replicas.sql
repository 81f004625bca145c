-- The servers that follow this one, and how far behind each is; what follows for a back-up applies nothing, and is none. It runs as its
-- owner: the role that the product works as may not see them, nor may the owner on a server of one's own, unless it has been granted
-- pg_monitor; then there are no figures.
CREATE FUNCTION monitoring.replicas()
RETURNS TABLE (name text, state text, sync_state text, lag_bytes bigint, lag_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT application_name, state, sync_state,
        CASE WHEN NOT pg_is_in_recovery()
            THEN greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint END,
        coalesce(extract(epoch FROM replay_lag), 0)::double precision
    FROM pg_stat_replication WHERE replay_lsn IS NOT NULL
$$;
