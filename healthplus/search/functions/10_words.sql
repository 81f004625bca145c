-- A text's words as they are compared: small letters without accents, letters of abbreviations put together (E.N.T., ent), and
-- what is not a letter or digit left out. From U+0900 to U+0DFF are India's scripts, whose vowel signs are no letters to a
-- regular expression.
CREATE FUNCTION search.words(p_text text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_remove(regexp_split_to_array(
        regexp_replace(
            translate(lower(public.unaccent('public.unaccent', p_text)), '''`’', ''),
            '\m([a-z])\.', '\1', 'g'),
        '[^a-z0-9\u0900-\u0dff]+'), '')
$$;
