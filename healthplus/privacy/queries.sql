-- name: booked_ahead
-- A patient's appointments that are not over, with the names of provider and clinic.
SELECT provider_id, booking_id, lower(during) AS starts_at, provider.name AS provider, clinic.name AS clinic, city.time_zone
FROM booking.booking
LEFT JOIN directory.provider USING (provider_id)
LEFT JOIN directory.clinic USING (clinic_id)
LEFT JOIN directory.city USING (city_id)
WHERE patient_id = $1 AND booking.state = 'booked' AND booking.visit_end(during, service_ids) > (SELECT public.app_now())
ORDER BY during

-- name: export
-- All that is kept about a patient; $2 is their number's HMAC, $3 their name as an actor. No secrets, nothing of others.
WITH own_booking AS (
        SELECT booking.*, clinic.currency,
            (
                SELECT jsonb_agg(service_type.name ORDER BY service_type.name)
                FROM directory.service JOIN directory.service_type USING (service_type_id)
                WHERE service_id = ANY (booking.service_ids)) AS services,
            (
                SELECT jsonb_agg(to_jsonb(terms_step) - 'terms_id' ORDER BY hours_before DESC)
                FROM directory.terms_step WHERE terms_step.terms_id = booking.terms_id) AS terms
        FROM booking.booking
        LEFT JOIN directory.clinic USING (clinic_id)
        WHERE patient_id = $1
    ),
    own_ticket AS (
        SELECT ticket.*, (
            SELECT jsonb_agg(service_type.name ORDER BY service_type.name)
            FROM directory.service JOIN directory.service_type USING (service_type_id)
            WHERE service_id = ANY (ticket.service_ids)) AS services
        FROM booking.ticket WHERE patient_id = $1
    )
SELECT jsonb_build_object(
    'at', public.app_now(),
    'profile', (SELECT to_jsonb(patient) FROM accounts.patient WHERE patient_id = $1),
    'persons', (
        SELECT coalesce(jsonb_agg(to_jsonb(person) ORDER BY created_at), '[]') FROM accounts.person WHERE patient_id = $1),
    'consents', (
        SELECT coalesce(jsonb_agg(
            to_jsonb(consent) - 'recorded_by' || jsonb_build_object('given_at_the_desk', recorded_by IS NOT NULL) ORDER BY given_at), '[]')
        FROM accounts.consent WHERE patient_id = $1),
    'sessions', (
        SELECT coalesce(jsonb_agg(to_jsonb(session) - 'token_hash' ORDER BY created_at), '[]')
        FROM accounts.session WHERE patient_id = $1),
    'codes', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'created_at', created_at, 'expires_at', expires_at, 'wrong_tries', tries, 'used_at', used_at) ORDER BY serial), '[]')
        FROM accounts.challenge WHERE phone_hash = $2),
    'devices', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('signed_in_at', signed_in_at) ORDER BY signed_in_at), '[]')
        FROM accounts.device WHERE phone_hash = $2),
    'place', (SELECT to_jsonb(claim) FROM booking.claim WHERE patient_id = $1),
    'former_accounts', (  -- how long it is noted that the number was another account's
        SELECT coalesce(jsonb_agg(jsonb_build_object('erased_at', erased_at)), '[]')
        FROM accounts.former_account WHERE successor_id = $1),
    'replacements', (
        SELECT coalesce(jsonb_agg(to_jsonb(replacement)), '[]')
        FROM own_booking JOIN booking.replacement USING (provider_id, booking_id)),
    'bookings', (SELECT coalesce(jsonb_agg(to_jsonb(own_booking) ORDER BY created_at), '[]') FROM own_booking),
    'reasons', (SELECT coalesce(jsonb_agg(to_jsonb(reason) ORDER BY said_at), '[]') FROM booking.reason WHERE patient_id = $1),
    'attendance', (
        SELECT coalesce(jsonb_agg(to_jsonb(attendance) - '{actor,before}'::text[] ORDER BY act_at), '[]')
        FROM own_booking JOIN reception.attendance USING (provider_id, booking_id)),
    'told_to_come', (
        SELECT coalesce(jsonb_agg(to_jsonb(told) ORDER BY told_at), '[]') FROM own_booking JOIN reception.told USING (provider_id, booking_id)),
    'delays', (
        SELECT coalesce(jsonb_agg(to_jsonb(delay) ORDER BY noted_at), '[]') FROM own_booking JOIN booking.delay USING (provider_id, booking_id)),
    'no_shows', (SELECT coalesce(jsonb_agg(to_jsonb(no_show) ORDER BY starts_at), '[]') FROM booking.no_show WHERE patient_id = $1),
    'changes_by_staff', (
        SELECT coalesce(jsonb_agg(to_jsonb(staff_act) - 'actor'), '[]') FROM own_booking JOIN booking.staff_act USING (provider_id, booking_id)),
    'known_to_clinics', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'clinic_id', clinic_id, 'person_id', person_id, 'since', known_at) ORDER BY known_at), '[]')
        FROM accounts.person JOIN reception.clinic_person USING (person_id) WHERE patient_id = $1),
    'waits', (SELECT coalesce(jsonb_agg(to_jsonb(own_ticket) ORDER BY joined_at), '[]') FROM own_ticket),
    'payment_intents', (
        SELECT coalesce(jsonb_agg(to_jsonb(intent) || jsonb_build_object('currency', own_booking.currency) ORDER BY asked_at), '[]')
        FROM own_booking JOIN payments.intent ON intent.provider_id = own_booking.provider_id AND hold_id = booking_id),
    'payments', (
        SELECT coalesce(jsonb_agg(to_jsonb(payment) || jsonb_build_object('currency', coalesce(payment.currency, own_booking.currency))
            ORDER BY payment.at), '[]')
        FROM own_booking
        JOIN ledger.payment ON payment.provider_id = own_booking.provider_id AND hold_id = own_booking.booking_id),
    'ledger', (
        SELECT coalesce(jsonb_agg(
            to_jsonb(entry) || jsonb_build_object('currency', coalesce(entry.currency, own_booking.currency)) ORDER BY at), '[]')
        FROM own_booking JOIN ledger.entry ON entry.provider_id = own_booking.provider_id AND hold_id = booking_id),
    'refunds', (
        SELECT coalesce(jsonb_agg(to_jsonb(refund) - 'ordered_by' - 'paid_by' ORDER BY ordered_at, tries), '[]')
        FROM own_booking JOIN ledger.refund USING (provider_id, booking_id)
        WHERE refund.state <> 'withdrawn' AND refund.from_at <= (SELECT public.app_now())),
    'desk_payments', (
        SELECT coalesce(jsonb_agg(to_jsonb(payment) - '{actor,key,session_id}'::text[] ORDER BY paid_at), '[]')
        FROM own_booking JOIN till.payment USING (provider_id, booking_id)),
    'receipts', (
        SELECT coalesce(jsonb_agg(to_jsonb(document) ORDER BY document.at, kind), '[]')
        FROM own_booking JOIN receipts.document USING (provider_id, booking_id)),
    'receipts_due', (
        SELECT coalesce(jsonb_agg(to_jsonb(due) ORDER BY since), '[]')
        FROM own_booking JOIN receipts.due ON due.provider_id = own_booking.provider_id AND (
            source_id = own_booking.booking_id OR source_id IN (
                SELECT payment_id FROM till.payment
                WHERE payment.provider_id = own_booking.provider_id AND payment.booking_id = own_booking.booking_id))),
    'webhooks', (
        SELECT coalesce(jsonb_agg(to_jsonb(webhook_event) ORDER BY at), '[]')
        FROM own_booking JOIN payments.webhook_event
            ON webhook_event.provider_id = own_booking.provider_id AND hold_id = booking_id),
    'ratings', (SELECT coalesce(jsonb_agg(to_jsonb(rating) ORDER BY rated_at), '[]') FROM reviews.rating WHERE patient_id = $1),
    'reviews', (
        SELECT coalesce(jsonb_agg(to_jsonb(review) - 'reply' ORDER BY written_at), '[]') FROM reviews.review WHERE patient_id = $1),
    'asks', staff.asks_of($1),  -- what the clinic's desk asked to have changed
    'accesses', staff.accesses_of($1),  -- which of the staff saw or changed what, and when
    'reports', (SELECT coalesce(jsonb_agg(to_jsonb(report) ORDER BY reported_at), '[]') FROM reviews.report WHERE reporter_id = $1),
    'notices', (SELECT coalesce(jsonb_agg(to_jsonb(notice) ORDER BY created_at), '[]') FROM notices.notice WHERE patient_id = $1),
    'notification_settings', (SELECT to_jsonb(preference) FROM notices.preference WHERE patient_id = $1),
    'notified_devices', (
        SELECT coalesce(jsonb_agg(to_jsonb(push_subscription) - 'token_hash' - 'client_key' - 'client_secret' ORDER BY created_at), '[]')
        FROM notices.push_subscription WHERE patient_id = $1),
    'reminders', (SELECT coalesce(jsonb_agg(to_jsonb(reminder) ORDER BY due_at), '[]') FROM notices.reminder WHERE patient_id = $1),
    'coming_to', (SELECT coalesce(jsonb_agg(to_jsonb(coming) ORDER BY starts_at), '[]') FROM notices.coming WHERE patient_id = $1),
    'earlier_alerts', (
        SELECT coalesce(jsonb_agg(to_jsonb(earlier_alert) ORDER BY asked_at), '[]')
        FROM notices.earlier_alert WHERE patient_id = $1),
    'earlier_times_told', (
        SELECT coalesce(jsonb_agg(to_jsonb(earlier_told) ORDER BY told_at), '[]') FROM notices.earlier_told WHERE patient_id = $1),
    'events', (
        SELECT coalesce(jsonb_agg(to_jsonb(event) ORDER BY at, provider_id, seq), '[]')
        FROM booking.event
        WHERE provider_id IN (SELECT provider_id FROM own_booking UNION ALL SELECT provider_id FROM own_ticket)
            AND (booking_id IN (SELECT booking_id FROM own_booking)
                OR ticket_id IN (SELECT ticket_id FROM own_ticket) OR actor = $3)),
    'requests_remembered', (SELECT count(*) FROM accounts.idempotency WHERE patient_id = $1)
        + (SELECT count(*) FROM booking.idempotency WHERE caller = $3)
)

-- name: erase_notices
-- What this patient was sent, and is to be sent; how they chose to be told, and what they answered.
WITH settings AS (
    DELETE FROM notices.preference WHERE patient_id = $1
), devices AS (
    DELETE FROM notices.push_subscription WHERE patient_id = $1
), reminders AS (
    DELETE FROM notices.reminder WHERE patient_id = $1
), answers AS (
    DELETE FROM notices.coming WHERE patient_id = $1
), alerts AS (
    DELETE FROM notices.earlier_alert WHERE patient_id = $1
), told AS (
    DELETE FROM notices.earlier_told WHERE patient_id = $1
)
DELETE FROM notices.notice WHERE patient_id = $1

-- name: erase_idempotency_keys
-- Their texts are of the patient's own choosing.
DELETE FROM booking.idempotency WHERE caller = $1

-- name: lock_claim
-- The patient, and their one claim, in which is then noted what came to nothing.
SELECT booking.close_claim($1, (SELECT public.app_now()))

-- name: is_live
-- Whether a patient holds, waits, or has an appointment ahead.
SELECT EXISTS (
    SELECT FROM booking.claim WHERE patient_id = $1 AND (booking.claim_fate(claim, (SELECT public.app_now()))).fate = 'live'
) OR EXISTS (
    SELECT FROM booking.booking
    WHERE patient_id = $1 AND state = 'booked' AND lower(during) > (SELECT public.app_now()))

-- name: erase_names
-- Of the persons the patient booked for.
UPDATE booking.booking SET patient_name = NULL WHERE patient_id = $1 AND patient_name IS NOT NULL

-- name: erase_receipt_names
-- Of those whom receipts name; all else of them is kept as long as the law says.
UPDATE receipts.document SET person_name = NULL, payer_name = NULL
FROM booking.booking
WHERE booking.patient_id = $1 AND document.provider_id = booking.provider_id AND document.booking_id = booking.booking_id
    AND (person_name IS NOT NULL OR payer_name IS NOT NULL)

-- name: erase_no_shows
-- When the patient did not come; the clinic's figures have the appointments.
DELETE FROM booking.no_show WHERE patient_id = $1

-- name: erase_reasons
-- Why the patient came.
DELETE FROM booking.reason WHERE patient_id = $1

-- name: erase_reviews
-- What the patient wrote of providers. The stars stay, as a number.
DELETE FROM reviews.review WHERE patient_id = $1

-- name: erase_reports
-- Which reviews the patient reported.
DELETE FROM reviews.report WHERE reporter_id = $1

-- name: erase_asks
-- What was asked to be changed of the patient's appointments.
SELECT staff.erase_asks($1)
