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

-- What services come to together at a clinic (NULL: at any of the provider's): the first reason why they cannot be booked, if any:
-- 'no_such_service', 'service_closed', 'not_together' (only a laboratory's tests go into one visit), 'too_many_services', 'too_dear';
-- and what they ask and cost. Of several, the longest buffer counts and the way to pay that asks most; terms of a service of its own
-- count where all of them have the same, else the clinic's do. p_is_held: they are held or waited for, and may be closed by now.
CREATE FUNCTION directory.chosen_services(p_provider_id bigint, p_clinic_id bigint, p_service_ids bigint[], p_is_held boolean)
RETURNS TABLE (
    refusal text, length_minutes integer, buffer_minutes integer, starts_every integer, weekdays integer, allows_more_a_day boolean,
    fee_minor integer, funding directory.funding, terms_id bigint
) LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN cardinality(p_service_ids) > 50 THEN 'too_many_services'
            WHEN count(*) = 0 OR count(*) < cardinality(p_service_ids) THEN 'no_such_service'
            WHEN NOT p_is_held AND bool_or(closed_at IS NOT NULL) THEN 'service_closed'
            WHEN count(*) > 1 AND NOT bool_and(is_test) OR count(DISTINCT currency) > 1 THEN 'not_together'
            WHEN sum(service.fee_minor) > 100000000 THEN 'too_dear' END,
        sum(service.length_minutes)::integer, max(service.buffer_minutes)::integer, max(service.starts_every)::integer,
        bit_and(service.weekdays)::integer, bool_and(service.allows_more_a_day),
        least(sum(service.fee_minor), 100000000)::integer, min(service.funding),
        CASE WHEN count(service_terms.terms_id) = count(*) AND min(service_terms.terms_id) = max(service_terms.terms_id)
            THEN min(service_terms.terms_id)
            ELSE (SELECT clinic.terms_id FROM directory.clinic WHERE clinic.clinic_id = p_clinic_id) END
    FROM directory.service
    JOIN directory.service_type USING (service_type_id)
    LEFT JOIN directory.service_terms ON service_terms.service_type_id = service.service_type_id AND service_terms.clinic_id = p_clinic_id
    WHERE service.service_id = ANY (p_service_ids) AND service.provider_id = p_provider_id
        AND (service.clinic_id IS NULL OR service.clinic_id = p_clinic_id)
$$;

-- What terms (NULL: none) keep of a fee at an instant before a visit begins.
CREATE FUNCTION directory.kept_minor(p_terms_id bigint, p_fee_minor integer, p_starts_at timestamptz, p_at timestamptz)
RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT least(p_fee_minor, coalesce(kept_minor, round(p_fee_minor * kept_percent / 100.0)::integer))
        FROM directory.terms_step
        WHERE terms_id = p_terms_id AND p_at > p_starts_at - make_interval(hours => hours_before)
        ORDER BY hours_before LIMIT 1), 0)
$$;
