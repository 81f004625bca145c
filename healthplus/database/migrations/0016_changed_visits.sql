-- How often, and when last, a booking was changed after it was made: a calendar tells by it which of two files is the newer.
-- Such events are few, so that keeping this index costs next to nothing.
CREATE INDEX event_booking_changed ON booking.event (provider_id, booking_id)
    WHERE kind IN ('moved', 'needs_rebooking', 'cancelled');
