-- name: add_account
-- A new account at a gateway; NULL where there is one of that name. Where it is to be the default, none is so far.
INSERT INTO payments.account (account, gateway, owner, is_default, captures_at_once, lets_lapse)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account) DO NOTHING RETURNING account

-- name: end_default
-- The account that was that of clinics without their own, and is so no longer.
UPDATE payments.account SET is_default = false WHERE is_default RETURNING account

-- name: listed
-- The accounts at gateways, each with the clinics that take their money with it.
SELECT account.account, gateway, owner, is_default, captures_at_once, lets_lapse, count(clinic_id)::integer AS clinics,
    array_agg(clinic.name ORDER BY clinic_id) FILTER (WHERE clinic_id IS NOT NULL) AS names
FROM payments.account LEFT JOIN payments.clinic_account USING (account) LEFT JOIN directory.clinic USING (clinic_id)
GROUP BY account.account ORDER BY account.account

-- name: lock_account
-- An account's row, locked.
SELECT account FROM payments.account WHERE account = $1 FOR UPDATE

-- name: assign
-- Have a clinic take its money with an account from now on; what is under way stays where it is.
INSERT INTO payments.clinic_account (clinic_id, account) VALUES ($1, $2)
ON CONFLICT (clinic_id) DO UPDATE SET account = excluded.account

-- name: take_away
-- Have a clinic take its money with the default from now on; NULL where it did not use this account.
DELETE FROM payments.clinic_account WHERE clinic_id = $1 AND account = $2 RETURNING clinic_id

-- name: take_all_away
-- Have no clinic take its money with an account any more.
DELETE FROM payments.clinic_account WHERE account = $1

-- name: uses
-- How many clinics take their money with an account, and whether money was ever taken or asked for with it.
SELECT (SELECT count(*) FROM payments.clinic_account WHERE account = $1)::integer AS clinics,
    EXISTS (SELECT FROM payments.intent WHERE account = $1)
    OR EXISTS (SELECT FROM ledger.payment WHERE payments.account_named(authorisation) = $1) AS has_money

-- name: remove_account
-- Remove an account.
DELETE FROM payments.account WHERE account = $1

-- name: clinics_without
-- The clinics with something that is paid for online and no account for it: how many, and the names of some.
SELECT count(*)::integer AS clinics, (array_agg(name ORDER BY clinic_id))[:3] AS names
FROM directory.clinic
WHERE payments.account_of(clinic_id) = 'sandbox' AND (
    EXISTS (SELECT FROM directory.provider_clinic WHERE provider_clinic.clinic_id = clinic.clinic_id AND funding = 'online')
    OR EXISTS (SELECT FROM directory.service WHERE service.clinic_id = clinic.clinic_id AND funding = 'online' AND closed_at IS NULL))
