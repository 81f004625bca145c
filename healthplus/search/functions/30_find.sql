-- Finding providers: filters that the listings alone decide, then when each is first free, then the order asked for.

-- The middle of a city; where nobody has said, that of its clinics.
CREATE FUNCTION search.middle(p_city directory.city) RETURNS TABLE (latitude double precision, longitude double precision)
LANGUAGE sql STABLE AS $$
    SELECT p_city.latitude, p_city.longitude WHERE p_city.latitude IS NOT NULL AND p_city.longitude IS NOT NULL
    UNION ALL
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY clinic.latitude), percentile_cont(0.5) WITHIN GROUP (ORDER BY clinic.longitude)
    FROM directory.clinic WHERE clinic.city_id = p_city.city_id
    LIMIT 1
$$;

-- The local day on which a provider is first free at a clinic from p_from and before p_before (NULL: as far as can be booked),
-- in days since 1970-01-01, as exactly as the book says; NULL when there is none.
CREATE FUNCTION search.first_free_day(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_before timestamptz, p_now timestamptz
) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT (booking.first_free(p_provider_id, p_clinic_id, p_from, p_before, p_now) AT TIME ZONE time_zone)::date - date '1970-01-01'
    FROM directory.clinic JOIN directory.city USING (city_id)
    WHERE clinic_id = p_clinic_id
$$;

-- Whether the template has a slot that starts within these minutes of a day, both included: a quick look before the book's.
CREATE FUNCTION search.has_slot_between(
    p_provider_id bigint, p_clinic_id bigint, p_day integer, p_first_minute integer, p_last_minute integer
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM schedule.shift
        CROSS JOIN LATERAL (SELECT extract(epoch FROM starts)::integer / 60 AS opens, extract(epoch FROM ends)::integer / 60 AS closes) AS at
        WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND weekday = (p_day + 3) % 7 + 1
            AND opens + greatest(0, p_first_minute - opens + slot_minutes - 1) / slot_minutes * slot_minutes
                <= least(p_last_minute, closes - slot_minutes))
$$;

-- Of how many, at most, dates are compared: of more than that, of those that are rated best. More than the brief's whole
-- directory has; without a limit, whoever asks for everybody in the country by date would keep a processor busy for seconds.
CREATE FUNCTION search.dated_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 7000 $$;

-- The conditions on listings that these wishes mean, over the parameters that search.find hands on.
CREATE FUNCTION search.conditions(p_wanted search.wanted) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(' AND ', 'true',
        CASE WHEN p_wanted.terms IS NOT NULL THEN 'terms @@ $1' END,
        CASE WHEN p_wanted.city_id IS NOT NULL THEN 'city_id = $19' END,
        CASE WHEN p_wanted.radius_m IS NOT NULL
            THEN 'public.earth_box($3, $4) OPERATOR(public.@>) place AND public.earth_distance($3, place) <= $4'
            WHEN p_wanted.ordering = 'distance_asc' THEN 'place IS NOT NULL' END,
        CASE WHEN p_wanted.fee_paise_min IS NOT NULL THEN 'fee_paise >= $11' END,
        CASE WHEN p_wanted.fee_paise_max IS NOT NULL THEN 'fee_paise <= $12' END,
        CASE WHEN p_wanted.practising_since_max IS NOT NULL THEN 'practising_since <= $13' END,
        CASE WHEN p_wanted.rating_min IS NOT NULL THEN 'rating >= $14' END,
        CASE WHEN p_wanted.gender IS NOT NULL THEN 'gender = $15' END,
        CASE WHEN p_wanted.language IS NOT NULL THEN 'languages @> array[$16]' END,
        CASE WHEN p_wanted.accepts_new_patients IS NOT NULL THEN 'accepts_new_patients = $17' END)
$$;

-- Rows p_skip + 1 to p_skip + p_count of what is found, each provider once, at the clinic that comes first in the order.
-- distance_m: from the place that was given. first_free_on: the first day with a free slot, within the time asked for if one
-- was; NULL when there is none.
--
-- The query is put together and planned anew with the values in it: the way to a rare word and the way to all of a city have
-- nothing in common. From inside out: `candidate` is what the listings tell, with the minutes since 1970-01-01 on the city's
-- clock between which a slot must start; `template` has the first day on which the week has one; `dated` corrects that by the
-- book. What the listings order by is ordered first, and then looked at only until there are enough; what dates order, as
-- far as search.dated_max goes.
CREATE FUNCTION search.find(p_wanted search.wanted, p_skip integer, p_count integer)
RETURNS TABLE (provider_id bigint, clinic_id bigint, distance_m double precision, first_free_on date)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    centre public.earth := public.ll_to_earth(p_wanted.latitude, p_wanted.longitude);
    static_order text := CASE p_wanted.ordering
        WHEN 'best' THEN CASE WHEN p_wanted.name_terms IS NULL THEN '' ELSE '(terms @@ $2) DESC, ' END
            || 'score DESC, provider_id, clinic_id'
        WHEN 'rating_desc' THEN 'score DESC, provider_id, clinic_id'
        WHEN 'rating_asc' THEN 'score, provider_id DESC, clinic_id DESC'
        WHEN 'distance_asc' THEN 'place OPERATOR(public.<->) $3, provider_id, clinic_id' END;
    date_order text := CASE p_wanted.ordering
        WHEN 'date_asc' THEN 'free_day'
        WHEN 'date_desc' THEN 'free_day DESC NULLS LAST'
        WHEN 'type_date_asc' THEN 'type::text, free_day'
        WHEN 'type_date_desc' THEN 'type::text DESC, free_day DESC NULLS LAST'
        WHEN 'date_type_asc' THEN 'free_day, type::text'
        WHEN 'date_type_desc' THEN 'free_day DESC NULLS LAST, type::text DESC' END || ', score DESC, provider_id, clinic_id';
    has_window boolean := p_wanted.starts_from IS NOT NULL OR p_wanted.starts_before IS NOT NULL;
    statement text;
    rows_max integer := (p_skip + p_count) * 2;
    providers bigint[];
    clinics bigint[];
    distances double precision[];
    days integer[];
    firsts integer[];
BEGIN
    statement := format(
        $sql$
        SELECT provider_id, clinic_id, distance_m, free_day
        FROM (
            SELECT *
            FROM (
                SELECT *,
                    CASE WHEN in_doubt THEN search.first_free_day(provider_id, clinic_id, $8, $9, $10)
                        WHEN day <= last_day THEN day END AS free_day
                FROM (
                    SELECT *, NOT regular OR (scarce AND (
                        SELECT last_free_at >= to_timestamp((template.soonest - template.utc_offset_minutes) * 60.0) IS NOT TRUE
                        FROM booking.scarce_day
                        WHERE scarce_day.provider_id = template.provider_id AND scarce_day.clinic_id = template.clinic_id
                            AND scarce_day.day = date '1970-01-01' + template.day)) IS TRUE AS in_doubt
                    FROM (
                        SELECT *, soonest / 1440 + CASE
                            WHEN last_starts[(soonest / 1440 + 3) %% 7 + 1] >= soonest %% 1440 THEN 0
                            ELSE next_days[(soonest / 1440 + 3) %% 7 + 1] END AS day
                        FROM (
                            SELECT provider_id, clinic_id, type, score, regular, scarce, utc_offset_minutes, first_starts, last_starts, next_days,
                                public.earth_distance($3, place) AS distance_m,
                                greatest($5, $6 + lead_minutes) + utc_offset_minutes AS soonest,
                                $7 + utc_offset_minutes AS latest,
                                ($6 - 1 + utc_offset_minutes) / 1440 + max_booking_days AS last_day
                            FROM search.listing
                            WHERE %1$s %2$s
                        ) AS candidate
                    ) AS template
                    OFFSET 0
                ) AS doubted
                OFFSET 0
            ) AS dated
            %3$s %4$s OFFSET 0
        ) AS ordered
        %5$s
        LIMIT $18
        $sql$,
        search.conditions(p_wanted),
        'ORDER BY ' || coalesce(static_order || ' OFFSET 0', 'score DESC LIMIT ' || search.dated_max()),
        CASE WHEN has_window THEN
            'WHERE free_day IS NOT NULL AND (in_doubt OR latest IS NULL OR free_day < latest / 1440
                OR (free_day = latest / 1440 AND first_starts[(free_day + 3) % 7 + 1] <= latest % 1440))' END,
        'ORDER BY ' || date_order,
        -- On the last day, the slots late in it may be all that are free.
        CASE WHEN p_wanted.starts_before IS NOT NULL THEN
            'WHERE in_doubt OR free_day < latest / 1440 OR last_starts[(free_day + 3) % 7 + 1] <= latest % 1440
                OR (search.has_slot_between(
                        provider_id, clinic_id, free_day, CASE WHEN free_day = soonest / 1440 THEN soonest % 1440 ELSE 0 END, latest % 1440)
                    AND search.first_free_day(provider_id, clinic_id, $8, $9, $10) IS NOT NULL)' END);
    -- A provider with several clinics takes several rows: mostly twice as many as are wanted suffice.
    LOOP
        EXECUTE format(
            'SELECT array_agg(provider_id), array_agg(clinic_id), array_agg(distance_m), array_agg(free_day) FROM (%s) AS found',
            statement)
        INTO providers, clinics, distances, days
        USING p_wanted.terms, p_wanted.name_terms, centre, p_wanted.radius_m,
            ceil(extract(epoch FROM p_wanted.starts_from) / 60)::integer,
            floor(extract(epoch FROM now_at) / 60)::integer + 1,
            ceil(extract(epoch FROM p_wanted.starts_before) / 60)::integer - 1,
            greatest(p_wanted.starts_from, now_at), p_wanted.starts_before, now_at,
            p_wanted.fee_paise_min, p_wanted.fee_paise_max, p_wanted.practising_since_max, p_wanted.rating_min,
            p_wanted.gender, p_wanted.language, p_wanted.accepts_new_patients, rows_max, p_wanted.city_id;
        firsts := array(
            SELECT min(row) FROM unnest(providers) WITH ORDINALITY AS found(provider, row)
            GROUP BY provider ORDER BY min(row) LIMIT p_skip + p_count);
        EXIT WHEN cardinality(firsts) = p_skip + p_count OR coalesce(cardinality(providers), 0) < rows_max;
        rows_max := rows_max * 8;
    END LOOP;
    RETURN QUERY
    SELECT providers[row], clinics[row], distances[row], date '1970-01-01' + days[row] FROM unnest(firsts[p_skip + 1:]) AS row;
END $$;

-- How many providers search.find would find, counted no further than p_max. Where nothing is said about when, listings alone tell.
CREATE FUNCTION search.count_found(p_wanted search.wanted, p_max integer) RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    rows_max integer := p_max * 2;
    rows integer;
    providers integer;
BEGIN
    IF p_wanted.starts_from IS NOT NULL OR p_wanted.starts_before IS NOT NULL THEN
        -- An order by dates would look at all there are before it counts.
        p_wanted.ordering := CASE p_wanted.ordering WHEN 'distance_asc' THEN 'distance_asc' ELSE 'rating_desc' END;
        RETURN (SELECT count(*) FROM search.find(p_wanted, 0, p_max));
    END IF;
    LOOP
        -- The parameters are numbered as those of search.find.
        EXECUTE format(
            'SELECT count(*), count(DISTINCT provider_id) FROM (SELECT provider_id FROM search.listing WHERE %s LIMIT $18) AS found',
            search.conditions(p_wanted))
        INTO rows, providers
        USING p_wanted.terms, NULL::tsquery, public.ll_to_earth(p_wanted.latitude, p_wanted.longitude), p_wanted.radius_m,
            NULL::integer, NULL::integer, NULL::integer, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz,
            p_wanted.fee_paise_min, p_wanted.fee_paise_max, p_wanted.practising_since_max, p_wanted.rating_min,
            p_wanted.gender, p_wanted.language, p_wanted.accepts_new_patients, rows_max, p_wanted.city_id;
        EXIT WHEN providers >= p_max OR rows < rows_max;
        rows_max := rows_max * 8;
    END LOOP;
    RETURN least(providers, p_max);
END $$;
