-- name: forget
-- Delete some of what nobody needs any more; return where to go on, NULL when all is done.
SELECT retention.forget($1, $2)

-- name: forget_numbers
-- Delete the phone numbers of sign-in codes that have expired.
SELECT retention.forget_numbers()
