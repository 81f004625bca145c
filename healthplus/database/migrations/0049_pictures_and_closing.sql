-- What a clinic's office changes besides (docs/decisions/0060-office.md).
-- What is to be seen on a clinic's picture, for those who do not see it; '': nobody has said.
ALTER TABLE directory.clinic_picture ADD COLUMN text text NOT NULL DEFAULT '';
ALTER TABLE directory.clinic_picture ADD CONSTRAINT clinic_picture_text CHECK (length(text) <= 200) NOT VALID;  -- none has any yet

-- Whom a change of schedule takes something away from that they have not booked yet.
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'withdrawn';     -- a hold
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'queue_closed';  -- all that a ticket waits for
ALTER TABLE notices.notice ALTER COLUMN booking_id DROP NOT NULL;  -- who waits has no booking
