-- What the verbs answer, as booking.outcome. Each verb is called as a bare autocommit `SELECT * FROM booking.verb(...)`, locks one
-- provider's book, then reads the clock, then looks, then acts (booking.open_book). p_actor is who calls it: it names the
-- caller in events, must be allowed to touch what is touched (booking.may_act), and owns the idempotency key p_key (NULL: none).
-- Refusals are not stored: a repeated request is decided again.

CREATE FUNCTION booking.refuse(p_code text, p_reason text DEFAULT NULL) RETURNS booking.outcome LANGUAGE plpgsql AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := p_code;
    answer.reason := p_reason;
    RETURN answer;
END $$;

-- A booking as it now stands, with what happened to it. p_version: the book's, where the caller knows it.
CREATE FUNCTION booking.describe(p_code text, p_booking booking.booking, p_version bigint DEFAULT NULL)
RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := p_code;
    answer.booking_id := p_booking.booking_id;
    answer.ticket_id := p_booking.ticket_id;
    answer.state := p_booking.state;
    answer.clinic_id := p_booking.clinic_id;
    answer.starts_at := lower(p_booking.during);
    answer.ends_at := booking.visit_end(p_booking.during, p_booking.service_ids);
    answer.deadline := CASE WHEN p_booking.state = 'reserved' THEN p_booking.deadline END;
    answer.fee_minor := p_booking.fee_minor;
    answer.funding := p_booking.funding;
    answer.service_ids := p_booking.service_ids;
    answer.terms_id := p_booking.terms_id;
    answer.version := p_version;
    IF p_version IS NULL THEN
        SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_booking.provider_id;
    END IF;
    RETURN answer;
END $$;

-- A ticket as it now stands, with the offer made for it, if any.
CREATE FUNCTION booking.describe_ticket(p_code text, p_provider_id bigint, p_ticket_id uuid)
RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
    waiter booking.ticket;
    offer booking.booking;
BEGIN
    SELECT * INTO waiter FROM booking.ticket WHERE provider_id = p_provider_id AND ticket_id = p_ticket_id;
    SELECT * INTO offer FROM booking.booking WHERE provider_id = p_provider_id AND booking_id = waiter.offer_id;
    IF FOUND THEN
        answer := booking.describe(p_code, offer);
    ELSE
        SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    END IF;
    answer.code := coalesce(p_code, waiter.state::text);
    answer.ticket_id := p_ticket_id;
    answer.number := waiter.number;
    answer.state := waiter.state;
    RETURN answer;
END $$;
