-- Shifts, leave and closing, as a clinic's office changes them. What is in the way is answered before anything is changed:
--   * {"code": "conflict", "in_the_way": […], "seen_at": …}: bookings or holds are in the way, of which some were not there at p_seen_at, when
--     the caller was shown those that were (NULL: nobody was). Called again with that seen_at, holds are released, and bookings moved to where
--     p_moves says (an object of starts by booking id), or flagged, so that their patients choose another time.
--   * {"code": "not_moved", "booking_id": …, "why": …, …}: a booking could not be moved there; nothing was changed.
--   * {"code": "stale", "now": …, "by": …, "changed_at": …}: a shift is not what p_was says it was, an object of digests by shift id; by whom and when.
--   * {"code": "changed", "moved": 2, "flagged": 1, "stands": 0}, or what the verbs refuse: shift_overlap, invalid, not_found.

CREATE FUNCTION console.change_shifts(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_remove bigint[], p_put jsonb, p_was jsonb,
    p_seen_at timestamptz, p_moves jsonb
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    answer jsonb;
    put schedule.shift[];
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN jsonb_build_object('code', 'not_found');
    END IF;
    SELECT jsonb_build_object('code', 'stale', 'now', coalesce(jsonb_object_agg(key, schedule.shift_document(shift)) FILTER (WHERE shift_id IS NOT NULL), '{}'))
    INTO answer
    FROM jsonb_each_text(coalesce(p_was, '{}')) AS was
    LEFT JOIN schedule.shift ON provider_id = p_provider_id AND shift_id = key::bigint AND clinic_id = p_clinic_id
    WHERE value IS DISTINCT FROM schedule.shift_digest(shift)
    HAVING count(*) > 0;
    IF FOUND AND answer IS NOT NULL THEN
        answer := answer || staff.last_change('change_shifts', p_clinic_id, p_provider_id);
        PERFORM booking.note_change(
            answer, caller.actor, caller.session_id, p_address, 'change_shifts', NULL, p_clinic_id, p_provider_id);
        RETURN answer;
    END IF;
    put := array(
        SELECT jsonb_populate_record(NULL::schedule.shift, value || jsonb_build_object(
            'provider_id', p_provider_id, 'clinic_id', p_clinic_id,
            'valid', daterange((value ->> 'valid_from')::date, (value ->> 'valid_to')::date)))
        FROM jsonb_array_elements(p_put));
    answer := booking.change_seen(
        p_provider_id, p_clinic_id, p_seen_at, p_moves, caller.actor, p_remove => p_remove, p_put => put);
    PERFORM booking.note_change(
        answer, caller.actor, caller.session_id, p_address, 'change_shifts',
        concat_ws('; ', 'ended ' || nullif(array_to_string(p_remove, ', '), ''), 'put ' || nullif((
            SELECT string_agg(concat(one.shift_id, ' ', one.weekday, ' ', one.starts, '-', one.ends, '/', one.slot_minutes, ' release=' || one.release_hours), ', ')
            FROM unnest(put) AS one), '')), p_clinic_id, p_provider_id);
    RETURN answer;
END $$;

-- Adds a leave of a provider at a clinic. p_holiday_id: it is a part of that holiday, and is added once.
CREATE FUNCTION console.add_leave(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_during tstzrange, p_reason text, p_holiday_id uuid,
    p_seen_at timestamptz, p_moves jsonb
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    answer jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    answer := booking.change_seen(
        p_provider_id, p_clinic_id, p_seen_at, p_moves, caller.actor, p_during => p_during, p_reason => p_reason, p_holiday_id => p_holiday_id);
    PERFORM booking.note_change(
        answer, caller.actor, caller.session_id, p_address, 'add_leave',
        booking.leave_span(p_during), p_clinic_id, p_provider_id);
    RETURN answer;
END $$;

-- Takes a leave back: {"code": "changed", "stands": 3}, how many bookings stand again; or 'not_found'. A leave of all of a provider's clinics
-- is for those who may see to each of them.
CREATE FUNCTION console.remove_leave(p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_leave_id uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    answer booking.outcome;
    former bigint;
    span tstzrange;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    IF NOT booking.lock_book(p_provider_id) OR NOT EXISTS (
        SELECT FROM schedule.leave
        WHERE provider_id = p_provider_id AND leave_id = p_leave_id AND (
            clinic_id = p_clinic_id OR clinic_id IS NULL AND p_clinic_id = ANY (directory.clinics_of(p_provider_id))
                AND staff.may_at_all(caller.staff_id, 'manage_schedule', directory.clinics_of(p_provider_id)))
    ) THEN
        RETURN jsonb_build_object('code', 'not_found');
    END IF;
    SELECT version INTO former FROM booking.book WHERE provider_id = p_provider_id;
    SELECT during INTO span FROM schedule.leave WHERE provider_id = p_provider_id AND leave_id = p_leave_id;
    answer := booking.change_leave(p_provider_id, p_leave_id, NULL, NULL, '', NULL, false, caller.actor);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'remove_leave', answer.code <> 'changed',
        concat_ws('; ', answer.code, booking.leave_span(span)), NULL, p_clinic_id, NULL,
        p_provider_id);
    RETURN jsonb_build_object('code', answer.code, 'stands', booking.count_stands(p_provider_id, former));
END $$;

-- Closes a provider at a clinic, or (p_closed_at NULL) opens it again: but "place_closed" where the clinic is closed, or the provider everywhere.
CREATE FUNCTION console.set_provider_closed(
    p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_closed_at timestamptz, p_seen_at timestamptz
) RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    answer jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    answer := booking.change_seen(
        p_provider_id, p_clinic_id, p_seen_at, NULL, caller.actor, p_closes => true, p_closed_at => p_closed_at);
    -- It is then closed with that, and opens with it.
    IF p_closed_at IS NULL AND answer ->> 'code' = 'changed' AND directory.is_place_closed(p_provider_id, p_clinic_id) THEN
        answer := answer || '{"code": "place_closed"}';
    END IF;
    PERFORM booking.note_change(
        answer, caller.actor, caller.session_id, p_address, CASE WHEN p_closed_at IS NULL THEN 'open_provider' ELSE 'close_provider' END, NULL,
        p_clinic_id, p_provider_id);
    RETURN answer;
END $$;

-- Closes a clinic whose providers are all closed, or (p_closed_at NULL) opens it: 'done', 'not_found', or 'open' where some are not closed.
CREATE FUNCTION console.set_clinic_closed(p_token_hash bytea, p_address text, p_clinic_id bigint, p_closed_at timestamptz)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    is_done boolean;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    IF p_closed_at IS NOT NULL AND EXISTS (
        SELECT FROM directory.provider_clinic WHERE clinic_id = p_clinic_id AND closed_since IS NULL
    ) THEN
        RETURN 'open';
    END IF;
    is_done := directory.set_clinic_closed(p_clinic_id, p_closed_at);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, CASE WHEN p_closed_at IS NULL THEN 'open_clinic' ELSE 'close_clinic' END, NOT is_done, '',
        NULL, p_clinic_id);
    RETURN CASE WHEN is_done THEN 'done' ELSE 'not_found' END;
END $$;

-- What is in the way of a holiday of a clinic: at how many providers, and the first p_rows bookings and holds.
CREATE FUNCTION console.in_the_way_of_holiday(p_token_hash bytea, p_address text, p_clinic_id bigint, p_during tstzrange, p_rows integer)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    answer jsonb;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    WITH found AS MATERIALIZED (
        SELECT provider_id, booking_id, state, during, row_number() OVER (ORDER BY during, provider_id, seat) AS number
        FROM booking.booking
        WHERE provider_id IN (
                SELECT provider_clinic.provider_id FROM directory.provider_clinic
                WHERE provider_clinic.clinic_id = p_clinic_id AND provider_clinic.closed_since IS NULL)
            AND clinic_id = p_clinic_id AND during && p_during AND state IN ('reserved', 'booked') AND occupies AND upper(during) > now_at
            AND NOT needs_rebooking AND NOT booking.is_due(booking, now_at)
    )
    SELECT jsonb_build_object(
        -- What was committed in the last second may not be in the list.
        'seen_at', now_at - interval '1 second',
        'providers', (SELECT count(*) FROM directory.provider_clinic WHERE clinic_id = p_clinic_id AND closed_since IS NULL),
        'booked', (SELECT count(*) FROM found WHERE state = 'booked'), 'held', (SELECT count(*) FROM found WHERE state = 'reserved'),
        'in_the_way', (
            SELECT coalesce(jsonb_agg(row ORDER BY row ->> 'starts_at', row ->> 'provider'), '[]')
            FROM (
                -- Of many providers, each has choices for its first bookings: to look for them takes some milliseconds each.
                SELECT provider_id, array_agg(booking_id) AS ids, CASE WHEN count(*) OVER () > 5 THEN 3 ELSE 20 END AS choices
                FROM found WHERE number <= p_rows GROUP BY provider_id
            ) AS shown
            CROSS JOIN LATERAL jsonb_array_elements(booking.rows_in_the_way(provider_id, ids, choices, p_during, now_at)) AS row))
    INTO answer;
    PERFORM booking.note_seen(answer -> 'in_the_way', caller.actor, caller.session_id, p_address, p_clinic_id);
    PERFORM staff.append_audit(
        caller.actor, caller.session_id, p_address, 'see_in_the_way', false, format('%s booked', answer ->> 'booked'), NULL, p_clinic_id);
    RETURN answer;
END $$;
