-- name: provider_exists
-- Whether an empty chart is a provider's or nobody's.
SELECT EXISTS (SELECT FROM directory.provider WHERE provider_id = $1)

-- name: migrated_to
-- The newest migration the database has.
SELECT coalesce(max(number), 0) FROM public.schema_migration
