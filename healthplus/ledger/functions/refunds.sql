-- Orders to give money back. A row is one order, to the gateway, of one amount; one that fails stays as it is, and another takes its place.

-- How often a refund is tried before people have to look at it, and how long it waits after so many tries: banks that were short of money,
-- or closed for the night, have it by then.
CREATE FUNCTION ledger.refund_tries_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 4 $$;
CREATE FUNCTION ledger.refund_pause(p_tries integer) RETURNS interval IMMUTABLE LANGUAGE sql AS $$
    SELECT interval '10 minutes' * 6 ^ least(p_tries - 1, 3)
$$;

-- When to ask how a refund stands that the gateway has not processed yet; NULL: not any more. Asking is repeating the order, and gateways
-- know a repeated one for a day at least; later they say it themselves, or the daily comparison finds it.
CREATE FUNCTION ledger.refund_look_at(p_ordered_at timestamptz, p_now timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN looked_at < p_ordered_at + interval '20 hours' THEN looked_at END
    FROM (SELECT p_now + greatest(interval '5 minutes', (p_now - p_ordered_at) / 2) AS looked_at) AS next
$$;

-- How much of a payment has gone back in parts, or is ordered to: the rest that an ended booking gives back is not among them. What failed
-- and nobody has paid otherwise yet is owed, so it counts, too.
CREATE FUNCTION ledger.parts_minor(p_provider_id bigint, p_hold_id uuid, p_authorisation text) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(amount_minor), 0)::integer FROM ledger.refund
    WHERE provider_id = p_provider_id AND hold_id = p_hold_id AND authorisation = p_authorisation
        AND NOT is_rest AND is_last AND state <> 'withdrawn'
$$;

-- The same of all payments for a booking.
CREATE FUNCTION ledger.booking_parts_minor(p_provider_id bigint, p_booking_id uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(amount_minor), 0)::integer FROM ledger.refund
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND NOT is_rest AND is_last AND state <> 'withdrawn'
$$;

-- What is left of a payment to give back, when its booking has ended: all but what is kept, and what has gone back in parts.
CREATE FUNCTION ledger.rest_minor(p_payment ledger.payment) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT greatest(0, p_payment.amount_minor - coalesce(p_payment.kept_minor, 0)
        - ledger.parts_minor(p_payment.provider_id, p_payment.hold_id, p_payment.authorisation))
$$;

-- Orders a part of what was paid for a booking to be given back: whether there was a payment with so much left. p_from: not before then, as
-- it may be taken back until then.
CREATE FUNCTION ledger.order_part(
    p_provider_id bigint, p_booking_id uuid, p_amount_minor integer, p_by text, p_now timestamptz, p_from timestamptz
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    money ledger.payment;
    new_id uuid := gen_random_uuid();
BEGIN
    SELECT * INTO money FROM ledger.payment
    WHERE provider_id = p_provider_id AND hold_id = ANY (ledger.holds_paid(p_provider_id, p_booking_id)) AND booking_id = p_booking_id
        AND state = 'captured' AND due IS NULL AND kept_minor IS NULL
    FOR UPDATE;
    IF NOT FOUND OR p_amount_minor >= ledger.rest_minor(money) THEN
        RETURN false;
    END IF;
    INSERT INTO ledger.refund (
        provider_id, refund_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by, ordered_at, from_at, next_at)
    VALUES (
        p_provider_id, new_id, money.hold_id, money.authorisation, p_booking_id, new_id::text, false, p_amount_minor, 'desk', p_by, p_now,
        p_from, p_from);
    RETURN true;
END $$;

-- Takes back the parts that were ordered with this p_from, which has not come yet.
CREATE FUNCTION ledger.take_back_parts(p_provider_id bigint, p_booking_id uuid, p_from timestamptz, p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.refund SET state = 'withdrawn', next_at = NULL
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND state = 'ordered' AND tries = 1 AND from_at = p_from AND p_from > p_now
$$;

-- Has another try take the place of a refund that failed.
CREATE FUNCTION ledger.try_refund_again(p_failed ledger.refund, p_by text, p_at timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_id uuid := gen_random_uuid();
BEGIN
    UPDATE ledger.refund SET is_last = false WHERE provider_id = p_failed.provider_id AND refund_id = p_failed.refund_id;
    INSERT INTO ledger.refund (
        provider_id, refund_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by, ordered_at, from_at, next_at,
        tries)
    VALUES (
        p_failed.provider_id, new_id, p_failed.hold_id, p_failed.authorisation, p_failed.booking_id, new_id::text, p_failed.is_rest,
        p_failed.amount_minor, p_failed.why, p_by, p_at, p_at, p_at, p_failed.tries + 1);
END $$;

-- Takes some of the refunds that the gateway is to be asked for, or about, the oldest first; each comes up again after p_again_after unless it
-- is noted by then.
CREATE FUNCTION ledger.take_refunds(p_count_max bigint, p_again_after interval) RETURNS SETOF ledger.refund LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.refund SET next_at = (SELECT public.app_now()) + p_again_after
    WHERE (provider_id, refund_id) IN (
        SELECT provider_id, refund_id FROM ledger.refund
        WHERE next_at <= (SELECT public.app_now())
        ORDER BY next_at LIMIT p_count_max
        FOR UPDATE SKIP LOCKED)
    RETURNING refund.*
$$;

-- Notes how a payment was made, where that was not known.
CREATE FUNCTION ledger.note_method(p_payment ledger.payment, p_method text) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.payment SET method = p_method
    WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
        AND method IS NULL AND p_method <> ''
$$;

-- Notes that a refund which failed was paid otherwise, by bank transfer.
CREATE FUNCTION ledger.pay_otherwise(p_failed ledger.refund, p_by text, p_reference text, p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.refund SET paid_at = p_now, paid_by = p_by, paid_reference = p_reference
    WHERE provider_id = p_failed.provider_id AND refund_id = p_failed.refund_id
$$;

-- The row of a refund that a gateway speaks of: by its name, by the key it was ordered with, or else a new one: the rest of a payment, which
-- is asked for with the key '' and noted only when the gateway has answered; or what somebody gave back by hand there. p_is_answer: the
-- gateway says it to us who ordered it.
CREATE FUNCTION ledger.refund_of(
    p_payment ledger.payment, p_key text, p_name text, p_amount_minor integer, p_why text, p_is_answer boolean, p_now timestamptz
) RETURNS ledger.refund LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known ledger.refund;
    is_rest boolean;
BEGIN
    SELECT * INTO known FROM ledger.refund
    WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
        AND (name = p_name OR (key = p_key AND p_key <> '')
            OR (key = '' AND p_key = '' AND p_is_answer)
            -- noted without a name
            OR (coalesce(key, '') = '' AND p_key = '' AND name IS NULL AND amount_minor = p_amount_minor AND state <> 'failed'))
    ORDER BY (name = p_name) IS TRUE DESC LIMIT 1;
    IF FOUND THEN
        RETURN known;
    END IF;
    is_rest := p_key = '' AND (p_payment.due = 'refund' OR p_payment.state = 'refunded')
        AND (p_is_answer OR p_amount_minor = ledger.rest_minor(p_payment))
        AND NOT EXISTS (
            SELECT FROM ledger.refund
            WHERE provider_id = p_payment.provider_id AND hold_id = p_payment.hold_id AND authorisation = p_payment.authorisation
                AND refund.is_rest);
    INSERT INTO ledger.refund (
        provider_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by, ordered_at, from_at)
    VALUES (
        p_payment.provider_id, p_payment.hold_id, p_payment.authorisation, p_payment.booking_id, CASE WHEN is_rest THEN '' END, is_rest,
        p_amount_minor, CASE WHEN is_rest THEN p_why ELSE 'gateway' END, CASE WHEN is_rest THEN 'system:captures' ELSE 'system:gateway' END,
        p_now, p_now)
    RETURNING * INTO known;
    RETURN known;
END $$;

-- Notes what a gateway says of one refund of a payment, which the caller has locked: a row whose state is new, or nothing. States never go
-- back, and of each only the first report counts; what was processed may still fail, at the person's bank. One that fails is tried again,
-- unless it was often enough. p_why: of the rest of a payment, why it goes back.
CREATE FUNCTION ledger.note_refund(
    p_payment ledger.payment, p_key text, p_name text, p_amount_minor integer, p_state ledger.refund_state, p_reference text, p_why text,
    p_is_answer boolean, p_now timestamptz
) RETURNS SETOF ledger.refund LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    was ledger.refund := ledger.refund_of(p_payment, p_key, p_name, p_amount_minor, p_why, p_is_answer, p_now);
    noted ledger.refund;
BEGIN
    UPDATE ledger.refund SET
        state = greatest(was.state, p_state),
        name = coalesce(was.name, nullif(p_name, '')),
        reference = coalesce(was.reference, nullif(p_reference, '')),
        pending_at = coalesce(was.pending_at, CASE p_state WHEN 'pending' THEN p_now END),
        processed_at = coalesce(was.processed_at, CASE p_state WHEN 'processed' THEN p_now END),
        failed_at = coalesce(was.failed_at, CASE p_state WHEN 'failed' THEN p_now END),
        next_at = CASE WHEN greatest(was.state, p_state) = 'pending' AND was.key IS NOT NULL THEN ledger.refund_look_at(was.ordered_at, p_now) END
    WHERE provider_id = was.provider_id AND refund_id = was.refund_id
    RETURNING * INTO noted;
    IF noted.state = was.state THEN
        RETURN;
    END IF;
    IF noted.state = 'failed' AND noted.key IS NOT NULL AND noted.tries < ledger.refund_tries_max() THEN
        PERFORM ledger.try_refund_again(noted, 'system:captures', p_now + ledger.refund_pause(noted.tries));
    END IF;
    RETURN NEXT noted;
END $$;

-- Refuses an order by which more would go back than was taken and is not kept. It locks the payment, so that of two at once one sees the other.
-- What was given back by hand at the gateway has happened, whatever it comes to.
CREATE FUNCTION ledger.refuse_too_much() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    money ledger.payment;
BEGIN
    SELECT * INTO money FROM ledger.payment
    WHERE provider_id = NEW.provider_id AND hold_id = NEW.hold_id AND authorisation = NEW.authorisation FOR UPDATE;
    IF money.captured_at IS NULL OR money.amount_minor - coalesce(money.kept_minor, 0) < (
        SELECT sum(amount_minor) FROM ledger.refund
        WHERE provider_id = NEW.provider_id AND hold_id = NEW.hold_id AND authorisation = NEW.authorisation
            AND is_last AND state <> 'withdrawn' AND why <> 'gateway')
    THEN
        RAISE check_violation USING CONSTRAINT = 'refund_within_payment', MESSAGE = 'more would go back than was taken';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER refund_within_payment AFTER INSERT ON ledger.refund
FOR EACH ROW WHEN ((new.why <> 'gateway'::text)) EXECUTE FUNCTION ledger.refuse_too_much();

CREATE TRIGGER written_once AFTER UPDATE ON ledger.refund FOR EACH ROW WHEN (((old.provider_id IS DISTINCT FROM new.provider_id)
    OR (old.refund_id IS DISTINCT FROM new.refund_id) OR (old.hold_id IS DISTINCT FROM new.hold_id)
    OR (old.authorisation IS DISTINCT FROM new.authorisation) OR (old.booking_id IS DISTINCT FROM new.booking_id)
    OR (old.key IS DISTINCT FROM new.key) OR (old.is_rest IS DISTINCT FROM new.is_rest)
    OR (old.amount_minor IS DISTINCT FROM new.amount_minor) OR (old.why IS DISTINCT FROM new.why)
    OR (old.ordered_by IS DISTINCT FROM new.ordered_by) OR (old.ordered_at IS DISTINCT FROM new.ordered_at)
    OR (old.from_at IS DISTINCT FROM new.from_at) OR (old.tries IS DISTINCT FROM new.tries) OR (new.state < old.state)
    OR (new.is_last AND (NOT old.is_last)) OR ((old.name IS NOT NULL) AND (old.name IS DISTINCT FROM new.name))
    OR ((old.reference IS NOT NULL) AND (old.reference IS DISTINCT FROM new.reference))
    OR ((old.pending_at IS NOT NULL) AND (old.pending_at IS DISTINCT FROM new.pending_at))
    OR ((old.processed_at IS NOT NULL) AND (old.processed_at IS DISTINCT FROM new.processed_at))
    OR ((old.failed_at IS NOT NULL) AND (old.failed_at IS DISTINCT FROM new.failed_at))
    OR ((old.paid_at IS NOT NULL) AND ((old.paid_at IS DISTINCT FROM new.paid_at) OR (old.paid_by IS DISTINCT FROM new.paid_by)
        OR (old.paid_reference IS DISTINCT FROM new.paid_reference)))))
EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON ledger.refund FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
