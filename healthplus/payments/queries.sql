-- name: take_due
-- Some of what is due at the gateway, oldest first. It comes up again after $2 unless marked by then: this keeps processes
-- from doing the same work, and tries again what failed, but is no lock; doing a step twice does no harm.
UPDATE payments.payment
SET at = (SELECT public.app_now()) + $2
WHERE (provider_id, booking_id, authorisation) IN (
    SELECT provider_id, booking_id, authorisation FROM payments.payment
    WHERE due IS NOT NULL AND at <= (SELECT public.app_now())
    ORDER BY at LIMIT $1
    FOR UPDATE SKIP LOCKED)
RETURNING provider_id, booking_id, authorisation, due::text AS due

-- name: void_due
-- Money set aside for a booking that was then refused.
SELECT provider_id, booking_id, authorisation, due::text AS due
FROM payments.payment
WHERE provider_id = $1 AND booking_id = $2 AND due = 'void'

-- name: authorisation
-- What was set aside for a booking, and not let go.
SELECT authorisation FROM payments.payment
WHERE provider_id = $1 AND booking_id = $2 ORDER BY due IS NOT DISTINCT FROM 'void', at LIMIT 1

-- name: money
-- What becomes of the money for a booking that was given back: what is due to be done with it, or what was done.
SELECT coalesce(due::text || '_due', state::text) FROM payments.payment
WHERE provider_id = $1 AND booking_id = $2 ORDER BY state DESC LIMIT 1

-- name: mark
-- What became of the money, as the gateway answered. What is due may have changed meanwhile: a booking cancelled while it
-- was captured is due to be refunded. Answers may come late and out of order: a state never goes back.
WITH answer AS (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::payments.payment_state[])
        AS answer (provider_id, booking_id, authorisation, state)
), free AS (
    -- A verb may be changing one of these rows while it waits for another of them: waiting here could deadlock.
    SELECT provider_id, booking_id, authorisation, answer.state
    FROM payments.payment JOIN answer USING (provider_id, booking_id, authorisation)
    FOR UPDATE OF payment SKIP LOCKED
)
UPDATE payments.payment
SET state = greatest(payment.state, free.state),
    due = CASE WHEN greatest(payment.state, free.state) = 'captured' AND payment.due IN ('void', 'refund')
        THEN 'refund'::payments.payment_step END,
    at = (SELECT public.app_now())
FROM free
WHERE payment.provider_id = free.provider_id AND payment.booking_id = free.booking_id
    AND payment.authorisation = free.authorisation
