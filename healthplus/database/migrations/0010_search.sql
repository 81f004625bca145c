-- What finding a provider reads: derived from the directory, the schedule and the ratings, and never the truth about them.
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;

CREATE SCHEMA search;
