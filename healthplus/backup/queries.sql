-- name: take_turn
-- Become the one process that follows the server, or stay it, for as long as this session lasts.
SELECT pg_try_advisory_lock(18, 5)

-- name: note_wal
-- Note that all that was committed so many seconds ago is in the back-up.
INSERT INTO backup.progress AS known (wal_at) VALUES (public.app_now() - make_interval(secs => $1))
ON CONFLICT (only_row) DO UPDATE SET wal_at = excluded.wal_at

-- name: note_full
-- Note that a full back-up was made, and verified, so many seconds ago.
INSERT INTO backup.progress AS known (full_at) VALUES (public.app_now() - make_interval(secs => $1))
ON CONFLICT (only_row) DO UPDATE SET full_at = excluded.full_at

-- name: note_rehearsal
-- Store what a rehearsal has found that began so many seconds ago.
INSERT INTO backup.restore_rehearsal (at, restored_to, rpo_seconds, rto_seconds, check_seconds, problem)
VALUES (public.app_now() - make_interval(secs => $1), $2, $3, $4, $5, $6)

-- name: had_full
-- Whether there was ever a full back-up.
SELECT EXISTS (SELECT FROM backup.progress WHERE full_at IS NOT NULL)

-- name: rehearsed_at
-- When the last rehearsal began.
SELECT max(at) FROM backup.restore_rehearsal

-- name: state
-- How many seconds ago the newest of each kind was, and what the last rehearsal found.
SELECT extract(epoch FROM now_at - full_at)::float8 AS full_age_seconds,
    extract(epoch FROM now_at - wal_at)::float8 AS wal_age_seconds,
    extract(epoch FROM now_at - (
        SELECT max(proof.at) FROM backup.restore_rehearsal AS proof WHERE proof.problem IS NULL))::float8 AS proven_age_seconds,
    extract(epoch FROM now_at - last.at)::float8 AS rehearsed_age_seconds,
    last.rpo_seconds, last.rto_seconds, last.problem
FROM (SELECT public.app_now() AS now_at) AS clock
LEFT JOIN backup.progress ON true
LEFT JOIN LATERAL (SELECT * FROM backup.restore_rehearsal ORDER BY rehearsal_id DESC LIMIT 1) AS last ON true
