-- The account with which a clinic takes money online: its own, or the default, or that of the sandbox.
CREATE FUNCTION payments.account_of(p_clinic_id bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT account FROM payments.clinic_account WHERE clinic_id = p_clinic_id),
        (SELECT account FROM payments.account WHERE is_default),
        'sandbox')
$$;

-- The account in whose name an authorisation is noted: `account/name`, or the name alone of what the sandbox gave.
CREATE FUNCTION payments.account_named(p_authorisation text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN strpos(p_authorisation, '/') > 0 THEN split_part(p_authorisation, '/', 1) ELSE 'sandbox' END
$$;
