-- Lets everybody book the times of a provider that are due to be released; those who wait come first.
CREATE FUNCTION booking.release_times(p_provider_id bigint, p_now timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF schedule.release_due(p_provider_id, p_now) THEN
        PERFORM booking.append_event(p_provider_id, p_now, 'times_released', NULL, NULL, 'system:release');
        PERFORM booking.serve_queue(p_provider_id, p_now, 'times_released');
        PERFORM booking.refresh_availability(p_provider_id, p_now);
    END IF;
END $$;

-- Advances a provider's book to now: 'advanced', or 'not_found'. p_try: 'busy' if another caller has it locked, since every
-- verb advances the book it locks. Times are released by this alone: until then they are the desk's, whatever the clock says.
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
    PERFORM booking.release_times(p_provider_id, public.app_now());
    answer.code := 'advanced';
    SELECT version INTO answer.version FROM booking.book WHERE provider_id = p_provider_id;
    RETURN answer;
END $$;
