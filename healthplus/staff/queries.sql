-- name: add_account
-- Add an account; NULL where the log-on ID is taken.
SELECT staff.add_account($1, $2, $3, $4)

-- name: set_role
-- Have somebody be $3 at a clinic, or nothing any more.
SELECT staff.set_role($1, $2, $3, $4)

-- name: disable
-- End an account's way in.
SELECT staff.disable($1, $2)

-- name: enable
-- Let an account that was disabled be used again, with a new link.
SELECT staff.enable($1, $2)

-- name: make_link
-- Store a one-use link, as its SHA-256.
SELECT staff.make_link($1, $2, $3, $4)

-- name: link
-- Whose link a token is, while it can be used.
SELECT * FROM staff.link_for($1)

-- name: use_link
-- Choose a password with a link, once.
SELECT staff.use_link($1, $2, $3, $4, $5, $6)

-- name: account_named
-- The account of a log-on ID, disabled or not.
SELECT staff_id, name, disabled_at FROM staff.account WHERE log_on = $1

-- name: accounts
-- Everybody who is not forgotten, with what they are where.
SELECT account.staff_id, log_on, account.name, disabled_at, password_hash IS NOT NULL AS has_password, totp_secret IS NOT NULL AS has_app,
    (SELECT count(*) FROM staff.passkey WHERE passkey.staff_id = account.staff_id) AS passkeys,
    (
        SELECT array_agg(role || coalesce(' at ' || clinic.name || ' (' || clinic.clinic_id || ')', '') ORDER BY clinic_id)
        FROM staff.membership LEFT JOIN directory.clinic USING (clinic_id)
        WHERE membership.staff_id = account.staff_id) AS roles
FROM staff.account WHERE log_on IS NOT NULL ORDER BY log_on

-- name: memberships
-- At which clinics who is logged in works, and as what.
SELECT clinic_id, role, clinic FROM staff.own_memberships($1)

-- name: own_words
-- What a password must not be made of: names of the person and of their clinics.
SELECT log_on, name, clinics FROM staff.own_words($1)

-- name: factors
-- What somebody can log in with, whose password was right.
SELECT has_app, totp_secret, totp_step, has_passkey, now_at FROM staff.factors_of($1, $2)

-- name: own_factors
-- The signed-in person's log-in methods.
SELECT handle, has_password, password_is_long, has_app, has_passkey FROM staff.own_factors($1)

-- name: count_guess
-- Count a guess at a password, and return what to check it against.
SELECT * FROM staff.count_guess($1, $2, $3, $4, $5, $6)

-- name: count_code
-- Count a guess at a code of an app.
SELECT * FROM staff.count_code($1, $2, $3, $4)

-- name: count_answer
-- Count a bad answer of a passkey; false where the audit is not to have it.
SELECT staff.count_answer($1)

-- name: return_guess
-- A right one was no guess.
SELECT staff.return_guess(VARIADIC $1::bytea[])

-- name: append_refusal
-- Note a log-in, an unlocking or a proof that was refused.
SELECT staff.append_refusal($1, $2, $3, $4, $5, $6)

-- name: append_forbidden
-- Note a page that was refused: it is for those who have the right $4, at the clinic $5, if it is one of a clinic.
SELECT staff.append_forbidden($1, $2, $3, $4, $5)

-- name: use_code
-- Use up the code of a time step.
SELECT staff.use_code($1, $2, $3)

-- name: change_password
-- Change the password; other sessions end.
SELECT staff.change_password($1, $2, $3, $4)

-- name: set_app
-- Set up an app for codes, or take it away.
SELECT staff.set_app($1, $2, $3, $4)

-- name: passkeys
-- The passkeys of who is logged in.
SELECT passkey_id, agent, created_at, used_at FROM staff.own_passkeys($1)

-- name: credentials
-- The ids of somebody's passkeys, for their browser.
SELECT staff.credentials_of($1)

-- name: passkey
-- A passkey, and whose it is.
SELECT staff_id, log_on, public_key, sign_count, version, now_at FROM staff.passkey_of($1)

-- name: add_passkey
-- Add a passkey.
SELECT staff.add_passkey($1, $2, $3, $4, $5, $6)

-- name: remove_passkey
-- Remove a passkey.
SELECT staff.remove_passkey($1, $2, $3)

-- name: use_passkey
-- Note a passkey's use; false where its challenge was answered before.
SELECT staff.use_passkey($1, $2, $3, $4)

-- name: begin_session
-- Begin a session in the place of the one that was open in the browser.
SELECT session_id FROM staff.begin_session($1, $2, $3, $4, $5, $6, $7, $8)

-- name: use_session
-- Whose session a token is, and what they may do where.
SELECT * FROM staff.use_session($1, $2)

-- name: prove_session
-- Note that password or passkey was given again.
SELECT staff.prove_session($1, $2, $3, $4, $5)

-- name: lock_session
-- Lock the screen.
SELECT staff.lock_session($1, $2)

-- name: end_session
-- End the session that makes the request.
SELECT staff.end_session($1, $2, $3)

-- name: end_other
-- Log out another device.
SELECT staff.end_other($1, $2, $3)

-- name: end_sessions
-- Log out everywhere.
SELECT staff.end_sessions($1, $2)

-- name: sessions
-- The live sessions of who is logged in; is_this marks the one that makes the request.
SELECT session_id, agent, created_at, seen_at, is_this FROM staff.own_sessions($1)

-- name: chain_audit
-- Add a link to the chain of the audit, if there is anything for it.
SELECT staff.chain_audit()

-- name: append_command
-- Note what a command of the operator's did.
SELECT staff.append_command($1, false, $2, $3, $4)

-- name: verify_audit
-- Look through the chain of the audit, and read the hash of a link.
SELECT * FROM staff.verify_audit($1)

-- name: breaches
-- The breaches, as they stand.
SELECT *, extract(epoch FROM report_due_at - public.app_now())::double precision AS seconds_left FROM staff.breaches()
