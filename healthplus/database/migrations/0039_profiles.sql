-- Why somebody comes, in the patient's own words, for the clinic alone. Outside the book: no verb reads it, no event tells of it, and it
-- goes long before the booking does.
CREATE TABLE booking.reason (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    patient_id bigint NOT NULL,                    -- with whom it is erased
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 200),
    said_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, booking_id)
);
CREATE INDEX reason_patient_id ON booking.reason (patient_id);
