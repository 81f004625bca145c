-- What a clinic's office changes (docs/decisions/0060-office.md).
ALTER TYPE booking.event_kind ADD VALUE IF NOT EXISTS 'stands';  -- a booking that was to be rebooked can be kept after all
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'stands';

-- Since when a clinic, or a provider at a clinic, can no longer be booked; NULL: open. What is booked there stays until it is moved.
ALTER TABLE directory.clinic ADD COLUMN closed_since timestamptz;
ALTER TABLE directory.provider_clinic ADD COLUMN closed_since timestamptz;

-- Which leaves are one holiday of a clinic: they are added and taken back together.
ALTER TABLE schedule.leave ADD COLUMN holiday_id uuid;
