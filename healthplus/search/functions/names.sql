-- Return the words of a text as they begin names: without the titles, which begin too many, unless there is nothing else.
CREATE FUNCTION search.name_words(p_text text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        array_agg(word ORDER BY at) FILTER (WHERE word <> ALL ('{dr,drs,prof,professor,mr,mrs,ms,miss,shri,sri,smt,डो,डोक्टर,डाक्टर,प्रो,श्रि,श्रिमति}')),
        array_agg(word ORDER BY at), '{}')
    FROM unnest(search.words(p_text)) WITH ORDINALITY AS found(word, at)
$$;

-- Return the keys of a name: its words from each of the first eight on, followed by the words before that.
CREATE FUNCTION search.name_keys(p_name text) RETURNS TABLE (key text, whole boolean) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT left(array_to_string(words[first:] || words[:first - 1], ' '), 100), min(first) = 1
    FROM search.name_words(p_name) AS words, generate_series(1, least(cardinality(words), 8)) AS first
    WHERE first = 1 OR words[first] <> ALL ('{and,of,the,at,in,for}')
    GROUP BY 1
$$;

-- Bring the names of these clinics up to date; those with many providers are preferred.
CREATE FUNCTION search.refresh_clinic_names(p_clinic_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM directory.clinic WHERE clinic_id = ANY(p_clinic_ids) ORDER BY clinic_id FOR NO KEY UPDATE;
    DELETE FROM search.name WHERE kind = 'clinic' AND id = ANY(p_clinic_ids);
    INSERT INTO search.name (kind, id, city_id, key, preference)
    SELECT 'clinic', clinic_id, city_id, key, providers
    FROM directory.clinic
    CROSS JOIN LATERAL (SELECT count(*) AS providers FROM directory.provider_clinic AS post
        WHERE post.clinic_id = clinic.clinic_id AND post.closed_since IS NULL) AS c
    CROSS JOIN LATERAL search.name_keys(clinic.name)
    WHERE clinic_id = ANY(p_clinic_ids) AND providers > 0
    ON CONFLICT (id, kind, city_id, key) DO UPDATE SET preference = excluded.preference;
END $$;

-- Bring the names of these providers up to date, in each city where they work; those with many ratings are preferred. The lock
-- lets the later of two changes see the earlier: else a new name and a new clinic at the same moment would each miss the other.
CREATE FUNCTION search.refresh_names(p_provider_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM directory.provider WHERE provider_id = ANY(p_provider_ids) ORDER BY provider_id FOR NO KEY UPDATE;
    DELETE FROM search.name WHERE kind = 'provider' AND id = ANY(p_provider_ids);
    INSERT INTO search.name (kind, id, city_id, key, preference)
    SELECT 'provider', provider_id, city_id, key, rating_count
    FROM directory.provider
    CROSS JOIN LATERAL (
        SELECT DISTINCT city_id FROM directory.provider_clinic AS post JOIN directory.clinic USING (clinic_id)
        WHERE post.provider_id = provider.provider_id AND post.closed_since IS NULL) AS cities
    CROSS JOIN LATERAL search.name_keys(provider.name)
    WHERE provider_id = ANY(p_provider_ids)
    ON CONFLICT (id, kind, city_id, key) DO UPDATE SET preference = excluded.preference;
END $$;

-- Functions of triggers cannot be dropped, and are replaced in place.
CREATE OR REPLACE FUNCTION search.provider_renamed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(
        SELECT provider_id FROM new_rows JOIN old_rows USING (provider_id)
        WHERE (new_rows.name, new_rows.rating_count) IS DISTINCT FROM (old_rows.name, old_rows.rating_count));
BEGIN
    IF ids <> '{}' THEN
        PERFORM search.refresh_names(ids);
    END IF;
    RETURN NULL;
END $$;
-- New and removed providers need no trigger: they are added to and removed from clinics too.
CREATE OR REPLACE TRIGGER search_name_changed AFTER UPDATE ON directory.provider
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search.provider_renamed();

CREATE OR REPLACE FUNCTION search.provider_clinic_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    providers bigint[];
    clinics bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT provider_id), array_agg(DISTINCT clinic_id) INTO providers, clinics FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT provider_id), array_agg(DISTINCT clinic_id) INTO providers, clinics FROM old_rows;
    ELSE  -- only rows that were closed or opened, or have another provider or clinic; not those with another fee
        SELECT array_agg(DISTINCT provider_id), array_agg(DISTINCT clinic_id) INTO providers, clinics
        FROM (
            (SELECT provider_id, clinic_id, closed_since IS NULL FROM old_rows EXCEPT SELECT provider_id, clinic_id, closed_since IS NULL FROM new_rows)
            UNION ALL
            (SELECT provider_id, clinic_id, closed_since IS NULL FROM new_rows EXCEPT SELECT provider_id, clinic_id, closed_since IS NULL FROM old_rows)
        ) AS moved;
    END IF;
    IF providers IS NOT NULL THEN
        PERFORM search.refresh_clinic_names(clinics), search.refresh_names(providers);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER search_name_placed AFTER INSERT ON directory.provider_clinic
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search.provider_clinic_changed();
CREATE OR REPLACE TRIGGER search_name_displaced AFTER DELETE ON directory.provider_clinic
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION search.provider_clinic_changed();
CREATE OR REPLACE TRIGGER search_name_moved AFTER UPDATE ON directory.provider_clinic
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search.provider_clinic_changed();

CREATE OR REPLACE FUNCTION search.clinic_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint[] := ARRAY(
        SELECT clinic_id FROM new_rows JOIN old_rows USING (clinic_id)
        WHERE (new_rows.name, new_rows.city_id) IS DISTINCT FROM (old_rows.name, old_rows.city_id));
    moved bigint[] := ARRAY(
        SELECT DISTINCT provider_id
        FROM new_rows JOIN old_rows USING (clinic_id) JOIN directory.provider_clinic USING (clinic_id)
        WHERE new_rows.city_id <> old_rows.city_id);
BEGIN
    IF changed <> '{}' THEN
        PERFORM search.refresh_clinic_names(changed), search.refresh_names(moved);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER search_name_changed AFTER UPDATE ON directory.clinic
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search.clinic_changed();

-- Cities and specialities are few and seldom change: a row at a time.
CREATE OR REPLACE FUNCTION search.term_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- The table's own name is the kind, its column the id.
    its_kind search.term_kind := TG_TABLE_NAME;
    its_id bigint := (to_jsonb(coalesce(NEW, OLD)) ->> (TG_TABLE_NAME || '_id'))::bigint;
BEGIN
    DELETE FROM search.term WHERE kind = its_kind AND id = its_id;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search.term (kind, id, key, whole) SELECT its_kind, its_id, key, whole FROM search.name_keys(NEW.name);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER search_term AFTER INSERT OR DELETE OR UPDATE OF name ON directory.city
FOR EACH ROW EXECUTE FUNCTION search.term_changed();
CREATE OR REPLACE TRIGGER search_term AFTER INSERT OR DELETE OR UPDATE OF name ON directory.speciality
FOR EACH ROW EXECUTE FUNCTION search.term_changed();

-- The same of types of services.
CREATE OR REPLACE FUNCTION search.service_term_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM search.service_term WHERE service_type_id = coalesce(NEW.service_type_id, OLD.service_type_id);
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search.service_term (service_type_id, key, whole)
        SELECT NEW.service_type_id, key, whole FROM search.name_keys(NEW.name);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER search_term AFTER INSERT OR DELETE OR UPDATE OF name ON directory.service_type
FOR EACH ROW EXECUTE FUNCTION search.service_term_changed();
