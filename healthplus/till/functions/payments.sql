-- What a desk takes for bookings whose fee is paid at the clinic, and gives back.

-- What was paid for a booking at the desk, less what was given back.
CREATE FUNCTION till.paid_minor(p_provider_id bigint, p_booking_id uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(amount_minor), 0)::integer FROM till.payment WHERE provider_id = p_provider_id AND booking_id = p_booking_id
$$;

-- The most that can be paid for a booking: forms write it with nine digits.
CREATE FUNCTION till.paid_minor_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 999999999 $$;

-- Whether a fee may be paid at the desk.
CREATE FUNCTION till.is_payable(p_booking booking.booking) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_booking.funding = 'clinic' AND p_booking.state IN ('booked', 'arrived', 'fulfilled')
$$;

-- What is still to be paid at the desk for a booking.
CREATE FUNCTION till.owed_minor(p_booking booking.booking) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN till.is_payable(p_booking)
        THEN greatest(0, p_booking.fee_minor - till.paid_minor(p_booking.provider_id, p_booking.booking_id)) ELSE 0 END
$$;

-- What is left of a payment: less what was given back of it, but for what of that was undone.
CREATE FUNCTION till.left_minor(p_payment till.payment) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT (p_payment.amount_minor + coalesce(sum(back.amount_minor), 0) + coalesce(sum(undone.amount_minor), 0))::integer
    FROM till.payment AS back
    LEFT JOIN till.payment AS undone
        ON undone.provider_id = back.provider_id AND undone.booking_id = back.booking_id AND undone.of_id = back.payment_id
    WHERE back.provider_id = p_payment.provider_id AND back.booking_id = p_payment.booking_id AND back.of_id = p_payment.payment_id
$$;

-- What a desk recorded last of a booking's money, if who did it can still undo it: three minutes long, nothing more was recorded since, and
-- its till is open. Nor what was given back of a fee that was then paid online.
CREATE FUNCTION till.last_payment(p_provider_id bigint, p_booking_id uuid, p_now timestamptz) RETURNS SETOF till.payment
LANGUAGE sql STABLE AS $$
    SELECT last.* FROM (
        SELECT payment.* FROM till.payment
        WHERE provider_id = p_provider_id AND booking_id = p_booking_id
        ORDER BY paid_at DESC, kind = 'undo' DESC, payment_id LIMIT 1) AS last
    WHERE last.kind <> 'undo' AND last.paid_at > p_now - booking.undo_time() AND NOT till.is_closed(last.clinic_id, last.session_id)
        AND (last.kind = 'payment' OR NOT EXISTS (
            SELECT FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND funding = 'online'))
        AND NOT EXISTS (
            SELECT FROM till.payment AS later
            WHERE later.provider_id = p_provider_id AND later.booking_id = p_booking_id AND later.of_id = last.payment_id)
$$;

-- What changes with each payment at a clinic's desks, as the day sheets show it.
CREATE FUNCTION till.version(p_clinic_id bigint, p_now timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws('-', count(*), max(paid_at)) FROM till.payment WHERE clinic_id = p_clinic_id AND paid_at > p_now - interval '1 day'
$$;

-- What was answered before, by the same person with the same key: 'other_request' where it was another. NULL: it was not sent before.
CREATE FUNCTION till.find_sent(p_payment till.payment, p_done text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN (booking_id, kind, of_id, method, amount_minor, reference, reason)
            IS NOT DISTINCT FROM (p_payment.booking_id, p_payment.kind, p_payment.of_id, p_payment.method, p_payment.amount_minor,
                coalesce(p_payment.reference, ''), coalesce(p_payment.reason, ''))
        THEN p_done ELSE 'other_request' END
    FROM till.payment WHERE provider_id = p_payment.provider_id AND actor = p_payment.actor AND key = p_payment.key
$$;

-- Records money for a booking in the till of a member of the staff: 'recorded'. p_payment says provider, booking, clinic, method, amount,
-- reference, actor and key; p_seen_minor what was paid before, as they saw it. Else 'not_found', 'not_payable' (not at the clinic, or nobody
-- comes any more), 'over' (somebody recorded more meanwhile), 'too_large' (for one booking), 'more_than_owed' (unless p_is_sure),
-- 'other_request', or what till.use_session refuses with.
CREATE FUNCTION till.record(
    p_payment till.payment, p_staff_id bigint, p_float_minor integer, p_seen_minor integer, p_is_sure boolean
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    target booking.booking;
    code text;
    sitting record;
BEGIN
    PERFORM booking.lock_book(p_payment.provider_id);
    SELECT * INTO target FROM booking.booking
    WHERE provider_id = p_payment.provider_id AND booking_id = p_payment.booking_id AND clinic_id = p_payment.clinic_id
        AND booking.may_act(p_payment.actor, NULL);
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    p_payment.kind := 'payment';
    code := till.find_sent(p_payment, 'recorded');
    IF code IS NOT NULL THEN
        RETURN code;
    ELSIF NOT till.is_payable(target) THEN
        RETURN 'not_payable';
    ELSIF till.paid_minor(target.provider_id, target.booking_id) <> p_seen_minor THEN
        RETURN 'over';
    ELSIF p_seen_minor::bigint + p_payment.amount_minor > till.paid_minor_max() THEN
        RETURN 'too_large';
    ELSIF p_payment.amount_minor > till.owed_minor(target) AND target.fee_minor > 0 AND NOT p_is_sure THEN
        RETURN 'more_than_owed';  -- where the clinic says the fee, nobody knows what is owed
    END IF;
    sitting := till.use_session(p_payment.clinic_id, p_staff_id, p_float_minor);
    IF sitting.code IS NULL THEN
        PERFORM till.add_payment(p_payment, sitting.session_id);
    END IF;
    RETURN coalesce(sitting.code, 'recorded');
END $$;

CREATE FUNCTION till.add_payment(p_payment till.payment, p_session_id uuid) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO till.payment (
        provider_id, booking_id, clinic_id, session_id, kind, of_id, method, amount_minor, currency, reference, reason, actor, key, paid_at)
    SELECT p_payment.provider_id, p_payment.booking_id, clinic_id, p_session_id, p_payment.kind, p_payment.of_id, p_payment.method,
        p_payment.amount_minor, currency, coalesce(p_payment.reference, ''), coalesce(p_payment.reason, ''), p_payment.actor, p_payment.key,
        public.app_now()
    FROM directory.clinic WHERE clinic_id = p_payment.clinic_id
$$;

-- Records that a part of a payment was given back, or all that is left of it: 'returned'. p_payment is as in till.record, with of_id, the
-- reason, and the amount as it goes out, below zero. Else 'not_found', 'over', 'too_much', or as there.
CREATE FUNCTION till.give_back(p_payment till.payment, p_staff_id bigint, p_float_minor integer, p_seen_minor integer) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    paid till.payment;
    code text;
    sitting record;
BEGIN
    PERFORM booking.lock_book(p_payment.provider_id);
    SELECT * INTO paid FROM till.payment
    WHERE provider_id = p_payment.provider_id AND payment_id = p_payment.of_id AND booking_id = p_payment.booking_id
        AND clinic_id = p_payment.clinic_id AND kind = 'payment' AND booking.may_act(p_payment.actor, NULL);
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    p_payment.kind := 'return';
    code := till.find_sent(p_payment, 'returned');
    IF code IS NOT NULL THEN
        RETURN code;
    ELSIF till.paid_minor(paid.provider_id, paid.booking_id) <> p_seen_minor THEN
        RETURN 'over';
    ELSIF -p_payment.amount_minor > till.left_minor(paid) THEN
        RETURN 'too_much';
    END IF;
    sitting := till.use_session(p_payment.clinic_id, p_staff_id, p_float_minor);
    IF sitting.code IS NULL THEN
        PERFORM till.add_payment(p_payment, sitting.session_id);
    END IF;
    RETURN coalesce(sitting.code, 'returned');
END $$;

-- Undoes what an actor recorded last of a booking's money, in the same till: 'undone', or 'too_late'. The caller has locked the book.
CREATE FUNCTION till.undo(p_provider_id bigint, p_booking_id uuid, p_actor text, p_now timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last till.payment;
BEGIN
    SELECT * INTO last FROM till.last_payment(p_provider_id, p_booking_id, p_now) WHERE actor = p_actor;
    IF NOT FOUND OR till.lock_open(last.clinic_id, last.session_id) IS NOT TRUE THEN
        RETURN 'too_late';
    END IF;
    INSERT INTO till.payment (
        provider_id, booking_id, clinic_id, session_id, kind, of_id, method, amount_minor, currency, actor, key, paid_at)
    VALUES (p_provider_id, p_booking_id, last.clinic_id, last.session_id, 'undo', last.payment_id, last.method, -last.amount_minor,
        last.currency, p_actor, 'undo ' || last.payment_id, p_now);
    RETURN 'undone';
END $$;

-- What was recorded of a booking's money, in order, each with what is left of it, who did it, and whether that was undone.
CREATE FUNCTION till.payments_of(p_provider_id bigint, p_booking_id uuid, p_now timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'payment_id', payment.payment_id, 'kind', payment.kind, 'method', payment.method, 'amount_minor', payment.amount_minor,
        'currency', payment.currency, 'reference', payment.reference, 'reason', payment.reason, 'paid_at', payment.paid_at,
        'actor', payment.actor, 'by', doer.name, 'left_minor', CASE payment.kind WHEN 'payment' THEN till.left_minor(payment) END,
        'is_undone', undone.payment_id IS NOT NULL,
        'undo_until_at', CASE WHEN last.payment_id = payment.payment_id THEN payment.paid_at + booking.undo_time() END)
        ORDER BY payment.paid_at, payment.kind), '[]')
    FROM till.payment
    LEFT JOIN staff.account AS doer ON payment.actor = 'staff:' || doer.staff_id
    LEFT JOIN till.payment AS undone
        ON undone.provider_id = p_provider_id AND undone.of_id = payment.payment_id AND undone.kind = 'undo'
    LEFT JOIN till.last_payment(p_provider_id, p_booking_id, p_now) AS last ON true
    WHERE payment.provider_id = p_provider_id AND payment.booking_id = p_booking_id AND payment.kind <> 'undo'
$$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON till.payment
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
