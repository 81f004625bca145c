-- Reminders of appointments, in the patient's language and by the ways that the patient chose.
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'reminder';
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'not_cancelled';  -- the answer to NO
ALTER TYPE notices.channel ADD VALUE IF NOT EXISTS 'whatsapp';
ALTER TYPE notices.channel ADD VALUE IF NOT EXISTS 'push';

-- How many hours before an appointment a clinic's patients are reminded; NULL: as usual (notices.usual_hours), none: never.
ALTER TABLE directory.clinic ADD COLUMN reminder_hours smallint[];
ALTER TABLE directory.clinic ADD CONSTRAINT clinic_reminder_hours_check
    CHECK (cardinality(reminder_hours) <= 4 AND 1 <= ALL (reminder_hours) AND 168 >= ALL (reminder_hours)) NOT VALID;

-- What a patient chose, or what their pages were in; no row: English, by SMS, with reminders.
CREATE TABLE notices.preference (
    patient_id bigint PRIMARY KEY,
    language text NOT NULL CHECK (language IN ('en', 'hi')),
    language_chosen boolean NOT NULL DEFAULT false,  -- else it follows the pages that the patient books by
    text_by notices.channel NOT NULL DEFAULT 'sms',
    reminds_by_text boolean NOT NULL DEFAULT true,
    reminds_by_email boolean NOT NULL DEFAULT true,
    reminds_by_push boolean NOT NULL DEFAULT true
);

-- The devices that show notices; each only as long as the session that asked for it.
CREATE TABLE notices.push_subscription (
    subscription_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    patient_id bigint NOT NULL,
    token_hash bytea NOT NULL,
    endpoint text NOT NULL CHECK (endpoint LIKE 'https://%'),
    client_key bytea NOT NULL CHECK (length(client_key) = 65),
    client_secret bytea NOT NULL CHECK (length(client_secret) = 16),
    created_at timestamptz NOT NULL,
    UNIQUE (patient_id, endpoint)
);
CREATE INDEX push_subscription_token_hash ON notices.push_subscription (token_hash);

-- The reminders that were sent, or put into the outbox: at most one of an appointment's time for each moment.
CREATE TABLE notices.reminder (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    reminder_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),  -- nobody can guess it: its link leads to the appointment
    patient_id bigint NOT NULL,
    said_no_at timestamptz,
    PRIMARY KEY (provider_id, booking_id, starts_at, due_at)
);
CREATE INDEX reminder_patient_id ON notices.reminder (patient_id, due_at);
CREATE INDEX reminder_starts_at ON notices.reminder USING brin (starts_at);

-- Who has said that they are coming, and to which time. The book knows nothing of it.
CREATE TABLE notices.coming (
    provider_id bigint NOT NULL,
    booking_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    patient_id bigint NOT NULL,
    said_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, booking_id)
);
CREATE INDEX coming_patient_id ON notices.coming (patient_id);
CREATE INDEX coming_starts_at ON notices.coming USING brin (starts_at);

-- Of a reminder, and of the answer to it.
ALTER TABLE notices.notice ADD COLUMN reminder_id uuid;
