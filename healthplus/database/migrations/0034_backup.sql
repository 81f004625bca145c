-- What is known of back-ups, for those who look at the product and cannot look into the folder they are in.
CREATE SCHEMA backup;

-- How far the back-up is: one row, if there ever was one.
CREATE TABLE backup.progress (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    full_at timestamptz,                           -- of the newest full back-up, which was verified
    wal_at timestamptz                             -- all that was committed by then is in the back-up
) WITH (fillfactor = 10);

-- Each time the back-up was restored beside the running product, to see that it can be.
CREATE TABLE backup.restore_rehearsal (
    rehearsal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,                       -- when it began
    restored_to timestamptz,                       -- by the server's own clock; NULL: it was not known yet
    rpo_seconds real,                              -- how much would have been lost, had the disk been lost then
    rto_seconds real,                              -- until the restored server answered
    check_seconds real,                            -- and was checked
    problem text                                   -- NULL: it proved the back-up
);
