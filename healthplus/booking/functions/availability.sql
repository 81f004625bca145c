-- What is obtainable: the one answer for holds, the queue, charts and search.

-- Whether a ticket's client was seen within presence_time. Once the queue has passed a ticket over, it stays absent until
-- the verb `resume`: a client that comes back must not count as present before the queue has been served for it.
-- After a restart of the database everyone else counts as present for a while; so, too, after a crash that emptied
-- booking.presence, which an empty booking.presence_since tells.
CREATE FUNCTION booking.is_present(p_ticket booking.ticket, p_now timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT p_ticket.absent AND p_now < booking.presence_time() + greatest(
        p_ticket.present_at,
        pg_postmaster_start_time(),
        coalesce((SELECT at FROM booking.presence_since), 'infinity'),
        (SELECT seen_at FROM booking.presence
         WHERE provider_id = p_ticket.provider_id AND ticket_id = p_ticket.ticket_id))
$$;

-- Whether a present ticket could use a time whose hold has expired while its row still says reserved, or one that is called may
-- be about to get it.
CREATE FUNCTION booking.is_waited_for(p_provider_id bigint, p_clinic_id bigint, p_during tstzrange, p_now timestamptz)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM booking.ticket
        WHERE provider_id = p_provider_id
            AND (state = 'called' OR (state = 'waiting' AND expires_at > p_now AND booking.is_present(ticket, p_now)))
            AND (clinic_id IS NULL OR clinic_id = p_clinic_id) AND queue_window && p_during)
$$;

-- The free stretches of every seat within the openings that overlap [p_from, p_to).
-- p_booked_only: only what is booked counts as taken, so that what others only hold shows as obtainable.
-- p_before: tickets from this number on withhold nothing. p_except: this booking counts as not there. p_is_desk: with the times that
-- only the desk may give.
CREATE FUNCTION booking.gaps(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_booked_only boolean, p_before bigint, p_except uuid, p_is_desk boolean DEFAULT false
) RETURNS TABLE (
    clinic_id bigint, seat integer, opens_at timestamptz, slot interval, slots_max integer,
    starts_after timestamptz, starts_before timestamptz, weekday integer, gap tstzrange
) LANGUAGE sql STABLE AS $$
    SELECT opening.clinic_id, seat, lower(opening.during), opening.slot, opening.slots_max,
        opening.starts_after, opening.starts_before, opening.weekday, gap
    FROM schedule.openings(p_provider_id, p_clinic_id, p_from, p_to, p_now, p_is_desk) AS opening
    CROSS JOIN LATERAL generate_series(1, opening.seats) AS seat
    CROSS JOIN LATERAL (
        SELECT range_agg(taken.during) AS during
        FROM (
            SELECT booking.during
            FROM booking.booking
            WHERE booking.provider_id = p_provider_id AND booking.seat = seat.seat::smallint
                AND booking.occupies AND booking.during && opening.during
                AND (p_except IS NULL OR booking.booking_id <> p_except)
                AND CASE booking.state_at(booking, p_now)
                    WHEN 'reserved' THEN NOT p_booked_only
                    WHEN 'expired' THEN NOT p_booked_only
                        AND booking.is_waited_for(p_provider_id, booking.clinic_id, booking.during, p_now)
                    ELSE true END
            UNION ALL
            SELECT leave.during
            FROM schedule.leave
            WHERE leave.provider_id = p_provider_id AND leave.during && opening.during
                AND (leave.clinic_id IS NULL OR leave.clinic_id = opening.clinic_id)
            UNION ALL
            SELECT ticket.withheld_during
            FROM booking.ticket
            WHERE NOT p_booked_only AND ticket.provider_id = p_provider_id AND ticket.state = 'waiting'
                AND ticket.withheld_seat = seat.seat::smallint AND ticket.withheld_during && opening.during
                AND (p_before IS NULL OR ticket.number < p_before)
        ) AS taken
    ) AS taken
    CROSS JOIN LATERAL unnest(tstzmultirange(opening.during) - coalesce(taken.during, '{}')) AS gap
$$;

-- The runs of consecutive slots that a need asks for, each in one seat, that lie in [p_from, p_to) and can be had now.
CREATE FUNCTION booking.obtainable_runs(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_to timestamptz, p_need booking.need, p_now timestamptz,
    p_booked_only boolean DEFAULT false, p_before bigint DEFAULT NULL, p_except uuid DEFAULT NULL, p_is_desk boolean DEFAULT false
) RETURNS TABLE (clinic_id bigint, seat integer, starts_at timestamptz, ends_at timestamptz, slot interval, gap_length interval)
LANGUAGE sql STABLE AS $$
    SELECT gap.clinic_id, gap.seat, starts_at, starts_at + gap.slot * booking.slots_of(p_need, gap.slot), gap.slot,
        upper(gap.gap) - lower(gap.gap)
    FROM booking.gaps(p_provider_id, p_clinic_id, p_from, p_to, p_now, p_booked_only, p_before, p_except, p_is_desk) AS gap
    CROSS JOIN LATERAL (
        -- first and last start on the shift's grid that keep the run inside the gap and the window
        SELECT
            gap.opens_at + step * ceil(
                extract(epoch FROM greatest(lower(gap.gap), p_from) - gap.opens_at) / extract(epoch FROM step))::integer AS first,
            least(upper(gap.gap), p_to) - gap.slot * booking.slots_of(p_need, gap.slot) AS last, step
        FROM CAST(gap.slot * (p_need).starts_every AS interval) AS step
    ) AS start
    CROSS JOIN LATERAL generate_series(start.first, start.last, start.step) AS starts_at
    WHERE booking.is_taken_by(p_need, gap.slots_max) AND directory.is_weekday_of((p_need).weekdays, gap.weekday)
        AND ((p_need).currency IS NULL
            OR (p_need).currency = (SELECT clinic.currency FROM directory.clinic WHERE clinic.clinic_id = gap.clinic_id))
        AND starts_at > gap.starts_after AND starts_at < gap.starts_before
$$;

-- The seat for a run that starts exactly at p_start, in the tightest gap that takes it; no row when it cannot be had.
CREATE FUNCTION booking.seat_for(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_need booking.need, p_now timestamptz,
    p_before bigint DEFAULT NULL, p_except uuid DEFAULT NULL, p_is_desk boolean DEFAULT false
) RETURNS TABLE (seat integer, during tstzrange) LANGUAGE sql STABLE AS $$
    SELECT gap.seat, run
    FROM booking.gaps(
        p_provider_id, p_clinic_id, p_start, p_start + interval '1 microsecond', p_now, false, p_before, p_except, p_is_desk) AS gap
    CROSS JOIN LATERAL tstzrange(p_start, p_start + gap.slot * greatest(booking.slots_of(p_need, gap.slot), 0)) AS run
    WHERE booking.is_taken_by(p_need, gap.slots_max) AND run <@ gap.gap
        AND booking.is_on_grid(p_need, p_start, gap.opens_at, gap.slot, gap.weekday)
        AND p_start > gap.starts_after AND p_start < gap.starts_before
    ORDER BY upper(gap.gap) - lower(gap.gap), gap.seat
    LIMIT 1
$$;

-- What stands in the way of a run: the reason it is no slot at all, 'booked' or 'held'; or 'free' when only what tickets
-- withhold may.
CREATE FUNCTION booking.why_not(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_need booking.need, p_now timestamptz, p_except uuid DEFAULT NULL,
    p_is_desk boolean DEFAULT false
) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    opening record;
    run tstzrange;
    seats record;
BEGIN
    SELECT * INTO opening
    FROM schedule.openings(p_provider_id, p_clinic_id, p_start, p_start + interval '1 microsecond', p_now, p_is_desk) AS o
    WHERE o.during @> p_start;
    IF NOT FOUND THEN
        RETURN CASE
            WHEN NOT EXISTS (SELECT FROM directory.provider WHERE provider_id = p_provider_id) THEN 'no_such_provider'
            WHEN NOT EXISTS (
                SELECT FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id
            ) THEN 'no_such_clinic'
            WHEN p_start <= p_now THEN 'past'
            -- A time the provider never works is worth telling from one so far ahead that nobody can say.
            WHEN p_start > p_now + interval '367 days' THEN 'beyond_horizon'
            ELSE 'closed' END;
    ELSIF p_start <= p_now THEN
        RETURN 'past';
    ELSIF opening.starts_before = '-infinity' THEN
        RETURN 'desk_only';
    ELSIF p_start >= opening.starts_before THEN
        RETURN 'beyond_horizon';
    ELSIF NOT directory.is_weekday_of(p_need.weekdays, opening.weekday) THEN
        RETURN 'not_that_day';
    ELSIF NOT booking.is_on_grid(p_need, p_start, lower(opening.during), opening.slot, opening.weekday) THEN
        RETURN 'off_grid';
    ELSIF p_start <= opening.starts_after THEN
        RETURN 'too_late';
    ELSIF NOT booking.is_taken_by(p_need, opening.slots_max) THEN
        RETURN 'slots_needed';
    END IF;
    run := tstzrange(p_start, p_start + opening.slot * booking.slots_of(p_need, opening.slot));
    IF upper(run) > upper(opening.during) THEN
        RETURN CASE WHEN p_need.minutes IS NULL THEN 'closed' ELSE 'too_long' END;
    ELSIF EXISTS (
        SELECT FROM schedule.leave
        WHERE provider_id = p_provider_id AND during && run AND (clinic_id IS NULL OR clinic_id = p_clinic_id)
    ) THEN
        RETURN 'on_leave';
    END IF;
    SELECT count(DISTINCT seat) FILTER (WHERE state <> 'reserved') AS booked, count(DISTINCT seat) AS taken INTO seats
    FROM booking.booking
    WHERE provider_id = p_provider_id AND occupies AND during && run AND seat <= opening.seats
        AND (p_except IS NULL OR booking_id <> p_except)
        AND (NOT booking.is_due(booking, p_now) OR booking.is_waited_for(p_provider_id, clinic_id, during, p_now));
    RETURN CASE WHEN seats.booked >= opening.seats THEN 'booked' WHEN seats.taken >= opening.seats THEN 'held' ELSE 'free' END;
END $$;

-- Up to three free starts nearest to p_start on its day; if there is none, the provider's next free one, if it is at this
-- clinic, or for services the next that fits. That next free time also tells, while it can be relied on, that the day has none.
CREATE FUNCTION booking.alternatives(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_need booking.need, p_now timestamptz
) RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    day tstzrange;
    head booking.book;
    nearby timestamptz[];
BEGIN
    SELECT * INTO head FROM booking.book WHERE provider_id = p_provider_id;
    SELECT tstzrange(today::timestamp AT TIME ZONE time_zone, (today + 1)::timestamp AT TIME ZONE time_zone) INTO day
    FROM directory.clinic JOIN directory.city USING (city_id)
    CROSS JOIN LATERAL CAST(p_start AT TIME ZONE time_zone AS date) AS today
    WHERE clinic_id = p_clinic_id;
    IF day IS NOT NULL AND NOT (
        -- none was found, and no minute has begun since that could have brought a new day within reach
        (head.next_free_at >= upper(day)
            OR (head.next_free_at IS NULL AND date_trunc('minute', head.touched_at) = date_trunc('minute', p_now)))
        AND head.next_due > p_now
    ) IS TRUE THEN
        SELECT array_agg(starts_at ORDER BY greatest(starts_at - p_start, p_start - starts_at), starts_at) INTO nearby
        FROM (
            SELECT DISTINCT starts_at, greatest(starts_at - p_start, p_start - starts_at) AS distance
            FROM booking.obtainable_runs(p_provider_id, p_clinic_id, lower(day), upper(day), p_need, p_now)
            ORDER BY distance, starts_at LIMIT 3
        ) AS nearest;
    END IF;
    IF nearby IS NULL AND head.next_free_at IS NOT NULL
        AND EXISTS (SELECT FROM booking.seat_for(p_provider_id, p_clinic_id, head.next_free_at, p_need, p_now))
    THEN
        nearby := array[head.next_free_at];
    ELSIF nearby IS NULL AND p_need.minutes IS NOT NULL THEN
        nearby := array_remove(array[booking.first_free(p_provider_id, p_clinic_id, p_now, NULL, p_now, p_need)], NULL);
    END IF;
    RETURN coalesce(nearby, '{}');
END $$;

-- The refusal of a run that cannot be had, for the reason that why_not gives.
CREATE FUNCTION booking.refuse_run(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_need booking.need, p_now timestamptz, p_why text
) RETURNS booking.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    answer.code := CASE WHEN p_why = 'booked' THEN 'slot_full' WHEN p_why IN ('held', 'free') THEN 'slot_held' ELSE 'no_such_slot' END;
    IF answer.code = 'no_such_slot' THEN
        answer.reason := p_why;
        IF p_why IN ('too_long', 'not_that_day') OR (p_why = 'off_grid' AND p_need.minutes IS NOT NULL) THEN
            answer.alternatives := booking.alternatives(p_provider_id, p_clinic_id, p_start, p_need, p_now);
        END IF;
    ELSE
        answer.alternatives := booking.alternatives(p_provider_id, p_clinic_id, p_start, p_need, p_now);
        answer.can_wait := answer.code = 'slot_held';
        SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    END IF;
    RETURN answer;
END $$;

-- The earliest start from p_from and before p_to (NULL: as far ahead as can be booked) that anyone could hold, at a clinic or
-- (NULL) at any, for one slot or a need; NULL when there is none. Looks in growing steps, as it is nearly always found in the first.
CREATE FUNCTION booking.first_free(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_need booking.need DEFAULT 1
) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_at timestamptz;
    steps interval[] := '{0 days,1 day,7 days,60 days,368 days}';
    reach timestamptz;
BEGIN
    -- a day more than can be booked, as days begin at other times in other places
    SELECT least(p_to, p_now + make_interval(days => max_booking_days + 2)) INTO reach
    FROM directory.provider WHERE provider_id = p_provider_id;
    FOR i IN 1 .. array_length(steps, 1) - 1 LOOP
        EXIT WHEN p_from + steps[i] >= reach;
        SELECT min(starts_at) INTO found_at
        FROM booking.obtainable_runs(
            -- a run may end after the step in which it starts, by no more than a slot's greatest length and what it needs
            p_provider_id, p_clinic_id, p_from + steps[i],
            least(p_from + steps[i + 1], reach) + make_interval(hours => 8, mins => coalesce(p_need.minutes, 0)), p_need, p_now)
        WHERE starts_at < reach;
        EXIT WHEN found_at IS NOT NULL;
    END LOOP;
    RETURN found_at;
END $$;
