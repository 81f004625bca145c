-- Locks a patient, for a verb that puts a person at a time or makes that lasting: after the book's lock, and before the claim's row.
-- These numbers are below zero, where no provider's is.
CREATE FUNCTION booking.lock_patient(p_patient_id bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(-p_patient_id);
END $$;

-- What a claim stands for by the rows it points to: 'live', 'dead', or 'lapsed' (a hold that ran out unpaid); for a dead one, what it
-- costs: the time to be noted as a lapse, and that to be noted as spent (of what came to nothing). Volatile, to see what was committed
-- while its caller waited for the claim's lock.
CREATE FUNCTION booking.claim_fate(
    p_claim booking.claim, p_now timestamptz, OUT fate text, OUT lapsed_at timestamptz, OUT spent_at timestamptz
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    held booking.booking;
    waiter booking.ticket;
BEGIN
    fate := 'dead';
    IF p_claim.ticket_id IS NOT NULL THEN
        SELECT * INTO waiter FROM booking.ticket
        WHERE provider_id = p_claim.provider_id AND ticket_id = p_claim.ticket_id;
        SELECT * INTO held FROM booking.booking
        WHERE provider_id = p_claim.provider_id AND booking_id = waiter.offer_id;
    ELSE
        SELECT * INTO held FROM booking.booking
        WHERE provider_id = p_claim.provider_id AND booking_id = p_claim.booking_id;
    END IF;
    -- A ticket that won what it was called for by another's verb: that verb may not touch its claim.
    IF p_claim.ticket_id IS NOT NULL AND waiter.state <> 'accepted' THEN
        IF waiter.state = 'waiting' AND waiter.expires_at > p_now THEN
            fate := 'live';
        ELSIF waiter.state = 'offered' THEN
            -- An offer nobody saw puts its ticket back to waiting, once, while its hour lasts.
            IF booking.state_at(held, p_now) <> 'expired'
                OR (waiter.expires_at > p_now AND NOT booking.is_turn_over(waiter)) THEN
                fate := 'live';
            END IF;
        ELSIF waiter.state = 'called' AND booking.is_called_live(waiter, held, p_now) THEN
            fate := 'live';
        ELSIF waiter.state = 'left' THEN
            spent_at := waiter.joined_at;
        END IF;
    ELSE
        IF booking.state_at(held, p_now) = 'expired' THEN
            fate := 'lapsed';
            lapsed_at := held.deadline;
            spent_at := held.deadline;
        ELSIF held.state = 'reserved' THEN
            fate := 'live';
        ELSIF held.state IN ('released', 'cancelled') THEN
            spent_at := held.created_at;
        END IF;
    END IF;
END $$;

-- Those times that still count, in order.
CREATE FUNCTION booking.recent(p_times timestamptz[], p_now timestamptz) RETURNS timestamptz[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(at ORDER BY at), '{}') FROM unnest(p_times) AS at WHERE at > p_now - booking.lapse_memory_time()
$$;

-- A claim with what its dead hold costs noted in it, and its fate.
CREATE FUNCTION booking.charge_claim(p_claim booking.claim, p_now timestamptz, OUT charged booking.claim, OUT fate text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    ended record;
BEGIN
    ended := booking.claim_fate(p_claim, p_now);
    fate := ended.fate;
    charged := p_claim;
    IF ended.spent_at IS NOT NULL OR cardinality(p_claim.lapses) + cardinality(p_claim.spent) > 0 THEN
        charged.lapses := booking.recent(p_claim.lapses || ended.lapsed_at, p_now);
        charged.spent := booking.recent(p_claim.spent || ended.spent_at, p_now);
    END IF;
END $$;

-- Refuses a patient who has let too many holds run out ('lapses'), or made and given up too many ('hold_budget'), by the times noted in
-- their claim; a NULL code when neither.
CREATE FUNCTION booking.refuse_spent(p_claim booking.claim, p_now timestamptz) RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
    lapses integer := cardinality(p_claim.lapses);
    spent integer := cardinality(p_claim.spent);
BEGIN
    IF lapses >= booking.lapses_max() THEN
        answer.code := 'lapses';
        answer.retry_at := p_claim.lapses[lapses - booking.lapses_max() + 1] + booking.lapse_memory_time();
        answer.limit_max := booking.lapses_max();
    ELSIF spent >= booking.budget_max() THEN
        -- An index before the first element gives NULL.
        answer.retry_at := greatest(
            p_claim.spent[spent - booking.budget_max() + 1] + booking.budget_time(),
            p_claim.spent[spent - booking.daily_budget_max() + 1] + booking.lapse_memory_time());
        IF answer.retry_at > p_now THEN
            answer.code := 'hold_budget';
        END IF;
    END IF;
    RETURN answer;
END $$;

-- Notes a change of something that a patient has as spent now: a NULL code, or 'hold_budget' when they have spent too much. The caller
-- has locked the patient.
CREATE FUNCTION booking.spend(p_patient_id bigint, p_now timestamptz) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    own booking.claim;
    answer booking.outcome;
BEGIN
    SELECT * INTO own FROM booking.claim WHERE patient_id = p_patient_id FOR UPDATE;
    own.lapses := '{}';  -- they bar from what comes next, not from what one has
    own.spent := booking.recent(own.spent, p_now);
    answer := booking.refuse_spent(own, p_now);
    IF answer.code IS NULL THEN
        UPDATE booking.claim SET spent = own.spent || p_now WHERE patient_id = p_patient_id;
    END IF;
    RETURN answer;
END $$;

-- As refuse_spent, without a lock and so without writing anything, for a patient who has nothing live: what the rows say already. A claim has one
-- time more at most than is noted in it.
CREATE FUNCTION booking.refuse_early(p_patient_id bigint, p_actor text, p_now timestamptz)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    own booking.claim;
    charge record;
BEGIN
    SELECT * INTO own FROM booking.claim
    WHERE patient_id = p_patient_id AND booking.may_act(p_actor, p_patient_id)
        AND (cardinality(spent) + 1 >= booking.budget_max() OR cardinality(lapses) + 1 >= booking.lapses_max());
    IF FOUND THEN
        charge := booking.charge_claim(own, p_now);
        IF charge.fate <> 'live' THEN
            RETURN booking.refuse_spent(charge.charged, p_now);
        END IF;
    END IF;
    RETURN NULL;
END $$;

-- Takes a patient's one claim for a hold (p_wanted.booking_id) or a ticket (p_wanted.ticket_id, with its window as `during`): a NULL code
-- when it has it, else the refusal: 'claimed', 'lapses', 'hold_budget', 'not_found', or what booking.refuse_ahead finds unless
-- p_is_beyond. Takes the last locks of its caller.
CREATE FUNCTION booking.take_claim(p_wanted booking.booking, p_is_beyond boolean, p_now timestamptz)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    old booking.claim;
    charge record;
    answer booking.outcome;
    is_first boolean;
BEGIN
    PERFORM booking.lock_patient(p_wanted.patient_id);
    SELECT * INTO old FROM booking.claim WHERE patient_id = p_wanted.patient_id FOR UPDATE;
    is_first := NOT FOUND;
    IF is_first THEN
        IF EXISTS (SELECT FROM accounts.former_account WHERE successor_id = p_wanted.patient_id) THEN
            old := booking.inherited_claim(p_wanted.patient_id, p_now);
        ELSE
            old.lapses := '{}';
            old.spent := '{}';
        END IF;
    ELSE
        -- Erasing leaves this claim behind; a token may be known a moment longer elsewhere.
        IF EXISTS (SELECT FROM accounts.patient WHERE patient_id = p_wanted.patient_id AND erased_at IS NOT NULL) THEN
            RETURN booking.refuse('not_found');
        END IF;
        charge := booking.charge_claim(old, p_now);
        IF charge.fate = 'live' THEN
            RETURN booking.refuse('claimed');
        END IF;
        old := charge.charged;
    END IF;
    IF cardinality(old.spent) + cardinality(old.lapses) > 0 THEN
        answer := booking.refuse_spent(old, p_now);
    END IF;
    -- The caller has read the person without the patient's lock, and they may have been removed since.
    IF p_wanted.person_id IS NOT NULL AND (booking.person_of(p_wanted.patient_id, p_wanted.person_id)).person_id IS NULL THEN
        RETURN booking.refuse('not_found');
    END IF;
    IF answer.code IS NULL AND NOT p_is_beyond THEN
        answer := booking.refuse_ahead(p_wanted, true, p_now);
    END IF;
    IF answer.code IS NOT NULL THEN
        RETURN answer;
    ELSIF is_first THEN
        INSERT INTO booking.claim (patient_id, provider_id, booking_id, ticket_id, lapses, spent)
        VALUES (p_wanted.patient_id, p_wanted.provider_id, p_wanted.booking_id, p_wanted.ticket_id, old.lapses, old.spent)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN  -- by the release before, which does not lock the patient
            RETURN booking.refuse('claimed');
        END IF;
    ELSE
        UPDATE booking.claim
        SET provider_id = p_wanted.provider_id, booking_id = p_wanted.booking_id, ticket_id = p_wanted.ticket_id,
            lapses = old.lapses, spent = old.spent
        WHERE patient_id = p_wanted.patient_id;
    END IF;
    RETURN answer;
END $$;

-- What a patient's first claim begins with: what the account that their number had until a day ago had spent.
CREATE FUNCTION booking.inherited_claim(p_patient_id bigint, p_now timestamptz) RETURNS booking.claim LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    claim booking.claim;
BEGIN
    SELECT booking.recent(coalesce(array_agg(at) FILTER (WHERE is_lapse), '{}'), p_now),
        booking.recent(coalesce(array_agg(at) FILTER (WHERE NOT is_lapse), '{}'), p_now)
    INTO claim.lapses, claim.spent
    FROM booking.claim AS theirs
    CROSS JOIN LATERAL (
        SELECT at, true FROM unnest(theirs.lapses) AS at UNION ALL SELECT at, false FROM unnest(theirs.spent) AS at
    ) AS noted (at, is_lapse)
    WHERE theirs.patient_id = ANY (accounts.formerly(p_patient_id, p_now));
    RETURN claim;
END $$;

-- Locks the claim of a patient who is to be erased, made where there is none yet, and notes in it what its dead hold costs.
CREATE FUNCTION booking.close_claim(p_patient_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    old booking.claim;
BEGIN
    PERFORM booking.lock_patient(p_patient_id);
    INSERT INTO booking.claim (patient_id, provider_id, booking_id) VALUES (p_patient_id, 0, gen_random_uuid()) ON CONFLICT DO NOTHING;
    SELECT * INTO old FROM booking.claim WHERE patient_id = p_patient_id FOR UPDATE;
    old := (booking.charge_claim(old, p_now)).charged;
    UPDATE booking.claim SET lapses = old.lapses, spent = old.spent WHERE patient_id = p_patient_id;
END $$;

-- Whether a hold is still its patient's claim, whose row it locks; the caller has locked the patient. A hold whose time runs out while a
-- verb is at work looks dead to other providers' verbs, and one of them may have put the patient elsewhere.
CREATE FUNCTION booking.keeps_claim(p_held booking.booking) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM booking.claim
    WHERE patient_id = p_held.patient_id AND provider_id = p_held.provider_id
        AND (booking_id = p_held.booking_id OR ticket_id = p_held.ticket_id) FOR UPDATE;
    RETURN FOUND;
END $$;
