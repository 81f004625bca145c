-- On which cluster of PostgreSQL a transaction was (its system identifier): a copy by pg_dump goes on at another, whose transaction ids begin
-- again. What there is was written here. A constant, so that no row is written again.
DO $$
DECLARE
    here bigint := (SELECT system_identifier FROM pg_control_system());
BEGIN
    EXECUTE format('ALTER TABLE staff.audit_entry ADD COLUMN cluster bigint NOT NULL DEFAULT %s', here);
    EXECUTE format('ALTER TABLE staff.audit_link ADD COLUMN cluster bigint NOT NULL DEFAULT %s', here);
END $$;
ALTER TABLE staff.audit_entry ALTER COLUMN cluster SET DEFAULT (pg_control_system()).system_identifier;
ALTER TABLE staff.audit_link ALTER COLUMN cluster DROP DEFAULT;
