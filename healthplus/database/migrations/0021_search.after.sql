-- A database from before there were scarce days has none noted for what is booked there.
SELECT count(booking.refresh_scarce_days(provider_id, public.app_now(), p_everything => true)::text)
FROM booking.book
WHERE NOT EXISTS (SELECT FROM booking.scarce_day)
    AND (EXISTS (SELECT FROM booking.booking WHERE booking.provider_id = book.provider_id AND occupies AND upper(during) > now())
        OR EXISTS (SELECT FROM schedule.leave WHERE leave.provider_id = book.provider_id));

-- One from before there were listings has none of these, or has them from functions that have changed since.
CALL search.refresh_all();
