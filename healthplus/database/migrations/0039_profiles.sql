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
