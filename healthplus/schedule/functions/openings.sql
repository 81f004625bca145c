-- Return each occurrence of a shift that overlaps [p_from, p_to), at one clinic or (NULL) at any. Its slots can be booked if they
-- start after `starts_after` and before `starts_before`, which is -infinity for times that only the desk may give, unless p_is_desk.
-- A shift's ends are turned from the city's wall clock into instants first, and slots are stepped from there in UTC, so that a day with
-- a changed clock has the right slots.
CREATE FUNCTION schedule.openings(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_to timestamptz, p_now timestamptz, p_is_desk boolean DEFAULT false
) RETURNS TABLE (
    shift_id bigint, clinic_id bigint, during tstzrange, slot interval, seats integer, slots_max integer,
    starts_after timestamptz, starts_before timestamptz, weekday integer
) LANGUAGE sql STABLE AS $$
    SELECT shift.shift_id, shift.clinic_id, opening.during, make_interval(mins => shift.slot_minutes),
        shift.seats::integer, shift.slots_max::integer, at_clinic.starts_after,
        CASE WHEN p_is_desk OR shift.release_hours IS NULL OR at_clinic.first_day + days <= shift.released_until
            THEN at_clinic.starts_before ELSE '-infinity' END,
        shift.weekday::integer
    FROM (
        SELECT clinic_id, time_zone,
            p_now + make_interval(mins => lead_minutes) AS starts_after,
            ((p_now AT TIME ZONE time_zone)::date + max_booking_days + 1)::timestamp AT TIME ZONE time_zone AS starts_before,
            (p_from AT TIME ZONE time_zone)::date AS first_day,
            (p_to AT TIME ZONE time_zone)::date AS last_day
        FROM directory.provider_clinic
        JOIN directory.provider USING (provider_id)
        JOIN directory.clinic USING (clinic_id)
        JOIN directory.city USING (city_id)
        WHERE provider_id = p_provider_id AND (p_clinic_id IS NULL OR clinic_id = p_clinic_id) AND provider_clinic.closed_since IS NULL
        OFFSET 0  -- computed once for each clinic, before its shifts are read
    ) AS at_clinic
    JOIN schedule.shift ON shift.provider_id = p_provider_id AND shift.clinic_id = at_clinic.clinic_id
    CROSS JOIN LATERAL generate_series(
        (shift.weekday - extract(isodow FROM at_clinic.first_day)::integer + 7) % 7, at_clinic.last_day - at_clinic.first_day, 7
    ) AS days
    CROSS JOIN LATERAL (
        SELECT (at_clinic.first_day + days + shift.starts) AT TIME ZONE at_clinic.time_zone AS opens_at,
            (at_clinic.first_day + days + shift.ends) AT TIME ZONE at_clinic.time_zone AS closes_at
    ) AS ends
    -- A shift that begins in the hour that a spring night skips may begin after it ends: it is then empty.
    CROSS JOIN LATERAL (SELECT tstzrange(opens_at, greatest(opens_at, closes_at)) AS during) AS opening
    WHERE (shift.weekday - extract(isodow FROM at_clinic.first_day)::integer + 7) % 7 <= at_clinic.last_day - at_clinic.first_day
        AND shift.valid @> (at_clinic.first_day + days)
        AND opening.during && tstzrange(p_from, p_to)
$$;

-- Return the slots that start in [p_from, p_to) and can be booked at p_now as far as shifts and leave say, at one clinic or
-- (NULL) at any: each p_starts_every-th of a shift, on weekdays whose bit is set. Those of shifts that overlap come twice.
CREATE FUNCTION schedule.slots(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_starts_every integer DEFAULT 1, p_weekdays integer DEFAULT 127
) RETURNS TABLE (clinic_id bigint, starts_at timestamptz, ends_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT opening.clinic_id, starts_at, starts_at + opening.slot
    FROM schedule.openings(p_provider_id, p_clinic_id, p_from, p_to, p_now) AS opening
    CROSS JOIN LATERAL generate_series(lower(opening.during), upper(opening.during) - opening.slot, opening.slot * p_starts_every) AS starts_at
    WHERE starts_at > opening.starts_after AND starts_at < opening.starts_before AND starts_at >= p_from AND starts_at < p_to
        AND directory.is_weekday_of(p_weekdays, opening.weekday)
        AND NOT EXISTS (
            SELECT FROM schedule.leave
            WHERE leave.provider_id = p_provider_id AND leave.during && tstzrange(starts_at, starts_at + opening.slot)
                AND (leave.clinic_id IS NULL OR leave.clinic_id = opening.clinic_id))
$$;

-- Return the shifts with times that are due to be released, and the last day of which they are: of those of its weekday on which it has begun
-- when the hours are over, and that are its.
CREATE FUNCTION schedule.due_releases(p_now timestamptz) RETURNS TABLE (provider_id bigint, shift_id bigint, day date) LANGUAGE sql STABLE AS $$
    SELECT shift.provider_id, shift.shift_id, due.day
    FROM schedule.shift
    JOIN directory.clinic USING (clinic_id)
    JOIN directory.city USING (city_id)
    CROSS JOIN LATERAL (SELECT (p_now + make_interval(hours => release_hours)) AT TIME ZONE time_zone AS until) AS released
    CROSS JOIN LATERAL (
        SELECT least(upper(valid) - 1, until::date - CASE WHEN starts > until::time THEN 1 ELSE 0 END) AS last_day) AS ended
    CROSS JOIN LATERAL (SELECT last_day - (extract(isodow FROM last_day)::integer - weekday + 7) % 7 AS day) AS due
    WHERE release_hours > 0 AND valid @> due.day AND due.day > coalesce(released_until, '-infinity')
        AND due.day >= (p_now AT TIME ZONE time_zone)::date
$$;

-- Release the times of a provider that are due, whose book the caller has locked; whether there were any.
CREATE FUNCTION schedule.release_due(p_provider_id bigint, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE schedule.shift SET released_until = due.day
    FROM schedule.due_releases(p_now) AS due
    WHERE shift.provider_id = p_provider_id AND due.provider_id = p_provider_id AND due.shift_id = shift.shift_id;
    RETURN FOUND;
END $$;
