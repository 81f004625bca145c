-- A clinic's day, as the desk sees it.

-- The appointments of a provider at a clinic that begin in a stretch of time, as the desk sees them: who comes, where they stand since when,
-- their place among those who wait, and what they have still to pay. What is held shows nobody.
CREATE FUNCTION reception.day_of(p_provider_id bigint, p_clinic_id bigint, p_during tstzrange, p_actor text, p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'booking_id', booking_id, 'starts_at', lower(booking.during),
        'ends_at', booking.visit_end(booking.during, service_ids), 'state', stands.state, 'services', named.services,
        'deadline_at', CASE WHEN stands.state = 'reserved' THEN deadline END, 'extra', extra)
        || CASE WHEN stands.state = 'reserved' THEN '{}' ELSE jsonb_build_object(
            'name', coalesce(patient_name, person.name, patient.name), 'birth_year', birth_year, 'sex', sex, 'phone_end', right(phone, 4),
            'reason', booking.reason_of(booking.provider_id, booking_id), 'token', token,
            'token_label', reception.token_label(session.letter, token), 'calls', cardinality(calls),
            'since_at', coalesce(left_at, finished_at, entered_at, calls[cardinality(calls)], arrived_at),
            'place', place, 'line', line, 'to_pay_minor', CASE WHEN funding = 'clinic' THEN fee_minor ELSE 0 END,
            'session_ends_at', coalesce(upper(session.during), upper(opening.during), upper(booking.during)),
            'undo_until_at', reception.undo_until(booking.provider_id, booking_id, p_actor, p_now)) END
        ORDER BY lower(booking.during), booking_id), '[]')
    FROM booking.booking
    LEFT JOIN reception.attendance USING (provider_id, booking_id)
    LEFT JOIN reception.session USING (provider_id, session_id)
    LEFT JOIN schedule.openings(p_provider_id, p_clinic_id, lower(p_during), upper(p_during), p_now) AS opening
        ON opening.during @> lower(booking.during)
    LEFT JOIN (
        SELECT ranked.booking_id, place, line FROM reception.session AS sitting
        CROSS JOIN LATERAL reception.order_of(p_provider_id, sitting.session_id, p_now) AS ranked
        WHERE sitting.provider_id = p_provider_id AND sitting.clinic_id = p_clinic_id AND sitting.during && p_during
    ) AS ranked USING (booking_id)
    LEFT JOIN accounts.patient ON patient.patient_id = booking.patient_id
    LEFT JOIN accounts.person ON person.person_id = booking.person_id
    CROSS JOIN LATERAL (
        SELECT string_agg(service_type.name, ', ' ORDER BY service_type.name) AS services
        FROM directory.service JOIN directory.service_type USING (service_type_id) WHERE service_id = ANY (service_ids)) AS named
    CROSS JOIN LATERAL (SELECT reception.state_of(booking.state_at(booking, p_now), attendance) AS state) AS stands
    WHERE booking.provider_id = p_provider_id AND booking.clinic_id = p_clinic_id AND booking.during && p_during
        AND lower(booking.during) >= lower(p_during) AND booking.occupies AND stands.state <> 'expired'
$$;
