-- A group offer is a reserved booking without a patient (patient_id is NULL), with the ticket of the first that was called.
ALTER TABLE booking.booking ALTER COLUMN patient_id DROP NOT NULL;

-- How often a hold's person was chosen; NULL: never. Beyond some, it draws on the budget of holds.
ALTER TABLE booking.booking ADD COLUMN times_named smallint;

ALTER TABLE booking.ticket
    ADD COLUMN answered_at timestamptz,            -- when its client said that it takes what it was called for
    ADD COLUMN let_go_at timestamptz;              -- when its turn ended without a booking; NULL: it did not
CREATE INDEX ticket_let_go ON booking.ticket (provider_id, patient_id, let_go_at) WHERE let_go_at IS NOT NULL;
CREATE INDEX ticket_let_go_at ON booking.ticket (let_go_at) WHERE let_go_at IS NOT NULL;
CREATE INDEX ticket_called ON booking.ticket (provider_id, offer_id, number) WHERE state = 'called';

-- How many turns in a row were let go in this queue since one that ended in a booking, and when the last of them was; and how many
-- there were before that booking, which count again when its patient cancels it at once.
ALTER TABLE booking.book ADD COLUMN turns_let_go integer NOT NULL DEFAULT 0, ADD COLUMN turn_let_go_at timestamptz,
    ADD COLUMN turns_before_booking integer NOT NULL DEFAULT 0;

-- Of an entry `called`: the number of the ticket that was called first, by which those called together are known.
ALTER TABLE booking.queue_entry ADD COLUMN leader bigint;
