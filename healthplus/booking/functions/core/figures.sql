-- How long things last. The server grants a hold and an offer five seconds more than clients are shown (CLIENT_MARGIN in
-- booking/book.py). Countdowns follow; the words "five minutes" and "a minute" in notices/texts.py and in the templates queue/join,
-- chart, hold and information/help do not.
CREATE FUNCTION booking.hold_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '305 seconds' $$;

CREATE FUNCTION booking.offer_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '65 seconds' $$;

CREATE FUNCTION booking.presence_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '60 seconds' $$;

CREATE FUNCTION booking.wait_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 hour' $$;

CREATE FUNCTION booking.idempotency_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '24 hours' $$;

CREATE FUNCTION booking.lapse_memory_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 day' $$;

-- Turns let go at a provider within lapse_memory_time, with which a patient may not queue there again.
CREATE FUNCTION booking.turns_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 2 $$;

-- Turns let go in a row in a queue, after which several tickets are called; how long one counts; how many are called at most.
CREATE FUNCTION booking.turns_before_calls() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 2 $$;

CREATE FUNCTION booking.turns_memory_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '1 hour' $$;

-- Callers whom one member of the staff may have waiting with a provider at once; and the age beyond which no ticket is alive: one that was
-- offered a time within its hour may hold it, the last of several offers, for a hold's time.
CREATE FUNCTION booking.phone_tickets_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;

CREATE FUNCTION booking.phone_ticket_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '90 minutes' $$;

CREATE FUNCTION booking.called_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 16 $$;

CREATE FUNCTION booking.lapses_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;

-- How much one account can have and do (docs/decisions/0034). Of a person's appointments ahead, some may be unpaid: not paid online.
CREATE FUNCTION booking.ahead_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 10 $$;

CREATE FUNCTION booking.unpaid_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;

CREATE FUNCTION booking.account_unpaid_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 6 $$;

-- How long staff can take back what they recorded of an appointment, or changed: until then its patient is not told, and no money goes.
CREATE FUNCTION booking.undo_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '3 minutes' $$;

CREATE FUNCTION booking.soon_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '2 hours' $$;

-- How often the person of one hold may be chosen before each time draws on the budget below.
CREATE FUNCTION booking.names_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 3 $$;

-- Holds and tickets that may come to nothing, and moves, within budget_time and within lapse_memory_time.
CREATE FUNCTION booking.budget_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 10 $$;

CREATE FUNCTION booking.budget_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '10 minutes' $$;

CREATE FUNCTION booking.daily_budget_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 30 $$;
