-- The only clock. Queries write (SELECT public.app_now()): called bare it is volatile, and no index would be used.
CREATE FUNCTION public.app_now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN clock_timestamp() + coalesce((SELECT clock_offset FROM public.app_clock), interval '0');
END $$;
