-- name: add_patient
-- Add a patient, unless the number is taken: an error would put the number into the database's log.
INSERT INTO accounts.patient (name, phone, takes_sms, created_at) VALUES ($1, $2, $3, (SELECT public.app_now()))
ON CONFLICT DO NOTHING RETURNING patient_id

-- name: add_token
-- Add a token for a program, as its SHA-256.
INSERT INTO accounts.session (token_hash, patient_id, created_at, used_on)
SELECT $1, $2, now_at, (now_at AT TIME ZONE 'UTC')::date FROM public.app_now() AS now_at

-- name: session
-- Whose session a token is, and whether this is its first use today.
SELECT patient_id, used_on < (now_at AT TIME ZONE 'UTC')::date AS first_today
FROM accounts.session, public.app_now() AS now_at
WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now_at)

-- name: note_use
-- Note that a session was used today; more exact is not needed to tell a patient's devices apart.
UPDATE accounts.session SET used_on = ((SELECT public.app_now()) AT TIME ZONE 'UTC')::date WHERE token_hash = $1

-- name: sessions
-- A patient's sessions; is_this marks the one that makes the request, whose token hash is $2.
SELECT session_id, created_at, used_on, expires_at, agent, token_hash = $2 AS is_this
FROM accounts.session, public.app_now() AS now_at
WHERE patient_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now_at)
ORDER BY created_at DESC

-- name: has_session
-- Whether a session is this patient's, ended or not.
SELECT EXISTS (SELECT FROM accounts.session WHERE patient_id = $1 AND session_id = $2)

-- name: end_session
-- Sign one device out.
UPDATE accounts.session SET revoked_at = (SELECT public.app_now())
WHERE patient_id = $1 AND session_id = $2 AND revoked_at IS NULL

-- name: end_session_of_token
-- End the session that makes the request.
UPDATE accounts.session SET revoked_at = (SELECT public.app_now()) WHERE token_hash = $1 AND revoked_at IS NULL

-- name: end_sessions
-- Sign out everywhere.
UPDATE accounts.session SET revoked_at = (SELECT public.app_now()) WHERE patient_id = $1 AND revoked_at IS NULL

-- name: price_of_code
-- What stands between a request and its code.
SELECT * FROM accounts.price_of_code($1, $2, $3, $4, $5, $6, $7, $8)

-- name: request_code
-- Make a code to be sent, if that is allowed and paid for now.
SELECT * FROM accounts.request_code($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: issue_code
-- Make a code to be told at the desk.
SELECT * FROM accounts.issue_code($1, $2, $3, $4, $5, $6, $7)

-- name: count_guess
-- Count a guess, and return the hash to compare it to.
SELECT * FROM accounts.count_guess($1, $2)

-- name: issued_code
-- A code of the desk that can still be used, or was by the same request ($2).
SELECT challenge_id FROM accounts.challenge
WHERE code_hash = $1 AND issued_by IS NOT NULL
    AND (phone IS NOT NULL AND expires_at > (SELECT public.app_now())
        OR used_key_hash = $2 AND used_at > (SELECT public.app_now()) - accounts.key_time())

-- name: sign_in
-- Start a session after the right code, and remember the device.
SELECT * FROM accounts.sign_in($1, $2, $3, $4, $5, $6)

-- name: profile
-- What a patient may change, and their number.
SELECT name, phone, email, email_verified_at IS NOT NULL AS email_verified FROM accounts.patient WHERE patient_id = $1

-- name: change_profile
-- $2 and $4 say whether to change the name ($3) and the e-mail address ($5).
UPDATE accounts.patient
SET name = CASE WHEN $2::boolean THEN $3 ELSE name END, email = CASE WHEN $4::boolean THEN $5 ELSE email END
WHERE patient_id = $1 AND erased_at IS NULL

-- name: add_former_account
-- For a day it is known that a number was this patient's, by what the number is counted as ($2).
INSERT INTO accounts.former_account (patient_id, phone_hash, erased_at) VALUES ($1, $2, (SELECT public.app_now()))

-- name: erase_persons
-- The rows stay without names, since bookings point to them.
UPDATE accounts.person SET name = '', birth_year = NULL, sex = NULL, removed_at = (SELECT public.app_now())
WHERE patient_id = $1

-- name: email
-- A patient's e-mail address, and whether it is verified.
SELECT email, email_verified_at, public.app_now() AS now_at FROM accounts.patient WHERE patient_id = $1

-- name: verify_email
-- Note that an address is the patient's; no row when they have another by now.
UPDATE accounts.patient SET email_verified_at = coalesce(email_verified_at, (SELECT public.app_now()))
WHERE patient_id = $1 AND email = $2
RETURNING email

-- name: count_email_checks
-- How often a message was sent to an address of the patient in the last 24 hours; the row of $2, the request itself, is not counted.
SELECT count(*) FROM accounts.idempotency
WHERE patient_id = $1 AND operation = 'email' AND key_hash <> $2 AND at > (SELECT public.app_now()) - interval '1 day'

-- name: store_request
-- Store a request under its key; no row when one was stored within the last key_time.
INSERT INTO accounts.idempotency (patient_id, operation, key_hash, request_hash, at)
VALUES ($1, $2, $3, $4, (SELECT public.app_now()))
ON CONFLICT (patient_id, operation, key_hash) DO UPDATE SET request_hash = excluded.request_hash, at = excluded.at
WHERE idempotency.at <= excluded.at - accounts.key_time()
RETURNING true

-- name: find_request
-- The hash of the request stored under a key.
SELECT request_hash FROM accounts.idempotency WHERE patient_id = $1 AND operation = $2 AND key_hash = $3

-- name: consents
-- What a patient agreed to, latest first.
SELECT purpose, version, given_at, withdrawn_at FROM accounts.consent WHERE patient_id = $1 ORDER BY given_at DESC, version DESC

-- name: agree
-- Note that a patient agrees to a text ($3) who agreed to another for the same purpose, and has not withdrawn that.
INSERT INTO accounts.consent (patient_id, purpose, version, given_at)
SELECT $1, $2, $3, (SELECT public.app_now())
WHERE EXISTS (SELECT FROM accounts.consent WHERE patient_id = $1 AND purpose = $2 AND withdrawn_at IS NULL)
ON CONFLICT DO NOTHING

-- name: lock_patient
-- So that the patient cannot sign in meanwhile.
SELECT FROM accounts.patient WHERE patient_id = $1 FOR UPDATE

-- name: withdraw_consents
-- End every consent.
UPDATE accounts.consent SET withdrawn_at = (SELECT public.app_now())
WHERE patient_id = $1 AND withdrawn_at IS NULL

-- name: erase_patient
-- The row stays without a name, since bookings point to it. Its creation time is made vague: the exact one would lead to the
-- codes sent to the number, which stay for the limits.
UPDATE accounts.patient
SET name = '', phone = NULL, email = NULL, created_at = date_trunc('month', created_at), erased_at = (SELECT public.app_now())
WHERE patient_id = $1

-- name: erase_sessions
-- Delete them: they say which devices a patient had.
DELETE FROM accounts.session WHERE patient_id = $1

-- name: erase_keys
-- Delete idempotency keys: they say what a patient requested, if only as HMACs.
DELETE FROM accounts.idempotency WHERE patient_id = $1

-- name: end_challenges
-- End every code sent to a number. They stay counted.
UPDATE accounts.challenge SET phone = NULL WHERE phone_hash = $1 AND phone IS NOT NULL

-- name: forget_devices_of
-- Forget the devices of a number: none is known any more.
DELETE FROM accounts.device WHERE phone_hash = $1

-- name: erase_consents
-- Delete them: a consent of nobody proves nothing.
DELETE FROM accounts.consent WHERE patient_id = $1

-- name: persons
-- Whom a patient books for: the holder of the account, then the others in the order in which they were added.
SELECT person_id, name, birth_year, coalesce(sex, 'unknown')::text AS sex, is_holder FROM accounts.person
WHERE patient_id = $1 AND removed_at IS NULL
ORDER BY is_holder DESC, created_at, person_id

-- name: add_person
-- Add a person, if there is room.
SELECT accounts.add_person($1, $2, $3, $4, $5)

-- name: change_person
-- Change a person, NULL as it is.
SELECT accounts.change_person($1, $2, $3, $4, $5)

-- name: use_developer_key
-- Count requests made with a developer's key, as many as are allowed.
SELECT * FROM accounts.use_developer_key($1, $2, $3)

-- name: add_developer_key
-- Add a developer's key, as its SHA-256.
SELECT accounts.add_developer_key($1, $2, $3, $4, $5, $6)

-- name: developer_keys
-- Every developer's key, and how often it was used.
SELECT * FROM accounts.developer_keys()

-- name: revoke_developer_key
-- NULL when there is no such key, or it was revoked before.
SELECT accounts.revoke_developer_key($1)
