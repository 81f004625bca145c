-- Under which number a clinic is registered for GST, for its invoices; NULL: it is not. Its last sign is a check of the others, which
-- directory/gstin.py looks at.
ALTER TABLE directory.clinic ADD COLUMN gstin text;
ALTER TABLE directory.clinic ADD CONSTRAINT clinic_gstin_check CHECK (gstin ~ '^[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]{3}$') NOT VALID;
