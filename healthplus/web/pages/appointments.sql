-- name: ahead
-- A patient's appointments ahead, or under way, the next first. `other_name`: of the patient, where it is another than the holder of the account.
SELECT
    provider_id, booking_id, clinic_id, lower(during) AS starts_at, service_ids, booking.state::text AS state, needs_rebooking, false AS over,
    CASE WHEN NOT EXISTS (SELECT FROM accounts.person WHERE person.person_id = booking.person_id AND is_holder) THEN patient_name END AS other_name,
    provider.name AS provider, provider.type::text AS type, hash AS photo, clinic.name AS clinic, time_zone,
    fee_minor, coalesce(money.currency, clinic.currency) AS currency, funding::text AS funding, money.money, money.amount_minor,
    money.kept_minor, money.returned_minor, money.taken_at, money.returned_at, money.twice_minor, money.is_twice_returned
FROM public.app_now() AS now_at, booking.booking
JOIN directory.provider USING (provider_id)
LEFT JOIN directory.provider_photo USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
LEFT JOIN LATERAL ledger.money_of(booking.provider_id, booking.booking_id) AS money ON true
WHERE patient_id = $1 AND booking.state IN ('booked', 'arrived') AND reception.waited_for_until(booking, now_at) > now_at
ORDER BY during

-- name: past
-- A patient's appointments that are over or were cancelled, the latest first: $2 of them, from the ($3 + 1)th.
SELECT
    provider_id, booking_id, clinic_id, lower(during) AS starts_at, service_ids, booking.state::text AS state, needs_rebooking, true AS over,
    CASE WHEN NOT EXISTS (SELECT FROM accounts.person WHERE person.person_id = booking.person_id AND is_holder) THEN patient_name END AS other_name,
    provider.name AS provider, provider.type::text AS type, hash AS photo, clinic.name AS clinic, time_zone,
    fee_minor, coalesce(money.currency, clinic.currency) AS currency, funding::text AS funding, money.money, money.amount_minor,
    money.kept_minor, money.returned_minor, money.taken_at, money.returned_at, money.twice_minor, money.is_twice_returned
FROM public.app_now() AS now_at, booking.booking
JOIN directory.provider USING (provider_id)
LEFT JOIN directory.provider_photo USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
LEFT JOIN LATERAL ledger.money_of(booking.provider_id, booking.booking_id) AS money ON true
WHERE patient_id = $1 AND (
    booking.state IN ('cancelled', 'fulfilled', 'no_show')
    OR (booking.state IN ('booked', 'arrived') AND reception.waited_for_until(booking, now_at) <= now_at))
ORDER BY during DESC, booking_id
LIMIT $2 OFFSET $3

-- name: lost
-- What a patient held or was offered in the last day and did not take in time, or has set money aside for in the last month, the
-- latest first, and whether it is not known yet if the bank took money. Not those whose money was used for a booking after all, nor
-- times that the patient has by another try.
SELECT
    provider_id, booking_id, ticket_id, offer, lower(during) AS starts_at,
    provider.name AS provider, clinic.name AS clinic, time_zone, money.is_unanswered, paid.money
FROM public.app_now() AS now_at, booking.booking
JOIN directory.provider USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(booking_id <> hold_id), false) AS was_booked, max(at) AS at,
        EXISTS (SELECT FROM payments.unanswered(ARRAY[booking.provider_id], ARRAY[booking.booking_id])) AS is_unanswered
    FROM ledger.payment
    WHERE payment.provider_id = booking.provider_id AND payment.hold_id = booking.booking_id) AS money
LEFT JOIN LATERAL ledger.money_of(booking.provider_id, booking.booking_id) AS paid ON true
WHERE patient_id = $1 AND NOT money.was_booked
    AND booking.state_at(booking, now_at) IN ('expired', 'released')
    AND ((booking.state <> 'released' AND deadline > now_at - interval '1 day') OR money.at > now_at - interval '30 days' OR money.is_unanswered)
    AND (NOT offer OR EXISTS (  -- an offer that was not seen, after which the ticket still waits, is not lost
        SELECT FROM booking.ticket
        WHERE ticket.provider_id = booking.provider_id AND ticket.ticket_id = booking.ticket_id
            AND ticket.offer_id = booking.booking_id AND ticket.state = 'lapsed'))
    AND (money.at IS NOT NULL OR money.is_unanswered OR NOT EXISTS (  -- the patient tried again, and has it
        SELECT FROM booking.booking AS again
        WHERE again.patient_id = $1 AND again.provider_id = booking.provider_id AND again.booking_id <> booking.booking_id
            AND again.during && booking.during AND again.occupies))
ORDER BY deadline DESC
LIMIT 5

-- name: appointment
-- A patient's own appointment, with all that its pages show. `changes`: how often it was changed after it was made; `moved_from`: when it
-- was before it was last moved.
SELECT
    booking.provider_id, booking.booking_id, clinic_id, lower(during) AS starts_at,
    booking.visit_end(during, service_ids) AS ends_at, slots_needed, service_ids,
    booking.state::text AS state, needs_rebooking, fee_minor, coalesce(money.currency, clinic.currency) AS currency,
    funding::text AS funding,
    lower(during) <= now_at AS begun, reception.waited_for_until(booking, now_at) <= now_at AS over,
    patient_name, booking.reason_of(booking.provider_id, booking.booking_id) AS reason,
    (SELECT person.name FROM accounts.person WHERE person.patient_id = booking.patient_id AND is_holder) AS payer,
    provider.name AS provider, provider.type::text AS type, hash AS photo, max_booking_days,
    ARRAY (
        SELECT speciality.name
        FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
        WHERE provider_speciality.provider_id = booking.provider_id ORDER BY speciality.name) AS specialities,
    clinic.name AS clinic, clinic.gstin, clinic.phone AS clinic_phone, clinic.latitude, clinic.longitude, time_zone,
    -- many addresses have city and postal code in them
    concat_ws(', ', clinic.name, nullif(address, ''),
        CASE WHEN strpos(address, city.name) = 0 THEN city.name END,
        CASE WHEN strpos(address, postal_code) = 0 THEN postal_code END) AS address,
    called.token, called.session_id,
    (SELECT number FROM booking.ticket
        WHERE ticket.provider_id = booking.provider_id AND ticket.ticket_id = booking.ticket_id) AS ticket_number,
    rating.stars, review.text AS review, CASE WHEN review.text IS NOT NULL THEN review.state::text END AS review_state,
    (
        SELECT said_at FROM notices.coming
        WHERE coming.provider_id = booking.provider_id AND coming.booking_id = booking.booking_id
            AND coming.starts_at = lower(during)) AS coming_at,
    -- who has just booked or moved it need not be asked whether they come; whoever was reminded of it is
    coalesce(changed.at, booking.created_at) > now_at - interval '12 hours' AS is_just_chosen,
    coalesce(changed.at, booking.created_at) + interval '12 hours' AS earlier_asked_from,
    lower(during) < now_at + interval '2 days' AND (
        coalesce(changed.at, booking.created_at) <= now_at - interval '12 hours' OR EXISTS (
            SELECT FROM notices.reminder
            WHERE reminder.provider_id = booking.provider_id AND reminder.booking_id = booking.booking_id
                AND reminder.starts_at = lower(during))) AS is_to_be_asked,
    CASE WHEN booking.state = 'no_show' THEN booking.online_only_until(person_id, clinic_id, now_at) END AS online_only_until,
    changed.changes, coalesce(changed.at, booking.created_at) AS changed_at, changed.moved_from,
    EXISTS (
        SELECT FROM receipts.document
        WHERE document.provider_id = booking.provider_id AND document.booking_id = booking.booking_id) AS has_receipt,
    money.amount_minor, money.money, money.kept_minor, money.returned_minor, money.hold_id, money.authorisation, money.taken_at,
    money.returned_at, money.twice_minor, money.is_twice_returned,
    till.paid_minor(booking.provider_id, booking.booking_id) AS desk_paid_minor, till.owed_minor(booking) AS owed_minor,
    payments.may_request_online(booking) AS is_payable_online,
    notices.pay_link_at(booking.provider_id, booking.booking_id) IS NOT NULL AS is_asked_to_pay,
    coalesce(requested.account, payments.account_of(clinic_id)) AS account, requested.order_name IS NOT NULL AS is_at_gateway,
    -- where to pay by UPI, once the desk has sent that
    CASE WHEN clinic.currency = 'INR' AND notices.pay_link_at(booking.provider_id, booking.booking_id) IS NOT NULL THEN clinic.upi_id END AS upi_id
FROM public.app_now() AS now_at, booking.booking
JOIN directory.provider USING (provider_id)
LEFT JOIN directory.provider_photo USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
LEFT JOIN reviews.rating USING (provider_id, patient_id)
LEFT JOIN reviews.review USING (provider_id, patient_id)
LEFT JOIN LATERAL (
    SELECT reception.token_label(letter, token) AS token, session_id
    FROM reception.attendance JOIN reception.session USING (provider_id, session_id)
    WHERE attendance.provider_id = booking.provider_id AND attendance.booking_id = booking.booking_id) AS called ON true
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS changes, max(at) AS at,
        booking.moved_from((array_agg(reason ORDER BY seq DESC) FILTER (WHERE kind = 'moved'))[1]) AS moved_from
    FROM booking.event_log
    WHERE event_log.provider_id = booking.provider_id AND event_log.booking_id = booking.booking_id
        AND kind IN ('moved', 'needs_rebooking', 'stands', 'cancelled', 'moved_back', 'uncancelled')) AS changed
LEFT JOIN LATERAL ledger.money_of(booking.provider_id, booking.booking_id) AS money ON true
LEFT JOIN LATERAL (
    SELECT account, order_name FROM payments.intent
    WHERE intent.provider_id = booking.provider_id AND hold_id = booking.booking_id) AS requested ON true
WHERE booking.provider_id = $1 AND booking.booking_id = $2 AND booking.patient_id = $3
    AND booking.state IN ('booked', 'cancelled', 'arrived', 'fulfilled', 'no_show')

-- name: terms_online
-- What cancelling a patient's own appointment costs, now and later, once its fee is paid online.
SELECT lower(during) AS starts_at, terms.*
FROM public.app_now() AS now_at, booking.booking,
    booking.shown_terms(jsonb_populate_record(booking, '{"funding": "online"}'), now_at) AS terms
WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3

-- name: desk_payments
-- What was paid for an appointment at the clinic's desk, and given back there; not what was recorded by mistake.
SELECT kind::text AS kind, method::text AS method, amount_minor, paid_at, reference, (
    SELECT receipts.number_text(document.kind, document.clinic_id, financial_year, number) FROM receipts.document
    WHERE document.provider_id = $1 AND source_id = payment.payment_id AND source_kind = 'desk' AND document.kind = 'receipt') AS number
FROM till.payment
WHERE provider_id = $1 AND booking_id = $2 AND kind <> 'undo' AND NOT EXISTS (
    SELECT FROM till.payment AS undone
    WHERE undone.provider_id = $1 AND undone.booking_id = $2 AND undone.of_id = payment.payment_id AND undone.kind = 'undo')
ORDER BY paid_at, kind

-- name: free_starts
-- When an appointment could start instead, from $3 and before $4, as booking.reschedule would have it: its own time is
-- not in its way.
SELECT DISTINCT run.starts_at
FROM public.app_now() AS now_at, booking.booking, booking.obtainable_runs(
    provider_id, booking.clinic_id, $3, $4::timestamptz + interval '1 day',
    booking.need_of(slots_needed, provider_id, service_ids), now_at, p_except => booking_id) AS run
WHERE provider_id = $1 AND booking_id = $2 AND run.starts_at < $4 AND run.starts_at <> lower(during)
ORDER BY run.starts_at

-- name: next_free_start
-- The first of these starts from an instant on; looked for week by week, since it is nearly always found in the first.
SELECT first.starts_at
FROM public.app_now() AS now_at, booking.booking
JOIN directory.provider USING (provider_id)
CROSS JOIN generate_series(0, max_booking_days / 7 + 1) AS week
CROSS JOIN LATERAL (
    SELECT min(run.starts_at) AS starts_at
    FROM booking.obtainable_runs(
        provider_id, booking.clinic_id, $3::timestamptz + week * interval '7 days', $3 + (week + 1) * interval '7 days' + interval '1 day',
        booking.need_of(slots_needed, provider_id, service_ids), now_at, p_except => booking_id) AS run
    WHERE run.starts_at <> lower(during)) AS first
WHERE provider_id = $1 AND booking_id = $2 AND first.starts_at IS NOT NULL
LIMIT 1 -- noqa: AM09

-- name: money_steps
-- The money of an appointment, step by step.
SELECT payments.money_steps($1, $2)
