-- name: provider_exists
-- Whether there is such a provider; an empty chart does not say.
SELECT EXISTS (SELECT FROM directory.provider WHERE provider_id = $1)
