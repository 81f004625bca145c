-- How long it is known that a number was another account's: as long as lapses and the budget of holds count.
CREATE FUNCTION accounts.former_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '24 hours' $$;

-- The accounts that a patient's number had before and that were erased a short time ago; mostly none.
CREATE FUNCTION accounts.formerly(p_patient_id bigint, p_now timestamptz) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    WITH RECURSIVE former AS (
        SELECT patient_id FROM accounts.former_account
        WHERE successor_id = p_patient_id AND erased_at > p_now - accounts.former_time()
        UNION
        SELECT former_account.patient_id FROM accounts.former_account JOIN former ON former_account.successor_id = former.patient_id
        WHERE erased_at > p_now - accounts.former_time()
    )
    SELECT coalesce(array_agg(patient_id), '{}') FROM former
$$;
