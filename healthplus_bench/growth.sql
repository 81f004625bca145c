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
INSERT INTO accounts.challenge
SELECT (
    jsonb_populate_record(NULL::accounts.challenge, jsonb_build_object(
        'challenge_id', gen_random_uuid(), 'serial', n, 'consent_version', '1', 'tries', 0, 'created_at', now_at, 'expires_at', now_at,
        'used_at', now_at, 'phone_hash', digest, 'prefix_hash', digest, 'requester_hash', digest, 'key_hash', digest,
        'request_hash', digest, 'code_hash', digest, 'used_key_hash', digest))
).*
FROM public.app_now() AS now_at, generate_series(1, $1::bigint) AS n, sha256(n::text::bytea) AS digest
