-- name: clinic
-- What the office's pages say of a clinic: the directory's, which everybody may read.
SELECT clinic_id, clinic.name, clinic.closed_since AS closed_at, currency, time_zone
FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = $1
