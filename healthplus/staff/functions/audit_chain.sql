-- The chain of the audit. It is made apart from the deeds, by one process each second: a chain inside each commit would be one lock for all.
CREATE FUNCTION staff.audit_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '400 days' $$;

-- Not the whole row: a later release may add columns.
CREATE FUNCTION staff.entry_digest(p_entry staff.audit_entry) RETURNS bytea IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN sha256(convert_to(jsonb_build_array(
        p_entry.entry_id, extract(epoch FROM p_entry.at), p_entry.actor, p_entry.session_id, p_entry.address, p_entry.action,
        p_entry.is_refused, p_entry.detail, p_entry.staff_id, p_entry.clinic_id, p_entry.patient_id, p_entry.provider_id,
        p_entry.booking_id)::text, 'UTF8'));
END $$;

-- What a link must be that stands for the entries of transactions from p_from to before p_upto.
CREATE FUNCTION staff.link_of(p_former bytea, p_from xid8, p_upto xid8, OUT entries bigint, OUT hash bytea)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT count(*), sha256(p_former || coalesce(string_agg(staff.entry_digest(audit_entry), ''::bytea ORDER BY xid, entry_id), ''::bytea))
    INTO entries, hash
    FROM staff.audit_entry WHERE xid >= p_from AND xid < p_upto;
END $$;

-- Adds a link for what has been committed since the last one; whether there was anything. Entries are taken by their transactions, of which
-- all before the oldest that still runs are over: ids are given before a commit, and one may come after a greater one.
CREATE FUNCTION staff.chain_audit() RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    horizon xid8;
    former staff.audit_link;
BEGIN
    IF NOT pg_try_advisory_xact_lock(18, 6) THEN
        RETURN false;
    END IF;
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    SELECT * INTO former FROM staff.audit_link ORDER BY link DESC LIMIT 1;
    IF NOT FOUND THEN
        former.link := 0;
        former.upto := '0';
        former.hash := sha256('healthplus audit');
    END IF;
    IF NOT EXISTS (SELECT FROM staff.audit_entry WHERE xid >= former.upto AND xid < horizon) THEN
        RETURN false;
    END IF;
    INSERT INTO staff.audit_link (link, upto, entries, hash, at)
    SELECT former.link + 1, horizon, entries, hash, public.app_now() FROM staff.link_of(former.hash, former.upto, horizon);
    RETURN true;
END $$;

-- Looks through the chain: the first link that does not fit what there is (NULL: all do), how many links and entries do, and how many entries
-- are not in it yet; the last link with its hash, and the hash of link p_seen. The first link that is left, unless it is the first of all,
-- is only what the next one goes on from.
CREATE FUNCTION staff.verify_audit(
    p_seen bigint, OUT broken bigint, OUT links bigint, OUT entries bigint, OUT unchained bigint, OUT last bigint, OUT last_hash bytea,
    OUT seen_hash bytea
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one staff.audit_link;
    former staff.audit_link;
    wanted record;
BEGIN
    links := 0;
    entries := 0;
    SELECT hash INTO seen_hash FROM staff.audit_link WHERE link = p_seen;
    former.link := 0;
    former.upto := '0';
    former.hash := sha256('healthplus audit');
    FOR one IN SELECT * FROM staff.audit_link ORDER BY link LOOP
        -- Those whose entries may be gone are not looked at.
        IF one.at > public.app_now() - staff.audit_time() + interval '1 day' AND (links > 0 OR one.link = 1 OR former.link > 0) THEN
            SELECT * INTO wanted FROM staff.link_of(former.hash, former.upto, one.upto);
            IF one.link <> former.link + 1 OR wanted.hash <> one.hash OR wanted.entries <> one.entries THEN
                broken := one.link;
                RETURN;
            END IF;
            links := links + 1;
            entries := entries + one.entries;
        END IF;
        former := one;
    END LOOP;
    SELECT count(*) INTO unchained FROM staff.audit_entry WHERE xid >= former.upto;
    IF former.link > 0 THEN
        last := former.link;
        last_hash := former.hash;
    END IF;
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON staff.audit_link
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');
