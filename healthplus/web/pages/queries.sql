-- name: session
-- The patient who is signed in, and their live claim. `has_old_consent`: they agreed, but not to the present text ($2).
SELECT patient.name, patient.phone, preference.language, coalesce(language_chosen, false) AS has_chosen_language,
    coalesce((
        SELECT bool_and(version <> $2) FROM accounts.consent
        WHERE consent.patient_id = patient.patient_id AND withdrawn_at IS NULL), false) AS has_old_consent,
    live.*
FROM accounts.patient
LEFT JOIN notices.preference ON preference.patient_id = patient.patient_id
LEFT JOIN LATERAL (
    SELECT
        CASE
            WHEN claim.booking_id IS NOT NULL OR ticket.state = 'accepted' THEN 'hold'
            WHEN ticket.state = 'offered' AND booking.state_at(held, (SELECT public.app_now())) <> 'expired' THEN 'offer'
            WHEN ticket.state = 'called' AND booking.state_at(held, (SELECT public.app_now())) <> 'expired' THEN 'call'
            ELSE 'ticket'
        END AS kind,
        claim.provider_id, provider.name AS provider, provider.type::text AS type,
        (SELECT hash FROM directory.provider_photo WHERE provider_photo.provider_id = claim.provider_id) AS photo,
        coalesce(claim.booking_id, CASE WHEN ticket.state = 'accepted' THEN ticket.offer_id ELSE claim.ticket_id END) AS claim_id,
        held.clinic_id, held.slots_needed, coalesce(held.service_ids, ticket.service_ids) AS service_ids, lower(held.during) AS starts_at, held.deadline,
        ticket.joined_at, ticket.answered_at IS NOT NULL AS answered,
        -- Who is called counts as ahead, as on the ticket's own page. Each state has an index of its own.
        CASE WHEN ticket.state = 'waiting' THEN (
            SELECT count(*) FROM booking.ticket AS ahead
            WHERE ahead.provider_id = claim.provider_id AND ahead.state = 'waiting' AND ahead.number <= ticket.number
        ) + (
            SELECT count(*) FROM booking.ticket AS ahead
            WHERE ahead.provider_id = claim.provider_id AND ahead.state = 'called' AND ahead.number < ticket.number) END AS position,
        coalesce(city.time_zone, 'Asia/Kolkata') AS time_zone
    FROM booking.claim
    JOIN directory.provider USING (provider_id)
    LEFT JOIN booking.ticket ON ticket.provider_id = claim.provider_id AND ticket.ticket_id = claim.ticket_id
    LEFT JOIN booking.booking AS held
        ON held.provider_id = claim.provider_id AND held.booking_id = coalesce(claim.booking_id, ticket.offer_id)
    LEFT JOIN directory.clinic ON clinic.clinic_id = coalesce(held.clinic_id, ticket.clinic_id)
    LEFT JOIN directory.city USING (city_id)
    WHERE claim.patient_id = patient.patient_id
        AND (booking.claim_fate(claim, (SELECT public.app_now()))).fate = 'live'
) AS live ON true
WHERE patient.patient_id = $1

-- name: cities
-- The cities where most providers can be booked, those with most first.
SELECT slug, name
FROM directory.city JOIN (SELECT city_id, count(*) AS providers FROM search.listing GROUP BY city_id) AS counted USING (city_id)
ORDER BY providers DESC, name
LIMIT $1

-- name: specialities
-- The specialities that some provider has.
SELECT slug, name FROM directory.speciality
WHERE EXISTS (SELECT FROM directory.provider_speciality WHERE provider_speciality.speciality_id = speciality.speciality_id)
ORDER BY name
LIMIT $1
