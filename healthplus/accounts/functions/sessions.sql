-- Whether a token, by its SHA-256, signs this patient in now. Volatile, to see what was committed while its caller waited for a lock.
CREATE FUNCTION accounts.is_signed_in(p_token_hash bytea, p_patient_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM accounts.session
        WHERE token_hash = p_token_hash AND patient_id = p_patient_id AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > public.app_now()));
END $$;
