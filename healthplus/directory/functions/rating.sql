-- Return the mean of a provider's ratings, to one decimal, as it is shown; NULL without ratings.
CREATE OR REPLACE FUNCTION directory.rating_mean(p_total integer, p_count integer) RETURNS double precision
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT round(p_total::numeric / nullif(p_count, 0), 1)::double precision
$$;

-- Return what providers are ordered by: the mean with ten more ratings of 3.5 stars. By the plain mean one patient's 5 would
-- outrank a mean of 4.5 from two hundred. Ten hardly move the mean of many, and providers without ratings come in the middle.
CREATE OR REPLACE FUNCTION directory.rating_score(p_total integer, p_count integer) RETURNS real
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT ((p_total + 35) / (p_count + 10)::double precision)::real
$$;
