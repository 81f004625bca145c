-- A clinic's day, as the desk sees it.

-- The appointments of a provider at a clinic that begin in a stretch of time, as the desk sees them: who comes, where they stand since when,
-- their place among those who wait, what they have still to pay, and until when who can undo what was done last. What is held shows nobody.
CREATE FUNCTION reception.day_of(p_provider_id bigint, p_clinic_id bigint, p_during tstzrange, p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'booking_id', booking_id, 'starts_at', lower(booking.during),
        'ends_at', booking.visit_end(booking.during, service_ids), 'state', stands.state, 'services', named.services,
        'deadline_at', CASE WHEN stands.state = 'reserved' THEN deadline END, 'extra', extra, 'needs_rebooking', needs_rebooking)
        || CASE WHEN stands.state = 'reserved' THEN '{}' ELSE jsonb_build_object(
            'name', coalesce(patient_name, person.name, patient.name), 'birth_year', birth_year, 'sex', sex, 'phone_end', right(phone, 4),
            'reason', booking.reason_of(booking.provider_id, booking_id), 'token', token,
            'token_label', reception.token_label(session.letter, token), 'calls', cardinality(calls),
            'since_at', coalesce(left_at, finished_at, entered_at, calls[cardinality(calls)], arrived_at),
            'can_arrive', stands.state = 'expected' AND reception.is_near(booking.during, p_now),
            'place', place, 'line', line, 'to_pay_minor', till.owed_minor(booking),
            'paid_minor', till.paid_minor(booking.provider_id, booking_id),
            'is_paid_online', booking.funding = 'online',  -- what is not paid is no booking
            'session_ends_at', coalesce(upper(session.during), upper(opening.during), upper(booking.during)),
            'undo_until_at', undo.until, 'undo_by', undo.actor) END
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
    -- The name is the booking's.
    LEFT JOIN accounts.person ON person.person_id = booking.person_id AND reception.knows_details(p_clinic_id, booking.person_id)
    CROSS JOIN LATERAL (
        SELECT string_agg(service_type.name, ', ' ORDER BY service_type.name) AS services
        FROM directory.service JOIN directory.service_type USING (service_type_id) WHERE service_id = ANY (service_ids)) AS named
    CROSS JOIN LATERAL (SELECT reception.state_of(booking.state_at(booking, p_now), attendance) AS state) AS stands
    LEFT JOIN LATERAL reception.last_act(booking.provider_id, booking_id, p_now) AS undo ON true
    WHERE booking.provider_id = p_provider_id AND booking.clinic_id = p_clinic_id AND booking.during && p_during
        AND lower(booking.during) >= lower(p_during) AND booking.occupies AND stands.state <> 'expired'
$$;

-- The appointments of a clinic that its day sheet shows with their patients.
CREATE FUNCTION reception.shown_on(p_clinic_id bigint, p_during tstzrange, p_now timestamptz) RETURNS uuid[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(booking_id)
    FROM directory.provider_clinic JOIN booking.booking USING (provider_id, clinic_id)
    WHERE clinic_id = p_clinic_id AND booking.during && p_during AND lower(booking.during) >= lower(p_during) AND booking.occupies
        AND booking.state_at(booking, p_now) NOT IN ('reserved', 'expired')
$$;

-- What changes with each change of a clinic's day sheets: its rules, its providers' books, what is paid at its desks, and the minute.
CREATE FUNCTION reception.day_version(p_clinic_id bigint, p_now timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT md5(concat_ws('|',
        string_agg(concat_ws(':', provider_id, version), ',' ORDER BY provider_id), walk_in_every, overbook_cap, till.version(p_clinic_id, p_now),
        date_trunc('minute', p_now)))
    FROM directory.clinic JOIN directory.provider_clinic USING (clinic_id) LEFT JOIN booking.book USING (provider_id)
    WHERE clinic_id = p_clinic_id GROUP BY clinic_id
$$;
