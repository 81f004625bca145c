-- Refuses to change rows, also for the owner, who is not bound by rights: an accident, or a function that should not.
-- With the argument 'retention', deleting goes through while healthplus.retention is set, as retention.forget_holds does; the role that
-- the product works as may delete nothing there, whatever it sets.
CREATE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_NARGS = 1 AND current_setting('healthplus.retention', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
        MESSAGE = format('%I.%I takes new rows only: %s is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP);
END $$;
