-- Finds the appointments that begin soon. It has no condition on the state: a confirm would then have to write all indexes.
DROP INDEX CONCURRENTLY IF EXISTS booking.booking_starts_at;
CREATE INDEX CONCURRENTLY booking_starts_at ON booking.booking (lower(during));
