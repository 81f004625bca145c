-- name: read_only
-- Whether sessions are read-only, this one or those that start now (the most particular of what was set for the role and the database
-- counts).
SELECT
    current_setting('transaction_read_only')::boolean OR coalesce((
        SELECT split_part(setting, '=', 2)::boolean
        FROM pg_db_role_setting CROSS JOIN LATERAL unnest(setconfig) AS setting
        WHERE split_part(setting, '=', 1) = 'default_transaction_read_only'
            AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
            AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
        ORDER BY setrole = 0, setdatabase = 0
        LIMIT 1), false) AS read_only

-- name: migrated_to
-- The newest migration the database has.
SELECT coalesce(max(number), 0) FROM public.schema_migration
