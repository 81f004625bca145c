-- name: seen_before
-- With whom patient $1 had an appointment that is over, each once, the latest first: at most $2 who can be booked there still.
-- `other_name`: of the patient, where it is another than the holder of the account.
SELECT * FROM (
    SELECT DISTINCT ON (booking.provider_id, booking.clinic_id)
        booking.provider_id, booking.clinic_id, lower(during) AS starts_at, provider.name, provider.type::text AS type, hash AS photo,
        CASE WHEN NOT EXISTS (SELECT FROM accounts.person WHERE person.person_id = booking.person_id AND is_holder) THEN patient_name END AS other_name,
        clinic.name AS clinic, time_zone
    FROM public.app_now() AS now_at, booking.booking
    JOIN directory.provider_clinic USING (provider_id, clinic_id)
    JOIN directory.provider USING (provider_id)
    LEFT JOIN directory.provider_photo USING (provider_id)
    JOIN directory.clinic USING (clinic_id)
    JOIN directory.city USING (city_id)
    WHERE patient_id = $1 AND provider_clinic.closed_since IS NULL
        AND (booking.state = 'fulfilled' OR (booking.state IN ('booked', 'arrived') AND booking.visit_end(during, service_ids) <= now_at))
    ORDER BY booking.provider_id, booking.clinic_id, during DESC
) AS seen
ORDER BY starts_at DESC
LIMIT $2
