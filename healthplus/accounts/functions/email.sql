-- A new address is not verified, no matter who writes it; so an erased patient has none that is.
CREATE OR REPLACE FUNCTION accounts.unverify_email() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NEW.email IS DISTINCT FROM OLD.email THEN
        NEW.email_verified_at := NULL;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER unverify_email BEFORE UPDATE OF email ON accounts.patient FOR EACH ROW
    EXECUTE FUNCTION accounts.unverify_email();
