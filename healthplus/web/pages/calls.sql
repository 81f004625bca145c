-- name: session
-- A session of a provider's, and the rule that holds at its clinic.
SELECT session.letter, lower(session.during) AS starts_at, provider.name AS provider, clinic.name AS clinic, walk_in_every, time_zone, clinic_id
FROM reception.session
JOIN directory.provider USING (provider_id)
JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE session.provider_id = $1 AND session_id = $2

-- name: chain
-- The record of a session, which is public: tokens and times.
SELECT entry, booking.hashed_instant(at) AS at, kind, token, booking.hashed_instant(booked_at) AS booked_at,
    booking.hashed_instant(come_at) AS come_at, every, encode(hash, 'hex') AS hash
FROM reception.call_entry WHERE provider_id = $1 AND session_id = $2 ORDER BY entry

-- name: labels
-- The tokens of that record as they are said.
SELECT DISTINCT token, reception.token_label(letter, token) AS label
FROM reception.call_entry
JOIN reception.session USING (provider_id, session_id)
WHERE provider_id = $1 AND session_id = $2
