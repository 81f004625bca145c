-- Whether everybody may see a review.
CREATE FUNCTION reviews.is_visible(p_review reviews.review) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_review.text IS NOT NULL AND p_review.state IN ('new', 'shown')
$$;

-- How many reviews one person may report in a day: each hides one until somebody has looked at it.
CREATE FUNCTION reviews.reports_max() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 5 $$;

-- Stores what a patient who has rated a provider says of them, or (NULL) takes it back. What somebody has looked at may be reported again
-- once it is written again; what was hidden is looked at before it is seen. Nothing is stored for a patient who is being erased.
CREATE FUNCTION reviews.write_review(p_provider_id bigint, p_patient_id bigint, p_text text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM accounts.patient WHERE patient_id = p_patient_id AND erased_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    ELSIF p_text IS NULL THEN
        UPDATE reviews.review SET text = NULL WHERE provider_id = p_provider_id AND patient_id = p_patient_id;
        RETURN;
    END IF;
    INSERT INTO reviews.review AS known (provider_id, patient_id, text, written_at)
    VALUES (p_provider_id, p_patient_id, p_text, public.app_now())
    ON CONFLICT (provider_id, patient_id) DO UPDATE
        SET text = excluded.text, written_at = excluded.written_at,
            state = CASE known.state WHEN 'hidden' THEN 'reported' WHEN 'shown' THEN 'new' ELSE known.state END::reviews.review_state
        WHERE known.text IS DISTINCT FROM excluded.text;
    DELETE FROM reviews.report USING reviews.review
    WHERE report.review_id = review.review_id AND provider_id = p_provider_id AND patient_id = p_patient_id AND state = 'new';
END $$;

-- Notes that a patient reports a review, which nobody sees then until somebody has looked at it, unless somebody had before: 'reported',
-- also if they had reported it before, or 'too_many', 'not_found'. One person's reports come one after another, so that they are counted.
CREATE FUNCTION reviews.report_review(p_provider_id bigint, p_review_id uuid, p_reporter_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_at timestamptz := public.app_now();
BEGIN
    PERFORM FROM accounts.patient WHERE patient_id = p_reporter_id AND erased_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    PERFORM FROM reviews.report JOIN reviews.review USING (review_id)
    WHERE report.review_id = p_review_id AND reporter_id = p_reporter_id AND provider_id = p_provider_id;
    IF FOUND THEN
        RETURN 'reported';
    END IF;
    PERFORM FROM reviews.review
    WHERE review_id = p_review_id AND provider_id = p_provider_id AND reviews.is_visible(review) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    ELSIF (
        SELECT count(*) FROM reviews.report WHERE reporter_id = p_reporter_id AND reported_at > now_at - interval '1 day'
    ) >= reviews.reports_max() THEN
        RETURN 'too_many';
    END IF;
    INSERT INTO reviews.report (review_id, reporter_id, reported_at) VALUES (p_review_id, p_reporter_id, now_at);
    UPDATE reviews.review SET state = 'reported' WHERE review_id = p_review_id AND state = 'new';
    RETURN 'reported';
END $$;
