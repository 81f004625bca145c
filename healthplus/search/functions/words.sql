-- Return a text with one spelling of the letters that are written in several ways: no quotes, joiners, nukta or vowels above Arabic
-- letters, candrabindu as anusvara, nasals before their own consonants as anusvara, short i and u for long, digits of ours.
CREATE FUNCTION search.folded(p_text text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(p_text) > length(p_text) THEN
        regexp_replace(
            translate(p_text,
                U&'\0901\0981\0A81\0B01\0C00\0911\0949\090D\0945\0908\0940\090A\0942'
                || U&'\0D7A\0D7B\0D7C\0D7D\0D7E\0D7F'
                || U&'\0622\0623\0625\0671\0643\0649\064A\06C0\06C1\0647\0629'
                || U&'\0660\0661\0662\0663\0664\0665\0666\0667\0668\0669\06F0\06F1\06F2\06F3\06F4\06F5\06F6\06F7\06F8\06F9'
                || U&'\0966\0967\0968\0969\096A\096B\096C\096D\096E\096F\09E6\09E7\09E8\09E9\09EA\09EB\09EC\09ED\09EE\09EF'
                || U&'\0027\0060\2018\2019\200B\200C\200D\200E\200F\00AD\2060\FEFF\093C\09BC\0A3C\0ABC\0B3C\0CBC\0D4D'
                || U&'\0640\064B\064C\064D\064E\064F\0650\0651\0652\0670',
                U&'\0902\0982\0A82\0B02\0C02\0913\094B\090F\0947\0907\093F\0909\0941'
                || U&'\0D23\0D28\0D30\0D32\0D33\0D15'
                || U&'\0627\0627\0627\0627\06A9\06CC\06CC\06C1\06C1\06C1\06C1'
                || '0123456789012345678901234567890123456789'),
            U&'\0919\094D(?=[\0915-\0918])|\091E\094D(?=[\091A-\091D])|\0923\094D(?=[\091F-\0922])|\0928\094D(?=[\0924-\0927])|\092E\094D(?=[\092A-\092D])',
            U&'\0902', 'g')
        ELSE translate(p_text, '''`', '') END
$$;

-- Return the words of a text as they are compared, in any script: in small letters, with one spelling of what scripts write in several
-- ways, only letters and digits kept, and letters that stand alone joined (E.N.T. and K V Rao have the words ent, and kv and rao).
-- vocabulary.py has the same for what is typed.
CREATE FUNCTION search.words(p_text text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_remove(regexp_split_to_array(
        -- in two steps, so that M.B.B.S. M.D. are two words
        regexp_replace(
            regexp_replace(
                search.folded(lower(public.unaccent('public.unaccent', normalize(p_text, NFKC)))), '\m([a-z])\.(?=[a-z]\M)', '\1', 'g'),
            '\m([a-z])[. ]+(?=[a-z]\M)', '\1', 'g'),
        -- whatever is no letter, sign or digit in any script that has spaces; what is left between two of these is a word
        '[\u0001-\u002f\u003a-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u0589\u05be\u060c\u061b\u061d-\u061f\u066a-\u066d\u06d4\u0964\u0965\u0970\u0df4\u2000-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\ue000-\uf8ff\ufffc\ufffd\U0001f000-\U0001faff]+'), '')
$$;
