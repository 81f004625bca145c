-- Finding providers: first by what listings alone decide, then by when each is first free; and in the order of the request.

-- Return the centre of a city or, where it is not stored, the median of its clinics.
CREATE FUNCTION search.city_centre(p_city directory.city) RETURNS TABLE (latitude double precision, longitude double precision)
LANGUAGE sql STABLE AS $$
    SELECT p_city.latitude, p_city.longitude WHERE p_city.latitude IS NOT NULL AND p_city.longitude IS NOT NULL
    UNION ALL
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY clinic.latitude), percentile_cont(0.5) WITHIN GROUP (ORDER BY clinic.longitude)
    FROM directory.clinic WHERE clinic.city_id = p_city.city_id
    LIMIT 1
$$;

-- Return the local day of a provider's first free slot at a clinic from p_from on and before p_before (NULL: the last day that can
-- be booked), for services or (NULL) for one slot, by the book, in days since 1970-01-01; NULL when there is none.
CREATE FUNCTION search.first_free_day(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_before timestamptz, p_now timestamptz, p_service_ids bigint[]
) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT (booking.first_free(p_provider_id, p_clinic_id, p_from, p_before, p_now, booking.need_of(1, p_provider_id, p_service_ids))
        AT TIME ZONE time_zone)::date - date '1970-01-01'
    FROM directory.clinic JOIN directory.city USING (city_id)
    WHERE clinic_id = p_clinic_id
$$;

-- Return whether the shifts have a slot that starts within these minutes of a day, both included: quicker than a look at the book.
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

-- Return whether services (NULL: one slot) can begin within these minutes of a day, both included, wherever the shifts have room for
-- them: false also where something of that day is taken, and only the book can tell.
CREATE FUNCTION search.surely_fits(
    p_provider_id bigint, p_clinic_id bigint, p_day integer, p_utc_offset_minutes integer, p_first_minute integer, p_last_minute integer,
    p_service_ids bigint[]
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT
        FROM (SELECT booking.need_of(1, p_provider_id, p_service_ids) AS need OFFSET 0) AS asked
        CROSS JOIN schedule.shift
        CROSS JOIN LATERAL (
            SELECT extract(epoch FROM starts)::integer / 60 AS opens, slot_minutes * (need).starts_every AS step,
                extract(epoch FROM ends)::integer / 60
                    - slot_minutes * booking.slots_of(need, make_interval(mins => slot_minutes)) AS last_start
        ) AS at
        WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id AND weekday = (p_day + 3) % 7 + 1
            AND release_hours IS NULL AND directory.is_weekday_of((need).weekdays, weekday)
            AND opens + greatest(0, p_first_minute - opens + step - 1) / step * step <= least(p_last_minute, last_start)
    ) AND NOT EXISTS (
        SELECT
        FROM (SELECT tstzrange(to_timestamp(minute * 60.0), to_timestamp((minute + 1440) * 60.0)) AS during
            FROM (SELECT p_day * 1440 - p_utc_offset_minutes AS minute) AS begins OFFSET 0) AS whole_day
        WHERE EXISTS (
            SELECT FROM booking.booking WHERE provider_id = p_provider_id AND occupies AND booking.during && whole_day.during
        ) OR EXISTS (
            SELECT FROM schedule.leave WHERE provider_id = p_provider_id AND leave.during && whole_day.during
        ) OR EXISTS (
            SELECT FROM booking.ticket WHERE provider_id = p_provider_id AND state = 'waiting' AND withheld_during && whole_day.during))
$$;

-- Return a service of each group of types that a provider offers at a clinic, the cheapest, in the groups' order, and what they cost
-- together in whole units (NULL: the clinic says it); no row where it offers nothing of a group. p_service_groups: the group of each
-- type, from 1 on, in order; a type is in one group only.
CREATE FUNCTION search.offer(p_provider_id bigint, p_clinic_id bigint, p_service_type_ids bigint[], p_service_groups smallint[])
RETURNS TABLE (service_ids bigint[], service_price double precision, service_currency text) LANGUAGE sql STABLE AS $$
    SELECT array_agg(service_id ORDER BY service_group),
        CASE WHEN bool_and(known_fee IS NOT NULL) THEN sum(known_fee) / 10 ^ directory.currency_digits(min(currency)) END, min(currency)
    FROM (
        SELECT DISTINCT ON (service_group) service_group, service_id, known_fee, currency
        FROM directory.offered_services(p_provider_id, p_clinic_id)
        CROSS JOIN LATERAL directory.known_fee(fee_minor, funding) AS known_fee
        CROSS JOIN LATERAL (VALUES (p_service_groups[array_position(p_service_type_ids, service_type_id)])) AS grouped(service_group)
        WHERE service_type_id = ANY (p_service_type_ids)
        ORDER BY service_group, known_fee NULLS LAST, service_id
    ) AS cheapest
    HAVING count(*) = p_service_groups[cardinality(p_service_groups)]
$$;

-- Return the services of search.offer as a list of providers shows them; NULL where there are none. Not in SQL: it would be planned again
-- with each search, also with one that names no service.
CREATE FUNCTION search.offer_document(p_provider_id bigint, p_clinic_id bigint, p_criteria search.criteria) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'service_ids', service_ids, 'fee_minor', fee_minor, 'currency', service_currency, 'funding', funding,
            'is_fee_known', service_price IS NOT NULL, 'length_minutes', length_minutes, 'names', array(
                SELECT name FROM directory.service JOIN directory.service_type USING (service_type_id)
                WHERE service_id = ANY (service_ids) ORDER BY array_position(service_ids, service_id)))
        FROM search.offer(p_provider_id, p_clinic_id, p_criteria.service_type_ids, p_criteria.service_groups)
        CROSS JOIN LATERAL directory.chosen_services(p_provider_id, p_clinic_id, service_ids, false));
END $$;

-- Return how many of the best rated listings an order by date, price or experience compares. It is more than the directory that is specified has;
-- without a limit, one search of the whole country by date would keep a processor busy for seconds. Days with room for services take
-- longer to tell: as many as such a directory has providers in a city.
CREATE FUNCTION search.compared_max(p_criteria search.criteria) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN p_criteria.service_type_ids IS NULL THEN 7000
        WHEN (p_criteria.ordering LIKE 'price%' OR p_criteria.ordering = 'experience_desc') AND p_criteria.starts_from IS NULL AND p_criteria.starts_before IS NULL THEN 7000
        ELSE 300 END
$$;

-- Return the conditions on listings that the criteria mean, with the parameters numbered as search.find passes them.
CREATE FUNCTION search.conditions(p_criteria search.criteria) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat_ws(' AND ', 'true',
        CASE WHEN p_criteria.terms IS NOT NULL THEN 'terms @@ $1' END,
        CASE WHEN p_criteria.city_id IS NOT NULL THEN 'city_id = $19' END,
        CASE WHEN p_criteria.radius_m IS NOT NULL
            THEN 'public.earth_box($3, $4) OPERATOR(public.@>) place AND public.earth_distance($3, place) <= $4'
            WHEN p_criteria.ordering = 'distance_asc' THEN 'place IS NOT NULL' END,
        CASE WHEN p_criteria.fee_min IS NOT NULL THEN charged || ' >= $11' END,
        CASE WHEN p_criteria.fee_max IS NOT NULL THEN charged || ' <= $12' END,
        CASE WHEN p_criteria.practising_since_max IS NOT NULL THEN 'practising_since <= $13' END,
        CASE WHEN p_criteria.rating_min IS NOT NULL THEN 'rating >= $14' END,
        CASE WHEN p_criteria.gender IS NOT NULL THEN 'gender = $15' END,
        CASE WHEN p_criteria.language IS NOT NULL THEN 'languages @> array[$16]' END,
        CASE WHEN p_criteria.accepts_new_patients IS NOT NULL THEN 'accepts_new_patients = $17' END)
    FROM (
        -- What the clinic says itself counts as nothing.
        SELECT CASE WHEN p_criteria.service_type_ids IS NULL THEN 'fee' ELSE
            'coalesce((SELECT coalesce(service_price, 0) FROM search.offer(listing.provider_id, listing.clinic_id, $20, $21)), fee)' END
            AS charged
    ) AS compared
$$;

-- Return whether the criteria are for services of one type by price: those who offer it are then read from the index on fees.
CREATE FUNCTION search.is_by_fee(p_criteria search.criteria) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_criteria.ordering = 'price_asc' AND coalesce(cardinality(p_criteria.service_type_ids) = 1, false)
$$;

-- Return what is searched through, and the conditions.
CREATE FUNCTION search.source(p_criteria search.criteria) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT concat('search.listing',
        CASE WHEN search.is_by_fee(p_criteria) THEN ' JOIN directory.service ON service.provider_id = listing.provider_id
            AND service.service_type_id = ($20::bigint[])[1] AND service.closed_at IS NULL
            AND (service.clinic_id = listing.clinic_id OR service.clinic_id IS NULL AND EXISTS (
                SELECT FROM directory.offered_services(listing.provider_id, listing.clinic_id) AS offered
                WHERE offered.service_id = service.service_id))' END,
        ' WHERE ', search.conditions(p_criteria))
$$;

-- Return the ORDER BY list of an order that listings alone decide, as far as is needed; NULL where the best rated are compared.
CREATE FUNCTION search.listing_order(p_criteria search.criteria) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_criteria.ordering
        WHEN 'best' THEN CASE WHEN p_criteria.own_ids IS NULL THEN '' ELSE '(listing.provider_id = ANY ($22)) DESC, ' END
            || CASE WHEN p_criteria.name_terms IS NULL THEN '' ELSE '(terms @@ $2) DESC, ' END
            || 'score DESC, provider_id, clinic_id'
        WHEN 'rating_desc' THEN 'score DESC, provider_id, clinic_id'
        WHEN 'rating_asc' THEN 'score, provider_id DESC, clinic_id DESC'
        WHEN 'distance_asc' THEN 'place OPERATOR(public.<->) $3, provider_id, clinic_id'
        WHEN 'price_asc' THEN CASE WHEN search.is_by_fee(p_criteria)
            THEN 'directory.known_fee(service.fee_minor, service.funding), score DESC, provider_id, clinic_id' END END
$$;

-- Return the ORDER BY list of an order by dates, or NULL for one without.
CREATE FUNCTION search.date_order(p_ordering text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_ordering
        WHEN 'date_asc' THEN 'free_day'
        WHEN 'date_desc' THEN 'free_day DESC NULLS LAST'
        WHEN 'type_date_asc' THEN 'type::text, free_day'
        WHEN 'type_date_desc' THEN 'type::text DESC, free_day DESC NULLS LAST'
        WHEN 'date_type_asc' THEN 'free_day, type::text'
        WHEN 'date_type_desc' THEN 'free_day DESC NULLS LAST, type::text DESC' END || ', score DESC, provider_id, clinic_id'
$$;

-- Return the condition under which only the book can tell a candidate's first free day.
CREATE FUNCTION search.doubt(p_criteria search.criteria) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'NOT regular OR (' || CASE WHEN p_criteria.service_type_ids IS NULL THEN
        $sql$scarce AND (
            SELECT last_free_at >= to_timestamp((template.soonest - template.utc_offset_minutes) * 60.0) IS NOT TRUE
            FROM booking.scarce_day
            WHERE scarce_day.provider_id = template.provider_id AND scarce_day.clinic_id = template.clinic_id
                AND scarce_day.day = date '1970-01-01' + template.day)$sql$
        ELSE
        $sql$day <= least(last_day, latest / 1440) AND NOT search.surely_fits(
            provider_id, clinic_id, day, utc_offset_minutes, CASE WHEN day = soonest / 1440 THEN soonest % 1440 ELSE 0 END,
            coalesce(latest - day * 1440, 1439), service_ids)$sql$ END || ') IS TRUE'
$$;

-- Return the query that search.find runs, with the parameters that it passes. It is built for the criteria and planned with the
-- values in it: the best ways to a rare word and to all of a city have nothing in common.
--
-- From the inside out: `listed` is what the listings say, with the minutes since 1970-01-01 on the city's clock between which
-- a slot must start; `candidate` has what is offered there of the services searched for; `template` has the first day on which the
-- week has a slot; `dated` corrects that day by the book. An order that listings decide comes first, and rows are then looked at only
-- until there are enough; an order by dates, by experience, or by prices that no index has, looks at no more than search.compared_max rows.
CREATE FUNCTION search.find_statement(p_criteria search.criteria) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN format(
        $sql$
        SELECT provider_id, clinic_id, distance_m, free_day
        FROM (
            SELECT *
            FROM (
                SELECT *,
                    CASE WHEN in_doubt THEN search.first_free_day(provider_id, clinic_id, $8, $9, $10, service_ids)
                        WHEN day <= last_day THEN day END AS free_day
                FROM (
                    SELECT *, %6$s AS in_doubt
                    FROM (
                        SELECT *, soonest / 1440 + CASE
                            WHEN last_starts[(soonest / 1440 + 3) %% 7 + 1] >= soonest %% 1440 THEN 0
                            ELSE next_days[(soonest / 1440 + 3) %% 7 + 1] END AS day
                        FROM (
                            SELECT listed.*, %7$s AS service_ids
                            FROM (
                                SELECT listing.provider_id, listing.clinic_id, type, score, price, practising_since, regular, scarce, utc_offset_minutes,
                                    first_starts, last_starts, next_days,
                                    public.earth_distance($3, place) AS distance_m,
                                    greatest($5, $6 + lead_minutes) + utc_offset_minutes AS soonest,
                                    $7 + utc_offset_minutes AS latest,
                                    ($6 - 1 + utc_offset_minutes) / 1440 + max_booking_days AS last_day
                                FROM %1$s %2$s
                            ) AS listed
                            %8$s
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
        search.source(p_criteria),
        -- A limit inside says that few are needed, which a join above it would hide; a time drops rows after it.
        'ORDER BY ' || coalesce(
            search.listing_order(p_criteria)
                || CASE WHEN p_criteria.starts_from IS NULL AND p_criteria.starts_before IS NULL THEN ' LIMIT $18'
                    WHEN p_criteria.service_type_ids IS NOT NULL THEN ' LIMIT ' || search.compared_max(p_criteria) ELSE ' OFFSET 0' END,
            'score DESC LIMIT ' || search.compared_max(p_criteria)),
        CASE WHEN p_criteria.starts_from IS NOT NULL OR p_criteria.starts_before IS NOT NULL THEN
            'WHERE free_day IS NOT NULL AND (in_doubt OR latest IS NULL OR free_day < latest / 1440
                OR (free_day = latest / 1440 AND first_starts[(free_day + 3) % 7 + 1] <= latest % 1440))' END,
        'ORDER BY ' || search.date_order(p_criteria.ordering),
        -- On the last day, the slots late in it may be all that are free.
        CASE WHEN p_criteria.starts_before IS NOT NULL AND p_criteria.service_type_ids IS NULL THEN
            'WHERE in_doubt OR free_day < latest / 1440 OR last_starts[(free_day + 3) % 7 + 1] <= latest % 1440
                OR (search.has_slot_between(
                        provider_id, clinic_id, free_day, CASE WHEN free_day = soonest / 1440 THEN soonest % 1440 ELSE 0 END, latest % 1440)
                    AND search.first_free_day(provider_id, clinic_id, $8, $9, $10, NULL) IS NOT NULL)' END,
        search.doubt(p_criteria),
        CASE WHEN p_criteria.service_type_ids IS NULL THEN 'NULL::bigint[]' ELSE 'offered.service_ids' END,
        concat(
            CASE WHEN p_criteria.service_type_ids IS NOT NULL THEN
                'LEFT JOIN LATERAL search.offer(listed.provider_id, listed.clinic_id, $20, $21) AS offered ON true ' END,
            CASE WHEN p_criteria.ordering LIKE 'price%' AND NOT search.is_by_fee(p_criteria) THEN
                'ORDER BY ' || CASE WHEN p_criteria.service_type_ids IS NULL THEN 'price' ELSE 'service_price' END
                    || CASE p_criteria.ordering WHEN 'price_desc' THEN ' DESC' ELSE '' END
                    || ' NULLS LAST, score DESC, provider_id, clinic_id OFFSET 0'
                WHEN p_criteria.ordering = 'experience_desc' THEN
                    'ORDER BY practising_since NULLS LAST, score DESC, provider_id, clinic_id OFFSET 0' END));
END $$;

-- Return rows p_skip + 1 to p_skip + p_count of what is found, each provider once, at the clinic that comes first in the order.
-- distance_m: from the criteria's position. first_free_on: the first day with a free slot, between the criteria's times if they
-- have any; NULL when there is none.
CREATE FUNCTION search.find(p_criteria search.criteria, p_skip integer, p_count integer)
RETURNS TABLE (provider_id bigint, clinic_id bigint, distance_m double precision, first_free_on date)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    centre public.earth := public.ll_to_earth(p_criteria.latitude, p_criteria.longitude);
    statement text := format(
        'SELECT array_agg(provider_id), array_agg(clinic_id), array_agg(distance_m), array_agg(free_day) FROM (%s) AS found',
        search.find_statement(p_criteria));
    rows_max integer := (p_skip + p_count) * 2;
    providers bigint[];
    clinics bigint[];
    distances double precision[];
    days integer[];
    firsts integer[];
BEGIN
    -- A provider has a row for each of its clinics: twice as many rows as providers are mostly enough.
    LOOP
        EXECUTE statement
        INTO providers, clinics, distances, days
        USING p_criteria.terms, p_criteria.name_terms, centre, p_criteria.radius_m,
            ceil(extract(epoch FROM p_criteria.starts_from) / 60)::integer,
            floor(extract(epoch FROM now_at) / 60)::integer + 1,
            ceil(extract(epoch FROM p_criteria.starts_before) / 60)::integer - 1,
            greatest(p_criteria.starts_from, now_at), p_criteria.starts_before, now_at,
            p_criteria.fee_min, p_criteria.fee_max, p_criteria.practising_since_max, p_criteria.rating_min,
            p_criteria.gender, p_criteria.language, p_criteria.accepts_new_patients, rows_max, p_criteria.city_id,
            p_criteria.service_type_ids, p_criteria.service_groups, p_criteria.own_ids;
        firsts := array(
            SELECT min(row) FROM unnest(providers) WITH ORDINALITY AS found(provider, row)
            GROUP BY provider ORDER BY min(row) LIMIT p_skip + p_count);
        EXIT WHEN cardinality(firsts) = p_skip + p_count OR coalesce(cardinality(providers), 0) < rows_max;
        rows_max := rows_max * 8;
    END LOOP;
    RETURN QUERY
    SELECT providers[row], clinics[row], distances[row], date '1970-01-01' + days[row] FROM unnest(firsts[p_skip + 1:]) AS row;
END $$;

-- Return how many providers search.find finds, counted no further than p_max. Without a time, listings alone decide.
CREATE FUNCTION search.count_found(p_criteria search.criteria, p_max integer) RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    rows_max integer := p_max * 2;
    rows integer;
    providers integer;
BEGIN
    IF p_criteria.starts_from IS NOT NULL OR p_criteria.starts_before IS NOT NULL THEN
        -- An order by dates would look at all rows before it counts.
        p_criteria.ordering := CASE p_criteria.ordering WHEN 'distance_asc' THEN 'distance_asc' ELSE 'rating_desc' END;
        RETURN (SELECT count(*) FROM search.find(p_criteria, 0, p_max));
    END IF;
    LOOP
        -- The parameters are those of search.find.
        EXECUTE format(
            'SELECT count(*), count(DISTINCT provider_id) FROM (SELECT listing.provider_id FROM %s LIMIT $18) AS found',
            search.source(p_criteria))
        INTO rows, providers
        USING p_criteria.terms, NULL::tsquery, public.ll_to_earth(p_criteria.latitude, p_criteria.longitude), p_criteria.radius_m,
            NULL::integer, NULL::integer, NULL::integer, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz,
            p_criteria.fee_min, p_criteria.fee_max, p_criteria.practising_since_max, p_criteria.rating_min,
            p_criteria.gender, p_criteria.language, p_criteria.accepts_new_patients, rows_max, p_criteria.city_id,
            p_criteria.service_type_ids, p_criteria.service_groups;
        EXIT WHEN providers >= p_max OR rows < rows_max;
        rows_max := rows_max * 8;
    END LOOP;
    RETURN least(providers, p_max);
END $$;
