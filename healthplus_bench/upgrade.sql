-- name: tickets
-- A provider's tickets, in order.
SELECT ticket_id::text AS id, number, state::text AS state, joined_at FROM booking.ticket WHERE provider_id = $1 ORDER BY number

-- name: offers
-- The numbers of a provider's tickets in the order in which they were offered something.
SELECT ticket.number FROM booking.event JOIN booking.ticket USING (provider_id, ticket_id)
WHERE event.provider_id = $1 AND event.kind = 'offered' ORDER BY event.seq

-- name: events
-- All that has happened, as what was acknowledged is noted: kind and id.
SELECT kind, coalesce(booking_id, ticket_id)::text AS id FROM booking.event
