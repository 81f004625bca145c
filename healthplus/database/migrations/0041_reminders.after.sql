-- Finds the appointments that begin soon.
DROP INDEX CONCURRENTLY IF EXISTS booking.booking_starts_at;
CREATE INDEX CONCURRENTLY booking_starts_at ON booking.booking (lower(during)) WHERE state = 'booked';
