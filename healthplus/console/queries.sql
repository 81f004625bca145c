-- name: clinic_accounts
-- The people of a clinic.
SELECT * FROM console.clinic_accounts($1, $2, $3)

-- name: remove_from_desk
-- Take the front desk of a clinic from somebody.
SELECT console.remove_from_desk($1, $2, $3, $4)
