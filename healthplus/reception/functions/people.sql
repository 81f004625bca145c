-- Whom a clinic knows: who was booked there, or added by its desk. Everybody else's name stays hidden from it.
--
-- A booking writes nothing of this: the desk that looks for somebody first reads the events since it last did, so that who booked a moment
-- ago is known, and confirming costs what it did. What was booked before its first look it reads in parts.

-- How a word sounds, in small letters: the same for most spellings of a name in Latin and in Devanagari letters (Verma, Varma, वर्मा: "vrm").
-- Consonants, those that are confused as one; of vowels only the first.
CREATE FUNCTION reception.sound_of(p_word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(left(heard, 1) || regexp_replace(substr(heard, 2), '[aeiouyh]', '', 'g'), '(.)\1+', '\1', 'g')
    FROM (SELECT translate(
        regexp_replace(replace(replace(replace(replace(
            translate(p_word, 'कखगघङचछजझञटठडढणतथदधनपफबभमयरलळवशषसहअआइईउऊएऐओऔऋृंँािीुूेैोौॉॅ्ः़',
                'kkggnççjjnttddnttddnpfbbmyrllvssshaaiiuuiiuurrnn'),
            'ch', 'ç'), 'x', 'ks'), 'ngh', 'nh'), 'ph', 'f'), '^(ai|e)', 'i'), 'wzqco', 'vjkku')) AS spelt (heard)
$$;

-- The words of a name or of what is looked for, in small letters without accents and joiners. U+0900 to U+0DFF are India's scripts. Here and
-- not by healthplus/text.py, as the names are those of rows.
CREATE FUNCTION reception.words_of(p_text text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_remove(regexp_split_to_array(
        translate(lower(public.unaccent('public.unaccent', normalize(p_text, NFC))), U&'''`\2019\200C\200D', ''), '[^a-z0-9\u0900-\u0dff]+'), '')
$$;

-- What a person is found by at a clinic: the clinic (c…), the last four digits of the account's number (p…), each word of the name (n…),
-- and how it sounds (s…).
CREATE FUNCTION reception.lexemes(p_clinic_id bigint, p_patient_id bigint, p_name text) RETURNS tsvector LANGUAGE sql STABLE AS $$
    SELECT array_to_tsvector(ARRAY['c' || p_clinic_id]
        || coalesce((SELECT ARRAY['p' || right(phone, 4)] FROM accounts.patient WHERE patient_id = p_patient_id AND phone IS NOT NULL), '{}')
        || coalesce((SELECT array_agg('n' || word) || array_agg('s' || reception.sound_of(word))
            FROM unnest(reception.words_of(p_name)) AS word), '{}'))
$$;

-- What finds persons of a clinic by words of which each begins one of their name's, or (p_by_sound) sounds as one; NULL: no words.
CREATE FUNCTION reception.query_for(p_clinic_id bigint, p_words text[], p_by_sound boolean) RETURNS tsquery LANGUAGE sql STABLE AS $$
    SELECT (format('%L & ', 'c' || p_clinic_id) || string_agg(
        CASE WHEN NOT p_by_sound THEN format('%L:*', 'n' || word)
            -- a short sound begins too many names
            ELSE format('%L' || CASE WHEN length(reception.sound_of(word)) > 2 THEN ':*' ELSE '' END, 's' || reception.sound_of(word)) END,
        ' & '))::tsquery
    FROM unnest(p_words) AS word
$$;

-- The person whom an appointment is for; of the release before, it may name none.
CREATE FUNCTION reception.person_id_of(p_booking booking.booking) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT coalesce(p_booking.person_id, (
        SELECT person_id FROM accounts.person WHERE person.patient_id = p_booking.patient_id AND is_holder))
$$;

-- Notes that a clinic knows those whom some bookings of a provider are for.
CREATE FUNCTION reception.meet_booked(p_clinic_id bigint, p_provider_id bigint, p_booking_ids uuid[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO reception.clinic_person (clinic_id, person_id, words, known_at)
    SELECT p_clinic_id, person.person_id, reception.lexemes(p_clinic_id, person.patient_id, person.name), first_at
    FROM (
        SELECT reception.person_id_of(booking) AS person_id, min(created_at) AS first_at
        FROM booking.booking
        WHERE provider_id = p_provider_id AND booking_id = ANY (p_booking_ids) AND clinic_id = p_clinic_id
            AND state NOT IN ('reserved', 'expired', 'released')
        GROUP BY 1) AS met
    JOIN accounts.person USING (person_id)
    WHERE removed_at IS NULL AND NOT EXISTS (
        SELECT FROM reception.clinic_person AS known WHERE known.clinic_id = p_clinic_id AND known.person_id = person.person_id)
    ORDER BY person.person_id
    ON CONFLICT DO NOTHING
$$;

-- Notes whom a clinic has come to know by appointments with one of its providers: whether that is all, as what was booked before the first
-- look is read in parts. Those who look at once take turns.
CREATE FUNCTION reception.learn_of(p_clinic_id bigint, p_provider_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    noted reception.known_until;
    version_now bigint;
    ids uuid[];
BEGIN
    INSERT INTO reception.known_until (clinic_id, provider_id, seq)
    SELECT p_clinic_id, provider_id, version FROM booking.book WHERE provider_id = p_provider_id ON CONFLICT DO NOTHING;
    SELECT * INTO noted FROM reception.known_until WHERE clinic_id = p_clinic_id AND provider_id = p_provider_id FOR UPDATE;
    -- Before the rows: what is written meanwhile comes with the next look.
    SELECT version INTO version_now FROM booking.book WHERE provider_id = p_provider_id;
    IF version_now > noted.seq THEN
        PERFORM reception.meet_booked(p_clinic_id, p_provider_id, array_agg(booking_id))
        FROM booking.event_log
        WHERE provider_id = p_provider_id AND seq > noted.seq AND seq <= version_now AND kind IN ('booked', 'moved');
    END IF;
    IF noted.booked_until IS NOT NULL THEN
        SELECT array_agg(booking_id ORDER BY booking_id) INTO ids FROM (
            SELECT booking_id FROM booking.booking
            WHERE provider_id = p_provider_id AND booking_id > noted.booked_until ORDER BY booking_id LIMIT 1000) AS part;
        PERFORM reception.meet_booked(p_clinic_id, p_provider_id, ids);
        noted.booked_until := CASE WHEN cardinality(ids) = 1000 THEN ids[1000] END;
    END IF;
    UPDATE reception.known_until SET seq = version_now, booked_until = noted.booked_until
    WHERE clinic_id = p_clinic_id AND provider_id = p_provider_id AND (seq <> version_now OR known_until.booked_until IS DISTINCT FROM noted.booked_until);
    RETURN noted.booked_until IS NULL;
END $$;

-- Notes whom a clinic has come to know since the last look, before each search: whether that is all. What was booked before the first look
-- is read for a second at most; what is missing then comes with the next look.
CREATE FUNCTION reception.learn(p_clinic_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    next_id bigint;
    begun_at timestamptz := clock_timestamp();
BEGIN
    FOR next_id IN
        SELECT post.provider_id FROM directory.provider_clinic AS post
        JOIN booking.book USING (provider_id)
        LEFT JOIN reception.known_until USING (clinic_id, provider_id)
        WHERE post.clinic_id = p_clinic_id AND ((book.version > known_until.seq) IS NOT FALSE OR known_until.booked_until IS NOT NULL)
        ORDER BY post.provider_id
    LOOP
        WHILE NOT reception.learn_of(p_clinic_id, next_id) LOOP
            IF clock_timestamp() > begun_at + interval '1 second' THEN
                RETURN false;
            END IF;
        END LOOP;
    END LOOP;
    RETURN true;
END $$;

-- Whether a clinic knows a person: they were booked there, or added by its desk.
CREATE FUNCTION reception.knows(p_clinic_id bigint, p_person_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM reception.clinic_person WHERE clinic_id = p_clinic_id AND person_id = p_person_id)
        OR EXISTS (
            SELECT FROM accounts.person JOIN booking.booking ON booking.patient_id = person.patient_id
            WHERE person.person_id = p_person_id AND removed_at IS NULL AND booking.clinic_id = p_clinic_id
                AND booking.state NOT IN ('reserved', 'expired', 'released') AND reception.person_id_of(booking) = p_person_id)
$$;

-- Whether a clinic may see what an account says of a person: the year of birth and the sex. Where its desk only typed a name that the account of
-- the number has, it may once they were there.
CREATE FUNCTION reception.knows_details(p_clinic_id bigint, p_person_id uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM reception.clinic_person
        WHERE clinic_id = p_clinic_id AND person_id = p_person_id AND only_typed AND NOT EXISTS (
            SELECT FROM accounts.person JOIN booking.booking ON booking.patient_id = person.patient_id
            WHERE person.person_id = p_person_id AND booking.person_id = p_person_id AND booking.clinic_id = p_clinic_id
                AND booking.state IN ('arrived', 'fulfilled')))
$$;

-- Notes that a clinic knows a person. p_only_typed: its desk named somebody of an account, but not with their year of birth.
CREATE FUNCTION reception.meet(p_clinic_id bigint, p_person_id uuid, p_now timestamptz, p_only_typed boolean DEFAULT false) RETURNS void
LANGUAGE sql VOLATILE AS $$
    INSERT INTO reception.clinic_person (clinic_id, person_id, words, known_at, only_typed)
    SELECT p_clinic_id, person_id, reception.lexemes(p_clinic_id, patient_id, name), p_now,
        p_only_typed AND NOT reception.knows(p_clinic_id, person_id)
    FROM accounts.person WHERE person_id = p_person_id AND removed_at IS NULL
    ON CONFLICT (clinic_id, person_id) DO UPDATE SET only_typed = false WHERE clinic_person.only_typed AND NOT p_only_typed
$$;

-- Names change below: the copy by which they are found changes in the same transaction, and goes with who is removed or erased.
CREATE OR REPLACE FUNCTION reception.person_changed() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NEW.removed_at IS NOT NULL THEN
        DELETE FROM reception.clinic_person WHERE person_id = NEW.person_id;
    ELSE
        UPDATE reception.clinic_person SET words = reception.lexemes(clinic_id, NEW.patient_id, NEW.name) WHERE person_id = NEW.person_id;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER reception_knows AFTER UPDATE OF name, removed_at ON accounts.person FOR EACH ROW
    WHEN (((old.name IS DISTINCT FROM new.name) OR (old.removed_at IS DISTINCT FROM new.removed_at)))
    EXECUTE FUNCTION reception.person_changed();

-- Persons as the desk sees them, in the order given: who they are, the end of their number, when they last came and when they next come there.
CREATE FUNCTION reception.people_of(p_clinic_id bigint, p_person_ids uuid[], p_now timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'person_id', person.person_id, 'patient_id', person.patient_id, 'name', person.name,
        'birth_year', CASE WHEN reception.knows_details(p_clinic_id, person.person_id) THEN person.birth_year END,
        'sex', CASE WHEN reception.knows_details(p_clinic_id, person.person_id) THEN person.sex END,
        'phone_end', right(patient.phone, 4), 'last_at', seen.last_at, 'next_at', seen.next_at, 'token_label', here.label)
        ORDER BY place), '[]')
    FROM unnest(p_person_ids) WITH ORDINALITY AS wanted (person_id, place)
    JOIN accounts.person USING (person_id)
    JOIN accounts.patient USING (patient_id)
    CROSS JOIN LATERAL (
        SELECT max(lower(during)) FILTER (WHERE state IN ('arrived', 'fulfilled')) AS last_at,
            min(lower(during)) FILTER (WHERE state = 'booked' AND upper(during) > p_now) AS next_at
        FROM booking.booking
        WHERE booking.patient_id = person.patient_id AND clinic_id = p_clinic_id AND state IN ('booked', 'arrived', 'fulfilled')
            AND reception.person_id_of(booking) = person.person_id) AS seen
    LEFT JOIN LATERAL (
        SELECT reception.token_label(session.letter, token) AS label
        FROM booking.booking JOIN reception.attendance USING (provider_id, booking_id) JOIN reception.session USING (provider_id, session_id)
        WHERE booking.patient_id = person.patient_id AND booking.clinic_id = p_clinic_id AND upper(booking.during) > p_now - interval '1 day'
            AND booking.state = 'arrived' AND reception.person_id_of(booking) = person.person_id
        ORDER BY attendance.arrived_at DESC LIMIT 1) AS here ON true
    WHERE person.removed_at IS NULL AND person.name <> ''
$$;

-- The persons of a number whom a clinic knows, the holder first.
CREATE FUNCTION reception.household(p_clinic_id bigint, p_phone text) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(person.person_id ORDER BY is_holder DESC, person.created_at, person.person_id), '{}')
    FROM accounts.patient
    JOIN accounts.person USING (patient_id)
    WHERE phone = p_phone AND removed_at IS NULL AND person.name <> '' AND EXISTS (
        SELECT FROM reception.clinic_person WHERE clinic_id = p_clinic_id AND clinic_person.person_id = person.person_id)
$$;

-- The persons whom a clinic knows whose number ends with some digits, four or more.
CREATE FUNCTION reception.with_number_ending(p_clinic_id bigint, p_digits text, p_rows_max integer) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    -- By themselves, or all accounts there are would be looked through in order of their numbers.
    WITH ending AS MATERIALIZED (
        SELECT person_id FROM reception.clinic_person
        WHERE words @@ format('%L & %L', 'c' || p_clinic_id, 'p' || right(p_digits, 4))::tsquery
    )
    SELECT coalesce(array_agg(person_id), '{}') FROM (
        SELECT person_id
        FROM ending JOIN accounts.person USING (person_id) JOIN accounts.patient USING (patient_id)
        WHERE right(phone, length(p_digits)) = p_digits AND removed_at IS NULL
        ORDER BY phone, is_holder DESC, person.created_at LIMIT p_rows_max) AS found
$$;

-- Those who have a token of sessions in a stretch of time, with the letter of a doctor or (NULL) of any.
CREATE FUNCTION reception.with_token(p_clinic_id bigint, p_letter text, p_token integer, p_during tstzrange) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(reception.person_id_of(booking) ORDER BY lower(session.during)), '{}')
    FROM reception.session
    JOIN reception.attendance USING (provider_id, session_id)
    JOIN booking.booking USING (provider_id, booking_id)
    WHERE session.clinic_id = p_clinic_id AND session.during && p_during AND token = p_token
        AND (p_letter IS NULL OR session.letter = p_letter)
$$;

-- The persons whom a clinic knows by a name: first those with these very words, then those whose words begin so, then those that sound so.
-- Of a name that thousands have only some are looked at: who types more finds them.
CREATE FUNCTION reception.with_name(p_clinic_id bigint, p_name text, p_rows_max integer) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    wanted text[] := reception.words_of(p_name);
    spelt uuid[];
    heard uuid[];
BEGIN
    IF cardinality(wanted) = 0 THEN
        RETURN '{}';
    END IF;
    SELECT array_agg(person_id) INTO spelt FROM (
        SELECT person_id FROM (
            SELECT person_id, words, known_at FROM reception.clinic_person
            WHERE words @@ reception.query_for(p_clinic_id, wanted, false) LIMIT 500) AS like_it
        ORDER BY (SELECT count(*) FROM unnest(wanted) AS word WHERE words @@ format('%L', 'n' || word)::tsquery) DESC, known_at DESC, person_id
        LIMIT p_rows_max) AS first_of;
    IF coalesce(cardinality(spelt), 0) < p_rows_max THEN
        SELECT array_agg(person_id) INTO heard FROM (
            SELECT person_id FROM (
                SELECT person_id, known_at FROM reception.clinic_person
                WHERE words @@ reception.query_for(p_clinic_id, wanted, true) LIMIT 500) AS like_it
            WHERE person_id <> ALL (coalesce(spelt, '{}')) ORDER BY known_at DESC, person_id
            LIMIT p_rows_max - coalesce(cardinality(spelt), 0)) AS next_of;
    END IF;
    RETURN coalesce(spelt || heard, '{}');
END $$;
