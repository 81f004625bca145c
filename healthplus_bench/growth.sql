-- name: sizes
-- Bytes of each table that grows as it is used, with its indexes.
SELECT pg_class.oid::regclass::text AS name, pg_total_relation_size(pg_class.oid) AS bytes
FROM pg_class
WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('accounts', 'booking', 'ledger', 'notices', 'payments', 'retention')

-- name: pack
-- So that sizes are those of the rows that are there.
VACUUM FULL

-- name: move_clock
-- Let time pass.
INSERT INTO public.app_clock (clock_offset) VALUES ($1)
ON CONFLICT (only_row) DO UPDATE SET clock_offset = app_clock.clock_offset + excluded.clock_offset

-- name: put_phones
-- So that each patient is told what happens, by SMS.
UPDATE accounts.patient SET phone = '+9198' || lpad(patient_id::text, 8, '0')

-- name: put_codes
-- Sign-in codes as they are when they were used.
INSERT INTO accounts.challenge (challenge_id, serial, phone_hash, prefix_hash, requester_hash, key_hash, request_hash, code_hash,
    consent_version, created_at, expires_at, used_at, used_key_hash)
SELECT gen_random_uuid(), n, digest, digest, digest, digest, digest, digest, '1', now_at, now_at, now_at, digest
FROM public.app_now() AS now_at, generate_series(1, $1::bigint) AS n, sha256(n::text::bytea) AS digest
