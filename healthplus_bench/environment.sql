-- name: put_city
-- The one place where all of it happens.
INSERT INTO directory.city (city_id, slug, name) OVERRIDING SYSTEM VALUE VALUES (1, 'bench', 'Bench')

-- name: put_clinics
-- Ten providers share a clinic.
INSERT INTO directory.clinic (clinic_id, identifier, city_id, name) OVERRIDING SYSTEM VALUE
SELECT n, 'bench:clinic-' || n, 1, 'Clinic ' || n FROM generate_series(1, ($1::bigint + 9) / 10) AS n

-- name: put_providers
-- Doctors numbered from 1.
INSERT INTO directory.provider (provider_id, identifier, type, name) OVERRIDING SYSTEM VALUE
SELECT n, 'bench:doctor-' || n, 'doctor', 'Dr ' || n FROM generate_series(1, $1::bigint) AS n

-- name: put_posts
-- All visits are paid for online: the longest way to a booking.
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
SELECT n, (n + 9) / 10, 50000, 'online' FROM generate_series(1, $1::bigint) AS n

-- name: put_books
-- Opened, as an import does it.
INSERT INTO booking.book (provider_id) SELECT n FROM generate_series(1, $1::bigint) AS n

-- name: put_shifts
-- Every day, two shifts of 36 slots of five minutes.
INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
SELECT n, (n + 9) / 10, weekday, starts, starts + interval '3 hours', 5
FROM generate_series(1, $1::bigint) AS n, generate_series(1, 7) AS weekday, unnest('{09:00,16:00}'::time[]) AS starts

-- name: put_patients
-- Numbered from 1.
INSERT INTO accounts.patient (patient_id, name) OVERRIDING SYSTEM VALUE
SELECT n, 'Patient ' || n FROM generate_series(1, $1::bigint) AS n

-- name: put_tokens
-- A patient's token is $2 and their number.
INSERT INTO accounts.session (token_hash, patient_id)
SELECT sha256(convert_to($2::text || n, 'UTF8')), n FROM generate_series(1, $1::bigint) AS n

-- name: put_developer_key
-- One key ($1), for bookings, with quotas that no bench uses up.
INSERT INTO accounts.developer_key (name, key_hash, scopes, per_minute, per_day, created_at)
VALUES ('Bench', sha256(convert_to($1, 'UTF8')), '{book}', 1000000000, 1000000000, (SELECT public.app_now()))

-- name: analyze
-- So that the first plans are as good as later ones.
VACUUM ANALYZE

-- name: first_shift
-- When the first shift starts tomorrow.
SELECT ((public.app_now() AT TIME ZONE time_zone)::date + 1 + time '09:00') AT TIME ZONE time_zone
FROM directory.city WHERE city_id = 1

-- name: wal_flushes
-- How often a session that commits has waited for the disc: never, where commits are not durable.
SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal' AND backend_type = 'client backend'

-- name: session_settings
-- What the product's own sessions set when they start.
SELECT name, setting FROM pg_settings WHERE source = 'client' AND name <> 'client_encoding'

-- name: unconfirmed
-- How many holds for providers $1 to $2 were not booked.
SELECT count(*) FROM booking.booking WHERE provider_id BETWEEN $1 AND $2 AND state <> 'booked'

-- name: patients_with_bookings
-- How many of patients $1 to $2 have bookings, and the most that one of them has.
SELECT count(*) AS patients, coalesce(max(bookings), 0) AS most
FROM (
    SELECT count(*) AS bookings FROM booking.booking WHERE patient_id BETWEEN $1 AND $2 AND state = 'booked' GROUP BY patient_id
) AS patient

-- name: live_tickets
-- How many of a provider's tickets are still to be decided.
SELECT count(*) FROM booking.ticket WHERE provider_id = $1 AND state IN ('waiting', 'offered', 'called')

-- name: ticket_states
-- What has become of a provider's tickets.
SELECT state::text, count(*) FROM booking.ticket WHERE provider_id = $1 GROUP BY state

-- name: keep_one_shift
-- Leaves tomorrow's first shift as all that can be booked.
WITH provider AS (
    UPDATE directory.provider SET max_booking_days = 1
)
DELETE FROM schedule.shift
WHERE starts <> '09:00' OR weekday <> (
    SELECT extract(isodow FROM $1::timestamptz AT TIME ZONE time_zone) FROM directory.city WHERE city_id = 1)

-- name: sessions
-- The app's sessions at the database, besides the one that asks.
SELECT pid, state, coalesce(xact_start, state_change) AS since FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'healthplus%'
