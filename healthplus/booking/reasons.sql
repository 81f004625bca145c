-- name: give_reason
-- Store why a patient comes.
SELECT booking.give_reason($1, $2, $3, $4)
