-- name: money_adds_up
-- What was captured for a provider, less what was refunded or is due to be, is the sum of the fees of the bookings that it pays for.
WITH kept AS (
    SELECT provider_id, sum(amount_minor) AS minor, count(*) AS payments
    FROM ledger.payment
    WHERE captured_at IS NOT NULL AND refunded_at IS NULL AND due IS DISTINCT FROM 'refund'
    GROUP BY provider_id
), earned AS (
    SELECT provider_id, sum(fee_minor) AS minor, count(*) AS bookings
    FROM booking.booking
    WHERE funding = 'online' AND state IN ('booked', 'arrived', 'fulfilled', 'no_show') AND EXISTS (
        SELECT FROM ledger.payment
        WHERE payment.provider_id = booking.provider_id AND payment.booking_id = booking.booking_id
            AND payment.hold_id = ANY (ledger.holds_paid(booking.provider_id, booking.booking_id))
            AND captured_at IS NOT NULL AND due IS DISTINCT FROM 'refund')
    GROUP BY provider_id
)
SELECT provider_id, kept.minor AS kept_minor, payments, earned.minor AS earned_minor, bookings
FROM kept FULL JOIN earned USING (provider_id)
WHERE kept.minor IS DISTINCT FROM earned.minor OR payments IS DISTINCT FROM bookings

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
