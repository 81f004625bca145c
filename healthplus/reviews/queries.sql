-- name: rate
-- Store a patient's rating of a provider.
SELECT code, state, directory.rating_mean(rating_total, rating_count) AS mean, rating_count
FROM reviews.rate($1, $2, $3, $4)

-- name: rating
-- A patient's rating of the provider of a booking of theirs that took place, even if made for another one.
SELECT rating.booking_id, stars, rated_at, directory.rating_mean(rating_total, rating_count) AS mean, rating_count,
    review.text, CASE WHEN review.text IS NOT NULL THEN review.state::text END AS review_state
FROM booking.booking
JOIN reviews.rating USING (provider_id, patient_id)
JOIN directory.provider USING (provider_id)
LEFT JOIN reviews.review USING (provider_id, patient_id)
WHERE provider_id = $1 AND booking.booking_id = $2 AND patient_id = $3 AND booking.state = 'fulfilled'

-- name: write_review
-- Store what a patient says of a provider whom they have rated; NULL takes it back.
SELECT reviews.write_review($1, $2, $3)

-- name: reviews
-- What everybody may read of a provider, the latest first; the month alone says when, so that nobody is told by the day they came.
SELECT review_id, stars, text, date_trunc('month', written_at AT TIME ZONE $4)::date AS month
FROM reviews.review JOIN reviews.rating USING (provider_id, patient_id)
WHERE provider_id = $1 AND reviews.is_visible(review)
ORDER BY written_at DESC, review_id
LIMIT $2 OFFSET $3

-- name: visible_review
-- A review of a provider, if everybody may read it.
SELECT review_id, stars, text, date_trunc('month', written_at AT TIME ZONE $3)::date AS month
FROM reviews.review JOIN reviews.rating USING (provider_id, patient_id)
WHERE provider_id = $1 AND review_id = $2 AND reviews.is_visible(review)

-- name: report_review
-- Report a review.
SELECT reviews.report_review($1, $2, $3)

-- name: reviews_to_look_at
-- Reviews that were reported and that nobody has looked at since, the oldest first; with $1, the latest of all.
SELECT review_id, provider_id, provider.name AS provider, stars, text, written_at, state::text AS state, (
    SELECT count(*) FROM reviews.report WHERE report.review_id = review.review_id) AS reports
FROM reviews.review JOIN reviews.rating USING (provider_id, patient_id) JOIN directory.provider USING (provider_id)
WHERE text IS NOT NULL AND ($1 OR review.state = 'reported')
ORDER BY CASE WHEN $1 THEN -extract(epoch FROM written_at) ELSE extract(epoch FROM written_at) END, review_id
LIMIT 50

-- name: judge
-- Show a review or hide it, after somebody has looked at it.
UPDATE reviews.review SET state = $2::reviews.review_state WHERE review_id = $1 AND text IS NOT NULL
