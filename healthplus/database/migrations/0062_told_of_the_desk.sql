-- The holder of an account is told whom a desk adds to it (docs/decisions/0064-phone-bookings.md).
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'person_added';
