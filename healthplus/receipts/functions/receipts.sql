-- Receipts and credit notes: numbered by a job after the money has moved, never in a verb.

-- The financial year of a day, April to March, by the year in which it begins.
CREATE FUNCTION receipts.financial_year(p_day date) RETURNS smallint IMMUTABLE LANGUAGE sql AS $$
    SELECT extract(year FROM p_day - interval '3 months')::smallint
$$;

-- A document's number for people, as R12/26-27/1042 or C12/26-27/7. India allows 16 letters, digits, dashes and slashes: a clinic with a
-- long number of its own says only the year in which the financial year begins.
CREATE FUNCTION receipts.number_text(p_kind receipts.kind, p_clinic_id bigint, p_financial_year smallint, p_number integer)
RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE p_kind WHEN 'receipt' THEN 'R' ELSE 'C' END || p_clinic_id || '/' || to_char(p_financial_year % 100, 'FM00')
        || CASE WHEN p_clinic_id < 1000 THEN '-' || to_char((p_financial_year + 1) % 100, 'FM00') ELSE '' END || '/' || p_number
$$;

-- The first financial year whose documents are kept: they go eight years after their year has ended.
CREATE FUNCTION receipts.kept_since(p_now timestamptz) RETURNS smallint STABLE LANGUAGE sql AS $$
    SELECT (receipts.financial_year((p_now AT TIME ZONE 'UTC')::date - 1) - 8)::smallint  -- also where the day is another by now
$$;

-- What each kind of source says of a payment that was taken. `currency`: NULL is the clinic's. `reference`: what the bank calls it.
CREATE FUNCTION receipts.taken(p_due receipts.due) RETURNS TABLE (
    booking_id uuid, amount_minor integer, currency text, at timestamptz, method text, account text, reference text
) STABLE LANGUAGE sql AS $$
    SELECT booking_id, amount_minor, currency, coalesce(captured_at, refunded_at), coalesce(nullif(method, ''), 'online'),
        payments.account_named(authorisation),
        substr(authorisation, strpos(authorisation, '/') + 1)
    FROM ledger.payment
    WHERE p_due.source_kind = 'online' AND provider_id = p_due.provider_id AND hold_id = p_due.source_id
        AND hashtextextended(authorisation, 0) = hashtextextended(p_due.source_name, 0) AND authorisation = p_due.source_name
        AND (captured_at IS NOT NULL OR refunded_at IS NOT NULL)
    UNION ALL
    SELECT booking_id, amount_minor, currency, paid_at, method::text, 'desk', reference
    FROM till.payment
    WHERE p_due.source_kind = 'desk' AND provider_id = p_due.provider_id AND payment_id = p_due.source_id
$$;

-- What each kind of source says of money that went back. `method`, `reference`: of a desk's, which may give back in cash what a card paid;
-- NULL: by the way it came.
CREATE FUNCTION receipts.returned(p_due receipts.due) RETURNS TABLE (
    booking_id uuid, amount_minor integer, at timestamptz, method text, reference text
) STABLE LANGUAGE sql AS $$
    SELECT booking_id, ledger.rest_minor(payment), refunded_at, NULL, NULL
    FROM ledger.payment
    WHERE p_due.source_kind = 'online' AND provider_id = p_due.provider_id AND hold_id = p_due.source_id
        AND hashtextextended(authorisation, 0) = hashtextextended(p_due.source_name, 0) AND authorisation = p_due.source_name
        AND p_due.refund_id = p_due.source_id AND refunded_at IS NOT NULL AND ledger.rest_minor(payment) > 0
    UNION ALL
    SELECT booking_id, amount_minor, least(pending_at, processed_at, failed_at), NULL, NULL
    FROM ledger.refund
    WHERE p_due.source_kind = 'online' AND provider_id = p_due.provider_id AND refund_id = p_due.refund_id AND hold_id = p_due.source_id
    UNION ALL
    SELECT booking_id, -amount_minor, paid_at, method::text, CASE kind WHEN 'return' THEN reference END
    FROM till.payment
    WHERE p_due.source_kind = 'desk' AND provider_id = p_due.provider_id AND payment_id = p_due.refund_id AND of_id = p_due.source_id
$$;

-- What a receipt for a payment for a booking says, besides its amount, date and names.
CREATE FUNCTION receipts.said_of(p_booking booking.booking, p_amount_minor integer, p_method text, p_account text, p_reference text)
RETURNS jsonb STABLE LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'clinic', clinic.name, 'gstin', clinic.gstin, 'time_zone', city.time_zone, 'provider', provider.name,
        'address', concat_ws(', ', nullif(address, ''),  -- many have city and postal code in them
            CASE WHEN strpos(address, city.name) = 0 THEN city.name END,
            CASE WHEN strpos(address, postal_code) = 0 THEN postal_code END),
        'starts_at', lower((p_booking).during), 'ends_at', booking.visit_end((p_booking).during, (p_booking).service_ids),
        'tax', CASE WHEN clinic.currency = 'INR' THEN 'exempt' END,
        'method', p_method, 'account', p_account, 'reference', p_reference,
        'gateway', coalesce((SELECT gateway FROM payments.account WHERE account = p_account), p_account),
        'lines', coalesce((
            SELECT jsonb_agg(jsonb_build_object('name', service_type.name, 'is_test', is_test, 'minor', fee_minor) ORDER BY service_type.name)
            FROM directory.service JOIN directory.service_type USING (service_type_id)
            WHERE service_id = ANY ((p_booking).service_ids) AND p_amount_minor = (p_booking).fee_minor), '[]'))
    FROM directory.clinic JOIN directory.city USING (city_id), directory.provider
    WHERE clinic_id = (p_booking).clinic_id AND provider.provider_id = (p_booking).provider_id
$$;

-- Numbers these documents, in the order of their time, and stores them. A series' row is locked until its numbers are stored.
CREATE FUNCTION receipts.store(p_documents receipts.document[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    WITH given AS MATERIALIZED (
        SELECT *, row_number() OVER (PARTITION BY clinic_id, kind, financial_year ORDER BY at, source_id, source_name, refund_id) AS nth
        FROM unnest(p_documents)
    ), series AS (
        INSERT INTO receipts.series (clinic_id, kind, financial_year, last_number)
        SELECT clinic_id, kind, financial_year, count(*) FROM given GROUP BY clinic_id, kind, financial_year
        ON CONFLICT (clinic_id, kind, financial_year) DO UPDATE SET last_number = series.last_number + excluded.last_number
        RETURNING clinic_id, kind, financial_year, coalesce(old.last_number, 0) AS numbered
    )
    INSERT INTO receipts.document
    SELECT clinic_id, kind, financial_year, numbered + nth, source_kind, provider_id, source_id, source_name, refund_id, booking_id,
        amount_minor, currency, at, issued_at, person_name, payer_name, said
    FROM given JOIN series USING (clinic_id, kind, financial_year)
$$;

-- The receipt for a payment for a booking, or with p_refund_id the credit note for what went back of it; NULL where none is issued. Looked
-- up one by one: joined as a set, each would read all documents wherever the planner still takes their table for a small one.
CREATE FUNCTION receipts.issued_for(p_due receipts.due, p_booking_id uuid, p_refund_id uuid) RETURNS receipts.document
STABLE LANGUAGE sql AS $$
    SELECT document FROM receipts.document
    WHERE provider_id = p_due.provider_id AND booking_id = p_booking_id AND source_id = p_due.source_id
        AND refund_id IS NOT DISTINCT FROM p_refund_id AND source_name = p_due.source_name
$$;

-- Issues documents for some of the money that has none, the oldest first; returns for how many. Nothing where another process is at it.
-- All of it is one transaction: a process that dies leaves no gap.
CREATE FUNCTION receipts.issue(p_rows_max integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    todo receipts.due[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(18, 6) THEN
        RETURN 0;
    END IF;
    todo := ARRAY (SELECT due FROM receipts.due WHERE since <= now_at ORDER BY since, refund_id NULLS FIRST LIMIT p_rows_max);
    PERFORM receipts.store(ARRAY (
        SELECT ROW(paid.clinic_id, 'receipt', receipts.financial_year((taken.at AT TIME ZONE (said ->> 'time_zone'))::date), NULL,
            due.source_kind, due.provider_id, due.source_id, due.source_name, NULL, taken.booking_id, taken.amount_minor,
            coalesce(taken.currency, clinic.currency), taken.at, now_at, paid.patient_name,
            (SELECT person.name FROM accounts.person WHERE person.patient_id = paid.patient_id AND is_holder), said)::receipts.document
        FROM unnest(todo) AS due
        CROSS JOIN LATERAL receipts.taken(due) AS taken
        JOIN booking.booking AS paid ON paid.provider_id = due.provider_id AND paid.booking_id = taken.booking_id
        JOIN directory.clinic USING (clinic_id)
        CROSS JOIN LATERAL receipts.said_of(paid, taken.amount_minor, taken.method, taken.account, taken.reference) AS said
        WHERE due.refund_id IS NULL AND receipts.issued_for(due, taken.booking_id, NULL) IS NULL));
    PERFORM receipts.store(ARRAY (
        SELECT ROW(receipt.clinic_id, 'credit_note',
            receipts.financial_year((returned.at AT TIME ZONE (said ->> 'time_zone'))::date), NULL,
            due.source_kind, due.provider_id, due.source_id, due.source_name, due.refund_id, receipt.booking_id, returned.amount_minor,
            receipt.currency, returned.at, now_at, receipt.person_name, receipt.payer_name,
            said || jsonb_strip_nulls(jsonb_build_object('method', returned.method, 'reference', returned.reference))
                || jsonb_build_object('of', receipts.number_text(receipt.kind, receipt.clinic_id, receipt.financial_year, receipt.number),
                'of_at', receipt.at, 'of_minor', receipt.amount_minor))::receipts.document
        FROM unnest(todo) AS due
        CROSS JOIN LATERAL receipts.returned(due) AS returned
        CROSS JOIN LATERAL receipts.issued_for(due, returned.booking_id, NULL) AS receipt
        WHERE due.refund_id IS NOT NULL AND receipt.number IS NOT NULL
            AND receipts.issued_for(due, receipt.booking_id, due.refund_id) IS NULL));
    DELETE FROM receipts.due USING unnest(todo) AS done
    WHERE due.provider_id = done.provider_id AND due.source_id = done.source_id AND due.refund_id IS NOT DISTINCT FROM done.refund_id
        AND hashtextextended(due.source_name, 0) = hashtextextended(done.source_name, 0);
    RETURN cardinality(todo);
END $$;

-- The receipts for a booking and then their credit notes, each in the order in which they were issued.
CREATE FUNCTION receipts.documents(p_provider_id bigint, p_booking_id uuid) RETURNS TABLE (
    kind text, number text, provider_id bigint, booking_id uuid, amount_minor integer, currency text, at timestamptz, issued_at timestamptz,
    person_name text, payer_name text, said text
) STABLE LANGUAGE sql AS $$
    SELECT kind::text, receipts.number_text(kind, clinic_id, financial_year, number), provider_id, booking_id, amount_minor, currency, at,
        issued_at, person_name, payer_name, said::text
    FROM receipts.document
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id
    ORDER BY document.kind, at, document.number
$$;

-- Notes that money was taken or has gone back, in the transaction that says so.
CREATE FUNCTION receipts.on_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR (OLD.captured_at IS NULL AND OLD.refunded_at IS NULL) THEN
        INSERT INTO receipts.due (source_kind, provider_id, source_id, source_name, refund_id, since)
        VALUES ('online', NEW.provider_id, NEW.hold_id, NEW.authorisation, NULL, coalesce(NEW.captured_at, NEW.refunded_at))
        ON CONFLICT DO NOTHING;
    END IF;
    IF NEW.refunded_at IS NOT NULL THEN
        INSERT INTO receipts.due (source_kind, provider_id, source_id, source_name, refund_id, since)
        VALUES ('online', NEW.provider_id, NEW.hold_id, NEW.authorisation, NEW.hold_id, NEW.refunded_at)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER receipts_follow AFTER INSERT ON ledger.payment FOR EACH ROW WHEN (((new.captured_at IS NOT NULL)
    OR (new.refunded_at IS NOT NULL))) EXECUTE FUNCTION receipts.on_payment();

CREATE TRIGGER receipts_follow_update AFTER UPDATE ON ledger.payment FOR EACH ROW WHEN ((((old.captured_at IS NULL)
    AND (new.captured_at IS NOT NULL)) OR ((old.refunded_at IS NULL) AND (new.refunded_at IS NOT NULL))))
EXECUTE FUNCTION receipts.on_payment();

-- Notes that a part of a payment goes back, once the gateway has answered to the first order of it: if that fails, it is owed all the same.
CREATE FUNCTION receipts.on_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO receipts.due (source_kind, provider_id, source_id, source_name, refund_id, since)
    VALUES ('online', NEW.provider_id, NEW.hold_id, NEW.authorisation, NEW.refund_id, least(NEW.pending_at, NEW.processed_at, NEW.failed_at))
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER receipts_follow_update AFTER UPDATE ON ledger.refund FOR EACH ROW WHEN (((NOT new.is_rest) AND (new.tries = 1)
    AND (old.state = 'ordered'::ledger.refund_state) AND (new.state <> 'withdrawn'::ledger.refund_state)
    AND (new.state <> 'ordered'::ledger.refund_state))) EXECUTE FUNCTION receipts.on_refund();

-- The same for what a desk took, undid or gave back. What was given back may be undone for some minutes, and no credit note can be: so it
-- waits that long for its own, and none is due for what was undone.
CREATE FUNCTION receipts.on_desk_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO receipts.due (source_kind, provider_id, source_id, source_name, refund_id, since)
    SELECT 'desk', NEW.provider_id, coalesce(NEW.of_id, NEW.payment_id), '', CASE WHEN NEW.kind <> 'payment' THEN NEW.payment_id END,
        CASE NEW.kind WHEN 'return' THEN NEW.paid_at + booking.undo_time() + interval '1 minute' ELSE NEW.paid_at END
    WHERE NEW.kind <> 'undo' OR NEW.amount_minor < 0;
    DELETE FROM receipts.due
    WHERE NEW.kind = 'undo' AND NEW.amount_minor > 0 AND source_kind = 'desk' AND provider_id = NEW.provider_id AND refund_id = NEW.of_id;
    RETURN NULL;
END $$;

CREATE TRIGGER receipts_follow AFTER INSERT ON till.payment FOR EACH ROW EXECUTE FUNCTION receipts.on_desk_payment();

-- Refuses to change a document, but for its names, which may go.
CREATE FUNCTION receipts.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.person_name IS NULL THEN
        OLD.person_name := NULL;
    END IF;
    IF NEW.payer_name IS NULL THEN
        OLD.payer_name := NULL;
    END IF;
    IF OLD IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'what receipts.document says is written once: UPDATE is refused';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER written_once BEFORE UPDATE ON receipts.document FOR EACH ROW EXECUTE FUNCTION receipts.refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON receipts.document
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');
