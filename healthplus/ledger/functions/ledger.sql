-- Money for bookings, as far as the database decides about it. Nothing here knows what a booking is: callers say what money is for.

-- How long a capture is left to the process that booked, which knows of it; after that any process does it.
CREATE FUNCTION ledger.capture_patience() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '30 seconds' $$;

-- Notes money set aside for a hold, as a payment for p_booking_id: the hold itself, or what was booked in its place.
-- p_currency: NULL is the clinic's.
CREATE FUNCTION ledger.set_aside(
    p_provider_id bigint, p_hold_id uuid, p_booking_id uuid, p_authorisation text, p_amount_minor integer,
    p_due ledger.payment_step, p_source ledger.source, p_now timestamptz, p_currency text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO ledger.payment (
        provider_id, hold_id, booking_id, authorisation, amount_minor, currency, due, at, authorised_at, authorised_source)
    VALUES (p_provider_id, p_hold_id, p_booking_id, p_authorisation, p_amount_minor, p_currency, p_due,
        CASE p_due WHEN 'capture' THEN p_now + ledger.capture_patience() ELSE p_now END, p_now, p_source);
END $$;

-- The holds whose money may pay for a booking: itself, and one that expired before its money came. Payments are found by these,
-- as only those of another booking than the hold are in an index by booking.
CREATE FUNCTION ledger.holds_paid(p_provider_id bigint, p_booking_id uuid) RETURNS uuid[] STABLE LANGUAGE sql AS $$
    SELECT ARRAY (
        SELECT p_booking_id
        UNION ALL
        SELECT hold_id FROM ledger.payment
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND booking_id <> hold_id)
$$;

-- Whether money pays for a booking: set aside to be taken, or taken, and none of it is to go back. What else comes for it was paid twice.
CREATE FUNCTION ledger.is_paid(p_provider_id bigint, p_booking_id uuid) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM ledger.payment
        WHERE provider_id = p_provider_id AND hold_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id)) AND booking_id = p_booking_id
            AND kept_minor IS NULL AND ((state = 'authorised' AND due = 'capture') OR (state = 'captured' AND due IS NULL)))
$$;

-- Processes of release 6 look for refunds of a part at this time; they are noted like all others. (To go with release 8.)
CREATE FUNCTION ledger.part_due_at(p_at timestamptz) RETURNS timestamptz STABLE LANGUAGE sql AS $$ SELECT p_at $$;

-- Orders the money of a booking that has ended to be voided, or refunded where it was captured. p_kept_minor: what is kept of the money
-- that pays for it, as far as it has not gone back in parts. A gateway captures all or nothing: where something is kept, all is captured
-- first, and then the rest refunded. p_from: not before then (NULL: at once), as it may be taken back until then.
CREATE FUNCTION ledger.order_return(
    p_provider_id bigint, p_booking_id uuid, p_now timestamptz, p_kept_minor integer DEFAULT 0, p_from timestamptz DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    money ledger.payment;
    left_minor integer;
BEGIN
    FOR money IN
        SELECT * FROM ledger.payment
        WHERE provider_id = p_provider_id AND hold_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id)) AND booking_id = p_booking_id
            AND state IN ('authorised', 'captured') AND (due IS NULL OR due = 'capture')  -- what came twice is on its way back
        FOR UPDATE
    LOOP
        left_minor := ledger.rest_minor(money);
        UPDATE ledger.payment
        SET returns_from = p_from,
            at = coalesce(p_from, p_now),
            kept_minor = CASE WHEN p_kept_minor > 0 AND left_minor > 0 THEN least(p_kept_minor, left_minor) END,
            due = CASE
                WHEN p_kept_minor > 0 AND due = 'capture' THEN 'capture'
                WHEN p_kept_minor > 0 AND left_minor > 0 AND p_kept_minor >= left_minor AND due IS NULL THEN NULL
                WHEN state = 'authorised' THEN 'void' ELSE 'refund' END::ledger.payment_step
        WHERE provider_id = money.provider_id AND hold_id = money.hold_id AND authorisation = money.authorisation;
    END LOOP;
END $$;

-- Takes the order back, of the whole or of a part, that was given with this p_from, which has not come yet: the money pays again for what it
-- paid for.
CREATE FUNCTION ledger.take_back_return(p_provider_id bigint, p_booking_id uuid, p_from timestamptz, p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT ledger.take_back_parts(p_provider_id, p_booking_id, p_from, p_now);
    UPDATE ledger.payment
    SET due = CASE state WHEN 'authorised' THEN 'capture'::ledger.payment_step END, at = p_now, returns_from = NULL
    WHERE provider_id = p_provider_id AND hold_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id)) AND booking_id = p_booking_id
        AND state IN ('authorised', 'captured') AND due IN ('void', 'refund') AND returns_from = p_from AND p_from > p_now
$$;

-- What becomes of a payment: `money` is its state, or with _due what is to be done next, or 'kept'; and how much of it is kept after its
-- booking was cancelled, and goes back or has gone, in parts or as a whole. What was let go before it was taken is kept by nobody. It is
-- refunded once the gateway has processed that, or somebody has paid it otherwise.
CREATE FUNCTION ledger.money_back(
    p_payment ledger.payment, OUT money text, OUT kept_minor integer, OUT returned_minor integer, OUT returned_at timestamptz
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts_minor integer := ledger.parts_minor(p_payment.provider_id, p_payment.hold_id, p_payment.authorisation);
    rest ledger.refund;
BEGIN
    SELECT * INTO rest FROM ledger.refund
    WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
        AND is_rest AND is_last;
    money := CASE
        WHEN rest.state IN ('ordered', 'pending', 'failed') AND rest.paid_at IS NULL THEN 'refund_due'
        WHEN p_payment.state IN ('voided', 'refunded') THEN p_payment.state::text
        WHEN p_payment.kept_minor + parts_minor >= p_payment.amount_minor THEN 'kept'
        WHEN p_payment.kept_minor IS NOT NULL THEN 'refund_due'
        ELSE coalesce(p_payment.due::text || '_due', p_payment.state::text) END;
    kept_minor := CASE WHEN p_payment.state = 'voided' THEN 0 ELSE coalesce(p_payment.kept_minor, 0) END;
    returned_minor := CASE WHEN p_payment.state = 'voided' THEN p_payment.amount_minor
        WHEN p_payment.state = 'refunded' OR p_payment.due IN ('void', 'refund') OR p_payment.kept_minor IS NOT NULL
        THEN p_payment.amount_minor - coalesce(p_payment.kept_minor, 0) ELSE (  -- what can be taken back is told to nobody
            SELECT coalesce(sum(amount_minor), 0)::integer FROM ledger.refund
            WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
                AND NOT is_rest AND is_last AND state <> 'withdrawn' AND from_at <= (SELECT public.app_now())) END;
    returned_at := coalesce(
        rest.paid_at, rest.processed_at, CASE p_payment.state WHEN 'voided' THEN p_payment.voided_at ELSE p_payment.refunded_at END);
END $$;

-- The money for a booking as all that show it have it; nothing where there was none. Of several payments: that which pays for it, or the
-- one of which something is kept, or else what was taken before what was not; the others came twice, and go back: their sum, and whether
-- all of it has gone.
CREATE FUNCTION ledger.money_of(p_provider_id bigint, p_booking_id uuid) RETURNS TABLE (
    money text, amount_minor integer, kept_minor integer, returned_minor integer, currency text, hold_id uuid, authorisation text,
    taken_at timestamptz, returned_at timestamptz, twice_minor integer, is_twice_returned boolean
) STABLE LANGUAGE sql AS $$
    SELECT back.money, payment.amount_minor, back.kept_minor, back.returned_minor, fact.currency, payment.hold_id, payment.authorisation,
        fact.taken_at, coalesce(back.returned_at, fact.returned_at),
        (sum(payment.amount_minor) OVER () - payment.amount_minor)::integer,
        count(*) FILTER (WHERE payment.state < 'voided') OVER () = (payment.state < 'voided')::integer
    FROM ledger.payment
    CROSS JOIN LATERAL ledger.money_back(payment) AS back
    CROSS JOIN LATERAL (
        SELECT min(entry.currency) AS currency, min(at) FILTER (WHERE entry.state = 'captured') AS taken_at,
            min(at) FILTER (WHERE entry.state IN ('voided', 'refunded')) AS returned_at
        FROM ledger.entry
        WHERE entry.provider_id = payment.provider_id AND entry.hold_id = payment.hold_id
            AND entry.authorisation = payment.authorisation) AS fact
    WHERE payment.provider_id = p_provider_id AND payment.booking_id = p_booking_id
        AND payment.hold_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id))
    ORDER BY payment.kept_minor IS NOT NULL DESC,
        (payment.state = 'authorised' AND due = 'capture') OR (payment.state = 'captured' AND due IS NULL) DESC, payment.state DESC
    LIMIT 1
$$;

-- Notes the states that payments have reached, of those that nobody else has locked; returns the payments whose state changed. Facts come
-- late, out of order and again, so a state never goes back, and of each only the first report counts. p_methods: how they were paid, '' where
-- that is not known. What is due may have changed meanwhile: a booking cancelled while its money was captured is due to be refunded, but for
-- what is kept. But what was voided and is captured nonetheless is captured, and due to be refunded: a gateway without a call for it only lets
-- an authorisation lapse, and a capture may have been under way.
CREATE FUNCTION ledger.advance_payments(
    p_provider_ids bigint[], p_hold_ids uuid[], p_authorisations text[], p_states ledger.payment_state[], p_source ledger.source,
    p_now timestamptz, p_methods text[] DEFAULT NULL
) RETURNS TABLE (provider_id bigint, booking_id uuid, state ledger.payment_state) LANGUAGE sql VOLATILE AS $$
    WITH report AS (
        SELECT * FROM unnest(p_provider_ids, p_hold_ids, p_authorisations, p_states, p_methods)
            AS report (provider_id, hold_id, authorisation, state, method)
    ), free AS MATERIALIZED (
        -- A verb may be changing one of these rows while it waits for another of them: waiting here could deadlock.
        SELECT report.* FROM ledger.payment JOIN report USING (provider_id, hold_id, authorisation)
        FOR UPDATE OF payment SKIP LOCKED
    ), noted AS (
        UPDATE ledger.payment
        SET state = CASE WHEN free.state = 'captured' AND payment.state = 'voided' THEN 'captured' ELSE greatest(payment.state, free.state) END,
            method = coalesce(payment.method, nullif(free.method, '')),
            at = CASE WHEN free.state = 'captured' AND payment.state = 'voided' THEN p_now
                WHEN free.state <= payment.state THEN at
                WHEN free.state = 'captured' AND due = 'void' THEN greatest(returns_from, p_now)
                ELSE p_now END,
            due = CASE WHEN free.state = 'captured' AND payment.state = 'voided' THEN 'refund'
                WHEN free.state <= payment.state THEN due
                WHEN free.state = 'captured' AND (due = 'void' OR kept_minor < amount_minor) THEN 'refund'::ledger.payment_step END,
            captured_at = CASE free.state WHEN 'captured' THEN p_now ELSE captured_at END,
            captured_source = CASE free.state WHEN 'captured' THEN p_source ELSE captured_source END,
            voided_at = CASE free.state WHEN 'voided' THEN p_now ELSE voided_at END,
            voided_source = CASE free.state WHEN 'voided' THEN p_source ELSE voided_source END,
            refunded_at = CASE free.state WHEN 'refunded' THEN p_now ELSE refunded_at END,
            refunded_source = CASE free.state WHEN 'refunded' THEN p_source ELSE refunded_source END
        FROM free
        WHERE payment.provider_id = free.provider_id AND payment.hold_id = free.hold_id AND payment.authorisation = free.authorisation
            AND CASE free.state WHEN 'authorised' THEN authorised_at WHEN 'captured' THEN captured_at WHEN 'voided' THEN voided_at
                ELSE refunded_at END IS NULL
            AND (authorised_at IS NOT NULL OR NOT EXISTS (  -- of release 2, whose entries say it
                SELECT FROM ledger.former_entry
                WHERE former_entry.provider_id = free.provider_id AND former_entry.hold_id = free.hold_id
                    AND former_entry.authorisation = free.authorisation AND former_entry.state = free.state))
        RETURNING payment.provider_id, payment.booking_id, old.state AS was, new.state
    )
    SELECT noted.provider_id, noted.booking_id, noted.state FROM noted WHERE noted.state > noted.was
$$;

-- Fills in what the entries of release 2 say of a provider's payments. The caller has locked the book.
CREATE FUNCTION ledger.take_over_entries(p_provider_id bigint) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.payment
    SET currency = fact.currency,
        authorised_at = fact.authorised_at, authorised_source = fact.authorised_source,
        captured_at = coalesce(payment.captured_at, fact.captured_at), captured_source = coalesce(payment.captured_source, fact.captured_source),
        voided_at = coalesce(payment.voided_at, fact.voided_at), voided_source = coalesce(payment.voided_source, fact.voided_source),
        refunded_at = coalesce(payment.refunded_at, fact.refunded_at),
        refunded_source = coalesce(payment.refunded_source, fact.refunded_source)
    FROM (
        SELECT hold_id, authorisation, min(currency) AS currency,
            min(at) FILTER (WHERE state = 'authorised') AS authorised_at, min(source) FILTER (WHERE state = 'authorised') AS authorised_source,
            min(at) FILTER (WHERE state = 'captured') AS captured_at, min(source) FILTER (WHERE state = 'captured') AS captured_source,
            min(at) FILTER (WHERE state = 'voided') AS voided_at, min(source) FILTER (WHERE state = 'voided') AS voided_source,
            min(at) FILTER (WHERE state = 'refunded') AS refunded_at, min(source) FILTER (WHERE state = 'refunded') AS refunded_source
        FROM ledger.former_entry
        WHERE provider_id = p_provider_id
        GROUP BY hold_id, authorisation) AS fact
    WHERE payment.provider_id = p_provider_id AND payment.hold_id = fact.hold_id AND payment.authorisation = fact.authorisation
        AND payment.authorised_at IS NULL
$$;

-- Refuses to change what was written of a payment, or to remove it, also for the owner.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
        MESSAGE = format('what %I.%I says of money is written once: %s is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP);
END $$;

CREATE TRIGGER written_once AFTER UPDATE ON ledger.payment FOR EACH ROW WHEN (((old.provider_id IS DISTINCT FROM new.provider_id)
    OR (old.hold_id IS DISTINCT FROM new.hold_id) OR (old.booking_id IS DISTINCT FROM new.booking_id)
    OR (old.authorisation IS DISTINCT FROM new.authorisation) OR (old.amount_minor IS DISTINCT FROM new.amount_minor)
    OR ((old.currency IS NOT NULL) AND (old.currency IS DISTINCT FROM new.currency))
    OR ((old.kept_minor IS NOT NULL) AND (old.kept_minor IS DISTINCT FROM new.kept_minor))
    OR ((old.authorised_at IS NOT NULL) AND (old.authorised_at IS DISTINCT FROM new.authorised_at))
    OR ((old.authorised_source IS NOT NULL) AND (old.authorised_source IS DISTINCT FROM new.authorised_source))
    OR ((old.captured_at IS NOT NULL) AND (old.captured_at IS DISTINCT FROM new.captured_at))
    OR ((old.captured_source IS NOT NULL) AND (old.captured_source IS DISTINCT FROM new.captured_source))
    OR ((old.voided_at IS NOT NULL) AND (old.voided_at IS DISTINCT FROM new.voided_at))
    OR ((old.voided_source IS NOT NULL) AND (old.voided_source IS DISTINCT FROM new.voided_source))
    OR ((old.refunded_at IS NOT NULL) AND (old.refunded_at IS DISTINCT FROM new.refunded_at))
    OR ((old.refunded_source IS NOT NULL) AND (old.refunded_source IS DISTINCT FROM new.refunded_source))))
EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger.payment FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.former_entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

-- Stores an entry that a call of release 2 writes, which began before its functions were replaced.
CREATE FUNCTION ledger.keep_former_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger.former_entry (provider_id, hold_id, authorisation, state, amount_minor, source, at, currency)
    VALUES (NEW.provider_id, NEW.hold_id, NEW.authorisation, NEW.state, NEW.amount_minor, NEW.source, NEW.at, NEW.currency)
    ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;

CREATE TRIGGER keep_former_entry INSTEAD OF INSERT ON ledger.entry FOR EACH ROW EXECUTE FUNCTION ledger.keep_former_entry();
