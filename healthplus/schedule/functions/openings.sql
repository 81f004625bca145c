-- Every stretch of a shift that overlaps [p_from, p_to): a shift's ends are turned from the city's wall clock into
-- instants first, and slots are stepped from there in UTC, so that a day with a changed clock has the right slots.
-- p_clinic_id NULL: at any clinic. A slot of it can start after `starts_after` and before `starts_before`.
CREATE FUNCTION schedule.openings(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_to timestamptz, p_now timestamptz
) RETURNS TABLE (
    shift_id bigint, clinic_id bigint, during tstzrange, slot interval, seats integer, slots_max integer,
    starts_after timestamptz, starts_before timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT shift.shift_id, shift.clinic_id, opening.during, make_interval(mins => shift.slot_minutes),
        shift.seats::integer, shift.slots_max::integer,
        p_now + make_interval(mins => clinic.lead_minutes),
        ((p_now AT TIME ZONE city.time_zone)::date + provider.max_booking_days + 1)::timestamp AT TIME ZONE city.time_zone
    FROM schedule.shift
    JOIN directory.provider USING (provider_id)
    JOIN directory.clinic USING (clinic_id)
    JOIN directory.city USING (city_id)
    CROSS JOIN LATERAL (
        SELECT (p_from AT TIME ZONE city.time_zone)::date AS first_day, (p_to AT TIME ZONE city.time_zone)::date AS last_day
    ) AS span
    CROSS JOIN LATERAL generate_series(
        (shift.weekday - extract(isodow FROM span.first_day)::integer + 7) % 7, span.last_day - span.first_day, 7
    ) AS days
    CROSS JOIN LATERAL (
        SELECT tstzrange(
            (span.first_day + days + shift.starts) AT TIME ZONE city.time_zone,
            (span.first_day + days + shift.ends) AT TIME ZONE city.time_zone) AS during
    ) AS opening
    WHERE shift.provider_id = p_provider_id
        AND (p_clinic_id IS NULL OR shift.clinic_id = p_clinic_id)
        AND shift.valid @> (span.first_day + days)
        AND opening.during && tstzrange(p_from, p_to)
$$;
