-- The public chain of a session's calls: each entry's hash covers the one before it. healthplus/reception/receipts.py checks it by the rule.

-- The hash of an entry, after one whose hash is p_previous (NULL: it is the first).
CREATE FUNCTION reception.call_hash(p_previous bytea, p_entry reception.call_entry) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(p_previous, '') || convert_to(concat_ws('|',
        p_entry.provider_id, p_entry.session_id, p_entry.entry, booking.hashed_instant(p_entry.at), p_entry.kind, p_entry.token,
        coalesce(booking.hashed_instant(p_entry.booked_at), ''), coalesce(booking.hashed_instant(p_entry.come_at), ''),
        coalesce(p_entry.every::text, '')), 'UTF8'))
$$;

-- Appends an entry; the caller has the provider's book locked, which puts all entries of a session into one order.
CREATE FUNCTION reception.append_entry(p_link reception.call_entry) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    link reception.call_entry := p_link;
    previous reception.call_entry;
BEGIN
    SELECT * INTO previous FROM reception.call_entry
    WHERE provider_id = link.provider_id AND session_id = link.session_id ORDER BY entry DESC LIMIT 1;
    link.entry := coalesce(previous.entry, 0) + 1;
    link.hash := reception.call_hash(previous.hash, link);
    INSERT INTO reception.call_entry SELECT (link).*;
END $$;

-- Appends that tokens went out of the order otherwise than at the desk: an administrator put right that somebody had come.
CREATE FUNCTION reception.append_corrected(p_provider_id bigint, p_session_id uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    link reception.call_entry;
BEGIN
    link.provider_id := p_provider_id;
    link.session_id := p_session_id;
    link.at := p_now;
    link.kind := 'corrected';
    FOR link.token IN
        SELECT attendance.token FROM reception.attendance
        JOIN booking.booking USING (provider_id, booking_id)
        WHERE provider_id = p_provider_id AND session_id = p_session_id AND attendance.token IS NOT NULL
            AND (booking.state NOT IN ('arrived', 'fulfilled') OR (booking.state = 'fulfilled' AND finished_at IS NULL))
            AND NOT EXISTS (
                SELECT FROM reception.call_entry
                WHERE call_entry.provider_id = p_provider_id AND call_entry.session_id = p_session_id
                    AND call_entry.token = attendance.token AND call_entry.kind = 'corrected')
        ORDER BY attendance.token
    LOOP
        PERFORM reception.append_entry(link);
    END LOOP;
END $$;

-- Appends what was recorded of somebody with a token, once it was recorded; 'taken_back': the last of it was undone.
CREATE FUNCTION reception.append_act(p_target booking.booking, p_kept reception.attendance, p_act text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    link reception.call_entry;
BEGIN
    link.kind := CASE p_act WHEN 'arrive' THEN 'arrived' WHEN 'call' THEN 'called' WHEN 'enter' THEN 'entered' WHEN 'finish' THEN 'done'
        WHEN 'leave' THEN 'left' WHEN 'taken_back' THEN 'taken_back' END;
    IF link.kind IS NULL OR p_kept.token IS NULL THEN
        RETURN;
    END IF;
    link.provider_id := p_kept.provider_id;
    link.session_id := p_kept.session_id;
    link.at := p_now;
    link.token := p_kept.token;
    IF p_act = 'arrive' THEN
        link.booked_at := CASE WHEN p_target.extra IS DISTINCT FROM 'walk_in' THEN lower(p_target.during) END;
        link.come_at := reception.told_to_come(p_target, p_now);
    ELSIF p_act = 'call' THEN
        SELECT walk_in_every INTO link.every FROM directory.clinic WHERE clinic_id = p_target.clinic_id;
        PERFORM reception.append_corrected(p_kept.provider_id, p_kept.session_id, p_now);
    END IF;
    PERFORM reception.append_entry(link);
END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON reception.call_entry
FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change('retention');
