-- What the pages of a clinic's office show: one function a page. None of it is about patients, other than how many there are.

-- A clinic with its providers, its holidays and the leaves of single providers to come.
CREATE FUNCTION console.office(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    RETURN directory.clinic_profile(p_clinic_id) || jsonb_build_object(
        'pictures', directory.clinic_pictures(p_clinic_id),
        'providers', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'provider_id', provider_id, 'name', name, 'type', type, 'qualifications', qualifications, 'photo', hash, 'fee_minor', fee_minor,
                'funding', funding, 'closed_at', provider_clinic.closed_since,
                'shifts', (SELECT count(*) FROM schedule.shift WHERE shift.provider_id = provider_clinic.provider_id AND shift.clinic_id = p_clinic_id),
                'to_rebook', (
                    SELECT count(*) FROM booking.booking
                    WHERE booking.provider_id = provider_clinic.provider_id AND booking.clinic_id = p_clinic_id AND booking.state = 'booked'
                        AND needs_rebooking AND lower(during) > now_at)) ORDER BY provider_clinic.closed_since IS NOT NULL, name, provider_id), '[]')
            FROM directory.provider_clinic JOIN directory.provider USING (provider_id)
            LEFT JOIN directory.provider_photo USING (provider_id)
            WHERE provider_clinic.clinic_id = p_clinic_id),
        'leaves', (
            SELECT coalesce(jsonb_agg(to_jsonb(away) ORDER BY starts_at, ends_at, provider), '[]')
            FROM (
                SELECT holiday_id, lower(during) AS starts_at, upper(during) AS ends_at, reason, count(*) AS providers,
                    min(provider.name) AS provider, min(provider_id) AS provider_id, min(leave_id::text) AS leave_id,
                    bool_and(leave.clinic_id IS NOT NULL OR staff.may_at_all(
                        caller.staff_id, 'manage_schedule', directory.clinics_of(provider_id))) AS may_remove
                FROM schedule.leave
                JOIN directory.provider_clinic USING (provider_id)
                JOIN directory.provider USING (provider_id)
                WHERE provider_clinic.clinic_id = p_clinic_id AND (leave.clinic_id = p_clinic_id OR leave.clinic_id IS NULL) AND upper(during) > now_at
                GROUP BY holiday_id, during, reason, CASE WHEN holiday_id IS NULL THEN leave_id END
            ) AS away));
END $$;

-- The leaves that make up a holiday of a clinic.
CREATE FUNCTION console.holiday(p_token_hash bytea, p_address text, p_clinic_id bigint, p_holiday_id uuid)
RETURNS TABLE (provider_id bigint, leave_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    RETURN QUERY
    SELECT leave.provider_id, leave.leave_id FROM schedule.leave
    JOIN directory.provider_clinic USING (provider_id)
    WHERE provider_clinic.clinic_id = p_clinic_id AND leave.clinic_id = p_clinic_id AND holiday_id = p_holiday_id ORDER BY provider_id;
END $$;

-- A provider's week at a clinic from a Monday on: each shift on each of its days with how many slots it has and how many are taken, and leave.
-- NULL where it does not work there.
CREATE FUNCTION console.week(p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint, p_monday date)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
    now_at timestamptz := public.app_now();
    zone text;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    SELECT time_zone INTO zone FROM directory.clinic JOIN directory.city USING (city_id) WHERE clinic_id = p_clinic_id;
    RETURN directory.provider_profile(p_provider_id, p_clinic_id) || jsonb_build_object(
        'shifts', (
            SELECT coalesce(jsonb_agg(schedule.shift_document(shift) || jsonb_build_object(
                'date', day, 'slots', floor(extract(epoch FROM ends - starts) / 60 / slot_minutes) * seats,
                'booked', taken.booked, 'held', taken.held) ORDER BY day, starts), '[]')
            FROM schedule.shift
            CROSS JOIN LATERAL (SELECT p_monday + weekday - 1 AS day) AS days
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE booking.state IN ('booked', 'arrived', 'fulfilled', 'no_show')) AS booked,
                    count(*) FILTER (WHERE booking.state = 'reserved' AND NOT booking.is_due(booking, now_at)) AS held
                FROM booking.booking
                WHERE booking.provider_id = p_provider_id AND booking.clinic_id = p_clinic_id AND occupies AND extra IS NULL
                    AND booking.during && tstzrange((day + starts) AT TIME ZONE zone, greatest(
                        (day + starts) AT TIME ZONE zone, (day + ends) AT TIME ZONE zone))
            ) AS taken
            WHERE shift.provider_id = p_provider_id AND shift.clinic_id = p_clinic_id AND valid @> day),
        'all_shifts', (
            SELECT coalesce(jsonb_agg(schedule.shift_document(shift) ORDER BY weekday, starts, lower(valid) NULLS FIRST), '[]')
            FROM schedule.shift WHERE shift.provider_id = p_provider_id AND shift.clinic_id = p_clinic_id),
        'elsewhere', (
            SELECT coalesce(jsonb_agg(schedule.shift_document(shift) || jsonb_build_object('clinic', clinic.name) ORDER BY weekday, starts), '[]')
            FROM schedule.shift JOIN directory.clinic USING (clinic_id)
            WHERE shift.provider_id = p_provider_id AND shift.clinic_id <> p_clinic_id AND valid @> (p_monday + weekday - 1)),
        'leaves', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'leave_id', leave_id, 'starts_at', lower(during), 'ends_at', upper(during), 'reason', reason, 'holiday_id', holiday_id)
                ORDER BY during), '[]')
            FROM schedule.leave
            WHERE leave.provider_id = p_provider_id AND (leave.clinic_id IS NULL OR leave.clinic_id = p_clinic_id)
                AND during && tstzrange(p_monday::timestamp AT TIME ZONE zone, (p_monday + 7)::timestamp AT TIME ZONE zone)));
END $$;

-- A provider of a clinic; NULL where it does not work there.
CREATE FUNCTION console.provider(p_token_hash bytea, p_address text, p_clinic_id bigint, p_provider_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    RETURN directory.provider_profile(p_provider_id, p_clinic_id) || jsonb_build_object('may_change', staff.may_at_all(
        caller.staff_id, 'manage_schedule', directory.clinics_of(p_provider_id)));
END $$;

-- The services that a clinic's providers offer there, and those that were closed lately; and the terms of cancelling, of the clinic and of kinds
-- of services. Who asks `may_close` what a provider offers at each of its clinics where they see to each of them.
CREATE FUNCTION console.services(p_token_hash bytea, p_address text, p_clinic_id bigint)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    caller record;
BEGIN
    caller := staff.authorise(p_token_hash, 'manage_schedule', p_clinic_id);
    RETURN directory.clinic_profile(p_clinic_id) || jsonb_build_object(
        'providers', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('provider_id', provider_id, 'name', name) ORDER BY name, provider_id), '[]')
            FROM directory.provider_clinic JOIN directory.provider USING (provider_id)
            WHERE provider_clinic.clinic_id = p_clinic_id AND provider_clinic.closed_since IS NULL),
        'services', (
            SELECT coalesce(jsonb_agg(to_jsonb(service) || jsonb_build_object(
                'slug', slug, 'name', kind.name, 'is_test', is_test, 'provider', provider.name,
                'preparation', (SELECT preparation FROM directory.preparations_of(ARRAY[service.service_id])),
                'may_close', service.clinic_id IS NOT NULL OR staff.may_at_all(
                    caller.staff_id, 'manage_schedule', directory.clinics_of(service.provider_id)))
                ORDER BY service.closed_at DESC NULLS FIRST, kind.name, provider.name), '[]')
            FROM directory.service
            JOIN directory.service_type AS kind USING (service_type_id)
            JOIN directory.provider USING (provider_id)
            JOIN directory.provider_clinic USING (provider_id)
            WHERE provider_clinic.clinic_id = p_clinic_id AND (service.clinic_id = p_clinic_id OR service.clinic_id IS NULL)
                AND (service.closed_at IS NULL OR service.closed_at > public.app_now() - interval '30 days')),
        'terms', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'slug', slug, 'name', name, 'hours', hours, 'percents', percents, 'amounts_minor', amounts) ORDER BY slug NULLS FIRST), '[]')
            FROM (
                SELECT kind.slug, kind.name, array_agg(hours_before ORDER BY hours_before DESC) AS hours,
                    array_agg(kept_percent ORDER BY hours_before DESC) AS percents,
                    array_agg(kept_minor ORDER BY hours_before DESC) AS amounts
                FROM (
                    SELECT NULL::bigint AS service_type_id, terms_id FROM directory.clinic WHERE clinic_id = p_clinic_id
                    UNION ALL
                    SELECT service_type_id, terms_id FROM directory.service_terms WHERE clinic_id = p_clinic_id
                ) AS used
                JOIN directory.terms_step USING (terms_id)
                LEFT JOIN directory.service_type AS kind USING (service_type_id)
                GROUP BY kind.slug, kind.name
            ) AS found));
END $$;
