-- A refusal because of a booking of the patient's own.
CREATE FUNCTION booking.refuse_for_own(p_code text, p_patient_id bigint, p_booking_id uuid, p_limit integer DEFAULT NULL)
RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
    own booking.booking;
BEGIN
    SELECT * INTO own FROM booking.booking WHERE patient_id = p_patient_id AND booking_id = p_booking_id;
    answer := booking.describe(p_code, own);
    answer.provider_id := own.provider_id;
    answer.limit_max := p_limit;
    RETURN answer;
END $$;

-- Whether a run lies within one day at a clinic, and p_start on that same day.
CREATE FUNCTION booking.is_on_day_of(p_during tstzrange, p_clinic_id bigint, p_start timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (lower(p_during) AT TIME ZONE time_zone)::date = (p_start AT TIME ZONE time_zone)::date
        AND ((upper(p_during) - interval '1 microsecond') AT TIME ZONE time_zone)::date = (p_start AT TIME ZONE time_zone)::date
    FROM directory.clinic JOIN directory.city USING (city_id)
    WHERE clinic_id = p_clinic_id
$$;

-- Whether a person may have these on the same day as others of their kind with the provider.
CREATE FUNCTION booking.allows_more_a_day(p_service_ids bigint[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_service_ids IS NOT NULL AND coalesce(
        (SELECT bool_and(allows_more_a_day) FROM directory.service WHERE service_id = ANY (p_service_ids)), false)
$$;

-- Refuses to put a person at another time because of what their account has ahead: 'overlap' (they are elsewhere then), 'same_day' (one a
-- day at a provider), 'too_many_unpaid', 'too_many_ahead', with the booking in the way and the limit; a NULL code when nothing is.
-- p_wanted is a hold as it is to be; or a ticket, with a NULL booking_id and funding, and its window as `during`, which only a booking that
-- covers the whole window is in the way of. Neither the booking that it replaces counts nor time that is kept free after one (booking.visit).
-- p_is_more: it adds one to what is ahead, as a move does not. Volatile, to see what was committed while its caller waited for the
-- patient's lock.
CREATE FUNCTION booking.refuse_ahead(p_wanted booking.booking, p_is_more boolean, p_now timestamptz)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    own record;
    ahead uuid[] := '{}';       -- of this person
    unpaid uuid[] := '{}';      -- of this person, not paid online
    all_unpaid uuid[] := '{}';  -- of the account
BEGIN
    -- Mostly there is nothing, and one look at the index shows it.
    IF NOT EXISTS (SELECT FROM booking.booking WHERE patient_id = p_wanted.patient_id AND upper(during) > p_now) THEN
        RETURN NULL;
    END IF;
    IF p_wanted.booking_id IS NOT NULL THEN
        p_wanted.during := booking.visit(p_wanted.during, p_wanted.service_ids);
    END IF;
    FOR own IN
        SELECT provider_id, booking_id, clinic_id, booking.visit(during, service_ids) AS visit, funding, service_ids,
            coalesce(
                person_id = p_wanted.person_id,
                (SELECT is_holder FROM accounts.person WHERE person.person_id = coalesce(booking.person_id, p_wanted.person_id)),
                true) AS is_same
        FROM booking.booking
        WHERE patient_id = p_wanted.patient_id AND upper(during) > p_now AND state IN ('reserved', 'booked', 'arrived')
            AND booking.visit_end(during, service_ids) > p_now AND NOT offer AND NOT booking.is_due(booking, p_now)
            AND booking_id IS DISTINCT FROM p_wanted.booking_id AND booking_id IS DISTINCT FROM p_wanted.instead_of_id
        ORDER BY during, booking_id
    LOOP
        IF own.is_same AND own.visit && p_wanted.during
            AND (p_wanted.booking_id IS NOT NULL OR own.visit @> p_wanted.during::tstzrange)
        THEN
            RETURN booking.refuse_for_own('overlap', p_wanted.patient_id, own.booking_id);
        ELSIF own.is_same AND own.provider_id = p_wanted.provider_id
            AND booking.is_on_day_of(p_wanted.during, own.clinic_id, lower(own.visit))
            AND NOT (booking.allows_more_a_day(p_wanted.service_ids) AND booking.allows_more_a_day(own.service_ids))
        THEN
            RETURN booking.refuse_for_own('same_day', p_wanted.patient_id, own.booking_id, 1);
        END IF;
        IF own.is_same THEN
            ahead := ahead || own.booking_id;
        END IF;
        IF own.funding <> 'online' THEN
            all_unpaid := all_unpaid || own.booking_id;
            unpaid := CASE WHEN own.is_same THEN unpaid || own.booking_id ELSE unpaid END;
        END IF;
    END LOOP;
    IF booking.is_answered_then(p_wanted) THEN
        RETURN booking.refuse('overlap');
    END IF;
    IF NOT p_is_more THEN
        RETURN NULL;
    ELSIF cardinality(ahead) >= booking.ahead_max() THEN
        RETURN booking.refuse_for_own('too_many_ahead', p_wanted.patient_id, ahead[1], booking.ahead_max());
    ELSIF (cardinality(unpaid) >= booking.unpaid_max() OR cardinality(all_unpaid) >= booking.account_unpaid_max())
        AND (p_wanted.funding <> 'online' OR (p_wanted.funding IS NULL AND NOT EXISTS (
        SELECT FROM directory.provider_clinic AS place
        CROSS JOIN LATERAL booking.price_of(p_wanted.provider_id, place.clinic_id, p_wanted.service_ids) AS price
        WHERE provider_id = p_wanted.provider_id AND (clinic_id = p_wanted.clinic_id OR p_wanted.clinic_id IS NULL)
            AND booking.funding_for(price.funding, price.fee_minor, p_wanted.person_id, place.clinic_id, p_now) = 'online')))
    THEN
        IF cardinality(unpaid) >= booking.unpaid_max() THEN
            RETURN booking.refuse_for_own('too_many_unpaid', p_wanted.patient_id, unpaid[1], booking.unpaid_max());
        END IF;
        RETURN booking.refuse_for_own('too_many_unpaid', p_wanted.patient_id, all_unpaid[1], booking.account_unpaid_max());
    END IF;
    RETURN NULL;
END $$;
