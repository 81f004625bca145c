-- name: put_patients
-- New patients, each with the token $2 and their number.
WITH made AS (
    INSERT INTO accounts.patient (name) SELECT 'Patient ' || n FROM generate_series(1, $1::bigint) AS n RETURNING patient_id
), signed_in AS (
    INSERT INTO accounts.session (token_hash, patient_id)
    SELECT sha256(convert_to($2::text || patient_id, 'UTF8')), patient_id FROM made
)
SELECT patient_id FROM made

-- name: providers
-- Providers of each city in turn, with a clinic where they can be booked and what they do; without laboratories, of which one chooses tests
-- first.
SELECT provider_id, min(provider.name) AS name, min(clinic_id) AS clinic_id, min(city.slug) AS city, min(speciality.slug) AS need
FROM directory.provider_clinic
JOIN directory.provider USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
JOIN directory.provider_speciality USING (provider_id)
JOIN directory.speciality USING (speciality_id)
WHERE type <> 'lab'
GROUP BY provider_id
ORDER BY provider_id
