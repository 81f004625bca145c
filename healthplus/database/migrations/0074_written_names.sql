-- The name as its source writes it, where it is shown otherwise: files of registers have names in capitals.
ALTER TABLE directory.provider ADD COLUMN written_name text;
ALTER TABLE directory.clinic ADD COLUMN written_name text;
-- The specialities as a file has them that are this one to search: a qualification, or a longer name.
ALTER TABLE directory.provider_speciality ADD COLUMN written_name text;
