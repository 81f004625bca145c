-- name: issue
-- Give receipts and credit notes to $1 movements of money that have none, at most; for how many.
SELECT receipts.issue($1)

-- name: of_booking
-- The receipts for a booking and their credit notes.
SELECT * FROM receipts.documents($1, $2)

-- name: exported
-- All documents of the days from $1 to $2 in their clinics' zones, of clinic $3 and of money that went to accounts of owner $4 or of this
-- name, where those are given. What a credit note gives back is below zero.
SELECT (at AT TIME ZONE (said ->> 'time_zone'))::date AS day, said ->> 'method' AS method, said ->> 'gateway' AS gateway,
    said ->> 'account' AS account, clinic_id, said ->> 'clinic' AS clinic, said ->> 'gstin' AS gstin, kind::text AS kind,
    receipts.number_text(kind, clinic_id, financial_year, number) AS number, said ->> 'of' AS of, booking_id,
    receipts.settlement(document) AS settlement,
    said ->> 'reference' AS reference, CASE kind WHEN 'receipt' THEN amount_minor ELSE -amount_minor END AS amount_minor, currency
FROM receipts.document
LEFT JOIN payments.account ON account.account = said ->> 'account'
WHERE at BETWEEN $1::date - interval '1 day' AND $2::date + interval '2 days'
    AND (at AT TIME ZONE (said ->> 'time_zone'))::date BETWEEN $1 AND $2
    AND ($3::bigint IS NULL OR clinic_id = $3) AND ($4::text IS NULL OR owner = $4 OR account.account = $4)
ORDER BY day, method, gateway, account, settlement NULLS FIRST, clinic_id, document.kind, financial_year, document.number
