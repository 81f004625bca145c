-- name: practice_location
-- A provider at a clinic, as a chart shows it. `service_ids`: what can be booked there besides a visit of some slots. `slots_max`: the
-- most slots in a row that can be booked there; `slot_minutes`: the length of one, NULL where they differ.
SELECT
    provider.name AS provider, provider_id, clinic_id, provider.type::text AS type, max_booking_days,
    search.specialities(provider_id) AS specialities, directory.rating_mean(rating_total, rating_count) AS rating, rating_count,
    (extract(year FROM public.app_now()) - practising_since)::integer AS experience_years, qualifications, languages, hash AS photo,
    clinic.name AS clinic, clinic.address, clinic.latitude, clinic.longitude, coalesce(clinic.phone, provider.phone) AS phone,
    city.name AS city, city.slug AS city_slug, time_zone,
    fee_minor, clinic.currency, funding::text AS funding,
    (SELECT count(*) FROM directory.provider_clinic AS other
     WHERE other.provider_id = $1 AND other.clinic_id <> $2)::integer AS other_clinics,
    coalesce(shift.slots_max, 1) AS slots_max, shift.slot_minutes,
    ARRAY(SELECT service_id FROM directory.offered_services($1, $2)) AS service_ids
FROM directory.provider_clinic
JOIN directory.provider USING (provider_id)
LEFT JOIN directory.provider_photo USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
CROSS JOIN LATERAL (
    SELECT max(slots_max)::integer AS slots_max,
        CASE WHEN min(slot_minutes) = max(slot_minutes) THEN min(slot_minutes)::integer END AS slot_minutes
    FROM schedule.shift
    WHERE shift.provider_id = $1 AND shift.clinic_id = $2
        AND valid && daterange((public.app_now() AT TIME ZONE time_zone)::date, NULL)
) AS shift
WHERE provider_id = $1 AND clinic_id = $2

-- name: opening_times
-- The opening times of a clinic in the zone $2, in a usual week.
SELECT search.clinic_hours($1, (public.app_now() AT TIME ZONE $2)::date)

-- name: own_times
-- A patient's own holds and appointments with a provider, from $3 until $4.
SELECT lower(during) AS starts_at, booking.visit_end(during, service_ids) AS ends_at
FROM public.app_now() AS now_at, booking.booking
WHERE provider_id = $1 AND patient_id = $2 AND occupies AND during && tstzrange($3, $4)
    AND NOT booking.is_due(booking, now_at)

-- name: is_on_leave
-- Whether a provider's leave falls between $3 and $4.
SELECT EXISTS (
    SELECT FROM schedule.leave
    WHERE provider_id = $1 AND during && tstzrange($3, $4) AND (clinic_id IS NULL OR clinic_id = $2))

-- name: away_until
-- Of the clinics $2, those from which a provider is away at $3, and until when; leaves that follow on one another are one.
SELECT clinic_id, upper(stretch) AS until
FROM unnest($2::bigint[]) AS asked(clinic_id)
CROSS JOIN LATERAL (
    SELECT range_agg(during) AS stretches FROM schedule.leave
    WHERE provider_id = $1 AND upper(during) > $3 AND (leave.clinic_id IS NULL OR leave.clinic_id = asked.clinic_id)
) AS away
CROSS JOIN LATERAL unnest(stretches) AS stretch
WHERE stretch @> $3::timestamptz

-- name: hold
-- A patient's own hold, or what has become of it, as its page shows it. One past its deadline is expired, whatever its row says.
SELECT
    booking_id, provider_id, clinic_id, lower(during) AS starts_at, booking.visit_end(during, service_ids) AS ends_at, slots_needed,
    service_ids, patient_id, fee_minor, coalesce(money.currency, clinic.currency) AS currency,
    money.money, money.amount_minor, money.kept_minor, money.returned_minor, money.taken_at, money.returned_at,
    money.twice_minor, money.is_twice_returned,
    EXISTS (
        SELECT FROM receipts.document
        WHERE document.provider_id = booking.provider_id AND document.booking_id = booking.booking_id) AS has_receipt,
    funding::text AS funding, offer, ticket_id,
    (SELECT number FROM booking.ticket
        WHERE ticket.provider_id = booking.provider_id AND ticket.ticket_id = booking.ticket_id) AS ticket_number,
    person_id, patient_name, deadline,
    coalesce(requested.account, payments.account_of(booking.clinic_id)) AS account, requested.order_name IS NOT NULL AS is_at_gateway,
    CASE WHEN funding = 'online' THEN (  -- where others pay at the clinic
        SELECT booking.online_only_until(person_id, booking.clinic_id, now_at)
        FROM booking.price_of(provider_id, booking.clinic_id, service_ids) AS price WHERE price.funding = 'clinic') END AS online_only_until,
    booking.reason_of(booking.provider_id, booking.booking_id) AS reason,
    instead_of_provider_id, instead_of_id,
    booking.state_at(booking, now_at)::text AS state,
    provider.name AS provider, provider.type::text AS type, hash AS photo, clinic.name AS clinic, clinic.address,
    clinic.latitude, clinic.longitude,
    city.name AS city, time_zone
FROM public.app_now() AS now_at, booking.booking
JOIN directory.provider USING (provider_id)
LEFT JOIN directory.provider_photo USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
LEFT JOIN LATERAL ledger.money_of(booking.provider_id, booking.booking_id) AS money ON true
LEFT JOIN LATERAL (
    SELECT account, order_name FROM payments.intent
    WHERE intent.provider_id = booking.provider_id AND hold_id = booking_id) AS requested ON true
WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3

-- name: in_the_way
-- A patient's own booking that is in the way of another, as pages name it.
SELECT booking.provider_id, booking_id, lower(during) AS starts_at, person_id, patient_name, provider.name AS provider,
    clinic.name AS clinic, time_zone
FROM booking.booking
JOIN directory.provider USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE booking.provider_id = $1 AND booking_id = $2 AND patient_id = $3

-- name: replaced
-- A patient's own visit that another one replaces: it is cancelled, or can still be. One that has begun stays, and is not found.
SELECT lower(during) AS starts_at, booking.state::text AS state, provider.name AS provider, clinic.currency, time_zone
FROM public.app_now() AS now_at, booking.booking
JOIN directory.provider USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3
    AND (booking.state = 'cancelled' OR (booking.state = 'booked' AND lower(during) > now_at))

-- name: was_withdrawn
-- Whether a change of schedule released a hold. From the latest event on, as it is asked soon after.
SELECT coalesce(reason, '') IN ('shift_changed', 'leave_changed') FROM booking.event_log
WHERE provider_id = $1 AND booking_id = $2 AND kind = 'released' ORDER BY seq DESC LIMIT 1

-- name: hold_state
-- What has become of a hold.
SELECT booking.state_at(booking, now_at)::text AS state
FROM public.app_now() AS now_at, booking.booking
WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3
