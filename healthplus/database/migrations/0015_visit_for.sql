-- Whom a visit is for where it is not the patient who booked it: a child, a parent.
ALTER TABLE booking.booking ADD COLUMN visit_for text CHECK (length(visit_for) BETWEEN 1 AND 200);
