-- name: clinic_phone
-- The number of a clinic where a patient wants to see a provider.
SELECT clinic.phone FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) WHERE provider_id = $1 AND clinic_id = $2
