-- name: receipts_in_a_row
-- The receipts and credit notes of a clinic and financial year are numbered from 1 to the last of their series: none twice, none left out.
WITH numbered AS (
    SELECT clinic_id, kind, financial_year, count(*) AS documents, min(number) AS first_number, max(number) AS last_number
    FROM receipts.document GROUP BY clinic_id, kind, financial_year
)
SELECT clinic_id, kind::text AS kind, financial_year, documents, first_number, numbered.last_number, series.last_number AS series_number
FROM numbered FULL JOIN receipts.series USING (clinic_id, kind, financial_year)
WHERE financial_year >= receipts.kept_since((SELECT public.app_now()))
    AND (documents, first_number, numbered.last_number) IS DISTINCT FROM (series.last_number::bigint, 1, series.last_number)

-- name: receipts_match_money
-- Of a payment that has its receipt and credit notes, these come to what the ledger keeps of it, in the same currency; and none is for
-- what was never paid.
WITH document AS (
    SELECT provider_id, source_id AS hold_id, source_name AS authorisation, min(currency) AS currency,
        sum(CASE kind WHEN 'receipt' THEN amount_minor ELSE -amount_minor END) AS minor, bool_or(kind = 'receipt') AS is_whole
    FROM receipts.document WHERE source_kind = 'online' GROUP BY provider_id, source_id, source_name
), payment AS (
    SELECT provider_id, hold_id, authorisation, currency, coalesce(captured_at, refunded_at) AS taken_at,
        amount_minor - parts.minor - CASE WHEN refunded_at IS NULL THEN 0 ELSE ledger.rest_minor(payment) END AS kept_minor
    FROM ledger.payment
    CROSS JOIN LATERAL (  -- of which the gateway knows
        SELECT coalesce(sum(refund.amount_minor), 0) AS minor FROM ledger.refund
        WHERE refund.provider_id = payment.provider_id AND refund.hold_id = payment.hold_id AND refund.authorisation = payment.authorisation
            AND NOT is_rest AND tries = 1 AND refund.state NOT IN ('ordered', 'withdrawn')) AS parts
    WHERE captured_at IS NOT NULL OR refunded_at IS NOT NULL
)
SELECT provider_id, hold_id, authorisation, kept_minor, minor, document.currency
FROM payment FULL JOIN document USING (provider_id, hold_id, authorisation)
WHERE (minor IS DISTINCT FROM kept_minor OR document.currency <> payment.currency)
    AND (is_whole OR receipts.financial_year((taken_at AT TIME ZONE 'UTC')::date - 1) >= receipts.kept_since((SELECT public.app_now())))
    AND NOT EXISTS (
        SELECT FROM receipts.due
        WHERE due.provider_id = payment.provider_id AND due.source_id = payment.hold_id AND due.source_name = payment.authorisation)

-- name: desk_receipts_match_money
-- The same for what was paid at desks.
WITH document AS (
    SELECT provider_id, source_id AS payment_id, sum(CASE kind WHEN 'receipt' THEN amount_minor ELSE -amount_minor END) AS minor
    FROM receipts.document WHERE source_kind = 'desk' GROUP BY provider_id, source_id
), paid AS (
    SELECT provider_id, payment_id, paid_at, till.left_minor(payment) AS left_minor FROM till.payment WHERE kind = 'payment'
)
SELECT provider_id, payment_id, left_minor, minor
FROM paid FULL JOIN document USING (provider_id, payment_id)
WHERE minor IS DISTINCT FROM left_minor
    AND (minor IS NOT NULL OR receipts.financial_year((paid_at AT TIME ZONE 'UTC')::date - 1) >= receipts.kept_since((SELECT public.app_now())))
    AND NOT EXISTS (
        SELECT FROM receipts.due
        WHERE due.source_kind = 'desk' AND due.provider_id = paid.provider_id AND due.source_id = paid.payment_id)

-- name: desk_gives_back_what_it_took
-- No desk gave back more of a payment than it was, and what was undone was undone whole, in the same till and by the same method.
SELECT provider_id, payment_id, kind::text AS kind FROM till.payment
WHERE (kind = 'payment' AND (amount_minor < 0 OR till.left_minor(payment) < 0)) OR (kind = 'return' AND amount_minor > 0)
    OR (kind <> 'payment' AND NOT EXISTS (
        SELECT FROM till.payment AS former
        WHERE former.provider_id = payment.provider_id AND former.payment_id = payment.of_id AND former.booking_id = payment.booking_id
            AND CASE payment.kind WHEN 'return' THEN former.kind = 'payment'
                ELSE former.kind <> 'undo' AND former.amount_minor = -payment.amount_minor AND former.session_id = payment.session_id
                    AND former.method = payment.method END))

-- name: tills_add_up
-- A till that is closed has in it what was recorded when it was closed: nothing came after that.
SELECT session.clinic_id, session.session_id
FROM till.closing JOIN till.session USING (clinic_id, session_id) CROSS JOIN LATERAL till.expected(session) AS expected
WHERE reopened_at IS NULL
    AND (closing.cash_minor, closing.card_minor, closing.upi_minor) IS DISTINCT FROM (expected.cash_minor, expected.card_minor, expected.upi_minor)
