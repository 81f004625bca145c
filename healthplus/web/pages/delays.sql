-- name: leave_home
-- When an appointment is expected to begin, whose doctor runs late, and when its patient is to come; that they are told so is noted.
SELECT starts_at, expected_at, come_at, is_free FROM reception.leave_home($1, $2)

-- name: told_off
-- How far off it was what patients of a clinic were told in the last 30 days.
SELECT reception.told_off($1, public.app_now())
