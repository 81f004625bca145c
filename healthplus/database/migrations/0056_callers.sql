-- Whom a clinic knows, and what callers agree to (docs/decisions/0064-phone-bookings.md).

-- Which persons were ever booked at a clinic, or added by its desk. `words` finds them by name (reception.lexemes).
CREATE TABLE reception.clinic_person (
    clinic_id bigint NOT NULL,
    person_id uuid NOT NULL,
    words tsvector NOT NULL,
    known_at timestamptz NOT NULL,
    only_typed boolean NOT NULL DEFAULT false,     -- the desk named them without their year of birth (reception.knows_details)
    PRIMARY KEY (clinic_id, person_id)
);
CREATE INDEX clinic_person_person_id ON reception.clinic_person (person_id);
CREATE INDEX clinic_person_words ON reception.clinic_person USING gin (words);

-- Up to which event of a provider's book that is written. Of what was booked before the first look, up to which booking; NULL: all.
CREATE TABLE reception.known_until (
    clinic_id bigint NOT NULL,
    provider_id bigint NOT NULL,
    seq bigint NOT NULL,
    booked_until uuid DEFAULT '00000000-0000-0000-0000-000000000000',
    PRIMARY KEY (clinic_id, provider_id)
);

-- To which of the staff they agreed, at the desk or on the telephone; NULL: on a page.
ALTER TABLE accounts.consent ADD COLUMN recorded_by text;
