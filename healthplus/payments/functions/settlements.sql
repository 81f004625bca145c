-- What gateways paid out: stored as it is read, matched with the ledger, and compared with it.

-- The product's name for a payment that an account's gateway calls p_name.
CREATE FUNCTION payments.authorisation_of(p_account text, p_name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_account WHEN 'sandbox' THEN p_name ELSE p_account || '/' || p_name END
$$;

-- Has each of these accounts have a row for each of the days whose settlements are to be read: p_days before today.
CREATE FUNCTION payments.plan_settlement_days(p_accounts text[], p_days integer, p_now timestamptz) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO payments.settlement_day (account, day, due_at)
    SELECT account, day, (day + 1)::timestamp AT TIME ZONE 'UTC' + interval '3 hours'
    FROM unnest(p_accounts) AS account
    CROSS JOIN LATERAL (
        SELECT (p_now AT TIME ZONE 'UTC')::date - ago AS day FROM generate_series(1, p_days) AS ago) AS past
    ON CONFLICT DO NOTHING
$$;

-- Takes the day of an account that has waited longest; it comes up again after p_again_after unless it is finished by then.
CREATE FUNCTION payments.take_settlement_day(p_accounts text[], p_now timestamptz, p_again_after interval)
RETURNS SETOF payments.settlement_day LANGUAGE sql VOLATILE AS $$
    UPDATE payments.settlement_day SET due_at = p_now + p_again_after
    WHERE (account, day) IN (
        SELECT account, day FROM payments.settlement_day
        WHERE due_at <= p_now AND account = ANY (p_accounts)
        ORDER BY due_at, account LIMIT 1
        FOR UPDATE SKIP LOCKED)
    RETURNING settlement_day.*
$$;

-- Stores settlements, each once; what one of them had not said before is added.
CREATE FUNCTION payments.store_settlements(p_account text, p_settlements jsonb, p_now timestamptz) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO payments.settlement AS known (account, name, settled_at, currency, amount_minor, reference, read_at)
    SELECT DISTINCT ON (name) p_account, name, settled_at, currency, amount_minor, reference, p_now
    FROM jsonb_to_recordset(p_settlements) AS given (
        name text, settled_at timestamptz, currency text, amount_minor bigint, reference text)
    ORDER BY name, amount_minor
    ON CONFLICT (account, name) DO UPDATE SET
        amount_minor = coalesce(excluded.amount_minor, known.amount_minor),
        reference = coalesce(nullif(excluded.reference, ''), known.reference)
    WHERE (coalesce(excluded.amount_minor, known.amount_minor), coalesce(nullif(excluded.reference, ''), known.reference))
        IS DISTINCT FROM (known.amount_minor, known.reference)
$$;

-- Stores lines, each once, with the payment in the ledger that one of `holds` leads to. Returns those that were there before: is_same, or
-- with something else in them, which then stays as it was.
CREATE FUNCTION payments.store_lines(p_account text, p_lines jsonb) RETURNS TABLE (settlement text, name text, is_same boolean)
LANGUAGE sql VOLATILE AS $$
    WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (settlement, name) *
        FROM jsonb_to_recordset(p_lines) AS line (
            settlement text, name text, kind text, payment text, refund text, amount_minor bigint, fee_minor bigint, tax_minor bigint,
            net_minor bigint, is_converted boolean, at timestamptz, holds jsonb)
        ORDER BY settlement, name
    ), stored AS (
        INSERT INTO payments.settlement_line
        SELECT p_account, settlement, name, kind, payment, refund, amount_minor, fee_minor, tax_minor, net_minor, is_converted, at,
            found.provider_id, found.hold_id
        FROM given
        LEFT JOIN LATERAL (
            SELECT paid.provider_id, paid.hold_id
            FROM jsonb_to_recordset(holds) AS hold (provider_id bigint, hold_id uuid)
            JOIN ledger.payment AS paid USING (provider_id, hold_id)
            WHERE paid.authorisation = payments.authorisation_of(p_account, given.payment) LIMIT 1) AS found ON true -- noqa: AM09
        ON CONFLICT DO NOTHING
        RETURNING settlement, name)
    SELECT given.settlement, given.name,
        (given.kind, given.payment, given.refund, given.amount_minor, given.fee_minor, given.tax_minor, given.net_minor)
            = (known.kind, known.payment, known.refund, known.amount_minor, known.fee_minor, known.tax_minor, known.net_minor)
    FROM given JOIN payments.settlement_line AS known
        ON known.account = p_account AND known.settlement = given.settlement AND known.name = given.name
    WHERE NOT EXISTS (SELECT FROM stored WHERE (stored.settlement, stored.name) = (given.settlement, given.name))
$$;

-- Finds the payments of lines that named none of our holds: by another line of the same payment, or among those of the time. A refund may
-- come half a year after its payment.
CREATE FUNCTION payments.find_settled(p_account text, p_payments text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    since timestamptz;
    until timestamptz;
    names text[];
BEGIN
    UPDATE payments.settlement_line AS line SET provider_id = other.provider_id, hold_id = other.hold_id
    FROM payments.settlement_line AS other
    WHERE line.account = p_account AND line.payment = ANY (p_payments) AND line.payment <> '' AND line.provider_id IS NULL
        AND other.account = p_account AND other.payment = line.payment AND other.provider_id IS NOT NULL;
    SELECT min(at - CASE kind WHEN 'payment' THEN interval '8 days' ELSE interval '185 days' END), max(at) + interval '1 day',
        array_agg(payments.authorisation_of(p_account, payment))
    INTO since, until, names
    FROM payments.settlement_line
    WHERE account = p_account AND payment = ANY (p_payments) AND kind IN ('payment', 'refund') AND payment <> '' AND provider_id IS NULL;
    IF names IS NOT NULL THEN
        UPDATE payments.settlement_line AS line SET provider_id = paid.provider_id, hold_id = paid.hold_id
        FROM ledger.payment AS paid
        WHERE paid.authorised_at BETWEEN since AND until AND paid.authorisation = ANY (names)
            AND line.account = p_account AND line.payment = ANY (p_payments) AND line.provider_id IS NULL
            AND paid.authorisation = payments.authorisation_of(p_account, line.payment);
    END IF;
END $$;

-- How much the ledger says went back in a refund: by the gateway's name for it, or of the same amount where the ledger knows no name. NULL: it
-- knows none; 0: it failed.
CREATE FUNCTION payments.refund_minor(p_payment ledger.payment, p_name text, p_amount_minor bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT CASE state WHEN 'failed' THEN 0 ELSE amount_minor END FROM ledger.refund
        WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
            AND (name = p_name OR name IS NULL AND state IN ('pending', 'processed') AND amount_minor = p_amount_minor)
        ORDER BY name = p_name DESC NULLS LAST LIMIT 1), (
        SELECT p_amount_minor WHERE p_payment.state = 'refunded' AND NOT EXISTS (
            SELECT FROM ledger.refund
            WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation)
            AND payments.returned_minor(p_payment) = p_amount_minor))
$$;

-- The lines of some payments, of which `lines` are of the same; and with each what the ledger has of it: how much was taken, or went back.
CREATE FUNCTION payments.settled(p_account text, p_payments text[], p_names text[]) RETURNS TABLE (
    name text, kind text, payment text, refund text, amount_minor bigint, fee_minor bigint, net_minor bigint, currency text,
    is_converted boolean, lines bigint, lines_minor bigint, provider_id bigint, hold_id uuid, booking_id uuid, clinic_id bigint,
    ours_minor bigint, ours_currency text
) LANGUAGE sql STABLE AS $$
    SELECT line.name, line.kind, line.payment, line.refund, line.amount_minor, line.fee_minor, line.net_minor, settlement.currency,
        line.is_converted, same.lines, same.minor, line.provider_id, line.hold_id, paid.booking_id, target.clinic_id,
        CASE line.kind
            WHEN 'payment' THEN CASE WHEN coalesce(paid.captured_at, paid.refunded_at) IS NOT NULL THEN paid.amount_minor
                WHEN paid.hold_id IS NOT NULL THEN 0 END
            WHEN 'refund' THEN -payments.refund_minor(paid, line.refund, abs(line.amount_minor)) END,
        coalesce(paid.currency, clinic.currency)
    FROM payments.settlement_line AS line
    JOIN payments.settlement ON settlement.account = line.account AND settlement.name = line.settlement
    LEFT JOIN ledger.payment AS paid ON paid.provider_id = line.provider_id AND paid.hold_id = line.hold_id
        AND paid.authorisation = payments.authorisation_of(line.account, line.payment)
    LEFT JOIN booking.booking AS target ON target.provider_id = paid.provider_id AND target.booking_id = paid.booking_id
    LEFT JOIN directory.clinic ON clinic.clinic_id = target.clinic_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE sign(other.amount_minor) = sign(line.amount_minor)) AS lines, sum(other.amount_minor)::bigint AS minor
        FROM payments.settlement_line AS other
        WHERE other.account = line.account AND other.payment = line.payment AND other.kind = line.kind AND other.refund = line.refund
    ) AS same
    WHERE line.account = p_account AND line.payment = ANY (p_payments) AND (line.payment <> '' OR line.name = ANY (p_names))
$$;

-- Adds up some settlements; returns what each comes to, and what the gateway paid out.
CREATE FUNCTION payments.add_up_settlements(p_account text, p_names text[])
RETURNS TABLE (name text, currency text, amount_minor bigint, comes_to_minor bigint, lines integer) LANGUAGE sql VOLATILE AS $$
    UPDATE payments.settlement AS known SET
        lines = sums.lines, payments_minor = sums.payments_minor, refunds_minor = sums.refunds_minor, other_minor = sums.other_minor,
        fees_minor = sums.fees_minor, tax_minor = sums.tax_minor
    FROM unnest(p_names) AS asked (name)
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS lines, coalesce(sum(line.amount_minor) FILTER (WHERE kind = 'payment'), 0) AS payments_minor,
            coalesce(sum(line.amount_minor) FILTER (WHERE kind = 'refund'), 0) AS refunds_minor,
            coalesce(sum(line.amount_minor) FILTER (WHERE kind = 'other'), 0) AS other_minor,
            coalesce(sum(fee_minor), 0) AS fees_minor, coalesce(sum(line.tax_minor), 0) AS tax_minor, coalesce(sum(net_minor), 0)::bigint AS net
        FROM payments.settlement_line AS line WHERE line.account = p_account AND line.settlement = asked.name) AS sums
    WHERE known.account = p_account AND known.name = asked.name
    RETURNING known.name, known.currency, known.amount_minor, sums.net, sums.lines
$$;

-- What was taken or went back from p_since until before p_until, a week before the last settlement of its account, and after the first, and is
-- in none. What is captured at once by Razorpay is paid out by the banks (Direct Settlement).
CREATE FUNCTION payments.unsettled(p_account text, p_since timestamptz, p_until timestamptz) RETURNS TABLE (
    name text, payment text, amount_minor bigint, currency text, provider_id bigint, hold_id uuid, booking_id uuid, clinic_id bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    first_at timestamptz;
    last_at timestamptz;
BEGIN
    SELECT min(settled_at), max(settled_at) INTO first_at, last_at FROM payments.settlement WHERE account = p_account;
    IF first_at IS NULL THEN
        RETURN;
    END IF;
    first_at := greatest(p_since, first_at);
    last_at := least(p_until, last_at - interval '7 days');
    RETURN QUERY
    WITH money AS (
        SELECT authorisation, '' AS refund, amount_minor, provider_id, hold_id FROM ledger.payment
        WHERE captured_at >= first_at AND captured_at < last_at
        UNION ALL
        SELECT authorisation, name, -amount_minor, provider_id, hold_id FROM ledger.refund
        WHERE processed_at >= first_at AND processed_at < last_at AND state = 'processed' AND name IS NOT NULL
    ), named AS (
        SELECT *, substr(authorisation, strpos(authorisation, '/') + 1) AS payment FROM money
        WHERE payments.account_named(authorisation) = p_account
    )
    SELECT coalesce(nullif(refund, ''), named.payment), named.payment, named.amount_minor::bigint, coalesce(paid.currency, clinic.currency),
        provider_id, hold_id, paid.booking_id, target.clinic_id
    FROM named
    JOIN ledger.payment AS paid USING (provider_id, hold_id, authorisation)
    LEFT JOIN booking.booking AS target USING (provider_id, booking_id)
    LEFT JOIN directory.clinic ON clinic.clinic_id = target.clinic_id
    WHERE NOT EXISTS (
        SELECT FROM payments.settlement_line AS line
        WHERE line.account = p_account AND line.payment = named.payment AND line.refund = named.refund AND line.kind IN ('payment', 'refund'))
        AND NOT EXISTS (
            SELECT FROM payments.account WHERE account.account = p_account AND gateway = 'razorpay' AND captures_at_once);
END $$;

-- The settlements of which a payment or refund is part, by the gateway's names; NULL: of none as yet.
CREATE FUNCTION payments.settlements_of(p_account text, p_payment text, p_refund text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(DISTINCT settlement, ' ') FROM payments.settlement_line
    WHERE account = p_account AND payment = p_payment AND refund = p_refund AND kind IN ('payment', 'refund')
$$;
