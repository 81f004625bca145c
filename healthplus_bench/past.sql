-- name: sizes
-- Bytes of each table that grows as it is used, in its heap and its indexes.
SELECT pg_class.oid::regclass::text AS name, pg_table_size(pg_class.oid) AS heap, pg_indexes_size(pg_class.oid) AS indexes
FROM pg_class
WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('accounts', 'booking', 'ledger', 'notices', 'payments', 'retention')

-- name: move_clock
-- Let time pass.
INSERT INTO public.app_clock (clock_offset) VALUES ($1)
ON CONFLICT (only_row) DO UPDATE SET clock_offset = app_clock.clock_offset + excluded.clock_offset

-- name: end_clock
-- Have the clock show the time again.
DELETE FROM public.app_clock

-- name: name_persons
-- Have a person's number follow from the patient's.
UPDATE accounts.person SET person_id = md5('person' || patient_id)::uuid

-- name: tables
-- The tables that have rows of single providers, with their columns, but for those that the database fills in itself.
SELECT pg_class.oid::regclass::text AS table_name, array_agg(attname::text ORDER BY attnum) AS names,
    array_agg(atttypid::regtype::text ORDER BY attnum) AS kinds
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('booking', 'ledger', 'notices', 'payments', 'retention')
    AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
GROUP BY pg_class.oid, table_name
HAVING bool_or(attname = 'provider_id')
ORDER BY table_name
