-- name: take_due
-- Take up to $2 due notices of a channel, those that are soon too late (offers) first. A notice is due again after $3, doubled by
-- each try up to $4, unless it is marked by then: this keeps processes from sending the same one, and is the only trace of a try
-- that failed. A row has what the text needs, or an outcome instead: `failed` after its time or $5 tries, `void` when it is no
-- longer true or the patient cannot be reached.
WITH taken AS (
    UPDATE notices.notice
    SET tries = least(tries + 1, 30000), due_at = (SELECT public.app_now()) + least($3::interval * 2.0 ^ least(tries, 30), $4::interval)
    WHERE (provider_id, notice_id) IN (
        SELECT provider_id, notice_id FROM notices.notice
        WHERE channel = $1::text::notices.channel AND due_at <= (SELECT public.app_now())
        ORDER BY until LIMIT $2
        FOR UPDATE SKIP LOCKED)
    RETURNING *
)
SELECT taken.provider_id, taken.notice_id, taken.kind::text, taken.created_at, public.app_now() AS taken_at, taken.patient_id, taken.booking_id,
    taken.reminder_id, taken.told_id, come.come_at,
    coalesce(preference.language, 'en') AS language, way.address,
    coalesce(told.free_at, lower(booking.during), lower(ticket.queue_window), taken.created_at) AS starts_at,
    city.time_zone, coalesce(booking.deadline, taken.until) AS deadline, booking.offer, coalesce(booking.fee_minor, 0) AS fee_minor,
    clinic.currency, booking.funding::text,
    ticket.state::text AS ticket_state, payment.is_paid, money.kept_minor, coalesce(back.minor, money.returned_minor) AS returned_minor,
    taken.kind = 'refunded' AND coalesce(back.is_twice, ledger.is_paid(taken.provider_id, taken.booking_id)) AS is_paid_twice,
    coalesce(back.is_part, false) AS is_part, NOT coalesce(back.is_processed OR back.is_failed, true) AS is_started,
    coalesce(back.is_failed, false) AS is_failed,
    CASE WHEN taken.kind = 'reminder' AND taken.channel = 'email' THEN ARRAY(
        SELECT DISTINCT preparation FROM directory.preparations_of(booking.service_ids)) END AS preparations,
    CASE WHEN taken.kind = 'token' THEN (
        SELECT reception.token_label(letter, token) FROM reception.attendance JOIN reception.session USING (provider_id, session_id)
        WHERE attendance.provider_id = taken.provider_id AND attendance.booking_id = taken.booking_id) END AS token,
    taken.kind = 'cancelled' AND EXISTS (
        SELECT FROM booking.event_log
        WHERE event_log.provider_id = taken.provider_id AND event_log.booking_id = taken.booking_id AND event_log.kind = 'cancelled'
            AND event_log.actor = 'system:replacement') AS is_replaced,
    taken.kind = 'booked' AND EXISTS (
        SELECT FROM booking.event_log
        WHERE event_log.provider_id = taken.provider_id AND event_log.booking_id = taken.booking_id AND event_log.kind = 'booked'
            AND starts_with(event_log.actor, 'staff:')) AS is_by_staff,
    CASE
        WHEN way.address IS NULL THEN 'void'
        WHEN taken.kind IN ('booked', 'moved') AND booking.state <> 'booked' THEN 'void'
        WHEN taken.kind = 'moved' AND EXISTS (  -- a later one says the same
            SELECT FROM notices.notice AS later
            WHERE later.patient_id = taken.patient_id AND later.created_at > taken.created_at AND later.provider_id = taken.provider_id
                AND later.booking_id = taken.booking_id AND later.kind = 'moved' AND later.channel = taken.channel
                AND (later.due_at IS NOT NULL OR later.sent_at IS NOT NULL)) THEN 'void'
        WHEN NOT back.is_processed AND NOT back.is_pending AND NOT back.is_failed THEN 'void'  -- it is processed by now, which another says
        WHEN taken.kind = 'person_added' AND EXISTS (  -- they are told of what the desk booked next for who was added
            SELECT FROM notices.notice AS later
            JOIN booking.booking AS next ON next.provider_id = later.provider_id AND next.booking_id = later.booking_id
            JOIN accounts.person ON person.person_id = next.person_id
                AND person.created_at > taken.created_at - interval '1 minute'
            JOIN booking.event_log ON event_log.provider_id = next.provider_id AND event_log.booking_id = next.booking_id
                AND event_log.kind = 'booked' AND starts_with(event_log.actor, 'staff:')
            WHERE later.patient_id = taken.patient_id AND later.created_at >= taken.created_at AND later.kind = 'booked'
                AND later.channel = taken.channel AND (later.due_at IS NOT NULL OR later.sent_at IS NOT NULL)) THEN 'void'
        WHEN taken.kind = 'choose_time' AND NOT (booking.state = 'booked' AND lower(during) > (SELECT public.app_now())) THEN 'void'
        WHEN taken.kind = 'token' AND booking.state <> 'arrived' THEN 'void'
        WHEN taken.kind = 'pay_link' AND till.owed_minor(booking) = 0 THEN 'void'
        WHEN taken.kind IN ('reminder', 'not_cancelled') AND NOT (
            booking.state = 'booked' AND NOT needs_rebooking AND lower(during) > (SELECT public.app_now())
            AND EXISTS (
                SELECT FROM notices.reminder
                WHERE reminder.reminder_id = taken.reminder_id AND reminder.starts_at = lower(during))) THEN 'void'
        WHEN taken.kind = 'earlier' AND NOT (  -- ended, moved, cancelled; or somebody has the time
            EXISTS (
                SELECT FROM notices.earlier_alert
                WHERE earlier_alert.provider_id = taken.provider_id AND earlier_alert.booking_id = taken.booking_id
                    AND earlier_alert.starts_at = lower(during))
            AND notices.may_be_earlier(booking, (SELECT public.app_now()))
            AND EXISTS (
                SELECT FROM booking.seat_for(
                    taken.provider_id, booking.clinic_id, told.free_at, booking.need_of(booking.slots_needed, taken.provider_id, booking.service_ids),
                    (SELECT public.app_now()), NULL, taken.booking_id))) THEN 'void'
        WHEN taken.kind = 'running_late' AND (come.come_at IS NULL OR booking.state <> 'booked' OR needs_rebooking) THEN 'void'
        WHEN taken.kind = 'needs_rebooking' AND NOT (booking.state = 'booked' AND booking.needs_rebooking) THEN 'void'
        WHEN taken.kind = 'stands' AND NOT (booking.state = 'booked' AND NOT booking.needs_rebooking AND EXISTS (
            SELECT FROM notices.notice AS asked  -- who was not asked for another time need not be told that none is needed
            WHERE asked.provider_id = taken.provider_id AND asked.booking_id = taken.booking_id AND asked.kind = 'needs_rebooking'
                AND asked.sent_at IS NOT NULL)) THEN 'void'
        WHEN taken.kind = 'offered' AND NOT (ticket.state = 'offered' AND ticket.offer_id = booking.booking_id) THEN 'void'
        WHEN taken.kind = 'queued' AND ticket.state <> 'waiting' THEN 'void'
        WHEN taken.kind = 'called' AND NOT (
            ticket.state = 'called' AND ticket.offer_id = booking.booking_id AND ticket.answered_at IS NULL) THEN 'void'
        WHEN taken.kind = 'expired' AND payment.is_booked THEN 'void'  -- it was paid for late, and booked again
        WHEN taken.until <= (SELECT public.app_now()) OR taken.tries > $5 THEN 'failed'
    END AS outcome
FROM taken
LEFT JOIN booking.booking ON booking.provider_id = taken.provider_id AND booking.booking_id = taken.booking_id
LEFT JOIN booking.ticket ON ticket.provider_id = taken.provider_id AND ticket.ticket_id = taken.ticket_id
JOIN directory.clinic ON clinic.clinic_id = coalesce(booking.clinic_id, ticket.clinic_id, (  -- who waits may do so for any clinic
    SELECT min(provider_clinic.clinic_id) FROM directory.provider_clinic WHERE provider_clinic.provider_id = taken.provider_id))
JOIN directory.city ON city.city_id = clinic.city_id
LEFT JOIN accounts.patient ON patient.patient_id = taken.patient_id
LEFT JOIN notices.preference ON preference.patient_id = taken.patient_id
LEFT JOIN notices.earlier_told AS told ON told.told_id = taken.told_id
LEFT JOIN reception.told AS come ON taken.kind = 'running_late' AND come.provider_id = taken.provider_id
    AND come.booking_id = taken.booking_id AND come.starts_at = lower(booking.during)
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS is_paid, coalesce(bool_or(payment.booking_id <> hold_id), false) AS is_booked FROM ledger.payment
    WHERE payment.provider_id = taken.provider_id AND hold_id = taken.booking_id) AS payment
CROSS JOIN LATERAL (
    SELECT coalesce(sum(back.kept_minor), 0)::integer AS kept_minor, coalesce(sum(back.returned_minor), 0)::integer AS returned_minor
    FROM ledger.payment CROSS JOIN LATERAL ledger.money_back(payment) AS back
    WHERE payment.provider_id = taken.provider_id AND payment.booking_id = taken.booking_id
        AND hold_id = ANY (ledger.holds_paid(taken.provider_id, taken.booking_id))) AS money
LEFT JOIN LATERAL (  -- what was learnt of refunds as the notice was made
    SELECT sum(refund.amount_minor)::integer AS minor, bool_or(refund.processed_at = taken.created_at) IS TRUE AS is_processed,
        bool_or(refund.state = 'pending') AS is_pending, bool_or(NOT refund.is_rest) AS is_part, bool_or(refund.why = 'twice') AS is_twice,
        bool_or(refund.failed_at = taken.created_at AND refund.is_last AND refund.paid_at IS NULL) IS TRUE AS is_failed
    FROM ledger.refund
    WHERE taken.kind = 'refunded' AND refund.provider_id = taken.provider_id AND refund.booking_id = taken.booking_id
        AND taken.created_at IN (refund.processed_at, refund.pending_at, refund.failed_at)
    HAVING count(*) > 0) AS back ON true
CROSS JOIN LATERAL (SELECT notices.address(patient.*, taken.channel) AS address) AS way

-- name: mark
-- Note the outcomes of notices: sent, failed or void.
UPDATE notices.notice
SET due_at = NULL,
    sent_at = CASE WHEN outcome = 'sent' THEN (SELECT public.app_now()) END,
    failed_at = CASE WHEN outcome = 'failed' THEN (SELECT public.app_now()) END
FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS done (provider_id, notice_id, outcome)
WHERE notice.provider_id = done.provider_id AND notice.notice_id = done.notice_id AND due_at IS NOT NULL

-- name: show_in_sandbox
-- Add a message for the demo page, and keep only the last $4 of them.
WITH shown AS (
    INSERT INTO notices.sandbox_message (at, channel, masked_address, text)
    VALUES ((SELECT public.app_now()), $1::text::notices.channel, $2, $3)
    RETURNING message_id
)
DELETE FROM notices.sandbox_message USING shown WHERE sandbox_message.message_id <= shown.message_id - $4::bigint

-- name: sandbox_messages
-- What the sandbox shows, newest first.
SELECT at, channel::text AS channel, masked_address, text FROM notices.sandbox_message ORDER BY message_id DESC LIMIT $1

-- name: add_reminders
-- Put due reminders into the outbox; return how many.
SELECT notices.add_reminders($1)

-- name: take_reply
-- Do what a reply by SMS says.
SELECT notices.take_reply($1, $2)

-- name: booking_of
-- The booking that the code of a reminder, or of the booking itself, leads to, if it is this patient's; whether it is an appointment,
-- whether the clinic cannot keep it, and the ticket of one that was only offered.
SELECT provider_id, booking_id, true AS is_appointment, false AS is_to_move, NULL::uuid AS offered_to
FROM notices.reminder WHERE reminder_id = $1 AND patient_id = $2
UNION ALL
SELECT provider_id, booking_id, state IN ('booked', 'cancelled', 'arrived', 'fulfilled', 'no_show'), state = 'booked' AND needs_rebooking,
    CASE WHEN offer THEN ticket_id END
FROM booking.booking
WHERE booking_id = $1 AND patient_id = $2
LIMIT 1

-- name: add_delays
-- Look into doctors' days for delays; return how many were looked into.
SELECT notices.add_delays($1)

-- name: tell_earlier
-- Tell who asked for earlier times of those that came free; return how many books were looked into.
SELECT notices.tell_earlier($1)

-- name: ask_earlier
-- Tell a patient of times before an appointment of theirs from now on.
SELECT notices.ask_earlier($1, $2, $3)

-- name: stop_earlier
-- Tell a patient of such times no more; whether the appointment is theirs.
WITH gone AS (
    DELETE FROM notices.earlier_alert WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3
)
SELECT EXISTS (
    SELECT FROM booking.booking
    WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3
        AND state IN ('booked', 'cancelled', 'arrived', 'fulfilled', 'no_show'))

-- name: earlier_alerts
-- The appointments of a patient for which they are told of earlier times, the next first.
SELECT earlier_alert.provider_id, earlier_alert.booking_id, earlier_alert.starts_at, provider.name AS provider, time_zone
FROM notices.earlier_alert
JOIN booking.booking ON booking.provider_id = earlier_alert.provider_id AND booking.booking_id = earlier_alert.booking_id
    AND lower(during) = earlier_alert.starts_at AND notices.may_be_earlier(booking, (SELECT public.app_now()))
JOIN directory.provider ON provider.provider_id = earlier_alert.provider_id
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE earlier_alert.patient_id = $1
ORDER BY earlier_alert.starts_at, earlier_alert.booking_id

-- name: earlier_state
-- Whether a patient can be told of times before an appointment of theirs, is, and by text; how many are free now, and the first.
SELECT cardinality(free) <= notices.earlier_known_max() AS may_ask, cardinality(free) AS free_count, free[1] AS first_free,
    EXISTS (
        SELECT FROM notices.earlier_alert
        WHERE earlier_alert.provider_id = booking.provider_id AND earlier_alert.booking_id = booking.booking_id
            AND starts_at = lower(during)) AS is_on,
    notices.address(patient, 'sms') IS NOT NULL AS is_texted
FROM public.app_now() AS now_at, booking.booking
JOIN accounts.patient USING (patient_id)
CROSS JOIN LATERAL notices.earlier_times(booking, now_at) AS free
WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3 AND notices.may_be_earlier(booking, now_at)

-- name: told_of
-- The appointment and the free time that a message's link leads to, if it is this patient's.
SELECT provider_id, booking_id, free_at FROM notices.earlier_told WHERE told_id = $1 AND patient_id = $2

-- name: note_coming
-- Note that a patient is coming.
SELECT notices.note_coming($1, $2, $3)

-- name: coming
-- To which of their appointments a patient has said that they are coming.
SELECT coming.provider_id, coming.booking_id, said_at
FROM notices.coming
JOIN booking.booking ON booking.provider_id = coming.provider_id AND booking.booking_id = coming.booking_id
    AND lower(during) = starts_at AND state = 'booked'
WHERE coming.patient_id = $1

-- name: preference
-- What a patient chose, or what counts as long as they chose nothing.
SELECT coalesce(preference.language, 'en') AS language, coalesce(text_by, 'sms')::text AS text_by,
    coalesce(reminds_by_text, true) AS reminds_by_text, coalesce(reminds_by_email, true) AS reminds_by_email,
    coalesce(reminds_by_push, true) AS reminds_by_push,
    notices.address(patient, 'sms') IS NOT NULL AS has_phone, notices.address(patient, 'email') IS NOT NULL AS has_email
FROM accounts.patient LEFT JOIN notices.preference ON preference.patient_id = patient.patient_id
WHERE patient.patient_id = $1

-- name: choose
-- What a patient chose.
INSERT INTO notices.preference AS known (patient_id, language, language_chosen, text_by, reminds_by_text, reminds_by_email, reminds_by_push)
VALUES ($1, $2, true, $3::text::notices.channel, $4, $5, $6)
ON CONFLICT (patient_id) DO UPDATE
SET language = excluded.language, language_chosen = true, text_by = excluded.text_by, reminds_by_text = excluded.reminds_by_text,
    reminds_by_email = excluded.reminds_by_email, reminds_by_push = excluded.reminds_by_push

-- name: note_language
-- The language of the pages by which a patient signs in or books, unless they chose one.
INSERT INTO notices.preference AS known (patient_id, language) VALUES ($1, $2)
ON CONFLICT (patient_id) DO UPDATE SET language = excluded.language
WHERE NOT known.language_chosen AND known.language <> excluded.language

-- name: add_push_subscription
-- A device that shows a patient's notices as long as the session whose token's hash is $2; the last few of a patient.
WITH added AS (
    INSERT INTO notices.push_subscription AS known (patient_id, token_hash, endpoint, client_key, client_secret, created_at)
    VALUES ($1, $2, $3, $4, $5, (SELECT public.app_now()))
    ON CONFLICT (patient_id, endpoint) DO UPDATE
    SET token_hash = excluded.token_hash, client_key = excluded.client_key, client_secret = excluded.client_secret
)
DELETE FROM notices.push_subscription WHERE subscription_id IN (
    SELECT subscription_id FROM notices.push_subscription WHERE patient_id = $1 ORDER BY created_at DESC OFFSET $6)

-- name: remove_push_subscription
-- A device that is to show nothing any more.
DELETE FROM notices.push_subscription WHERE patient_id = $1 AND endpoint = $2

-- name: push_subscriptions
-- The devices on which a patient is signed in and has notices shown.
SELECT subscription_id, endpoint, client_key, client_secret
FROM notices.push_subscription JOIN accounts.session USING (token_hash, patient_id)
WHERE patient_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > (SELECT public.app_now()))

-- name: remove_gone_subscriptions
-- Devices that the push service does not know any more.
DELETE FROM notices.push_subscription WHERE subscription_id = ANY ($1::uuid[])

-- name: own_endpoints
-- The push endpoints of the device whose session has the token with the hash $2.
SELECT endpoint FROM notices.push_subscription WHERE patient_id = $1 AND token_hash = $2
