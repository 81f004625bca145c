-- Services and terms are never changed: what was shown, held and paid for must stay what it was.

-- Refuses to change a service, other than to close it once.
CREATE FUNCTION directory.refuse_other_service() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
        MESSAGE = 'a service is closed, and another opened in its place: it is never changed';
END $$;

CREATE TRIGGER only_closed BEFORE UPDATE ON directory.service FOR EACH ROW WHEN (((old.closed_at IS NOT NULL)
    OR (new.closed_at IS NULL) OR (old.service_id IS DISTINCT FROM new.service_id) OR (old.provider_id IS DISTINCT FROM new.provider_id)
    OR (old.clinic_id IS DISTINCT FROM new.clinic_id) OR (old.service_type_id IS DISTINCT FROM new.service_type_id)
    OR (old.length_minutes IS DISTINCT FROM new.length_minutes) OR (old.buffer_minutes IS DISTINCT FROM new.buffer_minutes)
    OR (old.starts_every IS DISTINCT FROM new.starts_every) OR (old.weekdays IS DISTINCT FROM new.weekdays)
    OR (old.allows_more_a_day IS DISTINCT FROM new.allows_more_a_day) OR (old.fee_minor IS DISTINCT FROM new.fee_minor)
    OR (old.currency IS DISTINCT FROM new.currency) OR (old.funding IS DISTINCT FROM new.funding)
    OR (old.opened_at IS DISTINCT FROM new.opened_at)))
EXECUTE FUNCTION directory.refuse_other_service();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON directory.terms
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON directory.terms_step
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

-- What a fee is known to be; NULL where the clinic says it.
CREATE FUNCTION directory.known_fee(p_fee_minor integer, p_funding directory.funding) RETURNS integer IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE WHEN p_fee_minor > 0 OR p_funding = 'free' THEN p_fee_minor END
$$;

-- What is to be done before services, as it is now, also before those that are closed; not of those before which there is nothing to do.
CREATE FUNCTION directory.preparations_of(p_service_ids bigint[]) RETURNS TABLE (service_id bigint, preparation text)
LANGUAGE sql STABLE AS $$
    SELECT service.service_id, preparation.text
    FROM directory.service
    JOIN directory.preparation ON preparation.provider_id = service.provider_id AND preparation.service_type_id = service.service_type_id
        AND preparation.clinic_id IS NOT DISTINCT FROM service.clinic_id
    WHERE service.service_id = ANY (p_service_ids)
$$;

-- What a provider offers at a clinic: what is its own there, and of what all clinics have, the types of which it has none. p_clinic_id
-- NULL: what is offered at whichever clinic, so that none has its own.
CREATE FUNCTION directory.offered_services(p_provider_id bigint, p_clinic_id bigint) RETURNS SETOF directory.service
LANGUAGE sql STABLE AS $$
    SELECT service.*
    FROM directory.service
    WHERE provider_id = p_provider_id AND closed_at IS NULL AND (clinic_id = p_clinic_id OR clinic_id IS NULL AND NOT EXISTS (
        SELECT FROM directory.service AS own
        WHERE own.provider_id = p_provider_id AND own.service_type_id = service.service_type_id
            AND own.clinic_id = coalesce(p_clinic_id, own.clinic_id) AND own.closed_at IS NULL
        OFFSET 0))  -- looked up for each: without it, all services there are may be read into a hash table
        -- a booking's amount is in its clinic's currency
        AND (p_clinic_id IS NULL OR currency = (SELECT clinic.currency FROM directory.clinic WHERE clinic.clinic_id = p_clinic_id))
$$;

-- Whether a weekday (ISO 8601) is among those of which each has a bit, Monday the lowest.
CREATE FUNCTION directory.is_weekday_of(p_weekdays integer, p_weekday integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (p_weekdays >> (p_weekday - 1)) & 1 = 1
$$;

-- On each how-many-th slot of a shift services can start together that each start on every so-many-th: their least common multiple. More
-- slots than a day has minutes are in no shift: from there on only its first is left, and nothing overflows. NULL: of none.
CREATE FUNCTION directory.starts_together(p_starts_every smallint[]) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    together integer := 1;
    one smallint;
BEGIN
    FOREACH one IN ARRAY coalesce(p_starts_every, '{}') LOOP
        together := least(lcm(together, one), 1440);
    END LOOP;
    RETURN together;
END $$;

-- What services come to together at a clinic (NULL: at any of the provider's): the first reason why they cannot be booked, if any:
-- 'no_such_service', 'service_closed', 'not_together' (only a laboratory's tests go into one visit), 'too_many_services', 'too_dear';
-- and how long they take and what they cost. Of several, the way to pay counts that asks most; terms of a service of its own count where
-- all of them have the same, else the clinic's do. p_is_held: they are held or waited for, and may be closed by now.
CREATE FUNCTION directory.chosen_services(p_provider_id bigint, p_clinic_id bigint, p_service_ids bigint[], p_is_held boolean)
RETURNS TABLE (refusal text, length_minutes integer, fee_minor integer, funding directory.funding, terms_id bigint)
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN cardinality(p_service_ids) > 50 THEN 'too_many_services'
            WHEN count(*) = 0 OR count(*) < cardinality(p_service_ids) THEN 'no_such_service'
            WHEN NOT bool_and(p_is_held OR service_id IN (
                SELECT offered.service_id FROM directory.offered_services(p_provider_id, p_clinic_id) AS offered)) THEN 'service_closed'
            WHEN count(*) > 1 AND NOT bool_and(is_test) OR count(DISTINCT currency) > 1 THEN 'not_together'
            WHEN sum(service.fee_minor) > 100000000 THEN 'too_dear' END,
        sum(service.length_minutes)::integer,
        CASE WHEN count(*) > 0 THEN least(sum(service.fee_minor), 100000000)::integer END, min(service.funding),
        CASE WHEN count(service_terms.terms_id) = count(*) AND min(service_terms.terms_id) = max(service_terms.terms_id)
            THEN min(service_terms.terms_id)
            ELSE (SELECT clinic.terms_id FROM directory.clinic WHERE clinic.clinic_id = p_clinic_id) END
    FROM directory.service
    JOIN directory.service_type USING (service_type_id)
    LEFT JOIN directory.service_terms ON service_terms.service_type_id = service.service_type_id AND service_terms.clinic_id = p_clinic_id
    WHERE service.service_id = ANY (p_service_ids) AND service.provider_id = p_provider_id
        AND (service.clinic_id IS NULL OR service.clinic_id = p_clinic_id)
        -- a booking's amount is in its clinic's currency
        AND (p_clinic_id IS NULL OR currency = (SELECT clinic.currency FROM directory.clinic WHERE clinic.clinic_id = p_clinic_id))
$$;

-- What a step of terms keeps of a fee.
CREATE FUNCTION directory.kept_by(p_step directory.terms_step, p_fee_minor integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT least(p_fee_minor, coalesce(p_step.kept_minor, round(p_fee_minor::numeric * p_step.kept_percent / 100)::integer))
$$;

-- When a step of terms begins to count for a visit: who cancels after that instant leaves what the step keeps.
CREATE FUNCTION directory.begins_after(p_step directory.terms_step, p_starts_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT p_starts_at - make_interval(hours => p_step.hours_before)
$$;

-- What terms (NULL: none) keep of a fee at an instant before a visit begins.
CREATE FUNCTION directory.kept_minor(p_terms_id bigint, p_fee_minor integer, p_starts_at timestamptz, p_at timestamptz)
RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT directory.kept_by(terms_step, p_fee_minor)
        FROM directory.terms_step
        WHERE terms_id = p_terms_id AND p_at > directory.begins_after(terms_step, p_starts_at)
        ORDER BY hours_before LIMIT 1), 0)
$$;

-- Adds what services are called, where no type has the name and is_test yet: objects with slug (the name's), name and is_test. Where the
-- slug is taken, that of the type gets '-test' or '-visit'. Returns how many were added.
CREATE FUNCTION directory.put_service_types(p_types jsonb) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    added bigint := 0;
    one record;
    free_slug text;
BEGIN
    FOR one IN SELECT * FROM jsonb_to_recordset(p_types) AS given(slug text, name text, is_test boolean) LOOP
        free_slug := one.slug;
        WHILE NOT EXISTS (
            SELECT FROM directory.service_type WHERE coalesce(name_slug, slug) = one.slug AND is_test = one.is_test
        ) LOOP
            -- Slugs that are taken must not use up numbers.
            INSERT INTO directory.service_type (slug, name, is_test, name_slug)
            SELECT free_slug, one.name, one.is_test, nullif(one.slug, free_slug)
            WHERE NOT EXISTS (SELECT FROM directory.service_type WHERE slug = free_slug)
            ON CONFLICT DO NOTHING;
            added := added + CASE WHEN FOUND THEN 1 ELSE 0 END;
            free_slug := free_slug || CASE WHEN one.is_test THEN '-test' ELSE '-visit' END;
        END LOOP;
    END LOOP;
    RETURN added;
END $$;

-- Services as they are to be, from objects with the columns of directory.service and, of a type that is known, the name's slug as
-- service_type, and is_test.
-- What is left out: offered at each of the provider's clinics; no time, no buffer, each slot, each day, one a day; the currency of the
-- clinic; paid as visits there are, where there is something to pay; the preparation that there is ('' takes it away). known_id: the
-- service that is open now in its place, if any; a subquery, whose index is used whatever the statistics say.
CREATE FUNCTION directory.services_given(p_services jsonb) RETURNS TABLE (
    provider_id bigint, clinic_id bigint, service_type_id bigint, length_minutes smallint, buffer_minutes smallint,
    starts_every smallint, weekdays smallint, allows_more_a_day boolean, fee_minor integer, currency text, funding directory.funding,
    preparation text, known_id bigint
) LANGUAGE sql STABLE AS $$
    SELECT given.provider_id, given.clinic_id, service_type.service_type_id, coalesce(given.length_minutes, 0::smallint),
        coalesce(given.buffer_minutes, 0::smallint), coalesce(given.starts_every, 1::smallint), coalesce(given.weekdays, 127::smallint),
        coalesce(given.allows_more_a_day, false), given.fee_minor, coalesce(given.currency, (
            SELECT min(clinic.currency) FROM directory.provider_clinic AS post JOIN directory.clinic USING (clinic_id)
            WHERE post.provider_id = given.provider_id AND post.clinic_id = coalesce(given.clinic_id, post.clinic_id))),
        CASE WHEN given.funding IS NOT NULL THEN given.funding
            WHEN given.fee_minor = 0 THEN 'free'
            WHEN EXISTS (
                SELECT FROM directory.provider_clinic AS post
                WHERE post.provider_id = given.provider_id AND post.clinic_id = coalesce(given.clinic_id, post.clinic_id)
                    AND post.funding = 'online') THEN 'online'
            ELSE 'clinic' END,
        given.preparation,
        (SELECT known.service_id FROM directory.service AS known
            WHERE known.provider_id = given.provider_id AND known.service_type_id = service_type.service_type_id
                AND known.clinic_id IS NOT DISTINCT FROM given.clinic_id AND known.closed_at IS NULL)
    FROM jsonb_to_recordset(p_services) AS given(
        provider_id bigint, clinic_id bigint, service_type text, is_test boolean, length_minutes smallint, buffer_minutes smallint,
        starts_every smallint, weekdays smallint, allows_more_a_day boolean, fee_minor integer, currency text, funding directory.funding,
        preparation text)
    JOIN directory.service_type
        ON coalesce(service_type.name_slug, service_type.slug) = given.service_type AND service_type.is_test = given.is_test
$$;

-- Brings services to what is given (see directory.services_given; each provider, clinic, service_type and is_test once): what differs is closed,
-- and another opened in its place; what is the same stays, as does all that is not given. Returns how many are new, and how many others
-- replace one, or have another preparation. What is held, booked or waited for keeps the service that it has; nothing waits for those.
CREATE FUNCTION directory.put_services(p_services jsonb) RETURNS TABLE (added bigint, updated bigint) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
    prepared bigint;
BEGIN
    -- Of two that change a provider's services at once, the later waits, and then sees what the earlier did.
    PERFORM FROM directory.provider
    WHERE provider_id IN (SELECT (given ->> 'provider_id')::bigint FROM jsonb_array_elements(p_services) AS given)
    ORDER BY provider_id FOR NO KEY UPDATE;
    UPDATE directory.service AS known SET closed_at = now_at
    FROM directory.services_given(p_services) AS given
    WHERE known.service_id = given.known_id AND known.closed_at IS NULL
        AND (known.length_minutes, known.buffer_minutes, known.starts_every, known.weekdays, known.allows_more_a_day, known.fee_minor,
            known.currency, known.funding)
        <> (given.length_minutes, given.buffer_minutes, given.starts_every, given.weekdays, given.allows_more_a_day, given.fee_minor,
            given.currency, given.funding);
    GET DIAGNOSTICS updated = ROW_COUNT;
    INSERT INTO directory.service (
        provider_id, clinic_id, service_type_id, length_minutes, buffer_minutes, starts_every, weekdays, allows_more_a_day, fee_minor,
        currency, funding, opened_at)
    SELECT given.provider_id, given.clinic_id, given.service_type_id, given.length_minutes, given.buffer_minutes, given.starts_every,
        given.weekdays, given.allows_more_a_day, given.fee_minor, given.currency, given.funding, now_at
    FROM directory.services_given(p_services) AS given WHERE given.known_id IS NULL;
    GET DIAGNOSTICS added = ROW_COUNT;
    added := added - updated;
    WITH said AS (
        SELECT given.provider_id, given.service_type_id, given.clinic_id, given.preparation, given.known_id
        FROM directory.services_given(p_services) AS given WHERE given.preparation IS NOT NULL
    ), removed AS (
        DELETE FROM directory.preparation AS known USING said
        WHERE known.provider_id = said.provider_id AND known.service_type_id = said.service_type_id
            AND known.clinic_id IS NOT DISTINCT FROM said.clinic_id AND said.preparation = ''
        RETURNING said.known_id
    ), kept AS (
        INSERT INTO directory.preparation AS known (provider_id, service_type_id, clinic_id, text)
        SELECT said.provider_id, said.service_type_id, said.clinic_id, said.preparation FROM said WHERE said.preparation <> ''
        ON CONFLICT (provider_id, service_type_id, clinic_id) DO UPDATE SET text = excluded.text WHERE known.text <> excluded.text
        RETURNING known.provider_id, known.service_type_id, known.clinic_id
    )
    SELECT count(*) INTO prepared
    FROM said JOIN directory.service AS opened ON opened.service_id = said.known_id
    WHERE opened.opened_at <> now_at  -- else it is counted already
        AND (EXISTS (SELECT FROM removed WHERE removed.known_id = said.known_id) OR EXISTS (
            SELECT FROM kept
            WHERE kept.provider_id = said.provider_id AND kept.service_type_id = said.service_type_id
                AND kept.clinic_id IS NOT DISTINCT FROM said.clinic_id));
    updated := updated + prepared;
    RETURN NEXT;
END $$;

-- Returns terms with these steps (hours before, and of each the part or, NULL where the other is said, the amount that is kept): those
-- that have the same, or new ones. They must be a ladder, longest before a visit first.
CREATE FUNCTION directory.put_terms(p_hours smallint[], p_percents smallint[], p_amounts_minor integer[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer bigint;
BEGIN
    SELECT terms_id INTO answer
    FROM directory.terms_step GROUP BY terms_id
    HAVING array_agg(hours_before ORDER BY hours_before DESC) = p_hours
        AND array_agg(kept_percent ORDER BY hours_before DESC) = p_percents
        AND array_agg(kept_minor ORDER BY hours_before DESC) = p_amounts_minor
    ORDER BY terms_id LIMIT 1;
    IF NOT FOUND THEN
        INSERT INTO directory.terms (made_at) VALUES (public.app_now()) RETURNING terms_id INTO answer;
        INSERT INTO directory.terms_step (terms_id, hours_before, kept_percent, kept_minor)
        SELECT answer, hours, percent, amount_minor FROM unnest(p_hours, p_percents, p_amounts_minor) AS step(hours, percent, amount_minor);
    END IF;
    RETURN answer;
END $$;
