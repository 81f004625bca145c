-- Store a patient's rating of a provider in place of an earlier one. Returns 'rated' with the provider's totals,
-- 'not_fulfilled' with the booking's state, or 'not_found'. It takes no lock that a booking verb waits for: 'fulfilled' is a
-- booking's last state once the desk can undo it no more, and until then it is not told, so reading it is enough. The
-- patient's row is locked before the provider's, to which only the difference is added.
CREATE FUNCTION reviews.rate(
    p_provider_id bigint, p_booking_id uuid, p_patient_id bigint, p_stars smallint,
    OUT code text, OUT state text, OUT rating_total integer, OUT rating_count integer
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    more_stars integer;
    more_ratings integer;
BEGIN
    SELECT booking.state INTO state FROM booking.booking
    WHERE provider_id = p_provider_id AND booking_id = p_booking_id AND patient_id = p_patient_id
        AND booking.state NOT IN ('reserved', 'expired', 'released');
    IF NOT FOUND THEN
        code := 'not_found';
        RETURN;
    END IF;
    IF reception.can_be_undone(p_provider_id, p_booking_id) THEN
        state := 'arrived';
    END IF;
    IF state <> 'fulfilled' THEN
        code := 'not_fulfilled';
        RETURN;
    END IF;
    INSERT INTO reviews.rating (provider_id, patient_id, booking_id, stars, rated_at)
    VALUES (p_provider_id, p_patient_id, p_booking_id, p_stars, public.app_now())
    ON CONFLICT (provider_id, patient_id) DO UPDATE
        SET booking_id = excluded.booking_id, stars = excluded.stars, rated_at = excluded.rated_at
    RETURNING new.stars - coalesce(old.stars, 0), CASE WHEN old.stars IS NULL THEN 1 ELSE 0 END
    INTO STRICT more_stars, more_ratings;
    UPDATE directory.provider
    SET rating_total = provider.rating_total + more_stars, rating_count = provider.rating_count + more_ratings
    WHERE provider_id = p_provider_id
    RETURNING provider.rating_total, provider.rating_count INTO STRICT rating_total, rating_count;
    code := 'rated';
END $$;
