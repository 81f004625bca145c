-- Every account has a person who is its holder, however the account is added. The holder's name is a copy of the account's.
CREATE OR REPLACE FUNCTION accounts.add_holders() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO accounts.person (patient_id, name, is_holder, created_at)
    SELECT patient_id, name, true, created_at FROM added;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION accounts.rename_holder() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE accounts.person SET name = NEW.name WHERE patient_id = NEW.patient_id AND is_holder;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER holders_added AFTER INSERT ON accounts.patient REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION accounts.add_holders();

CREATE OR REPLACE TRIGGER holder_renamed AFTER UPDATE OF name ON accounts.patient FOR EACH ROW
    WHEN ((old.name IS DISTINCT FROM new.name))
    EXECUTE FUNCTION accounts.rename_holder();
