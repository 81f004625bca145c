-- name: versions
-- The versions of these books, and the minute: as one begins, slots go out of reach.
SELECT provider_id, version, date_trunc('minute', now_at) AS minute
FROM public.app_now() AS now_at, booking.book WHERE provider_id = ANY ($1::bigint[])
