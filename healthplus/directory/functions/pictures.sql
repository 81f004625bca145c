-- Pictures that a clinic's office has, as they were encoded: of providers one each, of clinics up to six in an order.

-- Keeps a picture in its sizes; what nobody names a day later is deleted.
CREATE FUNCTION directory.store_photo(p_hash text, p_sizes smallint[], p_webps bytea[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO directory.photo (hash, size, webp, stored_at)
    SELECT p_hash, size, webp, public.app_now() FROM unnest(p_sizes, p_webps) AS given(size, webp)
    ON CONFLICT (hash, size) DO UPDATE SET stored_at = excluded.stored_at;
END $$;

-- Gives a provider a photo, or (p_hash NULL) takes it away.
CREATE FUNCTION directory.set_photo(p_provider_id bigint, p_hash text, p_sizes smallint[], p_webps bytea[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF p_hash IS NULL THEN
        DELETE FROM directory.provider_photo WHERE provider_id = p_provider_id;
        RETURN;
    END IF;
    PERFORM directory.store_photo(p_hash, p_sizes, p_webps);
    INSERT INTO directory.provider_photo (provider_id, hash, source) VALUES (p_provider_id, p_hash, '')
    ON CONFLICT (provider_id) DO UPDATE SET hash = excluded.hash, source = excluded.source;
END $$;

CREATE FUNCTION directory.clinic_pictures(p_clinic_id bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('hash', hash, 'text', text) ORDER BY position), '[]')
    FROM directory.clinic_picture WHERE clinic_id = p_clinic_id
$$;

-- Adds a picture of a clinic after the others: 'added', 'there' (it has this one), 'full' or 'not_found'.
CREATE FUNCTION directory.add_clinic_picture(p_clinic_id bigint, p_hash text, p_sizes smallint[], p_webps bytea[], p_text text)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    next integer;
BEGIN
    PERFORM FROM directory.clinic WHERE clinic_id = p_clinic_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF EXISTS (SELECT FROM directory.clinic_picture WHERE clinic_id = p_clinic_id AND hash = p_hash) THEN
        RETURN 'there';
    END IF;
    SELECT coalesce(max(position), 0) + 1 INTO next FROM directory.clinic_picture WHERE clinic_id = p_clinic_id;
    IF next > 6 THEN
        RETURN 'full';
    END IF;
    PERFORM directory.store_photo(p_hash, p_sizes, p_webps);
    INSERT INTO directory.clinic_picture (clinic_id, position, hash, source, text) VALUES (p_clinic_id, next, p_hash, '', p_text);
    RETURN 'added';
END $$;

-- Says what is to be seen on a picture of a clinic, and puts it in a place among the others, or (p_place NULL) takes it away: 'done' or
-- 'not_found'.
CREATE FUNCTION directory.change_clinic_picture(p_clinic_id bigint, p_hash text, p_text text, p_place integer)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known directory.clinic_picture[];
BEGIN
    PERFORM FROM directory.clinic WHERE clinic_id = p_clinic_id FOR NO KEY UPDATE;
    SELECT array_agg(clinic_picture ORDER BY position) INTO known FROM directory.clinic_picture WHERE clinic_id = p_clinic_id;
    IF NOT EXISTS (SELECT FROM unnest(known) AS one WHERE one.hash = p_hash) THEN
        RETURN 'not_found';
    END IF;
    DELETE FROM directory.clinic_picture WHERE clinic_id = p_clinic_id;
    INSERT INTO directory.clinic_picture (clinic_id, position, hash, source, text)
    SELECT p_clinic_id, row_number() OVER (ORDER BY wanted), hash, source, CASE hash WHEN p_hash THEN p_text ELSE text END
    FROM unnest(known) AS one
    -- Between those that it is to stand between: later than its own place now, it comes after the one there, else before it.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN hash <> p_hash THEN position WHEN p_place > position THEN p_place + 0.5 WHEN p_place < position THEN p_place - 0.5
            ELSE position END AS wanted) AS placed
    WHERE hash <> p_hash OR p_place IS NOT NULL;
    RETURN 'done';
END $$;
