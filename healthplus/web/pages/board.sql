-- name: board
-- What the board of clinic $1 shows to who has the key whose hash is $2; NULL for anybody else.
SELECT reception.board($1, $2)
