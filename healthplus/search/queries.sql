-- name: words
-- The words of a text, as they are compared.
SELECT search.words($1)

-- name: name_words
-- The words of a text, as they begin names.
SELECT coalesce(search.name_words($1), '{}')

-- name: look_up
-- What the database has of a keyword: $1 slugs of cities, $2 of specialities, $3 phrases, $4 words, $5 the city searched in, or
-- NULL, $6 slugs of services, of which only those count that somebody offers. Of each name a hundred providers have, at
-- most; $7 are phrases after a title, which may be a first or last name alone: of a thousand who have it, the preferred hundred.
-- Words come with how often they occur everywhere (city 0), in that city, and in the cities that the phrases name.
WITH cities AS (
    SELECT city_id, slug, NULL::text AS phrase FROM directory.city WHERE slug = ANY($1::text[])
    UNION ALL
    SELECT id, NULL, key FROM search.term WHERE key = ANY($3::text[]) AND kind = 'city' AND whole
    UNION ALL
    SELECT city_id, NULL, replace(slug, '-', ' ') FROM directory.city_alias
    WHERE slug = ANY(SELECT replace(phrase, ' ', '-') FROM unnest($3::text[]) AS phrase)
)
SELECT 'city' AS kind, city_id AS id, slug, phrase, NULL::integer AS frequency FROM cities
UNION ALL
SELECT 'speciality', speciality_id, slug, NULL, NULL FROM directory.speciality WHERE slug = ANY($2::text[])
UNION ALL
SELECT 'speciality', id, NULL, key, NULL FROM search.term WHERE key = ANY($3::text[]) AND kind = 'speciality' AND whole
UNION ALL
SELECT 'service', service_type_id, slug, phrase, NULL
FROM (
    SELECT service_type_id, slug, NULL AS phrase FROM directory.service_type WHERE slug = ANY($6::text[])
    UNION ALL
    SELECT service_type_id, NULL, key FROM search.service_term WHERE key = ANY($3::text[]) AND whole
) AS service
WHERE EXISTS (SELECT FROM directory.service AS offer WHERE offer.service_type_id = service.service_type_id AND closed_at IS NULL)
UNION ALL
SELECT 'provider', id, NULL, phrase, NULL
FROM unnest($3::text[]) AS phrase
CROSS JOIN LATERAL (
    SELECT id FROM search.name WHERE key = phrase AND kind = 'provider' AND ($5::bigint IS NULL OR city_id = $5) LIMIT 100) AS named -- noqa: AM09
UNION ALL
SELECT 'titled', id, NULL, phrase, NULL
FROM unnest($7::text[]) AS phrase
CROSS JOIN LATERAL (
    SELECT id
    FROM (
        SELECT id, preference FROM search.name
        WHERE key >= phrase || ' ' AND key < phrase || '!' AND kind = 'provider' AND ($5::bigint IS NULL OR city_id = $5)
        LIMIT 1000) AS begun -- noqa: AM09
    ORDER BY preference DESC, id
    LIMIT 100) AS named
UNION ALL
SELECT 'word', city_id, NULL, word, frequency
FROM search.word
WHERE word = ANY($4::text[]) AND city_id = ANY(ARRAY[0, $5::bigint] || ARRAY(SELECT city_id FROM cities))

-- name: near_words
-- Words like those typed: $1 the words, $2 and $3 pairs of a word and an edit of it, $4 the city searched in, or NULL.
-- By likeness, by sound, and by an edit of one letter, since words of four letters share few trigrams with their misspellings.
WITH near AS (
    SELECT typed.word AS typed, near.word
    FROM unnest($1::text[]) AS typed(word)
    CROSS JOIN LATERAL (
        SELECT word FROM search.word
        WHERE city_id = 0 AND word.word OPERATOR(public.%) typed.word
        ORDER BY public.similarity(word.word, typed.word) DESC
        LIMIT 40) AS near
    UNION
    SELECT typed.word AS typed, near.word
    FROM unnest($1::text[]) AS typed(word)
    CROSS JOIN LATERAL (
        SELECT word FROM search.word
        WHERE city_id = 0 AND public.dmetaphone(word.word) = public.dmetaphone(typed.word) AND left(word.word, 1) = left(typed.word, 1)
        ORDER BY abs(length(word.word) - length(typed.word)), frequency DESC
        LIMIT 60) AS near
    UNION
    SELECT typed, word FROM unnest($2::text[], $3::text[]) AS edit(typed, word)
    UNION
    SELECT typed.word AS typed, typed.word FROM unnest($1::text[]) AS typed(word)
)
SELECT typed, everywhere.word, everywhere.frequency, everywhere.curated, coalesce(own.frequency, 0) AS frequency_here
FROM near
-- LIMIT: a look-up for each, instead of one pass over all words.
CROSS JOIN LATERAL (SELECT * FROM search.word WHERE city_id = 0 AND word = near.word LIMIT 1) AS everywhere -- noqa: AM09
LEFT JOIN LATERAL (SELECT * FROM search.word WHERE city_id = $4::bigint AND word = near.word LIMIT 1) AS own ON true -- noqa: AM09

-- name: count_words
-- Count the directory's words; $1 are the curated ones.
SELECT search.count_words($1::text[])

-- name: count_words_if_due
-- The same, if the last count is an hour old or had other curated words, and no other process is counting.
SELECT search.count_words($1::text[])
WHERE NOT EXISTS (
    SELECT FROM search.words_counted
    WHERE at > public.app_now() - interval '1 hour'
        AND $1::text[] = ARRAY(SELECT word FROM search.word WHERE city_id = 0 AND curated ORDER BY word))
    AND pg_try_advisory_xact_lock(18, 3)

-- name: suggested_terms
-- Cities, specialities and services that somebody offers, whose name, from any of its words on, starts with $1, and those with a
-- slug ($2 cities, $3 specialities, $4 services). `from_first_word` is true for the whole name, false from another word on, NULL by
-- slug.
SELECT kind, coalesce(city.slug, speciality.slug, service_type.slug) AS slug,
    coalesce(city.name, speciality.name, service_type.name) AS name, from_first_word
FROM (
    SELECT kind, id, bool_or(from_first_word) AS from_first_word
    FROM (
        (SELECT kind::text, id, whole FROM search.term WHERE key >= $1 AND key < $1 || chr(1114111) ORDER BY key LIMIT 200)
        UNION ALL
        (SELECT 'service', service_type_id, whole FROM search.service_term WHERE key >= $1 AND key < $1 || chr(1114111)
        ORDER BY key LIMIT 200)
        UNION ALL
        SELECT 'city', city_id, NULL FROM directory.city WHERE slug = ANY($2::text[])
        UNION ALL
        SELECT 'speciality', speciality_id, NULL FROM directory.speciality WHERE slug = ANY($3::text[])
        UNION ALL
        SELECT 'service', service_type_id, NULL FROM directory.service_type WHERE slug = ANY($4::text[])
    ) AS found(kind, id, from_first_word)
    GROUP BY kind, id
) AS found
LEFT JOIN directory.city ON kind = 'city' AND city_id = id
LEFT JOIN directory.speciality ON kind = 'speciality' AND speciality_id = id
LEFT JOIN directory.service_type ON kind = 'service' AND service_type_id = id
WHERE kind <> 'service' OR EXISTS (SELECT FROM directory.service AS offer WHERE offer.service_type_id = id AND closed_at IS NULL)
ORDER BY from_first_word DESC NULLS LAST, kind DESC, name

-- name: suggested_names
-- Providers and clinics whose name, from any of its words on, starts with $1, in the city $2 or (NULL) anywhere, the preferred
-- first, at most $3. The work is bounded: the first 200 matches in order of the alphabet, and, where there are more, those among
-- the 1000 most preferred names with the same first three letters. Two letters are looked up within a city only.
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
    -- A hospital that can be booked itself is not suggested as a clinic as well.
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
