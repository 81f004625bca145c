-- Who may book the times of a shift (docs/decisions/0069-share-of-times.md).
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'times_released';  -- times that the desk had for itself can be booked by all

-- NULL: everybody, at once; 0: only the clinic's desk; else everybody from so many hours before the shift on that day begins.
ALTER TABLE schedule.shift ADD COLUMN release_hours smallint;
ALTER TABLE schedule.shift ADD CONSTRAINT shift_release_hours_check CHECK (release_hours BETWEEN 0 AND 720) NOT VALID;
-- The last day on which its times were released. Written under the book's lock, so that what is free changes with the book, never with the clock.
ALTER TABLE schedule.shift ADD COLUMN released_until date;
