-- name: words
-- A text as it is compared.
SELECT search.words($1)

-- name: name_words
-- A text as the start of a name.
SELECT coalesce(search.name_words($1), '{}')

-- name: look_up
-- What the database knows of a keyword: $1 slugs of cities, $2 of specialities, $3 phrases, $4 words, $5 the city searched in,
-- or NULL. Words come with how often they are said everywhere (0), there, and in the cities that the phrases name.
WITH cities AS (
    SELECT city_id, slug, NULL::text AS phrase FROM directory.city WHERE slug = ANY($1::text[])
    UNION ALL
    SELECT id, NULL, key FROM search.term WHERE key = ANY($3::text[]) AND kind = 'city' AND whole
)
SELECT 'city' AS kind, city_id AS id, slug, phrase, NULL::integer AS frequency FROM cities
UNION ALL
SELECT 'speciality', speciality_id, slug, NULL, NULL FROM directory.speciality WHERE slug = ANY($2::text[])
UNION ALL
SELECT 'speciality', id, NULL, key, NULL FROM search.term WHERE key = ANY($3::text[]) AND kind = 'speciality' AND whole
UNION ALL
SELECT 'word', city_id, NULL, word, frequency
FROM search.word
WHERE word = ANY($4::text[]) AND city_id = ANY(ARRAY[0, $5::bigint] || ARRAY(SELECT city_id FROM cities))

-- name: near_words
-- Words like those asked about: $1 the words, $2 and $3 pairs of a word and an edit of it, $4 the city searched in, or NULL.
-- By likeness, by sound, and by an edit of one letter, since words of four letters share few trigrams with their misspellings.
WITH near AS (
    SELECT asked.word AS asked, near.word
    FROM unnest($1::text[]) AS asked(word)
    CROSS JOIN LATERAL (
        SELECT word FROM search.word
        WHERE city_id = 0 AND word.word OPERATOR(public.%) asked.word
        ORDER BY public.similarity(word.word, asked.word) DESC
        LIMIT 40) AS near
    UNION
    SELECT asked.word, near.word
    FROM unnest($1::text[]) AS asked(word)
    CROSS JOIN LATERAL (
        SELECT word FROM search.word
        WHERE city_id = 0 AND public.dmetaphone(word.word) = public.dmetaphone(asked.word) AND left(word.word, 1) = left(asked.word, 1)
        ORDER BY abs(length(word.word) - length(asked.word)), frequency DESC
        LIMIT 60) AS near
    UNION
    SELECT asked, word FROM unnest($2::text[], $3::text[]) AS edit(asked, word)
    UNION
    SELECT asked.word, asked.word FROM unnest($1::text[]) AS asked(word)
)
SELECT asked, everywhere.word, everywhere.frequency, everywhere.curated, coalesce(own.frequency, 0) AS frequency_here
FROM near
-- LIMIT: a look-up for each, and not one pass over all words there are.
CROSS JOIN LATERAL (SELECT * FROM search.word WHERE city_id = 0 AND word = near.word LIMIT 1) AS everywhere
LEFT JOIN LATERAL (SELECT * FROM search.word WHERE city_id = $4::bigint AND word = near.word LIMIT 1) AS own ON true

-- name: learn_words
-- Count the directory's words; $1 are the curated ones.
SELECT search.learn_words($1::text[])

-- name: learn_stale_words
-- The same, where an hour has passed or the curated words are not these, unless somebody is at it.
SELECT search.learn_words($1::text[])
WHERE NOT EXISTS (
    SELECT FROM search.words_learnt
    WHERE at > public.app_now() - interval '1 hour'
        AND $1::text[] = ARRAY(SELECT word FROM search.word WHERE city_id = 0 AND curated ORDER BY word))
    AND pg_try_advisory_xact_lock(18, 3)

-- name: city_named
-- The city of a slug.
SELECT city_id FROM directory.city WHERE slug = $1

-- name: suggested_terms
-- Cities and specialities by the start of any word of their name ($1), which they are called by, and by slug ($2 cities, $3
-- specialities): `called_so` is true for the start of the name, false for that of another word, NULL by slug.
SELECT kind::text, coalesce(city.slug, speciality.slug) AS slug, coalesce(city.name, speciality.name) AS name, called_so
FROM (
    SELECT kind, id, bool_or(called_so) AS called_so
    FROM (
        (SELECT kind, id, whole FROM search.term WHERE key >= $1 AND key < $1 || chr(1114111) ORDER BY key LIMIT 200)
        UNION ALL
        SELECT 'city', city_id, NULL FROM directory.city WHERE slug = ANY($2::text[])
        UNION ALL
        SELECT 'speciality', speciality_id, NULL FROM directory.speciality WHERE slug = ANY($3::text[])
    ) AS found(kind, id, called_so)
    GROUP BY kind, id
) AS found
LEFT JOIN directory.city ON kind = 'city' AND city_id = id
LEFT JOIN directory.speciality ON kind = 'speciality' AND speciality_id = id
ORDER BY called_so DESC NULLS LAST, kind DESC, name

-- name: suggested_names
-- Providers and clinics with a word of their name from which on it starts with $1, in a city or (NULL) anywhere ($2), the
-- preferred first, $3 at most. The work is bounded: of the names that fit, the first 200 in order; if there are more, some that
-- are missing are among the 1000 most preferred with the same three letters. Two letters are looked for within a city only.
WITH ranged AS MATERIALIZED (
    (SELECT name.* FROM search.name
    WHERE $2::bigint IS NULL AND length($1) >= 3 AND key >= $1 AND key < $1 || chr(1114111)
    ORDER BY key LIMIT 200)
    UNION ALL
    (SELECT name.* FROM search.name
    WHERE city_id = $2 AND key >= $1 AND key < $1 || chr(1114111)
    ORDER BY key LIMIT 200)
), preferred AS MATERIALIZED (
    (SELECT name.* FROM search.name
    WHERE $2 IS NULL AND length($1) >= 3 AND (SELECT count(*) FROM ranged) = 200 AND left(key, 3) = left($1, 3)
    ORDER BY preference DESC LIMIT 1000)
    UNION ALL
    (SELECT name.* FROM search.name
    WHERE city_id = $2 AND length($1) >= 3 AND (SELECT count(*) FROM ranged) = 200 AND left(key, 3) = left($1, 3)
    ORDER BY preference DESC LIMIT 1000)
), fitting AS (
    SELECT *, bool_or(kind = 'provider') OVER (PARTITION BY city_id, key) AS has_provider
    FROM (SELECT * FROM ranged UNION SELECT * FROM preferred WHERE key >= $1 AND key < $1 || chr(1114111)) AS either
), best AS (
    SELECT kind, id, min(city_id) AS city_id, max(preference) AS preference, min(key) AS key
    FROM fitting
    -- A hospital that is booked as such is not offered as a place as well.
    WHERE kind = 'provider' OR NOT has_provider
    GROUP BY kind, id
    ORDER BY max(preference) DESC, min(key), kind, id
    LIMIT $3
)
SELECT best.kind::text, id, coalesce(provider.name, clinic.name) AS name, city.slug AS city, city.name AS city_name,
    ARRAY(
        SELECT speciality.name FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
        WHERE provider_id = provider.provider_id ORDER BY speciality.name LIMIT 3) AS specialities
FROM best
JOIN directory.city USING (city_id)
LEFT JOIN directory.provider ON best.kind = 'provider' AND provider_id = id
LEFT JOIN directory.clinic ON best.kind = 'clinic' AND clinic_id = id
ORDER BY preference DESC, key, best.kind, id
