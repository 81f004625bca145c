-- Locks a provider's book, in order of arrival; false when there is no such provider.
-- The advisory lock keeps the order; the row lock also excludes what knows nothing of it, such as an import.
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

-- How a verb of a patient or the desk begins: lock the book, then read the clock, then look for the result of an earlier request with the same
-- key, then advance the book to now. When `answer` has a code the verb returns it and changes nothing: 'not_found' when
-- there is no such provider, or what booking.find_result answers. `is_full`: see booking.advance_book.
CREATE FUNCTION booking.open_book(
    p_provider_id bigint, p_actor text, p_operation text, p_key text, p_request text,
    OUT now_at timestamptz, OUT answer booking.outcome, OUT is_full boolean
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT booking.lock_book(p_provider_id) THEN
        answer := booking.refuse('not_found', 'no_such_provider');
        RETURN;
    END IF;
    now_at := public.app_now();
    IF p_key IS NOT NULL THEN
        answer := booking.find_result(p_provider_id, p_actor, p_operation, p_key, p_request, now_at);
    END IF;
    IF answer.code IS NULL THEN
        is_full := booking.advance_book(p_provider_id, now_at);
    END IF;
END $$;
