-- name: rate
-- Store a patient's rating of a provider.
SELECT code, state, directory.rating_mean(rating_total, rating_count) AS mean, rating_count
FROM reviews.rate($1, $2, $3, $4)

-- name: rating
-- A patient's rating of the provider of a booking of theirs that took place, even if made for another one.
SELECT rating.booking_id, stars, rated_at, directory.rating_mean(rating_total, rating_count) AS mean, rating_count
FROM booking.booking
JOIN reviews.rating USING (provider_id, patient_id)
JOIN directory.provider USING (provider_id)
WHERE provider_id = $1 AND booking.booking_id = $2 AND patient_id = $3 AND booking.state = 'fulfilled'
