-- The last slot of a day at a clinic that is free for all, whether or not it is past or too far ahead by now, and the last
-- that the shifts have at all; NULL where there is none.
CREATE FUNCTION booking.last_of_day(
    p_provider_id bigint, p_clinic_id bigint, p_day tstzrange, p_now timestamptz, OUT free_at timestamptz, OUT last_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT
        (SELECT max(starts_at)
         FROM booking.gaps(p_provider_id, p_clinic_id, lower(p_day), upper(p_day), p_now, false, NULL, NULL)
         CROSS JOIN LATERAL (
            SELECT opens_at + slot * (floor(extract(epoch FROM upper(gap) - opens_at) / extract(epoch FROM slot)) - 1)::integer
                AS starts_at) AS start
         WHERE starts_at >= lower(gap)),
        (SELECT max(lower(during)
            + slot * (floor(extract(epoch FROM upper(during) - lower(during)) / extract(epoch FROM slot)) - 1)::integer)
         FROM schedule.openings(p_provider_id, p_clinic_id, lower(p_day), upper(p_day), p_now)
         WHERE upper(during) - lower(during) >= slot)
$$;

-- Whether a later slot of the same day's shifts at the clinic remains untouched by p_taken: taking that leaves the day as
-- scarce, or not, as it was.
CREATE FUNCTION booking.leaves_later_slot(p_provider_id bigint, p_clinic_id bigint, p_taken tstzrange)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM directory.clinic
        JOIN directory.city USING (city_id)
        CROSS JOIN LATERAL CAST(lower(p_taken) AT TIME ZONE time_zone AS date) AS day
        JOIN schedule.shift ON shift.provider_id = p_provider_id AND shift.clinic_id = clinic.clinic_id
        WHERE clinic.clinic_id = p_clinic_id AND shift.weekday = extract(isodow FROM day) AND shift.valid @> day
            -- its last slot starts later than two slots before its end
            AND (day + shift.ends - make_interval(mins => 2 * shift.slot_minutes)) AT TIME ZONE time_zone >= upper(p_taken))
$$;

-- Whether p_taken has taken what booking.scarce_day notes as the last free time of its day. Where no time is noted for a
-- day, that day counts if it is within a day of p_taken, so that the time zone does not matter.
CREATE FUNCTION booking.is_last_of_scarce_day(p_provider_id bigint, p_clinic_id bigint, p_taken tstzrange)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM booking.scarce_day
        WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND coalesce(
            p_taken @> last_free_at, day BETWEEN lower(p_taken)::date - 1 AND lower(p_taken)::date + 1))
$$;

-- Brings booking.scarce_day up to date for the day on which p_taken was taken at p_clinic_id, or (NULLs) for all that offers may
-- have taken and that was freed. p_everything: for every day on which anything stands in the way.
CREATE FUNCTION booking.refresh_scarce_days(
    p_provider_id bigint, p_now timestamptz, p_clinic_id bigint DEFAULT NULL, p_taken tstzrange DEFAULT NULL,
    p_everything boolean DEFAULT false
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    noted record;
BEGIN
    -- Most holds end here.
    IF p_taken IS NOT NULL AND booking.leaves_later_slot(p_provider_id, p_clinic_id, p_taken)
        AND NOT booking.is_last_of_scarce_day(p_provider_id, p_clinic_id, p_taken)
    THEN
        RETURN;
    END IF;
    FOR noted IN
        WITH location AS MATERIALIZED (
            SELECT clinic_id, time_zone
            FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
            WHERE provider_id = p_provider_id AND (p_clinic_id IS NULL OR clinic_id = p_clinic_id)
        ), taken AS (
            SELECT p_taken AS during WHERE p_taken IS NOT NULL
            UNION ALL
            SELECT during FROM booking.reserved(p_provider_id) WHERE p_taken IS NULL AND NOT p_everything
            UNION ALL
            SELECT during FROM booking.booking
            WHERE p_everything AND provider_id = p_provider_id AND occupies AND upper(during) > p_now
            UNION ALL
            SELECT withheld_during FROM booking.ticket
            WHERE p_taken IS NULL AND provider_id = p_provider_id AND state = 'waiting' AND withheld_during IS NOT NULL
        ), day AS (
            SELECT clinic_id, time_zone, (lower(during) AT TIME ZONE time_zone)::date AS day
            FROM taken CROSS JOIN location
            WHERE NOT booking.leaves_later_slot(p_provider_id, clinic_id, during)
            UNION
            SELECT clinic_id, time_zone, day FROM booking.scarce_day JOIN location USING (clinic_id)
            WHERE provider_id = p_provider_id
                AND (p_taken IS NULL OR day = (lower(p_taken) AT TIME ZONE time_zone)::date)
            UNION
            SELECT location.clinic_id, time_zone, on_day::date
            FROM schedule.leave
            JOIN location ON leave.clinic_id IS NULL OR leave.clinic_id = location.clinic_id
            CROSS JOIN LATERAL generate_series(
                (greatest(lower(leave.during), p_now) AT TIME ZONE time_zone)::date,
                (least(upper(leave.during), p_now + interval '10 years') AT TIME ZONE time_zone)::date, interval '1 day') AS on_day
            WHERE p_everything AND leave.provider_id = p_provider_id
        )
        SELECT clinic_id, day, free_at, last_at IS DISTINCT FROM free_at AND upper(whole_day) > p_now AS is_scarce
        FROM day
        CROSS JOIN LATERAL (
            SELECT tstzrange(day::timestamp AT TIME ZONE time_zone, (day + 1)::timestamp AT TIME ZONE time_zone) AS whole_day) AS whole
        CROSS JOIN LATERAL booking.last_of_day(p_provider_id, clinic_id, whole_day, p_now)
        ORDER BY clinic_id, day  -- as others lock what search keeps of them
    LOOP
        IF noted.is_scarce THEN
            INSERT INTO booking.scarce_day (provider_id, clinic_id, day, last_free_at)
            VALUES (p_provider_id, noted.clinic_id, noted.day, noted.free_at)
            ON CONFLICT (provider_id, clinic_id, day) DO UPDATE SET last_free_at = excluded.last_free_at
            WHERE scarce_day.last_free_at IS DISTINCT FROM excluded.last_free_at;
        ELSE
            DELETE FROM booking.scarce_day
            WHERE provider_id = p_provider_id AND clinic_id = noted.clinic_id AND day = noted.day;
        END IF;
    END LOOP;
END $$;

-- Works out when the next free time of a book is.
CREATE FUNCTION booking.refresh_next_free(p_provider_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found_at timestamptz := booking.first_free(p_provider_id, NULL, p_now, NULL, p_now);
BEGIN
    UPDATE booking.book SET next_free_at = found_at, touched_at = p_now WHERE provider_id = p_provider_id;
END $$;

-- Brings up to date what others read of a book without looking into it: next_free_at and the scarce days. p_taken: nothing
-- was freed, and only this time was taken, at p_clinic_id.
CREATE FUNCTION booking.refresh_availability(
    p_provider_id bigint, p_now timestamptz, p_clinic_id bigint DEFAULT NULL, p_taken tstzrange DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head booking.book;
BEGIN
    SELECT * INTO head FROM booking.book WHERE provider_id = p_provider_id;
    IF p_taken IS NULL OR head.next_free_at IS NULL OR head.next_free_at <= p_now OR p_taken @> head.next_free_at THEN
        PERFORM booking.refresh_next_free(p_provider_id, p_now);
    END IF;
    PERFORM booking.refresh_scarce_days(p_provider_id, p_now, p_clinic_id, p_taken);
END $$;
