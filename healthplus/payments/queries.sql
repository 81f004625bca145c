-- name: begin_payment
-- Patients' holds that are to be paid for, each once: hold $2[i] at provider $1[i] of patient $3[i], unless the token whose hash is
-- $4[i] does not sign them in; a code 'not_found' where it is none of theirs. If money is about to be requested from the gateway
-- (is_due), the intent is stored first, at asked_at; is_first: none was before. $5[i]: when the patient was shown that it begins, NULL for
-- who was shown nothing: for a hold that begins at another time by now (is_moved) no money is requested. A move that comes after this
-- statement comes after the payment, as that of an appointment would. For what is no live hold any more: the money set aside for it,
-- first that which was not let go.
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bytea[], $5::timestamptz[]) WITH ORDINALITY
        AS asked (provider_id, hold_id, patient_id, token_hash, shown_at, ordinal)
), held AS MATERIALIZED (
    SELECT asked.ordinal, asked.provider_id, hold_id, held.*,
        (SELECT currency FROM directory.clinic WHERE clinic.clinic_id = held.clinic_id) AS currency, now_at,
        held.state = 'reserved' AND coalesce(held.starts_at <> asked.shown_at, false) AS is_moved
    FROM public.app_now() AS now_at
    CROSS JOIN asked
    CROSS JOIN LATERAL (  -- OFFSET 0: found by its key, however few there were when this was planned
        SELECT clinic_id, patient_id, booking.state_at(booking, now_at)::text AS state, offer, fee_minor, funding, lower(during) AS starts_at
        FROM booking.booking
        WHERE booking.provider_id = asked.provider_id AND booking_id = hold_id OFFSET 0) AS held -- noqa: AM09
    WHERE held.patient_id = asked.patient_id
        AND (asked.token_hash IS NULL OR accounts.is_signed_in(asked.token_hash, asked.patient_id))
), intent AS (
    INSERT INTO payments.intent (provider_id, hold_id, amount_minor, asked_at, check_at, account)
    SELECT provider_id, hold_id, fee_minor, now_at, now_at + interval '20 seconds', payments.account_of(clinic_id)
    FROM held WHERE funding = 'online' AND state = 'reserved' AND NOT offer AND NOT is_moved
    ORDER BY provider_id, hold_id  -- two of these statements that share holds wait for each other in one order
    ON CONFLICT (provider_id, hold_id) DO UPDATE SET asked_at = excluded.asked_at, check_at = excluded.check_at
    RETURNING hold_id, intent.asked_at, old.hold_id IS NULL AS is_first, account, order_name
)
SELECT asked.ordinal::integer AS ordinal, NULL::text AS failed_with, coalesce(state, 'not_found') AS code, fee_minor, currency,
    intent.hold_id IS NOT NULL AS is_due, intent.asked_at, account, order_name, coalesce(is_first, false) AS is_first, coalesce(is_moved, false) AS is_moved,
    CASE WHEN state <> 'reserved' THEN (
        SELECT authorisation FROM ledger.payment
        WHERE provider_id = asked.provider_id AND hold_id = asked.hold_id
        ORDER BY state >= 'voided' OR due IS NOT DISTINCT FROM 'void' OR due IS NOT DISTINCT FROM 'refund', at
        LIMIT 1) END AS authorisation
FROM asked LEFT JOIN held USING (ordinal) LEFT JOIN intent ON intent.hold_id = asked.hold_id

-- name: begin_booking_payment
-- The appointment $2 of patient $3 at provider $1, whose fee was to be paid at the clinic and is to be paid online: the intent is stored first
-- (is_due), as for holds. Not where it is not payable online (any more), or costs something else than $4, which the patient was shown. No row
-- where it is none of theirs.
WITH target AS MATERIALIZED (
    SELECT booking.*, currency, now_at, fee_minor = $4 AND payments.may_request_online(booking) AS may_be
    FROM public.app_now() AS now_at, booking.booking JOIN directory.clinic USING (clinic_id)
    WHERE provider_id = $1 AND booking_id = $2 AND patient_id = $3
), intent AS (
    INSERT INTO payments.intent (provider_id, hold_id, amount_minor, asked_at, check_at, account, is_for_booking)
    SELECT provider_id, booking_id, fee_minor, now_at, now_at + interval '20 seconds', payments.account_of(clinic_id), true
    FROM target WHERE may_be
    ON CONFLICT (provider_id, hold_id) DO UPDATE SET asked_at = excluded.asked_at, check_at = excluded.check_at, is_for_booking = true
    RETURNING intent.asked_at, old.hold_id IS NULL AS is_first, account, order_name
)
SELECT fee_minor, currency, intent.asked_at IS NOT NULL AS is_due, intent.asked_at, coalesce(is_first, false) AS is_first, account, order_name,
    ledger.is_paid(provider_id, booking_id) AS is_paid
FROM target LEFT JOIN intent ON true

-- name: pay_online
-- Note money that was set aside for an appointment.
SELECT payments.pay_online($1, $2, $3, $4, $5, 'answer') AS code

-- name: take_due
-- Some of what is due at the gateway, oldest first, $1 at most, and as many refunds of which each is a row; a capture only once it was left to
-- the process that booked for long enough. It comes up again after $2 unless it is noted: this keeps processes from doing the same work, and
-- tries again what failed, but is no lock; doing a step twice does no harm. Its amount is what the step moves; the key is that of a refund.
WITH whole AS (
    UPDATE ledger.payment SET at = (SELECT public.app_now()) + $2
    WHERE (provider_id, hold_id, authorisation) IN (
        SELECT provider_id, hold_id, authorisation FROM ledger.payment
        WHERE due IS NOT NULL AND at <= (SELECT public.app_now())
        ORDER BY at LIMIT $1
        FOR UPDATE SKIP LOCKED)
    RETURNING payment.*
), part AS MATERIALIZED (
    SELECT * FROM ledger.take_refunds($1, $2)
)
SELECT step.*, currency
FROM (
    SELECT provider_id, hold_id, authorisation, booking_id, due::text AS due, '' AS key,
        CASE due WHEN 'refund' THEN ledger.rest_minor(whole) ELSE amount_minor END AS amount_minor
    FROM whole
    UNION ALL
    SELECT provider_id, hold_id, authorisation, booking_id, 'refund', key, amount_minor FROM part
) AS step
LEFT JOIN booking.booking USING (provider_id, booking_id) LEFT JOIN directory.clinic USING (clinic_id)

-- name: void_due
-- Money set aside for a hold that was then refused.
SELECT provider_id, hold_id, authorisation, amount_minor, due::text AS due, '' AS key, currency
FROM ledger.payment
WHERE provider_id = $1 AND hold_id = $2 AND due = 'void' AND at <= (SELECT public.app_now())

-- name: money
-- The money for a booking or hold; 'unanswered' where it was requested and the bank has not said whether it moved any.
SELECT coalesce(paid.money, 'unanswered') AS money, coalesce(paid.amount_minor, fee_minor) AS amount_minor,
    coalesce(paid.currency, clinic.currency) AS currency, time_zone, coalesce(paid.kept_minor, 0) AS kept_minor,
    coalesce(paid.returned_minor, 0) AS returned_minor, paid.taken_at, paid.returned_at, coalesce(paid.twice_minor, 0) AS twice_minor,
    coalesce(paid.is_twice_returned, false) AS is_twice_returned
FROM booking.booking
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
LEFT JOIN LATERAL ledger.money_of(booking.provider_id, booking.booking_id) AS paid ON true
WHERE provider_id = $1 AND booking_id = $2
    AND (paid.money IS NOT NULL OR EXISTS (SELECT FROM payments.unanswered(ARRAY[$1::bigint], ARRAY[$2::uuid])))

-- name: unanswered
-- Those of these holds for which the bank has not said whether it moved money.
SELECT provider_id, hold_id FROM payments.unanswered($1::bigint[], $2::uuid[])

-- name: forget_declined
-- The only request for money for a hold was declined: there is nothing to look for at the gateway, unless it was asked again since.
DELETE FROM payments.intent WHERE provider_id = $1 AND hold_id = $2 AND asked_at = $3

-- name: store_order
-- Note the gateway's name for the request for money for a hold; return that of the request before, NULL where there was none.
UPDATE payments.intent SET order_name = $3 WHERE provider_id = $1 AND hold_id = $2 RETURNING old.order_name

-- name: requested
-- Where money was requested for a hold, of which nothing is known yet.
SELECT account, order_name
FROM payments.intent
WHERE provider_id = $1 AND hold_id = $2
    AND NOT EXISTS (SELECT FROM ledger.payment WHERE payment.provider_id = $1 AND payment.hold_id = $2)

-- name: order_of_hold
-- The gateway's name for the request for money for a hold.
SELECT order_name FROM payments.intent WHERE provider_id = $1 AND hold_id = $2

-- name: hold_of_order
-- The hold, or the appointment, for which money was requested by an order of an account's.
SELECT provider_id, hold_id, is_for_booking FROM payments.intent WHERE order_name = $2 AND account = $1

-- name: accounts
-- The accounts at gateways.
SELECT account, gateway, owner, captures_at_once, lets_lapse FROM payments.account ORDER BY account

-- name: booked_instead
-- What the money for a lapsed hold has booked.
SELECT booking_id FROM ledger.payment WHERE provider_id = $1 AND hold_id = $2 AND booking_id <> hold_id

-- name: note_states
-- Note the states of payments that the gateway answered, and how they were paid ('': not known). What is captured is looked at there again
-- only an hour after it was asked for; but not what was to be let go, and could only be captured and refunded: what else comes for it is to go
-- back soon, too.
WITH taken AS MATERIALIZED (
    SELECT provider_id, hold_id
    FROM payments.intent JOIN unnest($1::bigint[], $2::uuid[], $3::text[], $4::ledger.payment_state[])
        AS answer (provider_id, hold_id, authorisation, state) USING (provider_id, hold_id)
    WHERE state = 'captured' AND check_at < asked_at + interval '1 hour' AND NOT EXISTS (
        SELECT FROM ledger.payment
        WHERE payment.provider_id = answer.provider_id AND payment.hold_id = answer.hold_id
            AND payment.authorisation = answer.authorisation AND due = 'void')
    FOR UPDATE OF intent SKIP LOCKED
), looked_at_later AS (
    UPDATE payments.intent SET check_at = asked_at + interval '1 hour'
    FROM taken WHERE intent.provider_id = taken.provider_id AND intent.hold_id = taken.hold_id
)
SELECT payments.advance_payments($1::bigint[], $2::uuid[], $3::text[], $4::ledger.payment_state[], 'answer', public.app_now(), $5::text[])

-- name: note_refunds
-- Note what the gateway answered to orders of refunds.
SELECT payments.note_refunds(
    $1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::text[], public.app_now())

-- name: record_gateway_event
-- Record what the gateway reports of a payment, other than by its answer to us.
SELECT payments.record_gateway_event(
    $1, $2, $3, $4::text::ledger.payment_state, $5, $6, $7::text::ledger.source, $8, $9, $10::jsonb, $11) AS result

-- name: recorded_states
-- The states of payments for a hold that the ledger has, with the money that reached them, and those of their refunds, by the gateway's names.
SELECT authorisation, state::text AS state, amount_minor, '' AS refund FROM ledger.entry WHERE provider_id = $1 AND hold_id = $2
UNION ALL
SELECT authorisation, state::text, amount_minor, name FROM ledger.refund WHERE provider_id = $1 AND hold_id = $2 AND name IS NOT NULL

-- name: take_due_intents
-- Some of what is due for a look at the gateway; as with take_due, it comes up again after $2 unless it was checked by then. For an appointment
-- that stands nobody is to pay any more after an hour.
UPDATE payments.intent
SET check_at = (SELECT public.app_now()) + $2
WHERE (provider_id, hold_id) IN (
    SELECT provider_id, hold_id FROM payments.intent
    WHERE check_at <= (SELECT public.app_now())
    ORDER BY check_at LIMIT $1
    FOR UPDATE SKIP LOCKED)
RETURNING provider_id, hold_id, account, order_name, coalesce((
    SELECT CASE WHEN is_for_booking
        THEN asked_at < (SELECT public.app_now()) - interval '1 hour' OR NOT payments.is_payable_online(booking)
        ELSE booking.state_at(booking, (SELECT public.app_now())) <> 'reserved' END
    FROM booking.booking
    WHERE booking.provider_id = intent.provider_id AND booking_id = intent.hold_id), true) AS has_ended

-- name: check_again_soon
-- Looks that failed are due again after $3, at the latest.
UPDATE payments.intent SET check_at = least(check_at, (SELECT public.app_now()) + $3)
FROM unnest($1::bigint[], $2::uuid[]) AS failed (provider_id, hold_id)
WHERE (intent.provider_id, intent.hold_id) = (failed.provider_id, failed.hold_id)

-- name: schedule_next_check
-- When to look again, after a look that was answered; after the last one, the intent goes. One that was asked for again meanwhile stays.
WITH checked AS MATERIALIZED (
    SELECT intent.provider_id, intent.hold_id, asked_at, now_at, money.is_taken,
        asked_at <= now_at - interval '2 days'
            OR (asked_at <= now_at - interval '1 hour' AND money.has_come AND NOT money.is_due) AS is_over
    FROM public.app_now() AS now_at, unnest($1::bigint[], $2::uuid[]) AS looked_at (provider_id, hold_id)
    JOIN payments.intent USING (provider_id, hold_id)
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS has_come, count(due) > 0 AS is_due,
            count(*) FILTER (WHERE state = 'captured' AND due IS NULL) > 0 AS is_taken
        FROM ledger.payment
        WHERE payment.provider_id = looked_at.provider_id AND payment.hold_id = looked_at.hold_id) AS money
), gone AS (
    DELETE FROM payments.intent USING checked
    WHERE is_over
        AND (intent.provider_id, intent.hold_id, intent.asked_at) = (checked.provider_id, checked.hold_id, checked.asked_at)
)
UPDATE payments.intent
SET check_at = CASE WHEN is_taken AND checked.asked_at > now_at - interval '1 hour' THEN checked.asked_at + interval '1 hour'
    ELSE now_at + greatest(interval '30 seconds', least((now_at - checked.asked_at - interval '10 minutes') / 2, interval '6 hours'))
    END
FROM checked
WHERE NOT is_over
    AND (intent.provider_id, intent.hold_id, intent.asked_at) = (checked.provider_id, checked.hold_id, checked.asked_at)

-- name: plan_day_checks
-- See that there is a row for each of the last $2 days of these accounts.
SELECT payments.plan_day_checks($1::text[], $2, public.app_now())

-- name: take_day_check
-- The day of one of these accounts that is due to be compared; it comes up again after $2.
SELECT account, day FROM payments.take_day_check($1::text[], public.app_now(), $2)

-- name: go_on_with_day_check
-- A comparison goes on: it comes up again after $3 from now.
UPDATE payments.day_check SET due_at = (SELECT public.app_now()) + $3 WHERE account = $1 AND day = $2

-- name: finish_day_check
-- A day was compared as a whole.
SELECT payments.finish_day_check($1, $2, $3, $4, $5, public.app_now())

-- name: fail_day_check
-- The gateway could not be asked: the longer that goes on, the later again.
UPDATE payments.day_check SET
    failures = failures + 1, due_at = (SELECT public.app_now()) + interval '1 minute' * least(60, 2 ^ least(failures, 6))
WHERE account = $1 AND day = $2

-- name: recorded_on
-- What the ledger has of an account's payments that came from $2 until before $3, in the terms of the gateway's list.
SELECT listed.* FROM ledger.payment CROSS JOIN LATERAL payments.as_listed(payment) AS listed
WHERE payment.authorised_at >= $2 AND payment.authorised_at < $3 AND payments.account_named(payment.authorisation) = $1

-- name: recorded_as
-- The same of some payments, by their holds and the product's names for them.
SELECT listed.* FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS asked (provider_id, hold_id, authorisation)
CROSS JOIN LATERAL (  -- OFFSET 0: by the key, however many rows there are
    SELECT payment FROM ledger.payment
    WHERE payment.provider_id = asked.provider_id AND payment.hold_id = asked.hold_id AND payment.authorisation = asked.authorisation
    OFFSET 0) AS found -- noqa: AM09
CROSS JOIN LATERAL payments.as_listed(found.payment) AS listed

-- name: hold_in_doubt
-- Of a hold that a gateway names: its clinic, where there is such a hold.
SELECT clinic_id FROM booking.booking WHERE provider_id = $1 AND booking_id = $2

-- name: note_case
-- Note what does not agree; true: it is new.
SELECT payments.note_case($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, public.app_now()) AS is_new

-- name: close_agreed
-- Close the cases of payments $2 of an account that agree by now: all but those of these kinds and names. $4: of those of settlements.
SELECT payments.close_agreed($1, $2::text[], $3::text[], $4, public.app_now())

-- name: take_case
-- A case of one of these accounts for which somebody wants the gateway to be looked at; it comes up again after $2.
UPDATE payments.money_case SET look_at = (SELECT public.app_now()) + $2
WHERE case_id IN (
    SELECT case_id FROM payments.money_case
    WHERE look_at <= (SELECT public.app_now()) AND account = ANY ($1::text[]) AND NOT starts_with(kind, 'settled_')
    ORDER BY look_at LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING account, name, provider_id, hold_id

-- name: plan_settlement_days
-- See that there is a row for each of the last $2 days of these accounts.
SELECT payments.plan_settlement_days($1::text[], $2, public.app_now())

-- name: take_settlement_day
-- The day of one of these accounts whose settlements are due to be read; it comes up again after $2.
SELECT account, day FROM payments.take_settlement_day($1::text[], public.app_now(), $2)

-- name: go_on_with_settlement_day
-- Reading goes on: it comes up again after $3 from now.
UPDATE payments.settlement_day SET due_at = (SELECT public.app_now()) + $3 WHERE account = $1 AND day = $2 AND due_at IS NOT NULL

-- name: finish_settlement_day
-- A day was read as a whole; it is read again a day later, $3 times in all.
UPDATE payments.settlement_day SET
    runs = runs + 1, finished_at = now_at, failures = 0,
    due_at = CASE WHEN runs + 1 < $3 THEN greatest((day + runs + 2)::timestamp AT TIME ZONE 'UTC' + interval '3 hours', now_at + interval '1 hour') END
FROM public.app_now() AS now_at
WHERE account = $1 AND day = $2

-- name: fail_settlement_day
-- The gateway could not be asked: the longer that goes on, the later again.
UPDATE payments.settlement_day SET
    failures = failures + 1, due_at = (SELECT public.app_now()) + interval '1 minute' * least(60, 2 ^ least(failures, 6))
WHERE account = $1 AND day = $2

-- name: other_accounts
-- The accounts, but for $1, with which payments of these names ($4) were taken for these holds.
SELECT DISTINCT payments.account_named(authorisation) AS account
FROM unnest($2::bigint[], $3::uuid[]) AS own (provider_id, hold_id) JOIN ledger.payment USING (provider_id, hold_id)
WHERE payments.account_named(authorisation) <> $1 AND substr(authorisation, strpos(authorisation, '/') + 1) = ANY($4::text[])
ORDER BY account

-- name: store_settlements
-- Store settlements of an account, each once.
SELECT payments.store_settlements($1, $2::jsonb, public.app_now())

-- name: store_lines
-- Store lines of settlements of an account, each once; those that were there before.
SELECT settlement, name, is_same FROM payments.store_lines($1, $2::jsonb)

-- name: find_settled
-- Find the payments of lines that named none of our holds.
SELECT payments.find_settled($1, $2::text[])

-- name: settled
-- The lines about payments $2 of an account, and those about none that are named $3, with what the ledger has of each.
SELECT * FROM payments.settled($1, $2::text[], $3::text[])

-- name: add_up_settlements
-- What settlements of an account come to, and what the gateway paid out.
SELECT name, currency, amount_minor, comes_to_minor, lines FROM payments.add_up_settlements($1, $2::text[])

-- name: unsettled
-- What was taken or went back from $2 until before $3, and is in no settlement although later ones are known.
SELECT * FROM payments.unsettled($1, $2, $3)

-- name: settlements_about
-- When the settlements were made that a case of this name is about.
SELECT settled_at FROM payments.settlement WHERE account = $1 AND name = $2
UNION
SELECT settled_at FROM payments.settlement_line AS line
JOIN payments.settlement ON settlement.account = line.account AND settlement.name = line.settlement
WHERE line.account = $1 AND (line.payment = $2 OR line.refund = $2 OR line.name = $2)

-- name: take_settled_case
-- As take_case, of settlements.
UPDATE payments.money_case SET look_at = (SELECT public.app_now()) + $2
WHERE case_id IN (
    SELECT case_id FROM payments.money_case
    WHERE look_at <= (SELECT public.app_now()) AND account = ANY ($1::text[]) AND starts_with(kind, 'settled_')
    ORDER BY look_at LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING account, name

-- name: looked_at_settled
-- A case of settlements was looked at.
UPDATE payments.money_case SET look_at = NULL WHERE account = $1 AND name = $2 AND look_at IS NOT NULL AND starts_with(kind, 'settled_')
