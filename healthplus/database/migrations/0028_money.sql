-- What a payment has come to stands in its own row, each fact in columns that are written once; ledger.entry becomes a view of them.
-- The rows of release 2 stay readable there until the payments have taken them over.
ALTER TABLE ledger.payment
    ADD COLUMN authorised_at timestamptz,
    ADD COLUMN captured_at timestamptz,
    ADD COLUMN authorised_source ledger.source,
    ADD COLUMN captured_source ledger.source,
    ADD COLUMN voided_at timestamptz,
    ADD COLUMN refunded_at timestamptz,
    ADD COLUMN voided_source ledger.source,
    ADD COLUMN refunded_source ledger.source,
    ADD COLUMN currency text;                      -- NULL: the clinic's
-- Without a look at all rows, which have none.
ALTER TABLE ledger.payment ADD CONSTRAINT payment_currency_check CHECK (currency ~ '^[A-Z]{3}$') NOT VALID;

ALTER TABLE ledger.entry RENAME TO former_entry;
-- Functions of release 2 write and read it until they are replaced.
CREATE VIEW ledger.entry AS
SELECT provider_id, hold_id, authorisation, state, amount_minor, source, at, currency FROM ledger.former_entry;

-- The functions of release 2 run as a role that may use the table: it may use the view in its place.
DO $$
DECLARE
    role_name text;
BEGIN
    FOR role_name IN
        SELECT DISTINCT grantee::regrole::text
        FROM pg_class CROSS JOIN aclexplode(relacl)
        WHERE oid = 'ledger.former_entry'::regclass AND privilege_type = 'INSERT' AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE format('GRANT SELECT, INSERT ON ledger.entry TO %s', role_name);
    END LOOP;
END $$;
