-- Places close, cities have former addresses, and what was imported knows where from (docs/decisions/0083-places.md).

-- Since when a provider can be booked nowhere any more; of a clinic, and of a provider at one, there is the same. NULL: they can.
ALTER TABLE directory.provider ADD COLUMN closed_since timestamptz;

-- Addresses that a city had before it was merged with another, or that its files name it by: each leads to it.
CREATE TABLE directory.city_alias (
    slug text PRIMARY KEY CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    city_id bigint NOT NULL REFERENCES directory.city
);
CREATE INDEX city_alias_city_id ON directory.city_alias (city_id);

-- Which source says that a provider is at a clinic, and when an import last saw it there; gone_at: since when they are closed there because
-- the source says so no more.
CREATE TABLE directory.source_row (
    source text NOT NULL CHECK (source <> ''),
    provider_id bigint NOT NULL,
    clinic_id bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    PRIMARY KEY (source, provider_id, clinic_id),
    FOREIGN KEY (provider_id, clinic_id) REFERENCES directory.provider_clinic ON DELETE CASCADE
);
CREATE INDEX source_row_post ON directory.source_row (provider_id, clinic_id);
