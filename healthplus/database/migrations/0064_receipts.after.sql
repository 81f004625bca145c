-- What was taken and given back before there were receipts gets them, too, in the order of time.
INSERT INTO receipts.due (source_kind, provider_id, source_id, source_name, refund_id, since)
SELECT 'online', provider_id, hold_id, authorisation, NULL::uuid, coalesce(captured_at, refunded_at)
FROM ledger.payment WHERE captured_at IS NOT NULL OR refunded_at IS NOT NULL
UNION ALL
SELECT 'online', provider_id, hold_id, authorisation, hold_id, refunded_at
FROM ledger.payment WHERE refunded_at IS NOT NULL
ON CONFLICT DO NOTHING;
