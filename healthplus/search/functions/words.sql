-- Return the words of a text as they are compared: in small letters without accents, with abbreviations joined (E.N.T. is ent)
-- and only letters and digits kept. U+0900 to U+0DFF are India's scripts, whose vowel signs are no letters to a regular
-- expression.
CREATE FUNCTION search.words(p_text text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_remove(regexp_split_to_array(
        regexp_replace(
            translate(lower(public.unaccent('public.unaccent', p_text)), '''`’', ''),
            '\m([a-z])\.', '\1', 'g'),
        '[^a-z0-9\u0900-\u0dff]+'), '')
$$;
