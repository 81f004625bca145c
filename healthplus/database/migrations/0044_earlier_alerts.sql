-- Earlier times: patients who have an appointment may ask to be told when a time before it comes free.
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'earlier';

-- Who is to be told, for which appointment. An alert ends with the appointment's time: one that moved has none.
CREATE TABLE notices.earlier_alert (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    patient_id bigint NOT NULL,
    starts_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL,                 -- they are told in this order
    known timestamptz[] NOT NULL,                  -- free times that are no news to the patient
    PRIMARY KEY (provider_id, booking_id)
);
CREATE INDEX earlier_alert_patient_id ON notices.earlier_alert (patient_id);
CREATE INDEX earlier_alert_starts_at ON notices.earlier_alert USING brin (starts_at);

-- The books that alerts look into: what was seen of them, and when to look again though nothing changed.
CREATE TABLE notices.earlier_watch (
    provider_id bigint PRIMARY KEY,
    looked_version bigint NOT NULL,
    look_at timestamptz
);

-- Who was told of which time: nobody twice of the same.
CREATE TABLE notices.earlier_told (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    free_at timestamptz NOT NULL,
    told_at timestamptz NOT NULL,
    told_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),  -- nobody can guess it: its link leads to the appointment
    patient_id bigint NOT NULL,
    clinic_id bigint NOT NULL,
    PRIMARY KEY (provider_id, booking_id, free_at)
);
CREATE INDEX earlier_told_patient_id ON notices.earlier_told (patient_id, told_at);
CREATE INDEX earlier_told_free_at ON notices.earlier_told (provider_id, free_at);
CREATE INDEX earlier_told_told_at ON notices.earlier_told USING brin (told_at);

-- Of a free time.
ALTER TABLE notices.notice ADD COLUMN told_id uuid;
