-- Keeps search.listing what the directory, the schedule and the ratings say, whoever changes them and by whatever means.

-- What the rows of these providers should be.
CREATE FUNCTION search.listing_of(p_provider_ids bigint[]) RETURNS SETOF search.listing LANGUAGE sql STABLE AS $$
    WITH zone AS MATERIALIZED (
        -- Looked at once a month: a zone whose clocks change has another offset for months.
        SELECT time_zone, min(utc_offset_minutes)::smallint AS utc_offset_minutes,
            min(utc_offset_minutes) = max(utc_offset_minutes) AS is_constant
        FROM (SELECT DISTINCT time_zone FROM directory.city) AS known
        CROSS JOIN generate_series(0, 13) AS months
        CROSS JOIN LATERAL (SELECT public.app_now() + make_interval(months => months) AS at) AS sample
        CROSS JOIN LATERAL (
            SELECT extract(epoch FROM (at AT TIME ZONE time_zone) - (at AT TIME ZONE 'UTC')) / 60 AS utc_offset_minutes) AS there
        GROUP BY time_zone
    )
    SELECT provider.provider_id, clinic.clinic_id, clinic.city_id, provider.type,
        array_to_tsvector(array(
            SELECT DISTINCT term FROM unnest(
                named.words || search.words(concat_ws(' ', clinic.address, city.name, said.specialities, offered.tests))
                || array(SELECT 'n:' || word FROM unnest(named.words) AS word)
                || array['type:' || provider.type, 'city:' || clinic.city_id, 'clinic:' || clinic.clinic_id]
                || said.terms || ('pin:' || clinic.postal_code)
            ) AS term WHERE term IS NOT NULL)),
        public.ll_to_earth(clinic.latitude, clinic.longitude),
        directory.rating_score(provider.rating_total, provider.rating_count),
        directory.rating_mean(provider.rating_total, provider.rating_count)::real,
        post.fee_paise, provider.gender,
        array(SELECT lower(language) FROM unnest(provider.languages) AS language),
        provider.practising_since, provider.accepts_new_patients, provider.max_booking_days, clinic.lead_minutes,
        zone.is_constant AND coalesce(week.is_regular, true), zone.utc_offset_minutes,
        week.first_starts, week.last_starts, week.next_days,
        EXISTS (
            SELECT FROM booking.scarce_day
            WHERE scarce_day.provider_id = provider.provider_id AND scarce_day.clinic_id = clinic.clinic_id)
    FROM directory.provider
    JOIN directory.provider_clinic AS post USING (provider_id)
    JOIN directory.clinic USING (clinic_id)
    JOIN directory.city USING (city_id)
    JOIN zone USING (time_zone)
    CROSS JOIN LATERAL (SELECT search.words(provider.name || ' ' || clinic.name) AS words) AS named
    CROSS JOIN LATERAL (
        SELECT string_agg(name, ' ') AS specialities, coalesce(array_agg('speciality:' || speciality_id), '{}') AS terms
        FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
        WHERE provider_speciality.provider_id = provider.provider_id
    ) AS said
    CROSS JOIN LATERAL (
        SELECT string_agg(name, ' ') AS tests
        FROM directory.provider_lab_test JOIN directory.lab_test USING (lab_test_id)
        WHERE provider_lab_test.provider_id = provider.provider_id
    ) AS offered
    CROSS JOIN LATERAL (
        SELECT array_agg(coalesce(open.first_start, -1) ORDER BY weekday) AS first_starts,
            array_agg(coalesce(open.last_start, -1) ORDER BY weekday) AS last_starts,
            array_agg((
                SELECT min((shift.weekday - day.weekday + 6) % 7 + 1)::smallint FROM schedule.shift
                WHERE shift.provider_id = provider.provider_id AND shift.clinic_id = clinic.clinic_id) ORDER BY weekday) AS next_days,
            bool_and(open.is_regular) AS is_regular
        FROM generate_series(1, 7) AS day(weekday)
        LEFT JOIN (
            SELECT weekday, min(opens)::smallint AS first_start, bool_and(valid = daterange(NULL, NULL)) AS is_regular,
                max(opens + (minutes / slot_minutes - 1) * slot_minutes)::smallint AS last_start
            FROM schedule.shift
            CROSS JOIN LATERAL (
                SELECT extract(epoch FROM starts)::integer / 60 AS opens, extract(epoch FROM ends - starts)::integer / 60 AS minutes
            ) AS stretch
            WHERE shift.provider_id = provider.provider_id AND shift.clinic_id = clinic.clinic_id
            GROUP BY weekday
        ) AS open USING (weekday)
    ) AS week
    WHERE provider.provider_id = ANY(p_provider_ids)
$$;

-- Writes what differs, in the order of the key, so that two who refresh the same rows do not wait for each other in a ring.
-- Whether a row is scarce is left alone: who says so may not have committed yet.
CREATE FUNCTION search.refresh(p_provider_ids bigint[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Of two changes of one provider, the later must see the earlier, or it would write back what it read before.
    PERFORM FROM directory.provider WHERE provider_id = ANY(p_provider_ids) ORDER BY provider_id FOR NO KEY UPDATE;
    DELETE FROM search.listing
    WHERE provider_id = ANY(p_provider_ids) AND NOT EXISTS (
        SELECT FROM directory.provider_clinic AS post
        WHERE post.provider_id = listing.provider_id AND post.clinic_id = listing.clinic_id);
    INSERT INTO search.listing AS old
    SELECT * FROM search.listing_of(p_provider_ids) ORDER BY provider_id, clinic_id
    ON CONFLICT (provider_id, clinic_id) DO UPDATE
    SET (city_id, type, terms, place, score, rating, fee_paise, gender, languages, practising_since, accepts_new_patients,
            max_booking_days, lead_minutes, regular, utc_offset_minutes, first_starts, last_starts, next_days)
        = (excluded.city_id, excluded.type, excluded.terms, excluded.place, excluded.score, excluded.rating,
            excluded.fee_paise, excluded.gender, excluded.languages, excluded.practising_since,
            excluded.accepts_new_patients, excluded.max_booking_days, excluded.lead_minutes, excluded.regular,
            excluded.utc_offset_minutes, excluded.first_starts, excluded.last_starts, excluded.next_days)
    WHERE (old.*) IS DISTINCT FROM (excluded.*);
END $$;

-- After each statement that changes what listings are made of. Its argument names the column by which the changed rows lead to
-- providers. Search must follow at once, and no one who changes the directory can forget to tell it.
CREATE OR REPLACE FUNCTION search.follow() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    ids bigint[];
BEGIN
    IF TG_ARGV[0] = 'provider_id' THEN
        ids := array(SELECT DISTINCT provider_id FROM changed);
    ELSIF TG_ARGV[0] = 'clinic_id' THEN
        ids := array(SELECT DISTINCT provider_id FROM directory.provider_clinic JOIN changed USING (clinic_id));
    ELSIF TG_ARGV[0] = 'city_id' THEN
        ids := array(
            SELECT DISTINCT provider_id
            FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN changed USING (city_id));
    ELSIF TG_ARGV[0] = 'speciality_id' THEN
        ids := array(SELECT DISTINCT provider_id FROM directory.provider_speciality JOIN changed USING (speciality_id));
    ELSE
        ids := array(SELECT DISTINCT provider_id FROM directory.provider_lab_test JOIN changed USING (lab_test_id));
    END IF;
    PERFORM search.refresh(ids) WHERE ids <> '{}';
    RETURN NULL;
END $$;

-- Booking verbs reach this on the rare occasions when a day's last slot is taken or freed, with one row at a time.
CREATE OR REPLACE FUNCTION search.follow_scarce_day() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    changed booking.scarce_day := coalesce(NEW, OLD);
    is_scarce boolean := EXISTS (
        SELECT FROM booking.scarce_day WHERE provider_id = changed.provider_id AND clinic_id = changed.clinic_id);
BEGIN
    UPDATE search.listing SET scarce = is_scarce
    WHERE provider_id = changed.provider_id AND clinic_id = changed.clinic_id AND scarce <> is_scarce;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER search_follows AFTER INSERT OR DELETE ON booking.scarce_day
FOR EACH ROW EXECUTE FUNCTION search.follow_scarce_day();

DO $$
DECLARE
    source record;
    event record;
BEGIN
    FOR source IN SELECT * FROM (VALUES
        ('directory.provider', 'provider_id', 'UPDATE'),
        ('directory.provider_clinic', 'provider_id', 'INSERT UPDATE DELETE'),
        ('directory.provider_speciality', 'provider_id', 'INSERT UPDATE DELETE'),
        ('schedule.shift', 'provider_id', 'INSERT UPDATE DELETE'),
        ('directory.clinic', 'clinic_id', 'UPDATE'),
        ('directory.city', 'city_id', 'UPDATE'),
        ('directory.speciality', 'speciality_id', 'UPDATE'),
        ('directory.provider_lab_test', 'provider_id', 'INSERT UPDATE DELETE'),
        ('directory.lab_test', 'lab_test_id', 'UPDATE')
    ) AS source(source_table, key_column, events) LOOP
        FOR event IN SELECT * FROM regexp_split_to_table(source.events, ' ') AS name LOOP
            EXECUTE format(
                'CREATE OR REPLACE TRIGGER search_follows_%s AFTER %s ON %s REFERENCING %s TABLE AS changed '
                'FOR EACH STATEMENT EXECUTE FUNCTION search.follow(%L)',
                lower(event.name), event.name, source.source_table,
                CASE event.name WHEN 'DELETE' THEN 'OLD' ELSE 'NEW' END, source.key_column);
        END LOOP;
    END LOOP;
END $$;

-- A database from before there were scarce days has none noted for what is booked there.
SELECT count(booking.note_scarce_days(provider_id, public.app_now(), p_everything => true)::text)
FROM booking.book
WHERE NOT EXISTS (SELECT FROM booking.scarce_day)
    AND (EXISTS (SELECT FROM booking.booking WHERE booking.provider_id = book.provider_id AND occupies AND upper(during) > (SELECT public.app_now()))
        OR EXISTS (SELECT FROM schedule.leave WHERE leave.provider_id = book.provider_id));

-- These functions may have changed since the rows were written, or be new to the database.
SELECT search.refresh(array(SELECT provider_id FROM directory.provider));
