-- Sessions and their tokens. A token is said with its doctor's letter of the day, as A-047, so that no two at a clinic on a day are the same.

-- The token as it is said and shown; NULL: there is none.
CREATE FUNCTION reception.token_label(p_letter text, p_token integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT coalesce(p_letter || '-', '') || lpad(p_token::text, greatest(3, length(p_token::text)), '0')
$$;

-- When a day of a clinic is, in its zone.
CREATE FUNCTION reception.during_day(p_clinic_id bigint, p_day date) RETURNS tstzrange LANGUAGE sql STABLE AS $$
    SELECT tstzrange(p_day::timestamp AT TIME ZONE time_zone, (p_day + 1)::timestamp AT TIME ZONE time_zone)
    FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = p_clinic_id
$$;

-- The letter of a number from 1 on: A to Z, then AA to AZ, BA and so on.
CREATE FUNCTION reception.letter_of(p_number integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN p_number > 26 THEN chr(64 + (p_number - 1) / 26) ELSE '' END || chr(65 + (p_number - 1) % 26)
$$;

-- A doctor's letter at a clinic on a day: the one that they have; else the one of their place by name among those who work then; where another
-- has that, the first that is free. Of two who take the same at once, one waits for the other and takes the next.
CREATE FUNCTION reception.take_letter(p_clinic_id bigint, p_day date, p_provider_id bigint, p_now timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    day tstzrange := reception.during_day(p_clinic_id, p_day);
    place integer;
    number integer := 0;
    taken text;
BEGIN
    SELECT letter INTO taken FROM reception.letter WHERE clinic_id = p_clinic_id AND letter.day = p_day AND provider_id = p_provider_id;
    IF FOUND THEN
        RETURN taken;
    END IF;
    SELECT count(*) + 1 INTO place
    FROM directory.provider_clinic JOIN directory.provider USING (provider_id)
    WHERE clinic_id = p_clinic_id AND (provider.name, provider_id) < (
            SELECT own.name, own.provider_id FROM directory.provider AS own WHERE own.provider_id = p_provider_id)
        AND EXISTS (SELECT FROM schedule.openings(provider_id, p_clinic_id, lower(day), upper(day), p_now));
    LOOP
        INSERT INTO reception.letter (clinic_id, day, provider_id, letter)
        VALUES (p_clinic_id, p_day, p_provider_id, reception.letter_of(CASE number WHEN 0 THEN place ELSE number END))
        ON CONFLICT DO NOTHING RETURNING letter INTO taken;
        IF FOUND THEN
            RETURN taken;
        END IF;
        number := number + 1;
    END LOOP;
END $$;

-- Begins a session of a provider at a clinic, under the lock of their book. Tokens go on through a doctor's day: none is given twice on it.
CREATE FUNCTION reception.begin_session(p_provider_id bigint, p_clinic_id bigint, p_during tstzrange, p_now timestamptz)
RETURNS reception.session LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    begun reception.session;
    on_day date;
BEGIN
    SELECT (lower(p_during) AT TIME ZONE time_zone)::date INTO on_day
    FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = p_clinic_id;
    INSERT INTO reception.session (provider_id, clinic_id, during, day, letter)
    VALUES (p_provider_id, p_clinic_id, p_during, on_day, reception.take_letter(p_clinic_id, on_day, p_provider_id, p_now))
    RETURNING * INTO begun;
    RETURN begun;
END $$;

-- Gives the next token of a session, under the lock of the provider's book.
CREATE FUNCTION reception.next_token(p_provider_id bigint, p_session_id uuid) RETURNS integer LANGUAGE sql VOLATILE AS $$
    UPDATE reception.session SET last_token = 1 + (
        SELECT max(same.last_token) FROM reception.session AS same
        WHERE same.provider_id = session.provider_id AND (same.session_id = session.session_id
            OR same.clinic_id = session.clinic_id AND same.day = session.day))
    WHERE provider_id = p_provider_id AND session_id = p_session_id RETURNING last_token
$$;
