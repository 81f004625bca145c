-- When a provider can be booked. Slots are computed from shifts and leave, never stored.
CREATE SCHEMA schedule;

-- A weekly template in the clinic's city's time.
CREATE TABLE schedule.shift (
    provider_id bigint NOT NULL,
    shift_id bigint GENERATED ALWAYS AS IDENTITY,
    clinic_id bigint NOT NULL,
    weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),  -- ISO 8601: Monday is 1
    starts time NOT NULL CHECK (extract(second FROM starts) = 0),
    ends time NOT NULL CHECK (extract(second FROM ends) = 0),  -- 24:00 is the end of the day
    slot_minutes smallint NOT NULL CHECK (slot_minutes BETWEEN 5 AND 480),
    seats smallint NOT NULL DEFAULT 1 CHECK (seats BETWEEN 1 AND 100),
    slots_max smallint NOT NULL DEFAULT 1 CHECK (slots_max BETWEEN 1 AND 20),  -- longest run one appointment may take
    valid daterange NOT NULL DEFAULT daterange(NULL, NULL) CHECK (NOT isempty(valid)),
    PRIMARY KEY (provider_id, shift_id),
    FOREIGN KEY (provider_id, clinic_id) REFERENCES directory.provider_clinic,
    CHECK (ends > starts),
    CHECK (extract(epoch FROM ends - starts) >= slot_minutes * 60),
    -- this prevents a provider from being in two places, or counted twice in one
    CONSTRAINT shift_overlap EXCLUDE USING gist (
        provider_id WITH =,
        weekday WITH =,
        int4range((extract(epoch FROM starts) / 60)::integer, (extract(epoch FROM ends) / 60)::integer) WITH &&,
        valid WITH &&
    )
);

-- Time a provider is away: from one clinic, or from all of them (clinic_id NULL).
CREATE TABLE schedule.leave (
    provider_id bigint NOT NULL REFERENCES directory.provider ON DELETE CASCADE,
    leave_id uuid NOT NULL DEFAULT gen_random_uuid(),
    clinic_id bigint,
    during tstzrange NOT NULL CHECK (NOT isempty(during) AND lower_inc(during) AND NOT upper_inc(during)
                                     AND isfinite(lower(during)) AND isfinite(upper(during))),
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (provider_id, leave_id)
);
CREATE INDEX leave_during ON schedule.leave USING gist (provider_id, during);
