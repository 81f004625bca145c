-- The chain of the audit. It is made apart from the deeds, each second: a chain inside each commit would be one lock for all.
CREATE FUNCTION staff.audit_time() RETURNS interval IMMUTABLE LANGUAGE sql AS $$ SELECT interval '400 days' $$;

-- Not the whole row: a later release may add columns.
CREATE FUNCTION staff.entry_digest(p_entry staff.audit_entry) RETURNS bytea IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN sha256(convert_to(jsonb_build_array(
        p_entry.entry_id, extract(epoch FROM p_entry.at), p_entry.actor, p_entry.session_id, p_entry.address, p_entry.action,
        p_entry.is_refused, p_entry.detail, p_entry.staff_id, p_entry.clinic_id, p_entry.patient_id, p_entry.provider_id,
        p_entry.booking_id)::text, 'UTF8'));
END $$;

-- What a link must be that stands for the entries of a cluster's transactions from p_from to before p_upto.
CREATE FUNCTION staff.link_of(p_former bytea, p_cluster bigint, p_from xid8, p_upto xid8, OUT entries bigint, OUT hash bytea)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT count(*), sha256(p_former || coalesce(string_agg(staff.entry_digest(audit_entry), ''::bytea ORDER BY xid, entry_id), ''::bytea))
    INTO entries, hash
    FROM staff.audit_entry WHERE cluster = p_cluster AND xid >= p_from AND xid < p_upto;
END $$;

-- Up to which transaction of a cluster the links below p_link go; NULL: all.
CREATE FUNCTION staff.chained_upto(p_cluster bigint, p_link bigint DEFAULT NULL) RETURNS xid8 LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN coalesce(
        (SELECT upto FROM staff.audit_link WHERE cluster = p_cluster AND (p_link IS NULL OR link < p_link) ORDER BY link DESC LIMIT 1), '0');
END $$;

-- The clusters that entries were written on, and up to where those of each are in the chain. They are few, and found by an index.
CREATE FUNCTION staff.chained_clusters() RETURNS TABLE (cluster bigint, upto xid8) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    cluster := (SELECT min(audit_entry.cluster) FROM staff.audit_entry);
    WHILE cluster IS NOT NULL LOOP
        upto := staff.chained_upto(cluster);
        RETURN NEXT;
        cluster := (SELECT min(audit_entry.cluster) FROM staff.audit_entry WHERE audit_entry.cluster > chained_clusters.cluster);
    END LOOP;
END $$;

-- Adds a link for what has been committed since the last one; whether there was anything. Entries are taken by their transactions, of which
-- all before the oldest that still runs are over: ids are given before a commit, and one may come after a greater one. Those of another
-- cluster are all over. Of several that add the same link at once, one does.
CREATE FUNCTION staff.chain_audit() RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here bigint := (SELECT system_identifier FROM pg_control_system());
    former staff.audit_link;
    one record;
    horizon xid8;
BEGIN
    SELECT * INTO former FROM staff.audit_link ORDER BY link DESC LIMIT 1;
    IF NOT FOUND THEN
        former.link := 0;
        former.hash := sha256('healthplus audit');
    END IF;
    FOR one IN SELECT * FROM staff.chained_clusters() LOOP
        horizon := CASE WHEN one.cluster = here THEN pg_snapshot_xmin(pg_current_snapshot())
            ELSE (SELECT ((max(xid)::text)::numeric + 1)::text::xid8 FROM staff.audit_entry WHERE cluster = one.cluster) END;
        IF EXISTS (SELECT FROM staff.audit_entry WHERE cluster = one.cluster AND xid >= one.upto AND xid < horizon) THEN
            INSERT INTO staff.audit_link (link, cluster, upto, entries, hash, at)
            SELECT former.link + 1, one.cluster, horizon, entries, hash, public.app_now()
            FROM staff.link_of(former.hash, one.cluster, one.upto, horizon)
            ON CONFLICT (link) DO NOTHING;
            RETURN FOUND;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- For how long the oldest entry that is not in the chain has waited; 0: none does.
CREATE FUNCTION staff.unchained_seconds() RETURNS double precision
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(max(greatest(0, extract(epoch FROM public.app_now() - oldest.at))), 0)::double precision
    FROM staff.chained_clusters() AS known
    CROSS JOIN LATERAL (
        SELECT at FROM staff.audit_entry WHERE cluster = known.cluster AND xid >= known.upto ORDER BY xid LIMIT 1) AS oldest
$$;

-- Whether the entry is gone with which an account or a session began. While nothing has been forgotten, none is.
CREATE FUNCTION staff.lacks_beginnings() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM staff.account
        WHERE NOT EXISTS (SELECT FROM staff.audit_entry WHERE audit_entry.staff_id = account.staff_id AND action = 'add_staff'))
        OR EXISTS (
            SELECT FROM staff.session
            WHERE NOT EXISTS (
                SELECT FROM staff.audit_entry
                WHERE audit_entry.staff_id = session.staff_id AND audit_entry.session_id = session.session_id AND action = 'log_in'
                    AND at > session.created_at - interval '1 minute'));
END $$;

-- Looks through the chain: what is wrong (NULL: nothing), with the first link that does not fit: 'entries' (those it stands for), 'beginning'
-- (what came before it is gone), 'gone' (what an account or a session began with, of no link that is left); how many links and entries fit,
-- and how many entries are not in it yet; the last link with its hash, and the hash of link p_seen. What is forgotten with time leaves the
-- last of its links, so the first that is left is the first of all, or too old to look at its entries.
CREATE FUNCTION staff.verify_audit(
    p_seen bigint, OUT broken bigint, OUT why text, OUT links bigint, OUT entries bigint, OUT unchained bigint, OUT last bigint,
    OUT last_hash bytea, OUT seen_hash bytea
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one staff.audit_link;
    former staff.audit_link;
    wanted record;
    is_old boolean;
    is_whole boolean := true;  -- nothing has been forgotten
BEGIN
    links := 0;
    entries := 0;
    SELECT hash INTO seen_hash FROM staff.audit_link WHERE link = p_seen;
    former.link := 0;
    former.hash := sha256('healthplus audit');
    FOR one IN SELECT * FROM staff.audit_link ORDER BY link LOOP
        is_old := one.at <= public.app_now() - staff.audit_time() + interval '1 day';
        IF former.link = 0 THEN
            is_whole := one.link = 1 AND NOT is_old;
        END IF;
        IF former.link = 0 AND one.link <> 1 AND one.at > public.app_now() - staff.audit_time() THEN
            broken := one.link;
            why := 'beginning';
            RETURN;
        END IF;
        -- Those whose entries may be gone are not looked at.
        IF NOT is_old THEN
            SELECT * INTO wanted FROM staff.link_of(former.hash, one.cluster, staff.chained_upto(one.cluster, one.link), one.upto);
            IF one.link <> former.link + 1 OR wanted.hash <> one.hash OR wanted.entries <> one.entries THEN
                broken := one.link;
                why := 'entries';
                RETURN;
            END IF;
            links := links + 1;
            entries := entries + one.entries;
        END IF;
        former := one;
    END LOOP;
    IF is_whole AND staff.lacks_beginnings() THEN
        why := 'gone';
        RETURN;
    END IF;
    SELECT count(*) INTO unchained FROM staff.chained_clusters() AS known JOIN staff.audit_entry USING (cluster) WHERE xid >= known.upto;
    IF former.link > 0 THEN
        last := former.link;
        last_hash := former.hash;
    END IF;
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON staff.audit_link
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');
