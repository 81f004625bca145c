-- What the waiting room looks up.
CREATE INDEX ticket_patient_id ON booking.ticket (patient_id);
