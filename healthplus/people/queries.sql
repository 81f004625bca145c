-- name: add_patient
-- A new patient, unless the number is taken: an error would put it into the database's log.
INSERT INTO people.patient (name, phone, takes_sms, created_at) VALUES ($1, $2, $3, (SELECT public.app_now()))
ON CONFLICT DO NOTHING RETURNING patient_id

-- name: add_token
-- A token for a program, as its SHA-256.
INSERT INTO people.session (token_hash, patient_id, created_at, used_on)
SELECT $1, $2, now_at, (now_at AT TIME ZONE 'UTC')::date FROM public.app_now() AS now_at

-- name: session
-- Who is let in by a token, and whether this is its first use of the day.
SELECT patient_id, used_on < (now_at AT TIME ZONE 'UTC')::date AS first_today
FROM people.session, public.app_now() AS now_at
WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now_at)

-- name: note_use
-- Once a day is enough to tell one's devices apart.
UPDATE people.session SET used_on = ((SELECT public.app_now()) AT TIME ZONE 'UTC')::date WHERE token_hash = $1

-- name: sessions
-- Where a patient is signed in; $2 is the token of the one that asks.
SELECT session_id, created_at, used_on, expires_at, agent, token_hash = $2 AS is_this
FROM people.session, public.app_now() AS now_at
WHERE patient_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now_at)
ORDER BY created_at DESC

-- name: has_session
-- Whether a session is this patient's, ended or not.
SELECT EXISTS (SELECT FROM people.session WHERE patient_id = $1 AND session_id = $2)

-- name: end_session
-- Sign one device out.
UPDATE people.session SET revoked_at = (SELECT public.app_now())
WHERE patient_id = $1 AND session_id = $2 AND revoked_at IS NULL

-- name: end_session_of_token
-- Sign out who asks.
UPDATE people.session SET revoked_at = (SELECT public.app_now()) WHERE token_hash = $1 AND revoked_at IS NULL

-- name: end_sessions
-- Sign out everywhere.
UPDATE people.session SET revoked_at = (SELECT public.app_now()) WHERE patient_id = $1 AND revoked_at IS NULL

-- name: request_code
-- Have a code sent, if that is allowed now.
SELECT * FROM people.request_code($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: try_code
-- Count a guess, and give what to compare it to.
SELECT * FROM people.try_code($1, $2)

-- name: sign_in
-- Let in who gave the right code.
SELECT * FROM people.sign_in($1, $2, $3, $4, $5)

-- name: profile
-- What a patient may change, and their number.
SELECT name, phone, email FROM people.patient WHERE patient_id = $1

-- name: change_profile
-- $2 and $4 say which of the two is given.
UPDATE people.patient
SET name = CASE WHEN $2::boolean THEN $3 ELSE name END, email = CASE WHEN $4::boolean THEN $5 ELSE email END
WHERE patient_id = $1 AND erased_at IS NULL

-- name: remember
-- Nothing when this key came before within its time; else the key is taken.
INSERT INTO people.idempotency (patient_id, operation, key_hash, request_hash, at)
VALUES ($1, $2, $3, $4, (SELECT public.app_now()))
ON CONFLICT (patient_id, operation, key_hash) DO UPDATE SET request_hash = excluded.request_hash, at = excluded.at
WHERE idempotency.at <= excluded.at - people.key_time()
RETURNING true

-- name: remembered
-- What came with a key before.
SELECT request_hash FROM people.idempotency WHERE patient_id = $1 AND operation = $2 AND key_hash = $3

-- name: consents
-- What a patient agreed to, latest first.
SELECT purpose, version, given_at, withdrawn_at FROM people.consent WHERE patient_id = $1 ORDER BY given_at DESC, version DESC

-- name: lock_patient
-- Against signing in meanwhile.
SELECT FROM people.patient WHERE patient_id = $1 FOR UPDATE

-- name: withdraw_consents
-- As easy as giving them.
UPDATE people.consent SET withdrawn_at = (SELECT public.app_now())
WHERE patient_id = $1 AND withdrawn_at IS NULL

-- name: erase_patient
-- The row stays, as that of nobody: visits point to it. Its times are made vague, or they would lead to the number's codes,
-- which stay for the limits' sake.
UPDATE people.patient
SET name = '', phone = NULL, email = NULL, created_at = date_trunc('month', created_at), erased_at = (SELECT public.app_now())
WHERE patient_id = $1

-- name: erase_sessions
-- They say which devices a patient had.
DELETE FROM people.session WHERE patient_id = $1

-- name: erase_keys
-- They say what a patient asked for, if only as HMACs.
DELETE FROM people.idempotency WHERE patient_id = $1

-- name: end_challenges
-- No code sent to this number lets anybody in any more. That they were sent stays counted.
UPDATE people.challenge SET phone = NULL WHERE phone_hash = $1 AND phone IS NOT NULL

-- name: erase_consents
-- That nobody agreed to something is no proof of anything.
DELETE FROM people.consent WHERE patient_id = $1

-- name: forget_numbers
-- Of codes whose time is over. Here as below, what another process is busy with is left to it.
UPDATE people.challenge SET phone = NULL
WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM people.challenge
    WHERE phone IS NOT NULL AND expires_at <= (SELECT public.app_now())
    FOR UPDATE SKIP LOCKED))

-- name: forget_challenges
-- Those that no limit counts any more.
DELETE FROM people.challenge
WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM people.challenge
    WHERE created_at <= (SELECT public.app_now()) - interval '1 day'
        AND (tries = 0 OR tried_at <= (SELECT public.app_now()) - people.guess_memory_time())
    FOR UPDATE SKIP LOCKED))

-- name: forget_keys
-- Past their 24 hours.
DELETE FROM people.idempotency
WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM people.idempotency
    WHERE at <= (SELECT public.app_now()) - people.key_time()
    FOR UPDATE SKIP LOCKED))

-- name: forget_sessions
-- Ended a month ago.
DELETE FROM people.session
WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM people.session
    WHERE least(revoked_at, expires_at) <= (SELECT public.app_now()) - interval '30 days'
    FOR UPDATE SKIP LOCKED))

-- name: use_developer_key
-- Count a request made with a developer's key, unless it may not be made.
SELECT * FROM people.use_developer_key($1, $2)

-- name: add_developer_key
-- A developer's key, as its SHA-256.
INSERT INTO people.developer_key (name, key_hash, scopes, per_minute, per_day, created_at, expires_at)
SELECT $1, $2, $3, $4, $5, now_at, now_at + $6::interval FROM public.app_now() AS now_at
RETURNING key_id

-- name: developer_keys
-- Every developer's key, and how often it was used.
SELECT key_id, name, scopes::text[] AS scopes, per_minute, per_day, expires_at, expires_at <= now_at AS is_expired, revoked_at,
    coalesce(sum(requests) FILTER (WHERE day = today), 0) AS today,
    coalesce(sum(requests) FILTER (WHERE day > today - 7), 0) AS last_7_days,
    coalesce(sum(requests) FILTER (WHERE day > today - 30), 0) AS last_30_days,
    max(minute_at) AS used_at
FROM public.app_now() AS now_at
CROSS JOIN LATERAL (SELECT (now_at AT TIME ZONE 'UTC')::date AS today) AS clock
CROSS JOIN people.developer_key LEFT JOIN people.developer_key_use USING (key_id)
GROUP BY key_id, now_at
ORDER BY key_id

-- name: revoke_developer_key
-- Nothing when there is no such key, or none any more.
UPDATE people.developer_key SET revoked_at = (SELECT public.app_now())
WHERE key_id = $1 AND revoked_at IS NULL
RETURNING name

-- name: forget_developer_key_uses
-- The operator's figures, for a year and a month to compare it with.
DELETE FROM people.developer_key_use WHERE day < ((SELECT public.app_now()) AT TIME ZONE 'UTC')::date - 400
