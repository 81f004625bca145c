-- What patients think of whom they visited.
CREATE SCHEMA reviews;

-- One rating a patient and provider, however often they came: another one replaces it. As in the book, no foreign keys.
CREATE TABLE reviews.rating (
    provider_id bigint NOT NULL,
    patient_id bigint NOT NULL,
    booking_id uuid NOT NULL,                      -- the visit it was last given for
    stars smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
    rated_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, patient_id)          -- this prevents ten visits from counting ten times
);
CREATE INDEX rating_patient_id ON reviews.rating (patient_id);

-- Ratings that an import brought were nobody's, and go. The sum of the stars, since a mean cannot be added to; only
-- reviews.rate changes the two.
ALTER TABLE directory.provider
    DROP COLUMN rating,
    DROP COLUMN rating_count,
    ADD COLUMN rating_total integer NOT NULL DEFAULT 0,
    ADD COLUMN rating_count integer NOT NULL DEFAULT 0,
    ADD CHECK (rating_count >= 0 AND rating_total BETWEEN rating_count AND rating_count * 5::bigint);
