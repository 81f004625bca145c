-- name: pay_at_the_clinic
-- So that patients book without a bank.
UPDATE directory.provider_clinic SET funding = 'clinic'

-- name: without_triggers
-- For the load only: the trigger that adds a holder knows neither year of birth nor sex.
SET LOCAL session_replication_role = replica

-- name: name_patients
-- Of the patients who book, from $1 and $2, given and family names; with a phone each.
UPDATE accounts.patient SET
    name = ($1::text[])[1 + patient_id * 7 % cardinality($1::text[])] || ' ' || ($2::text[])[1 + patient_id / 3 % cardinality($2::text[])],
    phone = '+919' || lpad(patient_id::text, 9, '0')

-- name: put_households
-- Accounts numbered from $1 to $2, each with a phone and with a holder; every third has a second person, every sixth a third. Given and family
-- names are from $3 and $4.
WITH household AS (
    SELECT n, ($4::text[])[1 + n / 3 % cardinality($4::text[])] AS family FROM generate_series($1::bigint, $2::bigint) AS n
), patient AS (
    INSERT INTO accounts.patient (patient_id, name, phone) OVERRIDING SYSTEM VALUE
    SELECT n, ($3::text[])[1 + n * 7 % cardinality($3::text[])] || ' ' || family, '+919' || lpad(n::text, 9, '0') FROM household
)
INSERT INTO accounts.person (patient_id, name, is_holder, birth_year, sex)
SELECT n, ($3::text[])[1 + (n * 7 + place * 11) % cardinality($3::text[])] || ' ' || family, place = 0,
    1940 + (n * 13 + place * 29) % 84, ('{female,male,other}'::accounts.sex[])[1 + (n + place) % 2]
FROM household, generate_series(0, CASE n % 6 WHEN 0 THEN 2 WHEN 3 THEN 1 ELSE 0 END) AS place

-- name: put_known
-- Every person is known to a clinic: of 20 accounts one to clinic 1, the others to fifty clinics more, which share its index.
WITH spelt AS MATERIALIZED (
    SELECT name, ts_delete(reception.lexemes(0, NULL, name), 'c0') AS words FROM (SELECT DISTINCT name FROM accounts.person) AS names
)
INSERT INTO reception.clinic_person (clinic_id, person_id, words, known_at)
SELECT clinic_id, person_id, words || array_to_tsvector(ARRAY['c' || clinic_id, 'p' || right(phone, 4)]), public.app_now()
FROM accounts.person JOIN accounts.patient USING (patient_id) JOIN spelt ON spelt.name = person.name
CROSS JOIN LATERAL (SELECT CASE WHEN patient_id % 20 = 7 THEN 1 ELSE 2 + patient_id % 50 END AS clinic_id) AS place

-- name: person_of
-- The holder of an account, with the number.
SELECT person_id, phone FROM accounts.person JOIN accounts.patient USING (patient_id) WHERE patient_id = $1 AND is_holder

-- name: put_desks
-- $1 members of the front desk of clinic 1, each logged in with a token that is $2 and their number.
WITH desk AS (
    INSERT INTO staff.account (log_on, name, created_at)
    SELECT 'desk-' || n, 'Desk ' || n, public.app_now() FROM generate_series(1, $1::integer) AS n
    RETURNING staff_id, version, split_part(log_on, '-', 2) AS n
), membership AS (
    INSERT INTO staff.membership (staff_id, clinic_id, role) SELECT staff_id, 1, 'desk' FROM desk
)
INSERT INTO staff.session (token_hash, staff_id, version, agent, created_at, seen_at, proven_at)
SELECT sha256(convert_to($2::text || n, 'UTF8')), staff_id, version, 'Bench', public.app_now(), public.app_now(), public.app_now() FROM desk

-- name: move_clock_to
-- Have the clock show an instant from now on.
INSERT INTO public.app_clock (clock_offset) VALUES ($1::timestamptz - public.app_now())
ON CONFLICT (only_row) DO UPDATE SET clock_offset = app_clock.clock_offset + excluded.clock_offset

-- name: tidy
-- As autovacuum does in time.
VACUUM ANALYZE

-- name: record
-- What a desk records of an appointment, before anything is measured.
SELECT code FROM reception.record($1, $2, 1, $3::reception.act, 'staff:1')

-- name: sheet_rows
-- How many appointments and holds a day's sheet of clinic 1 has.
SELECT count(*) FROM booking.booking WHERE clinic_id = 1 AND occupies AND during && tstzrange($1, $2)
