-- name: provider_exists
-- Whether there is such a provider; an empty chart does not say.
SELECT EXISTS (SELECT FROM directory.provider WHERE provider_id = $1)

-- name: migrated_to
-- The newest migration the database has.
SELECT coalesce(max(number), 0) FROM public.schema_migration
