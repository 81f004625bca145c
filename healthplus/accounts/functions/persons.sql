-- The persons of an account: whom its patient books for. The holder, whose account it is, is always one of them.

CREATE FUNCTION accounts.persons_max() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 6 $$;

-- Whether somebody of this year of birth may be alive: not from next year, and at most 120 years old. The year is the latest that has
-- begun anywhere, so that a child born on the first of January can be added at once.
CREATE FUNCTION accounts.is_birth_year(p_birth_year integer) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT extract(year FROM public.app_now() AT TIME ZONE 'UTC' + interval '14 hours') - p_birth_year BETWEEN 0 AND 120
$$;

-- Adds a person to an account: 'added', or 'full', 'birth_year', 'not_found' (erased). p_person_id comes from the request, so that
-- a repeat adds nobody twice even after its key was forgotten.
CREATE FUNCTION accounts.add_person(p_patient_id bigint, p_person_id uuid, p_name text, p_birth_year integer, p_sex text)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM accounts.patient WHERE patient_id = p_patient_id AND erased_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF NOT accounts.is_birth_year(p_birth_year) THEN
        RETURN 'birth_year';
    ELSIF (
        SELECT count(*) FROM accounts.person WHERE patient_id = p_patient_id AND removed_at IS NULL AND person_id <> p_person_id
    ) >= accounts.persons_max() THEN
        RETURN 'full';
    END IF;
    INSERT INTO accounts.person (person_id, patient_id, name, birth_year, sex, is_holder, created_at)
    VALUES (p_person_id, p_patient_id, p_name, p_birth_year, p_sex::accounts.sex, false, public.app_now())
    ON CONFLICT DO NOTHING;
    RETURN 'added';
END $$;

-- Changes what is not NULL of a person: 'changed', or 'birth_year', 'not_found' (also for a person of another account). The holder's
-- name is the account's, so it changes there, and accounts.rename_holder brings it here.
CREATE FUNCTION accounts.change_person(p_patient_id bigint, p_person_id uuid, p_name text, p_birth_year integer, p_sex text)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    changed accounts.person;
BEGIN
    -- First, as whatever renames the account has it locked before the holder.
    PERFORM FROM accounts.patient WHERE patient_id = p_patient_id FOR NO KEY UPDATE;
    IF NOT accounts.is_birth_year(p_birth_year) THEN
        RETURN 'birth_year';
    END IF;
    UPDATE accounts.person
    SET name = CASE WHEN is_holder THEN name ELSE coalesce(p_name, name) END,
        birth_year = coalesce(p_birth_year, birth_year), sex = coalesce(p_sex::accounts.sex, sex)
    WHERE patient_id = p_patient_id AND person_id = p_person_id AND removed_at IS NULL
    RETURNING * INTO changed;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF changed.is_holder AND p_name IS NOT NULL THEN
        UPDATE accounts.patient SET name = p_name WHERE patient_id = p_patient_id;
    END IF;
    RETURN 'changed';
END $$;

-- Removes a person from an account: 'removed', or 'holder', 'not_found'. Where p_is_known, bookings or tickets point to the person: the
-- row stays, without what it said, and the bookings keep the name that they have.
CREATE FUNCTION accounts.remove_person(p_patient_id bigint, p_person_id uuid, p_is_known boolean)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found_one accounts.person;
BEGIN
    SELECT * INTO found_one FROM accounts.person
    WHERE patient_id = p_patient_id AND person_id = p_person_id AND removed_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF found_one.is_holder THEN
        RETURN 'holder';
    ELSIF p_is_known THEN
        UPDATE accounts.person SET name = '', birth_year = NULL, sex = NULL, removed_at = public.app_now()
        WHERE person_id = p_person_id;
    ELSE
        DELETE FROM accounts.person WHERE person_id = p_person_id;
    END IF;
    RETURN 'removed';
END $$;

-- From what age on somebody is the holder of the account that the desk makes with their number: before it, a parent is.
CREATE FUNCTION accounts.holder_age() RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT 18 $$;

-- A name as it is compared, however it is written. Here and not by healthplus/text.py, as the names are those of rows.
CREATE FUNCTION accounts.compared_name(p_name text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT lower(public.unaccent('public.unaccent', translate(normalize(p_name, NFKC), U&'\200C\200D', '')))
$$;

-- Whether two names are the same.
CREATE FUNCTION accounts.is_same_name(p_name text, p_other text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT accounts.compared_name(p_name) = accounts.compared_name(p_other)
$$;

-- The person of an account whom a name means, with a year of birth that does not speak against it; NULL: none.
CREATE FUNCTION accounts.person_named(p_patient_id bigint, p_name text, p_birth_year integer) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT person_id FROM accounts.person
    WHERE patient_id = p_patient_id AND removed_at IS NULL AND (birth_year = p_birth_year) IS NOT FALSE
        AND accounts.is_same_name(name, p_name)
    ORDER BY birth_year = p_birth_year DESC NULLS LAST, is_holder DESC, created_at LIMIT 1
$$;

-- Whether a person's account says that they were born in a year.
CREATE FUNCTION accounts.is_born_in(p_person_id uuid, p_birth_year integer) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM accounts.person WHERE person_id = p_person_id AND birth_year = p_birth_year)
$$;

-- Adds a person whom the desk has on the telephone or before it, to the account of their number, which is made where there is none: 'added';
-- 'linked' where that account has one of this name already; 'full', 'birth_year'. Who signs in with the number later has this account. Notes
-- that they agreed, to which of the staff. A repeat finds whom the first request added. p_phone_hash: by which an account before of this
-- number is known (accounts.former_account).
CREATE FUNCTION accounts.add_at_desk(
    p_phone text, p_takes_sms boolean, p_phone_hash bytea, p_name text, p_birth_year integer, p_sex text, p_purpose text, p_version text,
    p_actor text, OUT outcome text, OUT patient_id bigint, OUT person_id uuid
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := public.app_now();
    is_new boolean;
    is_adult boolean := coalesce(extract(year FROM now_at) - p_birth_year >= accounts.holder_age(), true);
BEGIN
    IF NOT accounts.is_birth_year(p_birth_year) THEN
        outcome := 'birth_year';
        RETURN;
    END IF;
    LOOP
        INSERT INTO accounts.patient AS made (phone, takes_sms, name, created_at)
        VALUES (p_phone, p_takes_sms, CASE WHEN is_adult THEN p_name ELSE '' END, now_at)
        ON CONFLICT DO NOTHING RETURNING made.patient_id INTO patient_id;
        is_new := FOUND;
        -- Locked, as sign_in has it: an erasure under way must not leave a person behind.
        SELECT patient.patient_id INTO patient_id FROM accounts.patient WHERE phone = p_phone FOR UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    IF is_new THEN
        UPDATE accounts.former_account SET successor_id = add_at_desk.patient_id
        WHERE phone_hash = p_phone_hash AND successor_id IS NULL AND erased_at > now_at - accounts.former_time();
    END IF;
    IF is_new AND is_adult THEN
        UPDATE accounts.person SET birth_year = p_birth_year, sex = p_sex::accounts.sex
        WHERE person.patient_id = add_at_desk.patient_id AND is_holder RETURNING person.person_id INTO person_id;
        outcome := 'added';
    ELSE
        person_id := accounts.person_named(patient_id, p_name, p_birth_year);
        outcome := 'linked';
        IF person_id IS NULL THEN
            person_id := gen_random_uuid();
            outcome := accounts.add_person(patient_id, person_id, p_name, p_birth_year, p_sex);
        END IF;
    END IF;
    IF outcome IN ('added', 'linked') THEN
        INSERT INTO accounts.consent (patient_id, purpose, version, given_at, recorded_by)
        VALUES (patient_id, p_purpose, p_version, now_at, p_actor) ON CONFLICT DO NOTHING;
    END IF;
END $$;
