-- Every process asks every few seconds which shifts have times to release.
DROP INDEX CONCURRENTLY IF EXISTS schedule.shift_to_release;
CREATE INDEX CONCURRENTLY shift_to_release ON schedule.shift (provider_id) WHERE release_hours > 0;
