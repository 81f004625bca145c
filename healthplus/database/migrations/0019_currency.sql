-- Money has a currency: the clinic's (docs/decisions/0021-money-has-a-currency.md). Codes are ISO 4217's.
ALTER TABLE directory.clinic ADD COLUMN currency text NOT NULL DEFAULT 'INR' CHECK (currency ~ '^[A-Z]{3}$');

-- A test has one price at all clinics of its provider.
ALTER TABLE directory.provider_lab_test ADD COLUMN currency text NOT NULL DEFAULT 'INR' CHECK (currency ~ '^[A-Z]{3}$');

-- NULL: the clinic's. Money that a gateway took in another goes back, and the ledger says which it was.
ALTER TABLE ledger.entry ADD COLUMN currency text CHECK (currency ~ '^[A-Z]{3}$');

-- In whole units and their fractions, so that one limit fits clinics of any currency.
ALTER TABLE search.listing RENAME COLUMN fee_minor TO fee;
ALTER TABLE search.listing ALTER COLUMN fee TYPE double precision USING fee / 100.0;
