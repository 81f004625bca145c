-- Who did not come: after some times within a year they pay online at that clinic, for some months. Facts only, never a guess.

-- Within which time they are counted.
CREATE FUNCTION booking.no_show_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '12 months' $$;

-- Whether the patient of an appointment can have missed it: it has begun, and was not to be at another time as the doctor would be away.
CREATE FUNCTION booking.can_be_missed(p_booking booking.booking, p_now timestamptz) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT lower(p_booking.during) <= p_now AND NOT p_booking.needs_rebooking
$$;

-- A person of an account, and those of the same name who did not come and were removed from it: adding somebody again starts no new count.
-- Who was removed has no name any more; what they missed has.
CREATE FUNCTION booking.selves_of(p_person_id uuid) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY (
        SELECT p_person_id
        UNION ALL
        SELECT former.person_id
        FROM accounts.person AS own
        JOIN booking.no_show AS missed USING (patient_id)
        JOIN accounts.person AS former ON former.person_id = missed.person_id
        JOIN booking.booking USING (provider_id, booking_id)
        WHERE own.person_id = p_person_id AND former.removed_at IS NOT NULL AND accounts.is_same_name(own.name, booking.patient_name))
$$;

-- Until when a person pays online only at a clinic; NULL: they need not.
CREATE FUNCTION booking.online_only_until(p_person_id uuid, p_clinic_id bigint, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT max(starts_at + make_interval(months => no_show_months))
    FROM (
        SELECT starts_at, count(*) OVER (
            ORDER BY starts_at RANGE BETWEEN booking.no_show_time() PRECEDING AND CURRENT ROW) AS times
        FROM booking.no_show WHERE person_id = ANY (booking.selves_of(p_person_id)) AND clinic_id = p_clinic_id
    ) AS missed
    JOIN directory.clinic ON clinic_id = p_clinic_id
    WHERE times >= no_shows_max
    HAVING max(starts_at + make_interval(months => no_show_months)) > p_now
$$;

-- Refuses to have somebody pay a fee at a clinic where they pay online only, with until when; a NULL code when they need not.
CREATE FUNCTION booking.refuse_at_clinic(p_person_id uuid, p_clinic_id bigint, p_fee_minor integer, p_now timestamptz) RETURNS booking.outcome
LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF p_fee_minor > 0 THEN
        answer.retry_at := booking.online_only_until(p_person_id, p_clinic_id, p_now);
        answer.code := CASE WHEN answer.retry_at IS NOT NULL THEN 'online_only' END;
    END IF;
    RETURN answer;
END $$;

-- How a person pays a fee at a clinic that is paid in this way by others.
CREATE FUNCTION booking.funding_for(
    p_funding directory.funding, p_fee_minor integer, p_person_id uuid, p_clinic_id bigint, p_now timestamptz
) RETURNS directory.funding LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_funding = 'clinic' AND p_fee_minor > 0 AND booking.online_only_until(p_person_id, p_clinic_id, p_now) IS NOT NULL
        THEN 'online' ELSE p_funding END
$$;

-- Notes that the patient of an appointment did not come, or (its state is another) that they did. Its caller has written the state.
CREATE FUNCTION booking.note_no_show(p_booking booking.booking) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF p_booking.state = 'no_show' THEN
        INSERT INTO booking.no_show (provider_id, booking_id, clinic_id, patient_id, person_id, starts_at)
        SELECT p_booking.provider_id, p_booking.booking_id, p_booking.clinic_id, p_booking.patient_id, person_id, lower(p_booking.during)
        FROM booking.person_of(p_booking.patient_id, p_booking.person_id) AS person
        WHERE person_id IS NOT NULL
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM booking.no_show WHERE provider_id = p_booking.provider_id AND booking_id = p_booking.booking_id;
    END IF;
END $$;
