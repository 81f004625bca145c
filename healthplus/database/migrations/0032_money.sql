-- What a payment has come to stands in its own row, each fact in columns that are written once; ledger.entry becomes a view of them.
-- The rows of release 2 stay readable there until the payments have taken them over, and its functions may go on adding some.

-- Less than a server takes to find a deadlock: it is this that gives way, and is tried again.
SET LOCAL lock_timeout = '300ms';

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

-- Each state that money reached, and how and when that was learnt.
CREATE VIEW ledger.entry AS
SELECT provider_id, hold_id, authorisation, fact.state, amount_minor, fact.source, fact.at, currency
FROM ledger.payment CROSS JOIN LATERAL (VALUES
    ('authorised'::ledger.payment_state, authorised_source, authorised_at),
    ('captured'::ledger.payment_state, captured_source, captured_at),
    ('voided'::ledger.payment_state, voided_source, voided_at),
    ('refunded'::ledger.payment_state, refunded_source, refunded_at)) AS fact (state, source, at)
WHERE fact.at IS NOT NULL
UNION ALL
SELECT former_entry.provider_id, former_entry.hold_id, former_entry.authorisation, former_entry.state, former_entry.amount_minor,
    former_entry.source, former_entry.at, former_entry.currency
FROM ledger.former_entry JOIN ledger.payment USING (provider_id, hold_id, authorisation)
WHERE payment.authorised_at IS NULL;

-- The triggers come here, where the tables are locked anyway; the function files have them, too.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE insufficient_privilege; END $$;
CREATE TRIGGER written_once AFTER UPDATE ON ledger.payment FOR EACH ROW WHEN (((old.provider_id IS DISTINCT FROM new.provider_id)
    OR (old.hold_id IS DISTINCT FROM new.hold_id) OR (old.booking_id IS DISTINCT FROM new.booking_id)
    OR (old.authorisation IS DISTINCT FROM new.authorisation) OR (old.amount_minor IS DISTINCT FROM new.amount_minor)
    OR ((old.currency IS NOT NULL) AND (old.currency IS DISTINCT FROM new.currency))
    OR ((old.authorised_at IS NOT NULL) AND (old.authorised_at IS DISTINCT FROM new.authorised_at))
    OR ((old.authorised_source IS NOT NULL) AND (old.authorised_source IS DISTINCT FROM new.authorised_source))
    OR ((old.captured_at IS NOT NULL) AND (old.captured_at IS DISTINCT FROM new.captured_at))
    OR ((old.captured_source IS NOT NULL) AND (old.captured_source IS DISTINCT FROM new.captured_source))
    OR ((old.voided_at IS NOT NULL) AND (old.voided_at IS DISTINCT FROM new.voided_at))
    OR ((old.voided_source IS NOT NULL) AND (old.voided_source IS DISTINCT FROM new.voided_source))
    OR ((old.refunded_at IS NOT NULL) AND (old.refunded_at IS DISTINCT FROM new.refunded_at))
    OR ((old.refunded_source IS NOT NULL) AND (old.refunded_source IS DISTINCT FROM new.refunded_source))))
EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger.payment FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE FUNCTION ledger.keep_former_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger.former_entry (provider_id, hold_id, authorisation, state, amount_minor, source, at, currency)
    VALUES (NEW.provider_id, NEW.hold_id, NEW.authorisation, NEW.state, NEW.amount_minor, NEW.source, NEW.at, NEW.currency)
    ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_former_entry INSTEAD OF INSERT ON ledger.entry FOR EACH ROW EXECUTE FUNCTION ledger.keep_former_entry();

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
        EXECUTE format('GRANT SELECT, INSERT ON ledger.entry TO %s; GRANT EXECUTE ON FUNCTION ledger.keep_former_entry() TO %s',
            role_name, role_name);
    END LOOP;
END $$;
