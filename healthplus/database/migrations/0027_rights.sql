-- How far each book has been looked through for holds that came to nothing, and how many of its events are gone with them: the
-- book has as many events as its version says, less these.
CREATE SCHEMA retention;

CREATE TABLE retention.progress (
    provider_id bigint PRIMARY KEY,
    seq bigint NOT NULL,                           -- of the last event that was looked at
    forgotten_events bigint NOT NULL
);
