-- A fee that was to be paid at the clinic can be paid online (docs/decisions/0079-paying-at-the-clinic-online.md).
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'paid_online';  -- what was to be paid at the clinic

-- Money is requested for an appointment that stands, and not for a hold.
ALTER TABLE payments.intent ADD COLUMN is_for_booking boolean NOT NULL DEFAULT false;
