-- The audit is read by who, what, where, of whom and of which appointment, the latest first.
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_entry_actor;
CREATE INDEX CONCURRENTLY audit_entry_actor ON staff.audit_entry (actor, at, entry_id);
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_entry_action;
CREATE INDEX CONCURRENTLY audit_entry_action ON staff.audit_entry (action, at, entry_id);
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_entry_clinic;
CREATE INDEX CONCURRENTLY audit_entry_clinic ON staff.audit_entry (clinic_id, at, entry_id) WHERE clinic_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_entry_patient;
CREATE INDEX CONCURRENTLY audit_entry_patient ON staff.audit_entry (patient_id, at, entry_id) WHERE patient_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_entry_booking;
CREATE INDEX CONCURRENTLY audit_entry_booking ON staff.audit_entry (booking_id, at, entry_id) WHERE booking_id IS NOT NULL;
