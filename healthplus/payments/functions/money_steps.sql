-- The money of a booking as patient and desk see it, a document: `payments`, the first paid first, each with the times of what it came to and its
-- `refunds` in the order in which they were ordered; those that were taken back before anybody was told are left out.
CREATE FUNCTION payments.money_steps(p_provider_id bigint, p_booking_id uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'amount_minor', payment.amount_minor, 'currency', payment.currency, 'method', payment.method, 'kept_minor', payment.kept_minor,
        'state', payment.state, 'due', payment.due, 'returns_from', payment.returns_from, 'rest_minor', ledger.rest_minor(payment),
        'authorised_at', fact.authorised_at, 'captured_at', fact.captured_at, 'voided_at', fact.voided_at, 'refunded_at', fact.refunded_at,
        'returned_at', ordered.at,
        'refunds', refunds.list, 'has_rest', refunds.has_rest) ORDER BY fact.authorised_at, payment.authorisation), '[]')
    FROM ledger.payment
    CROSS JOIN LATERAL (
        SELECT min(at) FILTER (WHERE entry.state = 'authorised') AS authorised_at, min(at) FILTER (WHERE entry.state = 'captured') AS captured_at,
            min(at) FILTER (WHERE entry.state = 'voided') AS voided_at, min(at) FILTER (WHERE entry.state = 'refunded') AS refunded_at
        FROM ledger.entry
        WHERE entry.provider_id = payment.provider_id AND entry.hold_id = payment.hold_id AND entry.authorisation = payment.authorisation) AS fact
    CROSS JOIN LATERAL (  -- when what was paid for ended, so that its money goes back
        SELECT max(event_log.at) AS at FROM booking.event_log
        WHERE event_log.provider_id = p_provider_id AND event_log.booking_id = p_booking_id
            AND event_log.kind IN ('cancelled', 'expired', 'released', 'refunded')) AS ordered
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'amount_minor', refund.amount_minor, 'state', refund.state, 'why', refund.why, 'is_rest', refund.is_rest, 'tries', refund.tries,
            'is_last', refund.is_last, 'ordered_at', refund.ordered_at, 'from_at', refund.from_at, 'pending_at', refund.pending_at,
            'processed_at', refund.processed_at, 'failed_at', refund.failed_at, 'paid_at', refund.paid_at,
            'reference', coalesce(refund.paid_reference, refund.reference)) ORDER BY refund.ordered_at, refund.tries), '[]') AS list,
            coalesce(bool_or(refund.is_rest), false) AS has_rest
        FROM ledger.refund
        WHERE refund.provider_id = payment.provider_id AND refund.hold_id = payment.hold_id AND refund.authorisation = payment.authorisation
            AND refund.state <> 'withdrawn') AS refunds
    WHERE payment.provider_id = p_provider_id AND payment.booking_id = p_booking_id
        AND payment.hold_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id))
$$;
