-- name: pass_time
-- Move the product's clock on by so many seconds.
UPDATE public.app_clock SET clock_offset = clock_offset + make_interval(secs => $1::integer)

-- name: start_clock
-- So that it can be moved.
INSERT INTO public.app_clock (clock_offset) VALUES ('0') ON CONFLICT DO NOTHING

-- name: keep_held
-- Have the holds that wait for their turn to be given up live as long as a case lasts.
UPDATE booking.booking SET deadline = deadline + interval '3 hours' WHERE provider_id = $1 AND state = 'reserved'

-- name: tickets
-- A provider's tickets that are not over, or whose hold is not.
SELECT ticket.ticket_id, ticket.patient_id, ticket.state::text, offer_id, answered_at IS NOT NULL AS answered, booking.state::text AS held
FROM booking.ticket LEFT JOIN booking.booking ON booking.provider_id = ticket.provider_id AND booking_id = offer_id
WHERE ticket.provider_id = $1 AND (
    ticket.state IN ('waiting', 'offered', 'called') OR (ticket.state = 'accepted' AND booking.state = 'reserved'))

-- name: see
-- Note that all who wait have their pages open, and see what they are offered.
INSERT INTO booking.presence (provider_id, ticket_id, seen_at, fetched_offer_id)
SELECT provider_id, ticket_id, (SELECT public.app_now()), offer_id FROM booking.ticket
WHERE provider_id = $1 AND state IN ('waiting', 'offered', 'called')
ORDER BY ticket_id
ON CONFLICT (provider_id, ticket_id) DO UPDATE
SET seen_at = excluded.seen_at, fetched_offer_id = coalesce(excluded.fetched_offer_id, presence.fetched_offer_id)

-- name: without_rule
-- Offer each time to one ticket, however many let theirs go.
CREATE OR REPLACE FUNCTION booking.group_size(p_provider_id bigint, p_now timestamptz) RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN 1;
END $$

-- name: without_limit
-- Let everyone queue, whatever turns they let go.
CREATE OR REPLACE FUNCTION booking.refuse_turn(p_provider_id bigint, p_patient_id bigint, p_now timestamptz)
RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN NULL;
END $$
