-- name: days
-- For each day from $3 until $4 that has slots at which $5 slots in a row, or the services $7, may begin: how many of them are free.
-- $6: the clinic's time zone.
SELECT day, coalesce(free, 0)::integer AS free
FROM (
    SELECT DISTINCT (starts_at AT TIME ZONE $6)::date AS day
    FROM public.app_now() AS now_at, booking.need_of($5, $1, $7) AS need,
        schedule.slots($1, $2, $3, $4, now_at, (need).starts_every, (need).weekdays)
) AS open
LEFT JOIN (
    SELECT (starts_at AT TIME ZONE $6)::date AS day, count(DISTINCT starts_at) AS free
    FROM public.app_now() AS now_at, booking.obtainable_runs($1, $2, $3, $4, booking.need_of($5, $1, $7), now_at)
    GROUP BY 1
) AS counted USING (day)
