-- name: photo
-- A picture of this size, or the next smaller one that there is.
SELECT webp FROM directory.photo WHERE hash = $1 AND size <= $2 ORDER BY size DESC LIMIT 1
