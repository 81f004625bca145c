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
CREATE INDEX reason_said_at ON booking.reason USING brin (said_at);

-- What a profile says of a provider. Since when they practise, or a place is there, is `practising_since`; what it says of itself, `bio`.
ALTER TABLE directory.provider
    ADD COLUMN qualifications text NOT NULL DEFAULT '',  -- "MBBS, MD Dermatology"
    ADD COLUMN registration text NOT NULL DEFAULT '',    -- the number under which the council knows them
    ADD COLUMN council text NOT NULL DEFAULT '';

-- Pictures as we have encoded them, by a hash of what they contain, so that what is at an address of ours never changes.
CREATE TABLE directory.photo (
    hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{32}$'),
    size smallint NOT NULL,                        -- pixels of a side: they are squares
    webp bytea NOT NULL,
    stored_at timestamptz NOT NULL,                -- by an import that is about to name it; one that nobody names is deleted a day later
    PRIMARY KEY (hash, size)
);
ALTER TABLE directory.photo ALTER COLUMN webp SET STORAGE EXTERNAL;  -- it is compressed already

-- `source`: the address from which it was fetched. Not in the provider's row: search would work out its list again with each.
CREATE TABLE directory.provider_photo (
    provider_id bigint PRIMARY KEY REFERENCES directory.provider ON DELETE CASCADE,
    hash text NOT NULL,
    source text NOT NULL
);
CREATE INDEX provider_photo_hash ON directory.provider_photo (hash);
CREATE TABLE directory.clinic_picture (
    clinic_id bigint NOT NULL REFERENCES directory.clinic ON DELETE CASCADE,
    position smallint NOT NULL CHECK (position BETWEEN 1 AND 6),
    hash text NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (clinic_id, position)
);
CREATE INDEX clinic_picture_hash ON directory.clinic_picture (hash);

-- What patients write beside their stars: one review a patient and provider, as with ratings. `new` and `shown` can be seen; `reported`
-- waits for somebody of ours to look at it, who makes it `shown`, for good unless it is written again, or `hidden`.
CREATE TYPE reviews.review_state AS ENUM ('new', 'reported', 'shown', 'hidden');
CREATE TABLE reviews.review (
    review_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    provider_id bigint NOT NULL,
    patient_id bigint NOT NULL,
    text text CHECK (length(text) BETWEEN 1 AND 500),  -- NULL: taken back; the row stays, so that what was hidden is looked at if it comes again
    written_at timestamptz NOT NULL,
    state reviews.review_state NOT NULL DEFAULT 'new',
    reply text CHECK (length(reply) BETWEEN 1 AND 500),  -- the clinic's, once it can log in
    UNIQUE (provider_id, patient_id)
);
CREATE INDEX review_patient_id ON reviews.review (patient_id);
CREATE INDEX review_visible ON reviews.review (provider_id, written_at DESC, review_id) WHERE text IS NOT NULL AND state IN ('new', 'shown');
CREATE INDEX review_reported ON reviews.review (written_at) WHERE state = 'reported';
CREATE TABLE reviews.report (
    review_id uuid NOT NULL REFERENCES reviews.review ON DELETE CASCADE,
    reporter_id bigint NOT NULL,
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (review_id, reporter_id)               -- this prevents one person from reporting one review again and again
);
CREATE INDEX report_reporter_id ON reviews.report (reporter_id, reported_at);

-- Providers whose own name is what is searched for: they come first, in the order 'best'.
ALTER TYPE search.criteria ADD ATTRIBUTE own_ids bigint[];
