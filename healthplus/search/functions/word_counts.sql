-- Count how often the directory has each word, and return how many rows there are now. p_curated: the product's own words, or
-- NULL for those of the last count. Sequential scans, which sessions do without, keep it from reading whole tables by an index.
CREATE FUNCTION search.count_words(p_curated text[] DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = on SET work_mem = '64MB' AS $$
DECLARE
    curated text[];
BEGIN
    PERFORM pg_advisory_xact_lock(18, 3);  -- two counts at once would insert the same rows
    curated := coalesce(p_curated, ARRAY(SELECT word FROM search.word WHERE city_id = 0 AND word.curated));
    WITH text AS (
        SELECT city_id, clinic.name AS content, count(*) AS times FROM directory.clinic GROUP BY 1, 2
        UNION ALL
        SELECT city_id, address, count(*) FROM directory.clinic GROUP BY 1, 2
        UNION ALL
        SELECT city_id, city.name, count(*) FROM directory.clinic JOIN directory.city USING (city_id) GROUP BY 1, 2
        UNION ALL
        SELECT city_id, provider.name, count(*)
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.provider USING (provider_id)
        GROUP BY 1, 2
        UNION ALL
        SELECT city_id, speciality.name, count(*)
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
        JOIN directory.provider_speciality USING (provider_id) JOIN directory.speciality USING (speciality_id)
        GROUP BY 1, 2
        UNION ALL
        SELECT city_id, service_type.name, count(*)
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
        JOIN directory.service USING (provider_id) JOIN directory.service_type USING (service_type_id)
        WHERE closed_at IS NULL AND (service.clinic_id IS NULL OR service.clinic_id = clinic.clinic_id)
        GROUP BY 1, 2
    ), counted AS (
        SELECT coalesce(city_id, 0) AS city_id, word, sum(times) AS times
        FROM text CROSS JOIN LATERAL unnest(search.words(content)) AS word
        WHERE word ~ '^[a-z][a-z0-9]{1,39}$'
        GROUP BY GROUPING SETS ((city_id, word), (word))
    ), latest AS MATERIALIZED (
        SELECT coalesce(counted.city_id, 0) AS city_id, word, least(coalesce(times, 0), 1000000000)::integer AS frequency,
            own.word IS NOT NULL AS curated
        FROM counted FULL JOIN (SELECT DISTINCT unnest(curated) AS word, 0::bigint AS city_id) AS own USING (city_id, word)
    ), gone AS (
        DELETE FROM search.word
        WHERE NOT EXISTS (SELECT FROM latest WHERE latest.city_id = word.city_id AND latest.word = word.word COLLATE "C")
    )
    INSERT INTO search.word AS known (city_id, word, frequency, curated)
    SELECT city_id, word, frequency, latest.curated FROM latest
    ON CONFLICT (city_id, word) DO UPDATE SET frequency = excluded.frequency, curated = excluded.curated
        WHERE (known.frequency, known.curated) IS DISTINCT FROM (excluded.frequency, excluded.curated);
    ANALYZE search.word;  -- plans made while it was small read all of it
    INSERT INTO search.words_counted (at) VALUES (public.app_now())
    ON CONFLICT (only_row) DO UPDATE SET at = excluded.at;
    RETURN (SELECT count(*) FROM search.word);
END $$;
