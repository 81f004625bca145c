-- name: doctors
-- A doctor at each of the first $1 clinics where visits are paid for online.
SELECT clinic_id, clinic.name AS clinic, min(provider_id) AS provider_id
FROM directory.provider_clinic JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
WHERE provider.type = 'doctor' AND funding = 'online' AND fee_minor > 0
GROUP BY clinic_id, clinic.name ORDER BY clinic_id LIMIT $1
