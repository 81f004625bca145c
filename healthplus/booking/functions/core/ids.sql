-- A new booking's id. Its first 40 bits are the number that people read out (booking/numbers.py), so no other booking of the provider has
-- them; the caller has locked the book.
CREATE FUNCTION booking.new_id(p_provider_id bigint) RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    new_id uuid;
    number text;
BEGIN
    LOOP
        new_id := gen_random_uuid();
        number := left(new_id::text, 11);
        EXIT WHEN NOT EXISTS (
            SELECT FROM booking.booking
            WHERE provider_id = p_provider_id AND booking_id BETWEEN (number || '00-0000-0000-000000000000')::uuid
                AND (number || 'ff-ffff-ffff-ffffffffffff')::uuid);
    END LOOP;
    RETURN new_id;
END $$;
