-- name: forget_spent
-- Forget what came to nothing: a few patients make holds as often as many do, who would not come to the limits of one account.
UPDATE booking.claim SET lapses = '{}', spent = '{}' WHERE cardinality(spent || lapses) > 0

-- name: queue_events
-- What happened in each queue, and which holds came of no ticket, in the order of the book. Who missed an offer counts as absent.
SELECT
    provider_id, CASE reason WHEN 'offer_unseen' THEN 'missed' ELSE kind END AS kind, ticket_id::text,
    kind = 'reserved' AND ticket_id IS NULL AND starts_with(actor, 'patient:') AS is_newcomer
FROM booking.event
WHERE (kind = 'reserved' AND ticket_id IS NULL) OR (booking_id IS NULL AND ticket_id IS NOT NULL)
ORDER BY provider_id, seq

-- name: newest_tickets
-- The number of the newest ticket of each queue.
SELECT provider_id, max(number) FROM booking.ticket GROUP BY provider_id

-- name: taken_twice
-- Two bookings that occupy one slot.
SELECT one.provider_id, one.booking_id::text AS booking_id, other.booking_id::text AS other_id
FROM booking.booking AS one
JOIN booking.booking AS other USING (provider_id, seat)
WHERE one.booking_id < other.booking_id AND one.during && other.during AND one.occupies AND other.occupies

-- name: money_due
-- How many payments have something due.
SELECT count(*) FROM ledger.payment WHERE due IS NOT NULL
