-- Keeps search.listing up to date with the directory, the schedule and the ratings, however those are changed.

-- Return the time zones of cities: the offset of each from UTC, and whether it never changes.
CREATE FUNCTION search.time_zones() RETURNS TABLE (time_zone text, utc_offset_minutes smallint, is_constant boolean)
LANGUAGE sql STABLE AS $$
    -- One look a month is enough: a zone whose clocks change has another offset for months.
    SELECT time_zone, min(utc_offset_minutes)::smallint, min(utc_offset_minutes) = max(utc_offset_minutes)
    FROM (SELECT DISTINCT time_zone FROM directory.city) AS known
    CROSS JOIN generate_series(0, 13) AS months
    CROSS JOIN LATERAL (SELECT public.app_now() + make_interval(months => months) AS at) AS sample
    CROSS JOIN LATERAL (
        SELECT extract(epoch FROM (at AT TIME ZONE time_zone) - (at AT TIME ZONE 'UTC')) / 60 AS utc_offset_minutes) AS there
    GROUP BY time_zone
$$;

-- Return what the rows of these providers should be.
CREATE FUNCTION search.listing_of(p_provider_ids bigint[]) RETURNS TABLE (
    provider_id bigint, clinic_id bigint, city_id bigint, type directory.provider_type, terms tsvector, place public.cube,
    score real, rating real, fee double precision, gender directory.gender, languages text[], practising_since smallint,
    accepts_new_patients boolean, max_booking_days smallint, lead_minutes smallint, regular boolean,
    utc_offset_minutes smallint, first_starts smallint[], last_starts smallint[], next_days smallint[], scarce boolean,
    price double precision
) LANGUAGE sql STABLE AS $$
    WITH zone AS MATERIALIZED (SELECT * FROM search.time_zones())
    SELECT provider.provider_id, clinic.clinic_id, clinic.city_id, provider.type,
        array_to_tsvector(array(
            SELECT DISTINCT term FROM unnest(
                named.words || search.words(concat_ws(' ', clinic.address, city.name, special.names, offered.names))
                || array(SELECT 'n:' || word FROM unnest(named.words) AS word)
                || array['type:' || provider.type, 'city:' || clinic.city_id, 'clinic:' || clinic.clinic_id]
                || special.terms || offered.terms || ('pin:' || clinic.postal_code)
            ) AS term WHERE term IS NOT NULL)),
        public.ll_to_earth(clinic.latitude, clinic.longitude),
        directory.rating_score(provider.rating_total, provider.rating_count),
        directory.rating_mean(provider.rating_total, provider.rating_count)::real,
        post.fee_minor / 10 ^ directory.currency_digits(clinic.currency), provider.gender,
        array(SELECT lower(language) FROM unnest(provider.languages) AS language),
        provider.practising_since, provider.accepts_new_patients, provider.max_booking_days, clinic.lead_minutes,
        zone.is_constant AND coalesce(week.is_regular, true), zone.utc_offset_minutes,
        week.first_starts, week.last_starts, week.next_days,
        EXISTS (
            SELECT FROM booking.scarce_day
            WHERE scarce_day.provider_id = provider.provider_id AND scarce_day.clinic_id = clinic.clinic_id),
        directory.known_fee(post.fee_minor, post.funding) / 10 ^ directory.currency_digits(clinic.currency)
    FROM directory.provider
    JOIN directory.provider_clinic AS post USING (provider_id)
    JOIN directory.clinic USING (clinic_id)
    JOIN directory.city USING (city_id)
    JOIN zone USING (time_zone)
    CROSS JOIN LATERAL (SELECT search.words(provider.name || ' ' || clinic.name) AS words) AS named
    CROSS JOIN LATERAL (
        SELECT string_agg(name, ' ') AS names, coalesce(array_agg('speciality:' || speciality_id), '{}') AS terms
        FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
        WHERE provider_speciality.provider_id = provider.provider_id
    ) AS special
    CROSS JOIN LATERAL (
        SELECT string_agg(name, ' ') AS names, coalesce(array_agg('service:' || service_type_id), '{}') AS terms
        FROM directory.offered_services(provider.provider_id, clinic.clinic_id) JOIN directory.service_type USING (service_type_id)
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
            SELECT weekday, min(opens)::smallint AS first_start, bool_and(valid = daterange(NULL, NULL) AND release_hours IS NULL) AS is_regular,
                max(opens + (minutes / slot_minutes - 1) * slot_minutes)::smallint AS last_start
            FROM schedule.shift
            CROSS JOIN LATERAL (
                SELECT extract(epoch FROM starts)::integer / 60 AS opens, extract(epoch FROM ends - starts)::integer / 60 AS minutes
            ) AS stretch
            WHERE shift.provider_id = provider.provider_id AND shift.clinic_id = clinic.clinic_id
            GROUP BY weekday
        ) AS open USING (weekday)
    ) AS week
    WHERE provider.provider_id = ANY(p_provider_ids) AND post.closed_since IS NULL
$$;

-- Bring the rows of these providers up to date, in order of the key, so that two transactions that do so cannot deadlock.
-- `scarce` of a stored row stays: what changes that may not have committed yet.
CREATE FUNCTION search.refresh_listings(p_provider_ids bigint[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Of two changes of one provider, the later must see the earlier, or it would overwrite it with old values.
    PERFORM FROM directory.provider WHERE provider_id = ANY(p_provider_ids) ORDER BY provider_id FOR NO KEY UPDATE;
    DELETE FROM search.listing
    WHERE provider_id = ANY(p_provider_ids) AND NOT EXISTS (
        SELECT FROM directory.provider_clinic AS post
        WHERE post.provider_id = listing.provider_id AND post.clinic_id = listing.clinic_id AND post.closed_since IS NULL);
    INSERT INTO search.listing AS old (
        provider_id, clinic_id, city_id, type, terms, place, score, rating, fee, gender, languages, practising_since,
        accepts_new_patients, max_booking_days, lead_minutes, regular, utc_offset_minutes, first_starts, last_starts, next_days, scarce,
        price)
    SELECT * FROM search.listing_of(p_provider_ids) ORDER BY provider_id, clinic_id
    ON CONFLICT (provider_id, clinic_id) DO UPDATE
    SET (city_id, type, terms, place, score, rating, fee, gender, languages, practising_since, accepts_new_patients,
            max_booking_days, lead_minutes, regular, utc_offset_minutes, first_starts, last_starts, next_days, price)
        = (excluded.city_id, excluded.type, excluded.terms, excluded.place, excluded.score, excluded.rating,
            excluded.fee, excluded.gender, excluded.languages, excluded.practising_since,
            excluded.accepts_new_patients, excluded.max_booking_days, excluded.lead_minutes, excluded.regular,
            excluded.utc_offset_minutes, excluded.first_starts, excluded.last_starts, excluded.next_days, excluded.price)
    WHERE (old.*) IS DISTINCT FROM (excluded.*);
END $$;

-- Refresh listings after each statement that changes what they are made of. The argument names the column of the changed rows
-- that leads to providers. Triggers miss no change, and let the directory know nothing of search.
CREATE OR REPLACE FUNCTION search.listing_source_changed() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
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
        ids := array(
            SELECT DISTINCT provider_id FROM directory.service JOIN changed USING (service_type_id) WHERE closed_at IS NULL);
    END IF;
    IF current_setting('healthplus.listings_wait', true) = 'on' THEN
        PERFORM set_config('healthplus.listings_waiting', concat(
            current_setting('healthplus.listings_waiting', true), array_to_string(ids, ','), ','), true) WHERE ids <> '{}';
    ELSE
        PERFORM search.refresh_listings(ids) WHERE ids <> '{}';
    END IF;
    RETURN NULL;
END $$;

-- Let listings wait until the end of this transaction, which changes the same providers in many statements, and refreshes what
-- search.waiting_listings then returns.
CREATE FUNCTION search.let_listings_wait() RETURNS void LANGUAGE sql AS $$
    SELECT set_config('healthplus.listings_waiting', '', true), set_config('healthplus.listings_wait', 'on', true)
$$;

-- Return the providers whose listings wait; they wait no longer.
CREATE FUNCTION search.waiting_listings() RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    waiting text := current_setting('healthplus.listings_waiting');
BEGIN
    PERFORM search.let_listings_wait();
    RETURN ARRAY(SELECT DISTINCT id::bigint FROM unnest(string_to_array(rtrim(waiting, ','), ',')) AS id ORDER BY 1);
END $$;

-- Note in a listing whether it has scarce days. Booking verbs cause this one row at a time, and seldom: when a day's last slot is
-- taken or freed.
CREATE OR REPLACE FUNCTION search.scarce_day_changed() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
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
FOR EACH ROW EXECUTE FUNCTION search.scarce_day_changed();

CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.provider REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_insert AFTER INSERT ON directory.provider_clinic REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.provider_clinic REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_delete AFTER DELETE ON directory.provider_clinic REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_insert AFTER INSERT ON directory.provider_speciality REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.provider_speciality REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_delete AFTER DELETE ON directory.provider_speciality REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_insert AFTER INSERT ON schedule.shift REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON schedule.shift REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_delete AFTER DELETE ON schedule.shift REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.clinic REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('clinic_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.city REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('city_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.speciality REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('speciality_id');
CREATE OR REPLACE TRIGGER search_follows_insert AFTER INSERT ON directory.service REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.service REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_delete AFTER DELETE ON directory.service REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('provider_id');
CREATE OR REPLACE TRIGGER search_follows_update AFTER UPDATE ON directory.service_type REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION search.listing_source_changed('service_type_id');
