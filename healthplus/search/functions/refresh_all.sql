-- Works out again all that search keeps of the directory, for a migration that runs after the functions: those that work it out
-- may have changed. A thousand at a time, so that nobody who changes the directory waits long.
CREATE PROCEDURE search.refresh_all() LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    last_id bigint := 0;
BEGIN
    DELETE FROM search.term;
    INSERT INTO search.term (kind, id, key, whole)
    SELECT 'city'::search.term_kind, city_id, key, whole FROM directory.city CROSS JOIN LATERAL search.name_keys(name)
    UNION ALL
    SELECT 'speciality', speciality_id, key, whole FROM directory.speciality CROSS JOIN LATERAL search.name_keys(name)
    ON CONFLICT DO NOTHING;  -- of a city that was added meanwhile
    DELETE FROM search.service_term;
    INSERT INTO search.service_term (service_type_id, key, whole)
    SELECT service_type_id, key, whole FROM directory.service_type CROSS JOIN LATERAL search.name_keys(name)
    ON CONFLICT DO NOTHING;
    COMMIT;
    LOOP
        ids := ARRAY(SELECT clinic_id FROM directory.clinic WHERE clinic_id > last_id ORDER BY clinic_id LIMIT 1000);
        EXIT WHEN ids = '{}';
        last_id := ids[cardinality(ids)];
        PERFORM search.refresh_clinic_names(ids);
        COMMIT;
    END LOOP;
    last_id := 0;
    LOOP
        ids := ARRAY(SELECT provider_id FROM directory.provider WHERE provider_id > last_id ORDER BY provider_id LIMIT 1000);
        EXIT WHEN ids = '{}';
        last_id := ids[cardinality(ids)];
        PERFORM search.refresh_listings(ids), search.refresh_names(ids);
        COMMIT;
    END LOOP;
END $$;
