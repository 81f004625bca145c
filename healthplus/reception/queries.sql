-- name: chain
-- The chain of a session, which is public: tokens and times.
SELECT entry, booking.hashed_instant(at) AS at, kind, token, booking.hashed_instant(booked_at) AS booked_at,
    booking.hashed_instant(come_at) AS come_at, every, encode(hash, 'hex') AS hash
FROM reception.call_entry WHERE provider_id = $1 AND session_id = $2 ORDER BY entry
