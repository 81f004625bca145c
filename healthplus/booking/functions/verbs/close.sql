-- Closes a clinic (p_provider_id NULL), a provider everywhere (p_clinic_id NULL), or a provider at a clinic; or opens again what was closed
-- with it (p_closes false). As with shifts, under the locks of all its books: from then on nothing there can be held or waited for, and
-- what is booked ahead is to be rebooked. 'changed', 'unchanged' (it is so already), 'not_found', 'place_closed' (a provider at a clinic
-- cannot be opened while either is closed), or 'conflict' with the bookings in the way, unless p_flag. `posts`: at how many places providers
-- were closed or opened; `flagged` and `stands`: how many bookings are to be rebooked, or stand again.
CREATE FUNCTION booking.set_place_closed(
    p_clinic_id bigint, p_provider_id bigint, p_closes boolean, p_flag boolean, p_actor text, p_detail text,
    OUT code text, OUT in_the_way uuid[], OUT posts integer, OUT flagged integer, OUT stands bigint
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz;
    former_at timestamptz;
    post record;
    former_version bigint;
    answer booking.outcome;
BEGIN
    -- The books first, in the order in which all lock them.
    FOR post IN
        SELECT DISTINCT provider_id FROM directory.provider_clinic
        WHERE (p_clinic_id IS NULL OR clinic_id = p_clinic_id) AND (p_provider_id IS NULL OR provider_id = p_provider_id)
        ORDER BY provider_id
    LOOP
        PERFORM booking.lock_book(post.provider_id);
    END LOOP;
    now_at := public.app_now();
    posts := 0;
    flagged := 0;
    stands := 0;
    former_at := booking.place_closed_since(p_clinic_id, p_provider_id);
    code := CASE WHEN former_at = '-infinity' THEN 'not_found' WHEN (former_at IS NOT NULL) = p_closes THEN 'unchanged'
        WHEN NOT p_closes AND p_clinic_id IS NOT NULL AND p_provider_id IS NOT NULL AND directory.is_place_closed(p_provider_id, p_clinic_id)
        THEN 'place_closed' ELSE 'changed' END;
    IF code <> 'changed' OR NOT booking.may_act(p_actor, NULL) THEN
        RETURN;
    END IF;
    IF p_provider_id IS NULL THEN
        PERFORM directory.set_clinic_closed(p_clinic_id, CASE WHEN p_closes THEN now_at END);
    ELSIF p_clinic_id IS NULL THEN
        PERFORM directory.set_provider_closed(p_provider_id, CASE WHEN p_closes THEN now_at END);
    END IF;
    FOR post IN
        SELECT provider_id, clinic_id FROM directory.provider_clinic
        WHERE (p_clinic_id IS NULL OR clinic_id = p_clinic_id) AND (p_provider_id IS NULL OR provider_id = p_provider_id)
            AND closed_since IS NOT DISTINCT FROM former_at
        ORDER BY provider_id, clinic_id
    LOOP
        SELECT version INTO former_version FROM booking.book WHERE provider_id = post.provider_id;
        answer := booking.set_closed(post.provider_id, post.clinic_id, CASE WHEN p_closes THEN now_at END, p_flag, p_actor);
        in_the_way := in_the_way || CASE answer.code WHEN 'conflict' THEN answer.conflicts END;
        posts := posts + 1;
        flagged := flagged + coalesce(cardinality(answer.conflicts), 0);
        stands := stands + booking.count_stands(post.provider_id, former_version);
    END LOOP;
    IF in_the_way IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'HP001', DETAIL = array_to_string(in_the_way, ',');
    END IF;
    PERFORM booking.note_command(
        code, p_actor,
        CASE WHEN p_closes THEN 'close_' ELSE 'open_' END || CASE WHEN p_provider_id IS NULL THEN 'clinic' ELSE 'provider' END,
        p_detail, p_clinic_id, p_provider_id);
EXCEPTION
    WHEN SQLSTATE 'HP001' THEN
        code := 'conflict';
END $$;

-- Since when a clinic (p_provider_id NULL), a provider (p_clinic_id NULL) or a provider at a clinic is closed; NULL: it is open; -infinity: it
-- is not there.
CREATE FUNCTION booking.place_closed_since(p_clinic_id bigint, p_provider_id bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN count(*) = 0 THEN '-infinity' ELSE min(closed_since) END
    FROM (
        SELECT closed_since FROM directory.clinic WHERE clinic_id = p_clinic_id AND p_provider_id IS NULL
        UNION ALL
        SELECT closed_since FROM directory.provider WHERE provider_id = p_provider_id AND p_clinic_id IS NULL
        UNION ALL
        SELECT closed_since FROM directory.provider_clinic WHERE provider_id = p_provider_id AND clinic_id = p_clinic_id
    ) AS place
$$;
