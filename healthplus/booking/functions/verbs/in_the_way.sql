-- What a change of schedule is in the way of, for those who are to decide about it before it is made.

-- The bookings that changes of schedule since a version of the book asked to be rebooked, and the holds that they released. NULL: none.
CREATE FUNCTION booking.stranded_since(p_provider_id bigint, p_version bigint) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(booking_id ORDER BY seq) FROM booking.event_log
    WHERE provider_id = p_provider_id AND seq > p_version AND kind IN ('needs_rebooking', 'released')
        AND reason IN ('shift_changed', 'leave_changed')
$$;

-- How many appointments stand again since a version of the book.
CREATE FUNCTION booking.count_stands(p_provider_id bigint, p_version bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM booking.event_log WHERE provider_id = p_provider_id AND seq > p_version AND kind = 'stands'
$$;

-- Whether any of these was held, booked or moved after an instant: who saw a list of what was in the way then (NULL: nobody) did not see it.
CREATE FUNCTION booking.are_unseen(p_provider_id bigint, p_booking_ids uuid[], p_seen_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(cardinality(p_booking_ids), 0) > 0 AND (p_seen_at IS NULL OR EXISTS (
        SELECT FROM booking.event_log
        WHERE provider_id = p_provider_id AND booking_id = ANY (p_booking_ids) AND kind IN ('reserved', 'booked', 'moved') AND at > p_seen_at))
$$;

-- These bookings of a provider as staff see them, in order of time. The first p_choices of them have up to five `starts` that are free for
-- them instead, nearest first, none of them within p_not.
CREATE FUNCTION booking.rows_in_the_way(p_provider_id bigint, p_booking_ids uuid[], p_choices integer, p_not tstzrange, p_now timestamptz)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'provider_id', p_provider_id, 'provider', provider.name, 'booking_id', booking_id, 'starts_at', lower(during),
        'ends_at', booking.visit_end(during, service_ids), 'is_held', state <> 'booked', 'name', nullif(patient_name, ''),
        'phone', patient.phone,
        'starts', CASE WHEN number <= p_choices AND state = 'booked' THEN (
            SELECT coalesce(jsonb_agg(run.starts_at ORDER BY run.starts_at), '[]')
            FROM (
                SELECT DISTINCT free.starts_at, abs(extract(epoch FROM free.starts_at - lower(during))) AS distance
                FROM booking.obtainable_runs(
                    p_provider_id, found.clinic_id, greatest(lower(during) - interval '7 days', p_now + interval '1 hour'),
                    lower(during) + interval '14 days', booking.need_of(slots_needed, p_provider_id, service_ids), p_now) AS free
                WHERE p_not IS NULL OR NOT free.starts_at <@ p_not
                ORDER BY distance LIMIT 5) AS run) ELSE '[]' END) ORDER BY during, seat), '[]')
    FROM (
        SELECT *, row_number() OVER (ORDER BY during, seat) AS number FROM booking.booking
        WHERE booking.provider_id = p_provider_id AND booking_id = ANY (p_booking_ids)
    ) AS found
    JOIN directory.provider USING (provider_id)
    LEFT JOIN accounts.patient USING (patient_id)
$$;

-- Notes that somebody of the staff was shown these rows: whose appointments they are, for each.
CREATE FUNCTION booking.note_seen(p_rows jsonb, p_actor text, p_session_id uuid, p_address text, p_clinic_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM staff.append_audit(
        p_actor, p_session_id, p_address, 'see_in_the_way', false, '', NULL, p_clinic_id, booking.patient_id, booking.provider_id,
        booking.booking_id)
    FROM jsonb_to_recordset(p_rows) AS shown (provider_id bigint, booking_id uuid)
    JOIN booking.booking USING (provider_id, booking_id);
END $$;

-- The same for what a change of schedule answered, and that it was asked for: refused, unless it was made or, of a conflict, nothing was but
-- looked at.
CREATE FUNCTION booking.note_change(
    p_answer jsonb, p_actor text, p_session_id uuid, p_address text, p_action text, p_detail text, p_clinic_id bigint, p_provider_id bigint
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM booking.note_seen(p_answer -> 'in_the_way', p_actor, p_session_id, p_address, p_clinic_id);
    PERFORM staff.append_audit(
        p_actor, p_session_id, p_address, CASE p_answer ->> 'code' WHEN 'conflict' THEN 'see_in_the_way' ELSE p_action END,
        p_answer ->> 'code' NOT IN ('changed', 'conflict'), left(concat_ws('; ', p_answer ->> 'code', p_detail), 1000),
        NULL, p_clinic_id, NULL, p_provider_id);
END $$;

-- Moves bookings of a provider that a change of schedule is to be made over, each to a start that staff chose: an object by booking id. NULL,
-- or the id of the first that could not be moved, and why; and how many were. What is none of theirs there is passed over.
CREATE FUNCTION booking.move_away(
    p_provider_id bigint, p_clinic_id bigint, p_moves jsonb, p_actor text, OUT booking_id uuid, OUT code text, OUT moved integer
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    one record;
    answer booking.outcome;
BEGIN
    moved := 0;
    FOR one IN
        SELECT key::uuid AS id, (value #>> '{}')::timestamptz AS start
        FROM jsonb_each(coalesce(p_moves, '{}'))
        WHERE EXISTS (
            SELECT FROM booking.booking
            WHERE booking.provider_id = p_provider_id AND booking.booking_id = key::uuid AND clinic_id = p_clinic_id)
        ORDER BY 2, 1
    LOOP
        -- With a reason: what a person may have ahead is no matter where the clinic moves it.
        answer := booking.reschedule(p_provider_id, one.id, one.start, p_actor, NULL, 'schedule changed');
        IF answer.code <> 'moved' THEN
            booking_id := one.id;
            code := answer.code;
            RETURN;
        END IF;
        moved := moved + 1;
    END LOOP;
END $$;

-- Makes a change of schedule unless bookings or holds are in its way that its caller was not shown at p_seen_at: shifts at a clinic (p_put), a
-- leave there (p_during), or closing the provider there or opening it (p_closes). Answers an object, as console/functions/office_schedule.sql
-- says. All is undone where anything is refused.
CREATE FUNCTION booking.change_seen(
    p_provider_id bigint, p_clinic_id bigint, p_seen_at timestamptz, p_moves jsonb, p_actor text, p_remove bigint[] DEFAULT NULL,
    p_put schedule.shift[] DEFAULT NULL, p_during tstzrange DEFAULT NULL, p_reason text DEFAULT NULL, p_holiday_id uuid DEFAULT NULL,
    p_closes boolean DEFAULT false, p_closed_at timestamptz DEFAULT NULL
) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    former bigint;
    failed record;
    outcome booking.outcome;
    stranded uuid[];
    answer jsonb;
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN jsonb_build_object('code', 'not_found');
    END IF;
    now_at := public.app_now();
    BEGIN
        failed := booking.move_away(p_provider_id, p_clinic_id, p_moves, p_actor);
        SELECT version INTO former FROM booking.book WHERE provider_id = p_provider_id;
        IF p_put IS NOT NULL THEN
            outcome := booking.change_shifts(p_provider_id, p_clinic_id, p_remove, p_put, true, p_actor);
        ELSIF p_closes THEN
            outcome := booking.set_closed(p_provider_id, p_clinic_id, p_closed_at, true, p_actor);
        ELSE
            outcome := booking.change_leave(p_provider_id, NULL, p_clinic_id, p_during, p_reason, p_holiday_id, true, p_actor);
        END IF;
        stranded := booking.stranded_since(p_provider_id, former);
        answer := jsonb_build_object('code', outcome.code, 'moved', failed.moved,
            'flagged', coalesce(cardinality(outcome.conflicts), 0), 'stands', booking.count_stands(p_provider_id, former));
        IF failed.booking_id IS NOT NULL OR booking.are_unseen(p_provider_id, stranded, p_seen_at) THEN
            -- With times that are free once the change is made.
            answer := jsonb_build_object(
                'code', 'conflict', 'seen_at', now_at,
                'in_the_way', booking.rows_in_the_way(p_provider_id, stranded, 20, NULL, now_at));
            IF failed.booking_id IS NOT NULL THEN
                answer := answer || jsonb_build_object('code', 'not_moved', 'booking_id', failed.booking_id, 'why', failed.code);
            END IF;
        END IF;
        IF answer ->> 'code' <> 'changed' THEN
            RAISE EXCEPTION USING ERRCODE = 'HP003';
        END IF;
    EXCEPTION WHEN SQLSTATE 'HP003' THEN
        NULL;
    END;
    RETURN answer;
END $$;
