-- Earlier times. Only what anybody could book is told of, so the queue goes first: what a present ticket can use, or has withheld, is
-- not obtainable (booking.obtainable_runs). A message holds nothing for its reader: the first who takes the time has it.

-- How soon a time that is told of may begin: people have to read it, and to get there.
CREATE FUNCTION notices.earlier_lead() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '2 hours' $$;

-- How many are told of a time at once, and how long they have before the next are.
CREATE FUNCTION notices.earlier_at_once() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 5 $$;
CREATE FUNCTION notices.earlier_turn() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '10 minutes' $$;

-- A patient gets one such message in this time, at most.
CREATE FUNCTION notices.earlier_quiet() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '3 hours' $$;

-- With more earlier times free than this, a patient has nothing to wait for.
CREATE FUNCTION notices.earlier_known_max() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 200 $$;

-- When somebody may be told again: NULL by day; in the night of reminders, its end.
CREATE FUNCTION notices.night_end(p_at timestamptz, p_zone text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN local::time >= '20:00' THEN (local::date + 1 + time '08:00') AT TIME ZONE p_zone
        WHEN local::time < '08:00' THEN (local::date + time '08:00') AT TIME ZONE p_zone END
    FROM (SELECT p_at AT TIME ZONE p_zone AS local) AS at
$$;

-- Whether an appointment can still be moved to an earlier time that its patient could reach.
CREATE FUNCTION notices.may_be_earlier(p_booking booking.booking, p_now timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_booking.state = 'booked' AND NOT p_booking.needs_rebooking
        AND lower(p_booking.during) > p_now + notices.earlier_lead()
$$;

-- The times before an appointment to which it could be moved now, with the same services at the same clinic.
CREATE FUNCTION notices.earlier_times(p_booking booking.booking, p_now timestamptz) RETURNS timestamptz[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(DISTINCT starts_at ORDER BY starts_at), '{}')
    FROM booking.obtainable_runs(
        p_booking.provider_id, p_booking.clinic_id, p_now + notices.earlier_lead(), lower(p_booking.during) + interval '1 day',
        booking.need_of(p_booking.slots_needed, p_booking.provider_id, p_booking.service_ids), p_now, p_except => p_booking.booking_id)
    WHERE starts_at < lower(p_booking.during)
$$;

-- Tells a patient of earlier times from now on: 'on', also where they asked before; 'not_found'; 'too_late' where none could be reached
-- any more, or the clinic asks for another time anyway; 'many_free' where there is nothing to wait for.
CREATE FUNCTION notices.ask_earlier(p_provider_id bigint, p_booking_id uuid, p_patient_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    own booking.booking;
    known_now timestamptz[];
BEGIN
    SELECT * INTO own FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND patient_id = p_patient_id
        AND state IN ('booked', 'cancelled', 'arrived', 'fulfilled', 'no_show');
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    INSERT INTO notices.earlier_watch AS watch (provider_id, looked_version) VALUES (p_provider_id, 0)
    ON CONFLICT (provider_id) DO UPDATE SET looked_version = watch.looked_version;  -- which locks it
    now_at := public.app_now();  -- under that lock: who asks first is before the next
    IF NOT notices.may_be_earlier(own, now_at) THEN
        RETURN 'too_late';
    END IF;
    known_now := notices.earlier_times(own, now_at);
    IF cardinality(known_now) > notices.earlier_known_max() THEN
        RETURN 'many_free';
    END IF;
    INSERT INTO notices.earlier_alert AS known_alert (provider_id, booking_id, patient_id, starts_at, asked_at, known)
    VALUES (p_provider_id, p_booking_id, p_patient_id, lower(own.during), now_at, known_now)
    ON CONFLICT (provider_id, booking_id) DO UPDATE
    SET patient_id = excluded.patient_id, starts_at = excluded.starts_at, asked_at = excluded.asked_at, known = excluded.known
    WHERE known_alert.starts_at <> excluded.starts_at;
    RETURN 'on';
END $$;

-- The alerts of a book that still stand, in the order in which they were asked for, each with the times that could be had instead.
CREATE FUNCTION notices.earlier_alerts_of(p_provider_id bigint, p_now timestamptz)
RETURNS TABLE (alert notices.earlier_alert, own booking.booking, time_zone text, free timestamptz[]) LANGUAGE sql STABLE AS $$
    WITH wanted AS MATERIALIZED (
        SELECT earlier_alert AS alert, booking AS own, time_zone
        FROM notices.earlier_alert
        JOIN booking.booking USING (provider_id, booking_id)
        JOIN directory.clinic USING (clinic_id)
        JOIN directory.city USING (city_id)
        WHERE provider_id = p_provider_id
    ), free AS MATERIALIZED (  -- once for all who need the same
        SELECT DISTINCT need.clinic_id, need.slots_needed, need.service_ids, run.starts_at
        FROM (
            SELECT (own).clinic_id, (own).slots_needed, (own).service_ids, max((alert).starts_at) AS until
            FROM wanted GROUP BY (own).clinic_id, (own).slots_needed, (own).service_ids) AS need
        CROSS JOIN LATERAL booking.obtainable_runs(
            p_provider_id, need.clinic_id, p_now + notices.earlier_lead(), need.until + interval '1 day',
            booking.need_of(need.slots_needed, p_provider_id, need.service_ids), p_now) AS run
    )
    SELECT alert, own, time_zone, ARRAY (
        SELECT free.starts_at FROM free
        WHERE free.clinic_id = (own).clinic_id AND free.slots_needed = (own).slots_needed
            AND free.service_ids IS NOT DISTINCT FROM (own).service_ids AND free.starts_at < (alert).starts_at
        ORDER BY free.starts_at)
    FROM wanted ORDER BY (alert).asked_at, (own).booking_id
$$;

-- Which of some free times a patient is told of: the first that not enough others were just told of and that they could be moved to, by
-- what else they have ahead; NULL for none.
CREATE FUNCTION notices.earlier_choice(p_own booking.booking, p_news timestamptz[], p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    one timestamptz;
    moved booking.booking := p_own;
BEGIN
    FOREACH one IN ARRAY p_news LOOP
        moved.during := tstzrange(one, one + (upper(p_own.during) - lower(p_own.during)));
        IF (
            SELECT count(*) FROM notices.earlier_told
            WHERE provider_id = p_own.provider_id AND clinic_id = p_own.clinic_id AND free_at = one
                AND told_at > p_now - notices.earlier_turn()) < notices.earlier_at_once()
            AND (booking.refuse_ahead(moved, false, p_now)).code IS NULL
        THEN
            RETURN one;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- Puts into the outbox that a time is free. It is no news after an hour.
CREATE FUNCTION notices.tell_of_earlier(p_own booking.booking, p_free_at timestamptz, p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE AS $$
    WITH told AS (
        INSERT INTO notices.earlier_told (provider_id, booking_id, free_at, told_at, patient_id, clinic_id)
        VALUES (p_own.provider_id, p_own.booking_id, p_free_at, p_now, p_own.patient_id, p_own.clinic_id)
        RETURNING told_id
    )
    INSERT INTO notices.notice (provider_id, channel, kind, patient_id, booking_id, told_id, created_at, until, due_at)
    SELECT p_own.provider_id, way.channel, 'earlier', p_own.patient_id, p_own.booking_id, told_id, p_now,
        least(p_now + interval '1 hour', p_free_at), p_now
    FROM told CROSS JOIN LATERAL notices.channels_of(p_own.patient_id, p_now) AS way
$$;

-- Ends the alerts of a book whose appointment was moved or cancelled, is over, or has no earlier time that could be reached; where nothing
-- at all is free before the others, every time is news again. Nobody is waited for: what others have locked, ends at the next look.
CREATE FUNCTION notices.end_alerts(p_provider_id bigint, p_nothing_free boolean, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    DELETE FROM notices.earlier_alert WHERE ctid = ANY (ARRAY (
        SELECT earlier_alert.ctid FROM notices.earlier_alert
        WHERE provider_id = p_provider_id AND NOT EXISTS (
            SELECT FROM booking.booking
            WHERE booking.provider_id = p_provider_id AND booking.booking_id = earlier_alert.booking_id
                AND lower(during) = starts_at AND notices.may_be_earlier(booking, p_now))
        FOR UPDATE SKIP LOCKED));
    IF p_nothing_free THEN
        UPDATE notices.earlier_alert SET known = '{}' WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM notices.earlier_alert WHERE provider_id = p_provider_id AND known <> '{}' FOR UPDATE SKIP LOCKED));
    END IF;
END $$;

-- Tells who asked for earlier times in a book of those that are free now; returns when to look again though the book does not change,
-- if at all. What was free when they asked, or they were told of before, is no news, until it was taken.
CREATE FUNCTION notices.tell_earlier_in(p_provider_id bigint, p_now timestamptz) RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    look_at timestamptz;
    one record;
    news timestamptz[];
    chosen timestamptz;
    wait_until timestamptz;
BEGIN
    FOR one IN SELECT (seen.alert).*, seen.own, seen.time_zone, seen.free FROM notices.earlier_alerts_of(p_provider_id, p_now) AS seen LOOP
        -- A patient who ends it, or is erased, at this moment is not waited for.
        PERFORM FROM notices.earlier_alert
        WHERE provider_id = p_provider_id AND booking_id = one.booking_id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        news := ARRAY (
            SELECT at FROM unnest(one.free) AS at
            WHERE at <> ALL (one.known) AND NOT EXISTS (
                SELECT FROM notices.earlier_told
                WHERE provider_id = p_provider_id AND booking_id = one.booking_id AND free_at = at)
            ORDER BY at);
        chosen := NULL;
        IF cardinality(news) > 0 THEN
            wait_until := notices.night_end(p_now, one.time_zone);
            IF wait_until IS NULL THEN
                SELECT max(told_at) + notices.earlier_quiet() INTO wait_until FROM notices.earlier_told
                WHERE patient_id = one.patient_id AND told_at > p_now - notices.earlier_quiet();
            END IF;
            IF wait_until IS NULL AND EXISTS (SELECT FROM notices.channels_of(one.patient_id, p_now)) THEN
                chosen := notices.earlier_choice(one.own, news, p_now);
            END IF;
            IF chosen IS NULL THEN
                look_at := least(look_at, coalesce(wait_until, p_now + notices.earlier_turn()));
            ELSE
                PERFORM notices.tell_of_earlier(one.own, chosen, p_now);
            END IF;
        END IF;
        -- Who is told sees all that is free; a time that was taken is news when it comes free again.
        UPDATE notices.earlier_alert
        SET known = CASE WHEN chosen IS NOT NULL THEN one.free ELSE ARRAY (
            SELECT at FROM unnest(one.known) AS at WHERE at = ANY (one.free)) END
        WHERE provider_id = p_provider_id AND booking_id = one.booking_id AND (chosen IS NOT NULL OR NOT one.known <@ one.free);
    END LOOP;
    RETURN look_at;
END $$;

-- Looks into the next books that changed, or whose alerts have waited long enough, p_books_max at most, and tells who asked of what came
-- free; returns how many books it looked into. Processes that do so at once look into different ones.
CREATE FUNCTION notices.tell_earlier(p_books_max integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    watched record;
    again_at timestamptz;
    looked integer := 0;
BEGIN
    FOR watched IN
        SELECT provider_id, version,
            -- Mostly nothing at all is free before any of these appointments, and the book's head shows it.
            next_free_at < (SELECT max(starts_at) FROM notices.earlier_alert WHERE earlier_alert.provider_id = book.provider_id) IS TRUE
                AS is_any_free
        FROM notices.earlier_watch JOIN booking.book USING (provider_id)
        WHERE version <> looked_version OR look_at <= now_at
        ORDER BY provider_id LIMIT p_books_max
        FOR UPDATE OF earlier_watch SKIP LOCKED
    LOOP
        looked := looked + 1;
        PERFORM notices.end_alerts(watched.provider_id, NOT watched.is_any_free, now_at);
        again_at := CASE WHEN watched.is_any_free THEN notices.tell_earlier_in(watched.provider_id, now_at) END;
        UPDATE notices.earlier_watch SET looked_version = watched.version, look_at = again_at WHERE provider_id = watched.provider_id;
        DELETE FROM notices.earlier_watch
        WHERE provider_id = watched.provider_id
            AND NOT EXISTS (SELECT FROM notices.earlier_alert WHERE earlier_alert.provider_id = watched.provider_id);
    END LOOP;
    RETURN looked;
END $$;
