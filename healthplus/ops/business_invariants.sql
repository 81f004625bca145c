-- name: money_adds_up
-- What was captured for a provider, less what was refunded or is due to be, is the sum of the fees of the bookings that it pays for, less
-- what went back in parts, and of what was kept of those that their patients cancelled.
WITH kept AS (
    SELECT provider_id, sum(minor) AS minor, count(*) AS payments
    FROM (
        SELECT provider_id, CASE WHEN refunded_at IS NOT NULL OR due = 'refund' THEN coalesce(kept_minor, 0)
            ELSE ledger.rest_minor(payment) + coalesce(kept_minor, 0) END AS minor
        FROM ledger.payment
        WHERE captured_at IS NOT NULL) AS taken
    WHERE minor > 0
    GROUP BY provider_id
), earned AS (
    SELECT provider_id, sum(paid.minor) AS minor, count(*) AS bookings
    FROM booking.booking
    CROSS JOIN LATERAL (
        SELECT CASE booking.state WHEN 'cancelled' THEN max(payment.kept_minor)
            ELSE greatest(0, booking.fee_minor - ledger.booking_parts_minor(booking.provider_id, booking.booking_id)) END AS minor
        FROM ledger.payment
        WHERE payment.provider_id = booking.provider_id AND payment.booking_id = booking.booking_id
            AND payment.hold_id = ANY (ledger.holds_paid(booking.provider_id, booking.booking_id))
            AND captured_at IS NOT NULL AND (due IS DISTINCT FROM 'refund' OR kept_minor IS NOT NULL)
        HAVING count(*) > 0) AS paid
    WHERE funding = 'online' AND booking.state IN ('booked', 'arrived', 'fulfilled', 'no_show', 'cancelled') AND paid.minor > 0
    GROUP BY provider_id
)
SELECT provider_id, kept.minor AS kept_minor, payments, earned.minor AS earned_minor, bookings
FROM kept FULL JOIN earned USING (provider_id)
WHERE kept.minor IS DISTINCT FROM earned.minor OR payments IS DISTINCT FROM bookings

-- name: kept_as_agreed
-- Of a booking that was cancelled, that is kept which its terms keep: at the instant when its patient cancelled it, or booked another
-- instead; and nothing where anybody else did.
WITH cancelled AS (
    SELECT booking AS one, ended.at, false AS is_replaced
    FROM booking.booking JOIN booking.event AS ended USING (provider_id, booking_id)
    WHERE booking.state = 'cancelled' AND ended.kind = 'cancelled' AND starts_with(ended.actor, 'patient:')
    UNION ALL
    SELECT booking AS one, (
        SELECT min(paid.at)
        FROM booking.booking AS other JOIN booking.event AS paid USING (provider_id, booking_id)
        WHERE other.patient_id = booking.patient_id AND other.instead_of_provider_id = booking.provider_id
            AND other.instead_of_id = booking.booking_id AND paid.kind = 'booked') AS at, true AS is_replaced
    FROM booking.booking JOIN booking.event AS ended USING (provider_id, booking_id)
    WHERE booking.state = 'cancelled' AND ended.kind = 'cancelled' AND ended.actor = 'system:replacement'
), agreed AS (
    SELECT (one).provider_id, (one).booking_id, at, is_replaced, nullif((booking.cancelling(one, at)).kept_minor, 0) AS agreed_minor
    FROM cancelled
)
SELECT payment.provider_id, payment.booking_id, sum(payment.kept_minor) AS kept_minor, agreed_minor, agreed.at, is_replaced
FROM ledger.payment LEFT JOIN agreed USING (provider_id, booking_id)
WHERE captured_at IS NOT NULL OR due = 'capture'  -- what the gateway let go by itself cannot be kept
GROUP BY payment.provider_id, payment.booking_id, agreed_minor, agreed.at, is_replaced
HAVING sum(payment.kept_minor) IS DISTINCT FROM agreed_minor
    -- what somebody gave back by hand at the gateway afterwards is not the terms' matter
    AND NOT EXISTS (
        SELECT FROM ledger.refund
        WHERE refund.provider_id = payment.provider_id AND refund.booking_id = payment.booking_id AND why = 'gateway')

-- name: refunds_within_payments
-- Of a payment goes back at most what was taken: what was ordered and has not failed or was paid otherwise, and what failed and is still owed;
-- with what is kept, where the product ordered it; a payment is refunded if all that is left of it was ordered back, and no refund lacks its payment.
SELECT refund.provider_id, refund.hold_id, refund.authorisation, sum(refund.amount_minor) AS refunds_minor, payment.amount_minor
FROM ledger.refund LEFT JOIN ledger.payment USING (provider_id, hold_id, authorisation)
WHERE is_last AND refund.state <> 'withdrawn'
GROUP BY refund.provider_id, refund.hold_id, refund.authorisation, payment.amount_minor, payment.kept_minor, payment.state, captured_at
HAVING captured_at IS NULL
    OR sum(refund.amount_minor) > payment.amount_minor
    OR sum(refund.amount_minor) FILTER (WHERE why <> 'gateway') > payment.amount_minor - coalesce(payment.kept_minor, 0)
    OR (bool_or(is_rest) AND payment.state <> 'refunded')

-- name: fees_are_paid_once
-- A fee that was to be paid at the clinic and was paid online is not paid at the desk, too, and each payment of it has its event.
SELECT booking.provider_id, booking.booking_id, till.paid_minor(booking.provider_id, booking.booking_id) AS desk_minor
FROM booking.booking
WHERE funding = 'online' AND booking.booking_id IN (SELECT booking_id FROM till.payment)
    AND (till.paid_minor(booking.provider_id, booking.booking_id) > 0 OR NOT EXISTS (
        SELECT FROM booking.event_log
        WHERE event_log.provider_id = booking.provider_id AND event_log.booking_id = booking.booking_id AND kind = 'paid_online'))

-- name: failed_refunds_are_tried_again
-- Each refund that failed was tried again, often enough, and each try after the first took the place of one that had failed.
SELECT provider_id, refund_id, tries
FROM ledger.refund
WHERE (state = 'failed' AND key IS NOT NULL AND is_last AND tries < ledger.refund_tries_max())
    OR (NOT is_last AND state <> 'failed')
    OR (NOT is_last AND NOT EXISTS (
        SELECT FROM ledger.refund AS again
        WHERE again.provider_id = refund.provider_id AND again.hold_id = refund.hold_id AND again.authorisation = refund.authorisation
            AND again.tries = refund.tries + 1 AND again.amount_minor = refund.amount_minor))

-- name: payments_name_their_hold
-- The hold that money was set aside for is in the same book as the booking that it pays for.
SELECT provider_id, hold_id, payment.booking_id, authorisation
FROM ledger.payment
WHERE NOT EXISTS (
    SELECT FROM booking.booking WHERE booking.provider_id = payment.provider_id AND booking.booking_id = payment.hold_id)

-- name: receipts_numbered_once
-- The tickets of a queue's receipts are numbered in a row, in the order in which they joined, up to the last of the book: none twice,
-- none left out.
SELECT provider_id, number, last_ticket_number
FROM (
    SELECT provider_id, number, lag(number) OVER turn AS previous, lead(number) OVER turn AS next
    FROM booking.queue_entry
    WHERE kind = 'joined'
    WINDOW turn AS (PARTITION BY provider_id ORDER BY entry)
) AS joined
JOIN booking.book USING (provider_id)
WHERE number <> previous + 1 OR (next IS NULL AND number <> last_ticket_number)

-- name: extra_bookings_are_beside
-- Who was taken in beyond the times of the shifts has a seat that no shift has, and everybody else one that a shift can have; no patient
-- booked so, and the queue's chain has an entry for each.
SELECT provider_id, booking_id, extra::text, seat
FROM booking.booking
WHERE (extra IS NOT NULL) <> (seat > booking.seats_max())
    OR extra IS NOT NULL AND NOT EXISTS (
        SELECT FROM booking.event
        WHERE event.provider_id = booking.provider_id AND event.booking_id = booking.booking_id AND kind = 'booked' AND starts_with(actor, 'staff:'))
UNION ALL
SELECT provider_id, NULL, extra::text, NULL
FROM booking.booking
WHERE extra IS NOT NULL
GROUP BY provider_id, extra
HAVING count(*) > (
    SELECT count(*) FROM booking.queue_entry WHERE queue_entry.provider_id = booking.provider_id AND kind = booking.extra::text AND number = 0)
