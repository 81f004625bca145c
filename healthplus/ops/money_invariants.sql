-- name: captured_not_booked
-- Money that was captured, and is neither refunded nor due to be, for a booking that is neither booked, nor cancelled by terms that
-- keep all of it.
SELECT provider_id, booking_id, taken.authorisation, booking.state::text AS booking_state
FROM ledger.entry AS taken
LEFT JOIN ledger.payment USING (provider_id, hold_id, authorisation)
LEFT JOIN booking.booking USING (provider_id, booking_id)
WHERE taken.state = 'captured' AND payment.due IS DISTINCT FROM 'refund'
    AND (booking.funding = 'online' AND (booking.state IN ('booked', 'arrived', 'fulfilled', 'no_show')
        OR (booking.state = 'cancelled' AND payment.kept_minor IS NOT NULL AND ledger.rest_minor(payment) = 0))) IS NOT TRUE
    AND NOT EXISTS (
        SELECT FROM ledger.entry AS back
        WHERE (back.provider_id, back.hold_id, back.authorisation) = (taken.provider_id, taken.hold_id, taken.authorisation)
            AND back.state = 'refunded')

-- name: booked_not_captured
-- Bookings that are funded online and were booked two minutes ago or more, or paid since, whose money is not captured.
SELECT provider_id, booking_id, event.at AS booked_at
FROM booking.booking JOIN booking.event USING (provider_id, booking_id)
WHERE booking.funding = 'online' AND booking.state IN ('booked', 'arrived', 'fulfilled', 'no_show')
    AND event.kind = 'booked' AND event.at < (SELECT public.app_now()) - interval '2 minutes'
    AND NOT EXISTS (
        SELECT FROM booking.event AS back
        WHERE back.provider_id = booking.provider_id AND back.booking_id = booking.booking_id AND back.kind IN ('uncancelled', 'paid_online')
            AND back.at >= (SELECT public.app_now()) - interval '2 minutes')
    AND NOT EXISTS (
        SELECT FROM ledger.payment
        WHERE payment.provider_id = booking.provider_id AND payment.booking_id = booking.booking_id
            AND payment.hold_id = ANY (ledger.holds_paid(booking.provider_id, booking.booking_id))
            AND payment.state = 'captured')

-- name: double_captured
-- Bookings for which money was captured more than once, and is neither refunded nor due to be.
SELECT provider_id, booking_id, count(*) AS times, string_agg(authorisation, ' ') AS authorisations
FROM ledger.entry AS taken JOIN ledger.payment USING (provider_id, hold_id, authorisation)
WHERE taken.state = 'captured' AND payment.due IS DISTINCT FROM 'refund'
    AND NOT EXISTS (
        SELECT FROM ledger.entry AS back
        WHERE (back.provider_id, back.hold_id, back.authorisation) = (taken.provider_id, taken.hold_id, taken.authorisation)
            AND back.state = 'refunded')
GROUP BY provider_id, booking_id HAVING count(*) > 1

-- name: refund_missing
-- Money that no booking keeps, and that was neither voided nor refunded within two minutes, nor is kept by the terms of one; and parts that
-- were to go back, of which the gateway has not been told within two minutes.
SELECT provider_id, booking_id, payment.authorisation, payment.state::text, payment.due::text, booking.state::text AS booking_state
FROM ledger.payment JOIN booking.booking USING (provider_id, booking_id)
WHERE (payment.due IN ('void', 'refund') OR booking.state IN ('expired', 'released', 'cancelled'))
    AND (payment.state = 'captured' AND payment.kept_minor IS NOT NULL AND ledger.rest_minor(payment) = 0) IS NOT TRUE
    AND NOT EXISTS (
        SELECT FROM ledger.entry
        WHERE (entry.provider_id, entry.hold_id, entry.authorisation)
                = (payment.provider_id, payment.hold_id, payment.authorisation)
            AND (entry.state IN ('voided', 'refunded') OR entry.at >= (SELECT public.app_now()) - interval '2 minutes'))
    AND NOT EXISTS (
        SELECT FROM booking.event
        WHERE event.provider_id = booking.provider_id AND event.booking_id = booking.booking_id
            -- what staff give back waits until they cannot undo it any more
            AND event.at + CASE WHEN starts_with(event.actor, 'staff:') THEN booking.undo_time() ELSE interval '0' END
                >= (SELECT public.app_now()) - interval '2 minutes')
UNION ALL
SELECT provider_id, booking_id, refund.authorisation, 'captured', refund.state::text, booking.state::text
FROM ledger.refund JOIN booking.booking USING (provider_id, booking_id)
WHERE refund.state = 'ordered' AND tries = 1 AND from_at < (SELECT public.app_now()) - interval '2 minutes'

-- name: settlements_add_up
-- Of each settlement that the gateway has said the sum of, the payments less refunds and the fee that it keeps, with its tax, are what it paid out,
-- with what it gave or took for neither, which is a case. Not those of which no line is added up yet, as its sum comes first, nor those that an
-- administrator has seen to.
SELECT account, settlement.name, payments_minor, refunds_minor, other_minor, fees_minor, settlement.amount_minor, settlement.currency
FROM payments.settlement
WHERE payments_minor + refunds_minor + other_minor - fees_minor <> settlement.amount_minor AND lines > 0
    AND NOT EXISTS (
        SELECT FROM payments.money_case
        WHERE money_case.account = settlement.account AND closed_at IS NOT NULL AND (
            (kind, money_case.name) = ('settled_sum', settlement.name)
            OR kind = 'settled_fee' AND money_case.name IN (
                SELECT line.name FROM payments.settlement_line AS line
                WHERE line.account = settlement.account AND line.settlement = settlement.name)))
