-- Closing clinics and providers for good, and cities that are one.

-- Nobody can be booked at a clinic that is closed, and a provider who is closed nowhere: who is added there, or opened again, is closed since
-- then. Whether a provider can be booked at a clinic is thus said in one place. The rows are locked, so that of a closing and an opening at
-- the same moment the later sees the earlier.
CREATE OR REPLACE FUNCTION directory.keep_closed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    clinic_closed timestamptz;
    provider_closed timestamptz;
BEGIN
    SELECT closed_since INTO clinic_closed FROM directory.clinic WHERE clinic_id = NEW.clinic_id FOR NO KEY UPDATE;
    SELECT closed_since INTO provider_closed FROM directory.provider WHERE provider_id = NEW.provider_id FOR NO KEY UPDATE;
    NEW.closed_since := coalesce(NEW.closed_since, clinic_closed, provider_closed);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER keep_closed BEFORE INSERT OR UPDATE OF closed_since ON directory.provider_clinic
FOR EACH ROW EXECUTE FUNCTION directory.keep_closed();

CREATE FUNCTION directory.set_provider_closed(p_provider_id bigint, p_closed_at timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE directory.provider SET closed_since = p_closed_at
    WHERE provider_id = p_provider_id AND (closed_since IS NULL) IS DISTINCT FROM (p_closed_at IS NULL);
    RETURN FOUND;
END $$;

-- The id of the city at an address, also at a former one.
CREATE FUNCTION directory.city_at(p_slug text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT city_id FROM directory.city WHERE slug = p_slug
    UNION ALL
    SELECT city_id FROM directory.city_alias WHERE slug = p_slug
    LIMIT 1
$$;

-- Moves the clinics of one city to another, to which its addresses lead from then on, and removes it; how many clinics.
CREATE FUNCTION directory.merge_cities(p_city_id bigint, p_into_id bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    moved bigint;
    former text;
BEGIN
    PERFORM FROM directory.city WHERE city_id IN (p_city_id, p_into_id) ORDER BY city_id FOR UPDATE;
    UPDATE directory.clinic SET city_id = p_into_id WHERE city_id = p_city_id;
    GET DIAGNOSTICS moved = ROW_COUNT;
    UPDATE directory.city_alias SET city_id = p_into_id WHERE city_id = p_city_id;
    DELETE FROM directory.city WHERE city_id = p_city_id RETURNING slug INTO former;
    INSERT INTO directory.city_alias (slug, city_id) VALUES (former, p_into_id)
    ON CONFLICT (slug) DO UPDATE SET city_id = excluded.city_id;
    RETURN moved;
END $$;

-- Whether a clinic is closed, or a provider everywhere.
CREATE FUNCTION directory.is_place_closed(p_provider_id bigint, p_clinic_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM directory.clinic WHERE clinic_id = p_clinic_id AND closed_since IS NOT NULL)
        OR EXISTS (SELECT FROM directory.provider WHERE provider_id = p_provider_id AND closed_since IS NOT NULL)
$$;
