-- A provider's slots within [p_from, p_to) that can still be had or are taken, for a patient (NULL: anyone) to see.
-- `state`: free, held (by others, or promised to those who wait), booked, mine. `held_until`: when the first such hold
-- can lapse. `fits`: what is needed can start here; starts at which it never begins are left out.
CREATE FUNCTION booking.chart(
    p_provider_id bigint, p_clinic_id bigint, p_from timestamptz, p_to timestamptz, p_slots integer, p_service_ids bigint[],
    p_patient_id bigint, p_now timestamptz
) RETURNS TABLE (
    clinic_id bigint, starts_at timestamptz, ends_at timestamptz, state text, held_until timestamptz, fits boolean
) LANGUAGE sql STABLE AS $$
    WITH asked AS MATERIALIZED (
        SELECT booking.need_of(p_slots, p_provider_id, p_service_ids) AS need
    ), slot AS MATERIALIZED (
        SELECT slot.clinic_id, tstzrange(slot.starts_at, slot.ends_at) AS during
        FROM asked CROSS JOIN LATERAL schedule.slots(
            p_provider_id, p_clinic_id, p_from, p_to, p_now, (need).starts_every, (need).weekdays) AS slot
    ), free AS MATERIALIZED (
        SELECT DISTINCT run.clinic_id, run.starts_at
        FROM booking.obtainable_runs(p_provider_id, p_clinic_id, p_from, p_to + interval '8 hours', 1, p_now) AS run
    ), fitting AS MATERIALIZED (
        SELECT DISTINCT run.clinic_id, run.starts_at
        FROM asked CROSS JOIN LATERAL booking.obtainable_runs(
            p_provider_id, p_clinic_id, p_from, p_to + interval '1 day', need, p_now) AS run
    ), obtainable AS MATERIALIZED (
        SELECT DISTINCT run.clinic_id, run.starts_at
        FROM booking.obtainable_runs(p_provider_id, p_clinic_id, p_from, p_to + interval '8 hours', 1, p_now, true) AS run
    )
    SELECT slot.clinic_id, lower(slot.during), upper(slot.during),
        CASE WHEN here.mine THEN 'mine' WHEN free.starts_at IS NOT NULL THEN 'free'
            WHEN obtainable.starts_at IS NOT NULL THEN 'held' ELSE 'booked' END,
        CASE WHEN NOT coalesce(here.mine, false) AND free.starts_at IS NULL AND obtainable.starts_at IS NOT NULL
            THEN here.held_until END,
        fitting.starts_at IS NOT NULL
    FROM slot
    LEFT JOIN free ON free.clinic_id = slot.clinic_id AND free.starts_at = lower(slot.during)
    LEFT JOIN fitting ON fitting.clinic_id = slot.clinic_id AND fitting.starts_at = lower(slot.during)
    LEFT JOIN obtainable ON obtainable.clinic_id = slot.clinic_id AND obtainable.starts_at = lower(slot.during)
    CROSS JOIN LATERAL (
        SELECT bool_or(patient_id = p_patient_id AND NOT booking.is_due(booking, p_now)
                AND booking.visit(booking.during, booking.service_ids) && slot.during) AS mine,
            min(deadline) FILTER (WHERE booking.state_at(booking, p_now) = 'reserved') AS held_until
        FROM booking.booking
        WHERE booking.provider_id = p_provider_id AND booking.occupies AND booking.during && slot.during
    ) AS here
    ORDER BY slot.during, slot.clinic_id
$$;
