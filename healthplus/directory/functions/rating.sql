-- What is shown of a provider's ratings: their mean, to one decimal; NULL when nobody has rated.
CREATE OR REPLACE FUNCTION directory.rating_mean(p_total integer, p_count integer) RETURNS double precision
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT round(p_total::numeric / nullif(p_count, 0), 1)::double precision
$$;

-- What providers are ordered by: the mean as if ten others had given 3.5 stars each. By the plain mean one patient's 5 would
-- outrank two hundred with 4.5; who has many ratings is hardly moved by ten, and who has none comes in the middle.
CREATE OR REPLACE FUNCTION directory.rating_score(p_total integer, p_count integer) RETURNS real
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT ((p_total + 35) / (p_count + 10)::double precision)::real
$$;
