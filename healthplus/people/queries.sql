-- name: add_patient
-- A new patient, unless the number is taken: an error would put it into the database's log.
INSERT INTO people.patient (name, phone) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING patient_id

-- name: add_token
-- A token that lets a patient in, as its SHA-256.
INSERT INTO people.patient_token (token_hash, patient_id) VALUES ($1, $2)

-- name: patient_of_token
-- Whose token this is, unless it was revoked.
SELECT patient_id FROM people.patient_token WHERE token_hash = $1 AND revoked_at IS NULL
