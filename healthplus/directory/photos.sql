-- name: photo
-- A picture of this size.
SELECT webp FROM directory.photo WHERE hash = $1 AND size = $2
