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
        'request_hash', digest, 'code_hash', digest, 'used_key_hash', digest, 'network_hash', digest,
        'is_known', false, 'is_waited', false, 'tries_max', 5))
).*
FROM public.app_now() AS now_at, generate_series(1, $1::bigint) AS n, sha256(n::text::bytea) AS digest
