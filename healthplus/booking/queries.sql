-- name: hold
-- Hold a run of slots for a patient.
SELECT * FROM booking.hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: refuse_holds
-- The refusals of holds that need no lock; an empty code where it takes the lock to tell.
SELECT (outcome).*, ordinal, failed_with FROM booking.refuse_holds($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: hold_lane
-- Hold for several patients, each at another provider.
SELECT (outcome).*, ordinal, failed_with FROM booking.hold_lane($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: hold_many
-- Hold for several patients at one provider.
SELECT (outcome).*, ordinal, failed_with FROM booking.hold_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: confirm
-- Book a hold, with the money set aside for it.
SELECT * FROM booking.confirm($1, $2, $3, $4, $5, $6, p_shown_at => $7)

-- name: confirm_lane
-- Book several holds, each at another provider.
SELECT (outcome).*, ordinal, failed_with FROM booking.confirm_lane($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: release
-- Give up a live hold.
SELECT * FROM booking.release($1, $2, $3, $4)

-- name: cancel
-- Cancel a booking.
SELECT * FROM booking.cancel($1, $2, $3, $4, $5)

-- name: reschedule
-- Move a hold or booking to another start.
SELECT * FROM booking.reschedule($1, $2, $3, $4, $5, $6)

-- name: choose_person
-- Note which person a live hold is for.
SELECT * FROM booking.choose_person($1, $2, $3, $4)

-- name: join_queue
-- Join the queue for what others hold.
SELECT * FROM booking.join_queue($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: join_lane
-- Join several queues, each at another provider.
SELECT (outcome).*, ordinal, failed_with FROM booking.join_lane($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: join_many
-- Have several patients join one queue.
SELECT (outcome).*, ordinal, failed_with FROM booking.join_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: accept
-- Take an offer, or another run instead of it.
SELECT * FROM booking.accept($1, $2, $3, $4, $5, $6)

-- name: answer
-- Answer a call.
SELECT * FROM booking.answer($1, $2, $3, $4)

-- name: leave_queue
-- Leave the queue.
SELECT * FROM booking.leave_queue($1, $2, $3, $4)

-- name: resume
-- Count as present again.
SELECT * FROM booking.resume($1, $2, $3)

-- name: advance
-- Do what time has made due.
SELECT * FROM booking.advance($1, $2)

-- name: is_patient_locked
-- Whether a call for this patient would have to wait.
SELECT booking.is_patient_locked($1)

-- name: attend
-- Record what came of an appointment.
SELECT * FROM booking.attend($1, $2, $3, $4)

-- name: change_shift
-- Add, change or end a shift.
SELECT * FROM booking.change_shift(
    jsonb_populate_record(NULL::schedule.shift, jsonb_build_object(
        'provider_id', $1::bigint, 'shift_id', $2::bigint, 'clinic_id', $3::bigint, 'weekday', $4::smallint,
        'starts', $5::time, 'ends', $6::text, 'slot_minutes', $7::smallint, 'seats', $8::smallint,
        'slots_max', $9::smallint, 'valid', $10::daterange, 'release_hours', $11::smallint)), $12, $13, $14)

-- name: change_leave
-- Add a leave or remove one.
SELECT * FROM booking.command_leave($1, $2, $3, $4, $5, $6, $7)

-- name: shifts
-- The shifts of a provider, at all of its clinics, in order.
SELECT shift_id, clinic_id, clinic.name AS clinic, weekday, (extract(epoch FROM starts) / 60)::integer AS starts,
    (extract(epoch FROM ends) / 60)::integer AS ends, slot_minutes, seats, slots_max, release_hours, lower(valid) AS valid_from, upper(valid) AS valid_to
FROM schedule.shift JOIN directory.clinic USING (clinic_id)
WHERE provider_id = $1 ORDER BY clinic.name, clinic_id, weekday, starts, lower(valid) NULLS FIRST

-- name: leaves
-- The leaves of a provider that are not over, in order.
SELECT leave_id, clinic_id, clinic.name AS clinic, lower(during) AS starts_at, upper(during) AS ends_at, reason, (
    SELECT min(time_zone)
    FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
    WHERE provider_clinic.provider_id = leave.provider_id AND (leave.clinic_id IS NULL OR clinic_id = leave.clinic_id)) AS time_zone
FROM schedule.leave LEFT JOIN directory.clinic USING (clinic_id)
WHERE provider_id = $1 AND upper(during) > (SELECT public.app_now()) ORDER BY during, leave_id

-- name: version
-- Which the last event of a provider's book is.
SELECT version FROM booking.book WHERE provider_id = $1

-- name: count_stands
-- How many appointments stand again since an event of a book.
SELECT booking.count_stands($1, $2)

-- name: due_replacements
-- Bookings that others have replaced and that are to be cancelled, since when.
SELECT provider_id, booking_id, replaced_provider_id, replaced_id, due_at FROM booking.replacement ORDER BY due_at LIMIT 100

-- name: end_replacement
-- Delete a replacement that is done.
DELETE FROM booking.replacement WHERE provider_id = $1 AND booking_id = $2

-- name: now
-- The product's clock.
SELECT public.app_now()

-- name: chart
-- A provider's slots as a patient may see them.
SELECT chart.*
FROM public.app_now() AS now_at, booking.chart($1, $2, $3, $4, $5, $6, $7, now_at) AS chart

-- name: chart_stamp
-- What a chart depends on besides the request: the book's version, and the last moments at which time alone changed it.
SELECT
    coalesce((SELECT version FROM booking.book WHERE provider_id = $1), 0) AS version,
    -- shifts start on whole minutes and leads are whole minutes, so a slot can only go out of reach as a minute begins
    date_trunc('minute', now_at) AS minute,
    coalesce((
        SELECT (
            SELECT count(*) FROM booking.reserved(book.provider_id) JOIN booking.booking USING (provider_id, booking_id)
            WHERE booking.is_due(booking, now_at))
        FROM booking.book WHERE provider_id = $1 AND next_due <= now_at
    ), 0) AS due
FROM public.app_now() AS now_at

-- name: booking
-- A patient's own hold or booking.
SELECT
    booking_id, clinic_id, lower(during) AS starts_at, booking.visit_end(during, service_ids) AS ends_at, slots_needed, fee_minor,
    funding::text AS funding, needs_rebooking, service_ids,
    booking.state_at(booking, now_at)::text AS state,
    CASE booking.state_at(booking, now_at) WHEN 'reserved' THEN deadline END AS deadline,
    offer, person_id, patient_name, created_at, instead_of_provider_id, instead_of_id, terms.*,
    booking.reason_of(provider_id, booking_id) AS reason
FROM public.app_now() AS now_at, booking.booking, booking.shown_terms(booking, now_at) AS terms
WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3

-- name: terms
-- What cancelling a patient's own hold or booking costs, now and later.
SELECT lower(during) AS starts_at, terms.*
FROM public.app_now() AS now_at, booking.booking, booking.shown_terms(booking, now_at) AS terms
WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3

-- name: services_of_request
-- What a request was for whose result is kept, and at which clinic if it joined a queue; no row where that is nothing but slots.
SELECT coalesce(idempotency.service_ids, ticket.service_ids) AS service_ids, ticket.clinic_id
FROM booking.idempotency LEFT JOIN booking.ticket USING (provider_id, ticket_id)
WHERE provider_id = $1 AND idempotency.operation = $2 AND idempotency.caller = $3 AND idempotency.key = $4
    AND idempotency.at > public.app_now() - booking.idempotency_time()
    AND coalesce(idempotency.service_ids, ticket.service_ids) IS NOT NULL

-- name: claim
-- What a patient's one claim is for. The hold that a call was answered for may still be claimed by its ticket.
SELECT provider_id, coalesce(booking_id, offer_id) AS booking_id, CASE WHEN offer_id IS NULL THEN ticket_id END AS ticket_id
FROM booking.claim
LEFT JOIN (SELECT provider_id, ticket_id, offer_id FROM booking.ticket WHERE state = 'accepted') AS accepted USING (provider_id, ticket_id)
WHERE claim.patient_id = $1

-- name: appointments
-- Everything a patient has booked or holds, the latest appointment first.
SELECT
    provider_id, booking_id, clinic_id, lower(during) AS starts_at, booking.visit_end(during, service_ids) AS ends_at,
    slots_needed, fee_minor, funding::text AS funding, needs_rebooking, service_ids,
    booking.state_at(booking, now_at)::text AS state,
    CASE booking.state_at(booking, now_at) WHEN 'reserved' THEN deadline END AS deadline,
    person_id, patient_name, instead_of_provider_id, instead_of_id, terms.*
FROM public.app_now() AS now_at, booking.booking, booking.shown_terms(booking, now_at) AS terms
WHERE patient_id = $1 AND state NOT IN ('expired', 'released')
ORDER BY during DESC
LIMIT 100

-- name: head_deadline
-- When the first hold or ticket of any book may run out, in seconds from now.
SELECT extract(epoch FROM min(next_due) - (SELECT public.app_now()))::float8 FROM booking.book WHERE next_due < 'infinity'

-- name: due_providers
-- Whose holds, offers or tickets may have run out, the longest overdue first.
SELECT provider_id FROM booking.book WHERE next_due < 'infinity' AND next_due <= (SELECT public.app_now()) ORDER BY next_due LIMIT 500

-- name: waiting_providers
-- Whom anyone waits for, as time alone may have made such waits hopeless, or let a withheld run go; and who has times to release.
SELECT provider_id FROM booking.ticket WHERE state = 'waiting'
UNION
SELECT provider_id FROM schedule.due_releases(public.app_now())

-- name: unpaid_turns
-- Providers in whose queues at least $1 accounts, none older than a day, took a time in the last hour and did not pay for it.
SELECT ticket.provider_id, count(DISTINCT ticket.patient_id) AS accounts
FROM public.app_now() AS now_at, booking.ticket JOIN accounts.patient USING (patient_id)
WHERE let_go_at > now_at - interval '1 hour' AND ticket.state = 'accepted' AND patient.created_at > now_at - interval '1 day'
GROUP BY ticket.provider_id
HAVING count(DISTINCT ticket.patient_id) >= $1

-- name: set_place_closed
-- Close a clinic, a provider, or a provider at a clinic, or open it again.
SELECT * FROM booking.set_place_closed($1, $2, $3, $4, $5, $6)
