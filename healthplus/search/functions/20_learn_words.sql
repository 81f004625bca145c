-- Count the directory's words anew. p_curated: the product's own, or NULL for those that were given last time. Gives how many
-- rows there are now. Without sequential scans, which sessions do without, it would read whole tables by their indexes.
CREATE FUNCTION search.learn_words(p_curated text[] DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = on SET work_mem = '64MB' AS $$
DECLARE
    curated text[];
BEGIN
    PERFORM pg_advisory_xact_lock(18, 3);  -- of two who count at once, one would run into rows of the other
    curated := coalesce(p_curated, ARRAY(SELECT word FROM search.word WHERE city_id = 0 AND word.curated));
    WITH said AS (
        SELECT city_id, clinic.name AS words, count(*) AS times FROM directory.clinic GROUP BY 1, 2
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
        SELECT city_id, lab_test.name, count(*)
        FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
        JOIN directory.provider_lab_test USING (provider_id) JOIN directory.lab_test USING (lab_test_id)
        GROUP BY 1, 2
    ), counted AS (
        SELECT coalesce(city_id, 0) AS city_id, word, sum(times) AS times
        FROM said CROSS JOIN LATERAL unnest(search.words(words)) AS word
        WHERE word ~ '^[a-z][a-z0-9]{1,39}$'
        GROUP BY GROUPING SETS ((city_id, word), (word))
    ), now_so AS MATERIALIZED (
        SELECT coalesce(counted.city_id, 0) AS city_id, word, least(coalesce(times, 0), 1000000000)::integer AS frequency,
            own.word IS NOT NULL AS curated
        FROM counted FULL JOIN (SELECT DISTINCT unnest(curated) AS word, 0::bigint AS city_id) AS own USING (city_id, word)
    ), gone AS (
        DELETE FROM search.word
        WHERE NOT EXISTS (SELECT FROM now_so WHERE now_so.city_id = word.city_id AND now_so.word = word.word COLLATE "C")
    )
    INSERT INTO search.word AS known (city_id, word, frequency, curated)
    SELECT city_id, word, frequency, now_so.curated FROM now_so
    ON CONFLICT (city_id, word) DO UPDATE SET frequency = excluded.frequency, curated = excluded.curated
        WHERE (known.frequency, known.curated) IS DISTINCT FROM (excluded.frequency, excluded.curated);
    ANALYZE search.word;  -- plans made while it was small read all of it
    INSERT INTO search.words_learnt (at) VALUES (public.app_now())
    ON CONFLICT (only_row) DO UPDATE SET at = excluded.at;
    RETURN (SELECT count(*) FROM search.word);
END $$;
