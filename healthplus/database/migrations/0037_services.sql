-- What one books: services, with their length, price and terms (docs/decisions/0053-services.md).

-- What services are called, by which they are found everywhere (FHIR HealthcareService.type).
CREATE TABLE directory.service_type (
    service_type_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND slug !~ '^[0-9]+$'),  -- all digits: that is a service's id
    name text NOT NULL CHECK (name <> ''),
    is_test boolean NOT NULL,                      -- a laboratory's: several fit into one visit, and their fees add up
    name_slug text                                 -- the name as a slug, where another type has that slug; NULL: slug itself
);
-- A name may be that of a visit and of a test.
CREATE UNIQUE INDEX service_type_name ON directory.service_type ((coalesce(name_slug, slug)), is_test);

-- What a provider offers. A row is never changed, only closed: a new price or length is another service, so that what a chart showed,
-- a hold has, and a patient paid for is one row.
CREATE TABLE directory.service (
    service_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id bigint NOT NULL REFERENCES directory.provider ON DELETE CASCADE,
    clinic_id bigint,                              -- NULL: at each of the provider's clinics
    service_type_id bigint NOT NULL REFERENCES directory.service_type,
    -- Of a visit, or what a test adds to one: 0 where taking the sample is no time of its own. A visit takes a slot at least.
    length_minutes smallint NOT NULL CHECK (length_minutes BETWEEN 0 AND 720),
    buffer_minutes smallint NOT NULL DEFAULT 0 CHECK (buffer_minutes BETWEEN 0 AND 240),  -- kept free after it
    starts_every smallint NOT NULL DEFAULT 1 CHECK (starts_every BETWEEN 1 AND 144),      -- slots of a shift
    weekdays smallint NOT NULL DEFAULT 127 CHECK (weekdays BETWEEN 1 AND 127),            -- a bit each; Monday's is the lowest
    allows_more_a_day boolean NOT NULL DEFAULT false,  -- whether a person may have others with the provider on that day
    fee_minor integer NOT NULL CHECK (fee_minor BETWEEN 0 AND 100000000),
    currency text NOT NULL DEFAULT 'INR' CHECK (currency ~ '^[A-Z]{3}$'),
    funding directory.funding NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,                         -- NULL: it can be booked
    FOREIGN KEY (provider_id, clinic_id) REFERENCES directory.provider_clinic ON DELETE CASCADE,
    CHECK (funding <> 'online' OR fee_minor > 0),  -- this prevents an online payment of nothing
    CHECK (funding <> 'free' OR fee_minor = 0),    -- at the clinic, 0 means that the clinic says what it costs
    CHECK (length_minutes > 0 OR buffer_minutes = 0)
);
CREATE UNIQUE INDEX service_open ON directory.service (provider_id, service_type_id, clinic_id) NULLS NOT DISTINCT WHERE closed_at IS NULL;
-- Who offers it, cheapest first (directory.known_fee).
CREATE INDEX service_type_fee ON directory.service (
    service_type_id, (CASE WHEN fee_minor > 0 OR funding = 'free' THEN fee_minor END), provider_id) WHERE closed_at IS NULL;

-- The laboratory tests there are, before anything here locks a table that others write to. Their own tables stay as they are for the
-- release before, and go with the next one.
INSERT INTO directory.service_type (slug, name, is_test)
SELECT CASE WHEN slug ~ '^[0-9]+$' THEN 'service-' || slug ELSE slug END, name, true FROM directory.lab_test ORDER BY lab_test_id;
INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, currency, funding)
SELECT provider_id, service_type_id, 0, price_minor, currency,
    CASE WHEN price_minor = 0 THEN 'free' WHEN EXISTS (
        SELECT FROM directory.provider_clinic
        WHERE provider_clinic.provider_id = provider_lab_test.provider_id AND provider_clinic.funding = 'online')
        THEN 'online' ELSE 'clinic' END::directory.funding
FROM directory.provider_lab_test JOIN directory.lab_test USING (lab_test_id)
JOIN directory.service_type
    ON service_type.slug = CASE WHEN lab_test.slug ~ '^[0-9]+$' THEN 'service-' || lab_test.slug ELSE lab_test.slug END;

-- What is kept of a fee when a patient cancels: steps of a ladder, never changed. A clinic without any returns all until the visit begins.
CREATE TABLE directory.terms (
    terms_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE directory.terms_step (
    terms_id bigint NOT NULL REFERENCES directory.terms,
    hours_before smallint NOT NULL CHECK (hours_before BETWEEN 1 AND 8784),  -- who cancels later than that leaves
    kept_percent smallint CHECK (kept_percent BETWEEN 0 AND 100),            -- this part of the fee,
    kept_minor integer CHECK (kept_minor BETWEEN 0 AND 100000000),           -- or this amount, and no more than the fee
    PRIMARY KEY (terms_id, hours_before),
    CHECK ((kept_percent IS NULL) <> (kept_minor IS NULL))
);
-- Those of new holds: a clinic's, and its own ones for some services.
ALTER TABLE directory.clinic ADD COLUMN terms_id bigint;
CREATE TABLE directory.service_terms (
    clinic_id bigint NOT NULL REFERENCES directory.clinic ON DELETE CASCADE,
    service_type_id bigint NOT NULL REFERENCES directory.service_type,
    terms_id bigint NOT NULL REFERENCES directory.terms,
    PRIMARY KEY (clinic_id, service_type_id)
);

-- What a hold or ticket asks of the schedule: `slots` in a row or, where `minutes` is not NULL, as many as take these; from each
-- `starts_every`th slot of a shift on; on `weekdays`; at clinics of a `currency`, where it is not NULL.
CREATE TYPE booking.need AS (slots integer, minutes integer, starts_every integer, weekdays integer, currency text);
-- A number of slots is a need, also for calls of the release before.
CREATE FUNCTION booking.need(p_slots integer) RETURNS booking.need LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    need booking.need;
BEGIN
    need.slots := p_slots;
    need.starts_every := 1;
    need.weekdays := 127;
    RETURN need;
END $$;
CREATE CAST (integer AS booking.need) WITH FUNCTION booking.need(integer) AS IMPLICIT;

ALTER TABLE booking.booking
    ADD COLUMN service_ids bigint[],               -- NULL: a visit of `slots_needed` slots for the fee of the provider at the clinic
    ADD COLUMN terms_id bigint,                    -- NULL: all is returned
    ADD COLUMN kept_min_minor integer;             -- what cancelling before the patient's moves of it would have kept; NULL: nothing
ALTER TABLE booking.ticket
    ADD COLUMN service_ids bigint[],
    ADD COLUMN need_key text;                      -- the same for services that ask the same of the schedule (booking.need_key)
ALTER TYPE booking.outcome ADD ATTRIBUTE service_ids bigint[], ADD ATTRIBUTE terms_id bigint;
ALTER TABLE booking.idempotency ADD COLUMN service_ids bigint[], ADD COLUMN terms_id bigint;

-- Of money for a booking that its patient cancelled: what is kept of it. NULL: nothing. The trigger and the view come here, where the table
-- is locked anyway; the trigger is in the function files, too.
ALTER TABLE ledger.payment ADD COLUMN kept_minor integer;
ALTER TABLE ledger.payment ADD CONSTRAINT payment_kept_minor_check CHECK (kept_minor BETWEEN 1 AND amount_minor) NOT VALID;
CREATE OR REPLACE TRIGGER written_once AFTER UPDATE ON ledger.payment FOR EACH ROW WHEN (((old.provider_id IS DISTINCT FROM new.provider_id)
    OR (old.hold_id IS DISTINCT FROM new.hold_id) OR (old.booking_id IS DISTINCT FROM new.booking_id)
    OR (old.authorisation IS DISTINCT FROM new.authorisation) OR (old.amount_minor IS DISTINCT FROM new.amount_minor)
    OR ((old.currency IS NOT NULL) AND (old.currency IS DISTINCT FROM new.currency))
    OR ((old.kept_minor IS NOT NULL) AND (old.kept_minor IS DISTINCT FROM new.kept_minor))
    OR ((old.authorised_at IS NOT NULL) AND (old.authorised_at IS DISTINCT FROM new.authorised_at))
    OR ((old.authorised_source IS NOT NULL) AND (old.authorised_source IS DISTINCT FROM new.authorised_source))
    OR ((old.captured_at IS NOT NULL) AND (old.captured_at IS DISTINCT FROM new.captured_at))
    OR ((old.captured_source IS NOT NULL) AND (old.captured_source IS DISTINCT FROM new.captured_source))
    OR ((old.voided_at IS NOT NULL) AND (old.voided_at IS DISTINCT FROM new.voided_at))
    OR ((old.voided_source IS NOT NULL) AND (old.voided_source IS DISTINCT FROM new.voided_source))
    OR ((old.refunded_at IS NOT NULL) AND (old.refunded_at IS DISTINCT FROM new.refunded_at))
    OR ((old.refunded_source IS NOT NULL) AND (old.refunded_source IS DISTINCT FROM new.refunded_source))))
EXECUTE FUNCTION ledger.refuse_change();
CREATE OR REPLACE VIEW ledger.entry AS
SELECT provider_id, hold_id, authorisation, fact.state,
    CASE fact.state WHEN 'refunded' THEN amount_minor - coalesce(kept_minor, 0) ELSE amount_minor END AS amount_minor,
    fact.source, fact.at, currency
FROM ledger.payment CROSS JOIN LATERAL (VALUES
    ('authorised'::ledger.payment_state, authorised_source, authorised_at),
    ('captured'::ledger.payment_state, captured_source, captured_at),
    ('voided'::ledger.payment_state, voided_source, voided_at),
    ('refunded'::ledger.payment_state, refunded_source, refunded_at)) AS fact (state, source, at)
WHERE fact.at IS NOT NULL
UNION ALL
SELECT former_entry.provider_id, former_entry.hold_id, former_entry.authorisation, former_entry.state, former_entry.amount_minor,
    former_entry.source, former_entry.at, former_entry.currency
FROM ledger.former_entry JOIN ledger.payment USING (provider_id, hold_id, authorisation)
WHERE payment.authorised_at IS NULL;

-- What searches ask for and read: services of which one of each group must be offered, what a visit costs (NULL: the clinic says), and what types of services
-- are called, as search.term has it of cities and specialities. Not there, as the release before reads all of it.
ALTER TYPE search.criteria ADD ATTRIBUTE service_type_ids bigint[], ADD ATTRIBUTE service_groups smallint[];
ALTER TABLE search.listing ADD COLUMN price double precision;
CREATE TABLE search.service_term (
    service_type_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    whole boolean NOT NULL,
    PRIMARY KEY (key, service_type_id)
);
CREATE INDEX service_term_id ON search.service_term (service_type_id);

-- Listings follow services instead.
DROP TRIGGER IF EXISTS search_follows_insert ON directory.provider_lab_test;
DROP TRIGGER IF EXISTS search_follows_update ON directory.provider_lab_test;
DROP TRIGGER IF EXISTS search_follows_delete ON directory.provider_lab_test;
DROP TRIGGER IF EXISTS search_follows_update ON directory.lab_test;
