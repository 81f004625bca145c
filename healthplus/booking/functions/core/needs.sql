-- What is asked of the schedule: slots in a row, or time for services.

-- What services ask: their lengths add up, and of their buffers the longest counts. A clinic only decides whether they can be booked there,
-- and which terms count.
CREATE FUNCTION booking.need_of_services(p_slots integer, p_provider_id bigint, p_service_ids bigint[]) RETURNS booking.need
LANGUAGE plpgsql STABLE AS $$
DECLARE
    need booking.need := booking.need(p_slots);
BEGIN
    SELECT greatest(sum(length_minutes) + max(buffer_minutes), 1), directory.starts_together(array_agg(DISTINCT starts_every)),
        coalesce(bit_and(weekdays), 0), min(currency)
    INTO need.minutes, need.starts_every, need.weekdays, need.currency
    FROM directory.service WHERE provider_id = p_provider_id AND service_id = ANY (p_service_ids);
    RETURN need;
END $$;

-- What services ask, or (NULL) a visit of p_slots slots.
CREATE FUNCTION booking.need_of(p_slots integer, p_provider_id bigint, p_service_ids bigint[]) RETURNS booking.need
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_service_ids IS NULL THEN booking.need(p_slots)
        ELSE booking.need_of_services(p_slots, p_provider_id, p_service_ids) END
$$;

-- A text that services have in common which ask the same of the schedule; NULL for a visit of some slots.
CREATE FUNCTION booking.need_key(p_provider_id bigint, p_service_ids bigint[]) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_service_ids IS NOT NULL THEN booking.need_of_services(1, p_provider_id, p_service_ids)::text END
$$;

-- How many slots of a length are needed.
CREATE FUNCTION booking.slots_of(p_need booking.need, p_slot interval) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN (p_need).minutes IS NULL THEN (p_need).slots
        ELSE ceil((p_need).minutes * 60 / extract(epoch FROM p_slot))::integer END
$$;

-- Whether a shift takes visits of that many slots: for services their length says it, whatever the longest other visit is.
CREATE FUNCTION booking.is_taken_by(p_need booking.need, p_slots_max integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (p_need).slots BETWEEN 1 AND p_slots_max OR (p_need).minutes IS NOT NULL
$$;

-- Whether a start within a shift that opens at an instant, on a weekday (ISO 8601), is one at which this may begin.
CREATE FUNCTION booking.is_on_grid(
    p_need booking.need, p_start timestamptz, p_opens_at timestamptz, p_slot interval, p_weekday integer
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT date_bin(p_slot * (p_need).starts_every, p_start, p_opens_at) = p_start
        AND directory.is_weekday_of((p_need).weekdays, p_weekday)
$$;

-- How many slots a ticket's services need at most in any shift of its clinic (NULL: of any), or NULL where there are no shifts.
CREATE FUNCTION booking.slots_at_most(p_need booking.need, p_provider_id bigint, p_clinic_id bigint) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT max(booking.slots_of(p_need, make_interval(mins => slot_minutes)))
    FROM schedule.shift WHERE provider_id = p_provider_id AND (p_clinic_id IS NULL OR clinic_id = p_clinic_id)
$$;

-- How long is kept free after services.
CREATE FUNCTION booking.buffer_of(p_service_ids bigint[]) RETURNS interval LANGUAGE sql STABLE AS $$
    SELECT make_interval(mins => coalesce(max(buffer_minutes), 0)) FROM directory.service WHERE service_id = ANY (p_service_ids)
$$;

-- When services that a booking is for are done. Those that take no time of their own take all of it, and no time is kept free after them.
CREATE FUNCTION booking.services_end(p_during tstzrange, p_service_ids bigint[]) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT coalesce(lower(p_during) + make_interval(mins => nullif(sum(length_minutes), 0)::integer), upper(p_during))
    FROM directory.service WHERE service_id = ANY (p_service_ids)
$$;

-- When the visit ends for the patient: the time kept free after it is not theirs.
CREATE FUNCTION booking.visit_end(p_during tstzrange, p_service_ids bigint[]) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_service_ids IS NULL THEN upper(p_during) ELSE booking.services_end(p_during, p_service_ids) END
$$;

-- What a booking takes of its patient's time.
CREATE FUNCTION booking.visit(p_during tstzrange, p_service_ids bigint[]) RETURNS tstzrange LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_service_ids IS NULL THEN p_during
        ELSE tstzrange(lower(p_during), booking.services_end(p_during, p_service_ids)) END
$$;

-- Refuses services that cannot be booked at a clinic (NULL: at any); a NULL code when they can. p_is_held: they are held or waited for.
CREATE FUNCTION booking.refuse_services(
    p_provider_id bigint, p_clinic_id bigint, p_service_ids bigint[], p_is_held boolean DEFAULT false
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    SELECT refusal INTO answer.reason FROM directory.chosen_services(p_provider_id, p_clinic_id, p_service_ids, p_is_held);
    IF answer.reason IS NOT NULL THEN
        answer.code := 'no_such_slot';
    END IF;
    RETURN answer;
END $$;

-- What is paid for services at a clinic, or (NULL) for a visit: the fee, how, and which terms count.
CREATE FUNCTION booking.price_of(p_provider_id bigint, p_clinic_id bigint, p_service_ids bigint[])
RETURNS TABLE (fee_minor integer, funding directory.funding, terms_id bigint) LANGUAGE sql STABLE AS $$
    SELECT fee_minor, funding, terms_id
    FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
    WHERE p_service_ids IS NULL AND provider_id = p_provider_id AND clinic_id = p_clinic_id
    UNION ALL
    SELECT fee_minor, funding, terms_id FROM directory.chosen_services(p_provider_id, p_clinic_id, p_service_ids, true)
    WHERE p_service_ids IS NOT NULL
$$;
