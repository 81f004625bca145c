-- Advances a provider's book to now: 'advanced', or 'not_found'. p_try: 'busy' if another caller has it locked, since every
-- verb advances the book it locks.
CREATE FUNCTION booking.advance(p_provider_id bigint, p_try boolean DEFAULT false)
RETURNS booking.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer booking.outcome;
BEGIN
    IF p_try AND NOT booking.try_book(p_provider_id) THEN
        RETURN booking.refuse('busy');
    END IF;
    IF NOT booking.lock_book(p_provider_id) THEN
        RETURN booking.refuse('not_found');
    END IF;
    PERFORM booking.advance_book(p_provider_id, public.app_now());
    answer.code := 'advanced';
    SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    RETURN answer;
END $$;
