-- The holder of an account is told whom a desk adds to it, and that they can choose another time (docs/decisions/0064-phone-bookings.md).
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'person_added';
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'choose_time';
