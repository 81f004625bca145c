-- Stand-ins.
CREATE FUNCTION booking.hold_plainly(
    p_provider_id bigint, p_clinic_id bigint, p_start timestamptz, p_slots integer, p_patient_id bigint, p_person_id uuid,
    p_actor text, p_key text, p_token_hash bytea DEFAULT NULL
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT booking.try_book(p_provider_id) OR booking.is_patient_locked(p_patient_id) THEN
        RETURN booking.refuse(NULL, 'busy');
    ELSIF p_token_hash IS NOT NULL AND NOT accounts.is_signed_in(p_token_hash, p_patient_id) THEN
        RETURN booking.refuse('signed_out');
    END IF;
    RETURN booking.hold(p_provider_id, p_clinic_id, p_start, p_slots, p_patient_id, p_person_id, NULL, NULL, p_actor, p_key, NULL);
END $$;

CREATE FUNCTION booking.confirm_plainly(
    p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_authorisation text, p_actor text, p_key text, p_method text,
    p_token_hash bytea DEFAULT NULL
) RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT booking.try_book(p_provider_id) OR booking.is_patient_locked(p_patient_id) THEN
        RETURN booking.refuse(NULL, 'busy');
    ELSIF p_token_hash IS NOT NULL AND NOT accounts.is_signed_in(p_token_hash, p_patient_id) THEN
        RETURN booking.refuse('signed_out');
    END IF;
    RETURN booking.confirm(p_provider_id, p_booking_id, p_authorisation, p_actor, p_key, p_method);
END $$;
