-- Locks a provider's book: first in order of arrival, then against everyone. False when there is no such provider.
CREATE FUNCTION booking.lock_book(p_provider_id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(p_provider_id);
    PERFORM FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO booking.book (provider_id)
        SELECT provider_id FROM directory.provider WHERE provider_id = p_provider_id
        ON CONFLICT DO NOTHING;
        PERFORM FROM booking.book WHERE provider_id = p_provider_id FOR UPDATE;
    END IF;
    RETURN FOUND;
END $$;
