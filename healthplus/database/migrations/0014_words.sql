-- The words people may mean, with what makes one likelier than another: how often the directory says it, in a city and (0)
-- everywhere, and whether the product's own list of words has it. Only words of Latin letters, where misspellings are known.
CREATE TABLE search.word (
    city_id bigint NOT NULL,
    word text COLLATE "C" NOT NULL,
    frequency integer NOT NULL,
    curated boolean NOT NULL,
    PRIMARY KEY (city_id, word)
);
CREATE INDEX word_trigrams ON search.word USING gin (word gin_trgm_ops) WHERE city_id = 0;
CREATE INDEX word_sound ON search.word (public.dmetaphone(word)) WHERE city_id = 0;

-- When the words were last counted: at most one row.
CREATE TABLE search.words_learnt (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    at timestamptz NOT NULL
);

-- What a city or speciality is called, by each word of its name first: `clear eye` is found as `eye clear` too.
CREATE TYPE search.term_kind AS ENUM ('city', 'speciality');
CREATE TABLE search.term (
    kind search.term_kind NOT NULL,
    id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    whole boolean NOT NULL,  -- the name in its own order
    PRIMARY KEY (key, kind, id)
);
CREATE INDEX term_id ON search.term (id);

-- The same for providers and clinics, in each city where they can be visited; the preferred have a larger number.
CREATE TYPE search.name_kind AS ENUM ('provider', 'clinic');
CREATE TABLE search.name (
    kind search.name_kind NOT NULL,
    id bigint NOT NULL,
    city_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    preference integer NOT NULL,
    PRIMARY KEY (id, kind, city_id, key)
);
CREATE INDEX name_key ON search.name (key);
CREATE INDEX name_start ON search.name (left(key, 3), preference DESC);
CREATE INDEX name_city_key ON search.name (city_id, key);
CREATE INDEX name_city_start ON search.name (city_id, left(key, 3), preference DESC);
