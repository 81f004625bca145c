-- What a patient has to do before a service, such as to eat nothing for ten hours (docs/decisions/0062-preparation.md). It belongs to what a
-- provider offers under a name, not to one price of it: so it is no column of directory.service, whose rows are never changed.
CREATE TABLE directory.preparation (
    provider_id bigint NOT NULL REFERENCES directory.provider ON DELETE CASCADE,
    service_type_id bigint NOT NULL REFERENCES directory.service_type,
    clinic_id bigint REFERENCES directory.clinic ON DELETE CASCADE,  -- NULL: of what is offered at each of the provider's clinics
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 500)
);
CREATE UNIQUE INDEX preparation_of ON directory.preparation (provider_id, service_type_id, clinic_id) NULLS NOT DISTINCT;
