-- The parts that pages of clinics and of providers share.

CREATE FUNCTION search.specialities(p_provider_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('slug', slug, 'name', name) ORDER BY name), '[]')
    FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
    WHERE provider_id = p_provider_id
$$;

CREATE FUNCTION search.position(p_latitude double precision, p_longitude double precision) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_latitude IS NOT NULL AND p_longitude IS NOT NULL
        THEN jsonb_build_object('latitude', p_latitude, 'longitude', p_longitude) END
$$;

-- Return a clinic with its city, as JSON.
CREATE FUNCTION search.clinic_document(p_clinic directory.clinic, p_city directory.city) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', p_clinic.clinic_id, 'name', p_clinic.name, 'address', p_clinic.address, 'postal_code', p_clinic.postal_code,
        'phone', p_clinic.phone, 'facilities', p_clinic.facilities, 'position', search.position(p_clinic.latitude, p_clinic.longitude), 'pictures', ARRAY(
            SELECT hash FROM directory.clinic_picture WHERE clinic_id = p_clinic.clinic_id ORDER BY clinic_picture.position),
        'picture_texts', ARRAY(
            SELECT text FROM directory.clinic_picture WHERE clinic_id = p_clinic.clinic_id ORDER BY clinic_picture.position),
        'city', jsonb_build_object(
            'slug', p_city.slug, 'name', p_city.name, 'state', p_city.state, 'time_zone', p_city.time_zone,
            'position', search.position(p_city.latitude, p_city.longitude)))
$$;

-- Return the provider that a clinic is itself: the hospital, clinic or laboratory that is called as it is and is booked nowhere else. NULL
-- where there is none, or more than one.
CREATE FUNCTION search.own_provider(p_clinic_id bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT min(provider_id)
    FROM directory.provider_clinic AS post JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
    WHERE clinic_id = p_clinic_id AND post.closed_since IS NULL AND type <> 'doctor' AND lower(provider.name) = lower(clinic.name)
    HAVING count(*) = 1 AND NOT EXISTS (
        SELECT FROM directory.provider_clinic AS other
        WHERE other.provider_id = min(post.provider_id) AND other.clinic_id <> p_clinic_id AND other.closed_since IS NULL)
$$;

-- Return whether a shift is valid on the next day of its weekday, p_today included: pages show the hours of these seven days.
CREATE FUNCTION search.is_this_week(p_shift schedule.shift, p_today date) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_shift.valid @> p_today + (p_shift.weekday - extract(isodow FROM p_today)::integer + 7) % 7
$$;

-- Return when a clinic is open by its providers' shifts, joining those that overlap or touch. Many doctors keep the same hours.
CREATE FUNCTION search.clinic_hours(p_clinic_id bigint, p_today date) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(
        jsonb_build_object(
            'weekday', weekday,
            'start', to_char(make_interval(mins => lower(stretch)), 'HH24:MI'),
            'end', to_char(make_interval(mins => upper(stretch)), 'HH24:MI'))
        ORDER BY weekday, stretch), '[]')
    FROM (
        SELECT weekday, range_agg(int4range(
            (extract(epoch FROM starts) / 60)::integer, (extract(epoch FROM ends) / 60)::integer)) AS stretches
        FROM (
            SELECT DISTINCT weekday, starts, ends
            FROM directory.provider_clinic JOIN schedule.shift USING (provider_id, clinic_id)
            WHERE clinic_id = p_clinic_id AND provider_clinic.closed_since IS NULL AND search.is_this_week(shift, p_today)
        ) AS hours
        GROUP BY weekday
    ) AS day
    CROSS JOIN LATERAL unnest(stretches) AS stretch
$$;

-- Return whether any provider works at a clinic at this moment: as schedule.openings, for all providers of a clinic at once.
CREATE FUNCTION search.is_open(p_clinic_id bigint, p_time_zone text, p_now timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT
        FROM (SELECT (p_now AT TIME ZONE p_time_zone)::date AS today OFFSET 0) AS clock
        CROSS JOIN directory.provider_clinic JOIN schedule.shift USING (provider_id, clinic_id)
        WHERE clinic_id = p_clinic_id AND provider_clinic.closed_since IS NULL AND weekday = extract(isodow FROM today) AND valid @> today
            AND (today + starts) AT TIME ZONE p_time_zone <= p_now AND (today + ends) AT TIME ZONE p_time_zone > p_now
            AND NOT EXISTS (
                SELECT FROM schedule.leave
                WHERE leave.provider_id = provider_clinic.provider_id AND leave.during @> p_now
                    AND (leave.clinic_id IS NULL OR leave.clinic_id = p_clinic_id)))
$$;

-- Return a provider's shifts at a clinic, by day.
CREATE FUNCTION search.provider_hours(p_provider_id bigint, p_clinic_id bigint, p_today date) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(
        jsonb_build_object(
            'weekday', weekday, 'start', left(starts::text, 5), 'end', left(ends::text, 5), 'slot_minutes', slot_minutes)
        ORDER BY weekday, starts), '[]')
    FROM schedule.shift
    WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND search.is_this_week(shift, p_today)
$$;

-- Return the earliest p_count starts at a clinic that anyone could hold now, for services or (NULL) for one slot, not before p_from if
-- that is set. Looks in growing steps up to the last day that can be booked, as booking.first_free does: the first step nearly always
-- has them.
CREATE FUNCTION search.next_free(
    p_provider_id bigint, p_clinic_id bigint, p_count integer, p_now timestamptz, p_from timestamptz DEFAULT NULL,
    p_service_ids bigint[] DEFAULT NULL
) RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    need booking.need := booking.need_of(1, p_provider_id, p_service_ids);
    times timestamptz[] := '{}';
    steps interval[] := '{0 days,1 day,7 days,60 days,368 days}';
    begins timestamptz := greatest(p_now, p_from);
    reach interval;
BEGIN
    SELECT p_now + make_interval(days => max_booking_days + 2) - begins INTO reach
    FROM directory.provider WHERE provider_id = p_provider_id;
    FOR i IN 1 .. array_length(steps, 1) - 1 LOOP
        EXIT WHEN steps[i] > reach OR cardinality(times) = p_count;
        SELECT times || array_agg(starts_at ORDER BY starts_at) INTO times
        FROM (
            SELECT DISTINCT starts_at
            FROM booking.obtainable_runs(
                -- what starts within a step may end after it, by no more than a slot's greatest length and what is needed
                p_provider_id, p_clinic_id,
                greatest(begins + steps[i] - make_interval(hours => 8, mins => coalesce(need.minutes, 0)), p_from),
                begins + least(steps[i + 1], reach), need, p_now)
            WHERE cardinality(times) = 0 OR starts_at > times[cardinality(times)]
            ORDER BY starts_at LIMIT p_count - cardinality(times)
        ) AS further;
    END LOOP;
    RETURN times;
END $$;

-- Return p_count of a day's times, given in order, by their places: the first of the morning, of the afternoon and of the evening, then some
-- further apart in the part that has most, then the earliest.
CREATE FUNCTION search.spread(p_times timestamptz[], p_count integer, p_time_zone text) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    day date := p_times[1] AT TIME ZONE p_time_zone;
    total integer := cardinality(p_times);
    -- how many are before noon, and before five; a microsecond earlier, as what is equal counts as before
    noon integer := width_bucket((day + time '11:59:59.999999') AT TIME ZONE p_time_zone, p_times);
    five integer := width_bucket((day + time '16:59:59.999999') AT TIME ZONE p_time_zone, p_times);
    most integer := greatest(noon, five - noon, total - five);
    before integer := CASE most WHEN noon THEN 0 WHEN five - noon THEN noon ELSE five END;
    chosen integer[] := '{}';
    place integer;
BEGIN
    FOREACH place IN ARRAY array[1, noon + 1, five + 1, before + 1 + most * 2 / 3, before + 1 + most / 3] LOOP
        IF place <= total AND NOT place = ANY (chosen) AND cardinality(chosen) < p_count THEN
            chosen := chosen || place;
        END IF;
    END LOOP;
    place := 2;
    WHILE place <= total AND cardinality(chosen) < p_count LOOP
        IF NOT place = ANY (chosen) THEN
            chosen := chosen || place;
        END IF;
        place := place + 1;
    END LOOP;
    RETURN chosen;
END $$;

-- Return p_count starts at a clinic that anyone could hold now, as search.next_free does, but spread over the first day that has any, and
-- where that has fewer, over the days after it. p_that_day is how many there are on the first.
CREATE FUNCTION search.spread_free(
    p_provider_id bigint, p_clinic_id bigint, p_count integer, p_now timestamptz, p_from timestamptz DEFAULT NULL,
    p_service_ids bigint[] DEFAULT NULL, OUT p_times timestamptz[], OUT p_that_day integer
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    need booking.need := booking.need_of(1, p_provider_id, p_service_ids);
    steps integer[] := '{0,1,2,7,60,368}'; -- in whole days, so that none is cut
    begins timestamptz := greatest(p_now, p_from);
    zone text;
    reach timestamptz;
    first_day date;
    closes timestamptz;
    free timestamptz[];
    on_day timestamptz[];
BEGIN
    p_times := '{}';
    SELECT time_zone, p_now + make_interval(days => max_booking_days + 2) INTO zone, reach
    FROM directory.provider CROSS JOIN directory.clinic JOIN directory.city USING (city_id)
    WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id;
    first_day := begins AT TIME ZONE zone;
    FOR i IN 1 .. array_length(steps, 1) - 1 LOOP
        EXIT WHEN begins >= reach OR cardinality(p_times) = p_count;
        closes := least((first_day + steps[i + 1])::timestamp AT TIME ZONE zone, reach);
        SELECT array_agg(DISTINCT starts_at ORDER BY starts_at) INTO free
        FROM booking.obtainable_runs(
            -- what starts before the step's end may end after it, by no more than a slot's greatest length and what is needed
            p_provider_id, p_clinic_id, begins, closes + make_interval(hours => 8, mins => coalesce(need.minutes, 0)), need, p_now)
        WHERE starts_at < closes;
        WHILE cardinality(free) > 0 AND cardinality(p_times) < p_count LOOP
            on_day := free[:width_bucket(
                ((free[1] AT TIME ZONE zone)::date + time '23:59:59.999999') AT TIME ZONE zone, free)];
            p_that_day := coalesce(p_that_day, cardinality(on_day));
            p_times := p_times || array(
                SELECT on_day[place] FROM unnest(search.spread(on_day, p_count - cardinality(p_times), zone)) AS place ORDER BY place);
            free := free[cardinality(on_day) + 1:];
        END LOOP;
        begins := closes;
    END LOOP;
END $$;
