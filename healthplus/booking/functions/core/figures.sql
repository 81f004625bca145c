-- How long things last. The server grants a hold and an offer five seconds more than clients are shown (CLIENT_MARGIN in
-- booking/book.py). Countdowns follow; the words "five minutes" and "a minute" in notices/texts.py and in the templates queue/join,
-- chart, hold and information/help do not.
CREATE FUNCTION booking.hold_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '305 seconds' $$;

CREATE FUNCTION booking.offer_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '65 seconds' $$;

CREATE FUNCTION booking.presence_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '60 seconds' $$;

CREATE FUNCTION booking.wait_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 hour' $$;

CREATE FUNCTION booking.idempotency_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '24 hours' $$;

CREATE FUNCTION booking.lapse_memory_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 day' $$;

CREATE FUNCTION booking.lapses_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;
