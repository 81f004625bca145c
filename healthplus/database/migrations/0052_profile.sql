-- More of what a page says of a provider and of a clinic: both are shown as the clinic wrote them.
ALTER TABLE directory.provider ADD COLUMN training text NOT NULL DEFAULT '';  -- "B.J. Government Medical College, Pune"
ALTER TABLE directory.provider ADD CONSTRAINT provider_training CHECK (length(training) <= 200) NOT VALID;  -- none has any yet
ALTER TABLE directory.clinic ADD COLUMN facilities text[] NOT NULL DEFAULT '{}';  -- such as "Wheelchair access", in the order shown
ALTER TABLE directory.clinic ADD CONSTRAINT clinic_facilities CHECK (cardinality(facilities) <= 20) NOT VALID;
