-- name: doctors_with_full_days
-- Doctors most of whose times of a day soon are taken, those with the fewest left likely first.
SELECT provider_id FROM (
    SELECT provider_id, clinic_id, lower(during)::date AS day, count(*) AS bookings
    FROM booking.booking JOIN directory.provider USING (provider_id)
    WHERE booking.state IN ('reserved', 'booked') AND provider.type = 'doctor'
        AND lower(during) BETWEEN $1 AND $1::timestamptz + interval '4 days'
    GROUP BY provider_id, clinic_id, day) AS taken
GROUP BY provider_id ORDER BY max(bookings) DESC, provider_id LIMIT 30
