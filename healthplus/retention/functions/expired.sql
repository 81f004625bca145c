-- What is deleted once its time to live is over: one function for each table, which deletes p_rows_max rows at most and returns how
-- many it did. Rows that others have locked are left for the next time. docs/retention.md lists every table; a new one that only
-- grows gets a function here and a line in retention.forget.
CREATE FUNCTION retention.forget_challenges(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    -- No limit counts them any more.
    WITH gone AS (
        DELETE FROM accounts.challenge WHERE challenge_id = ANY (ARRAY (
            SELECT challenge_id FROM accounts.challenge
            WHERE created_at <= p_now - interval '1 day' AND (tries = 0 OR tried_at <= p_now - accounts.guess_memory_time())
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_account_keys(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM accounts.idempotency WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM accounts.idempotency WHERE at <= p_now - accounts.key_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_sessions(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM accounts.session WHERE token_hash = ANY (ARRAY (
            SELECT token_hash FROM accounts.session WHERE least(revoked_at, expires_at) <= p_now - interval '30 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_key_uses(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM accounts.developer_key_use WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM accounts.developer_key_use WHERE day < (p_now AT TIME ZONE 'UTC')::date - 400
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Used proofs: after their time they are refused anyway.
CREATE FUNCTION retention.forget_proofs(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM accounts.spent_proof WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM accounts.spent_proof WHERE expires_at <= p_now
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Devices that have not signed in for so long that they are not known any more.
CREATE FUNCTION retention.forget_devices(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM accounts.device WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM accounts.device WHERE signed_in_at <= p_now - accounts.device_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- What is left of patients whose accounts were deleted in the last day: processes of the release before know nothing of these tables.
CREATE FUNCTION retention.forget_erased(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH erased AS MATERIALIZED (
        SELECT patient_id FROM accounts.former_account JOIN accounts.patient USING (patient_id)
        WHERE former_account.erased_at <= p_now AND patient.erased_at IS NOT NULL
    ), review_gone AS (
        DELETE FROM reviews.review WHERE ctid = ANY (ARRAY (
            SELECT review.ctid FROM reviews.review JOIN erased ON erased.patient_id = review.patient_id
            LIMIT p_rows_max FOR UPDATE OF review SKIP LOCKED)) RETURNING 1
    ), report_gone AS (
        DELETE FROM reviews.report WHERE ctid = ANY (ARRAY (
            SELECT report.ctid FROM reviews.report JOIN erased ON erased.patient_id = report.reporter_id
            LIMIT p_rows_max FOR UPDATE OF report SKIP LOCKED)) RETURNING 1
    ), reason_gone AS (
        DELETE FROM booking.reason WHERE ctid = ANY (ARRAY (
            SELECT reason.ctid FROM booking.reason JOIN erased ON erased.patient_id = reason.patient_id
            LIMIT p_rows_max FOR UPDATE OF reason SKIP LOCKED)) RETURNING 1
    ), preference_gone AS (
        DELETE FROM notices.preference WHERE ctid = ANY (ARRAY (
            SELECT preference.ctid FROM notices.preference JOIN erased ON erased.patient_id = preference.patient_id
            LIMIT p_rows_max FOR UPDATE OF preference SKIP LOCKED)) RETURNING 1
    ), push_subscription_gone AS (
        DELETE FROM notices.push_subscription WHERE ctid = ANY (ARRAY (
            SELECT push_subscription.ctid FROM notices.push_subscription JOIN erased ON erased.patient_id = push_subscription.patient_id
            LIMIT p_rows_max FOR UPDATE OF push_subscription SKIP LOCKED)) RETURNING 1
    ), reminder_gone AS (
        DELETE FROM notices.reminder WHERE ctid = ANY (ARRAY (
            SELECT reminder.ctid FROM notices.reminder JOIN erased ON erased.patient_id = reminder.patient_id
            LIMIT p_rows_max FOR UPDATE OF reminder SKIP LOCKED)) RETURNING 1
    ), coming_gone AS (
        DELETE FROM notices.coming WHERE ctid = ANY (ARRAY (
            SELECT coming.ctid FROM notices.coming JOIN erased ON erased.patient_id = coming.patient_id
            LIMIT p_rows_max FOR UPDATE OF coming SKIP LOCKED)) RETURNING 1
    ), earlier_alert_gone AS (
        DELETE FROM notices.earlier_alert WHERE ctid = ANY (ARRAY (
            SELECT earlier_alert.ctid FROM notices.earlier_alert JOIN erased ON erased.patient_id = earlier_alert.patient_id
            LIMIT p_rows_max FOR UPDATE OF earlier_alert SKIP LOCKED)) RETURNING 1
    ), earlier_told_gone AS (
        DELETE FROM notices.earlier_told WHERE ctid = ANY (ARRAY (
            SELECT earlier_told.ctid FROM notices.earlier_told JOIN erased ON erased.patient_id = earlier_told.patient_id
            LIMIT p_rows_max FOR UPDATE OF earlier_told SKIP LOCKED)) RETURNING 1
    ), receipt_gone AS (  -- one that was being issued meanwhile
        UPDATE receipts.document SET person_name = NULL, payer_name = NULL WHERE ctid = ANY (ARRAY (
            SELECT document.ctid
            FROM booking.booking JOIN erased USING (patient_id) JOIN receipts.document USING (provider_id, booking_id)
            WHERE person_name IS NOT NULL OR payer_name IS NOT NULL
            LIMIT p_rows_max FOR UPDATE OF document SKIP LOCKED)) RETURNING 1
    )
    SELECT greatest(
        (SELECT count(*) FROM receipt_gone),
        (SELECT count(*) FROM review_gone),
        (SELECT count(*) FROM report_gone),
        (SELECT count(*) FROM reason_gone),
        (SELECT count(*) FROM preference_gone),
        (SELECT count(*) FROM push_subscription_gone),
        (SELECT count(*) FROM reminder_gone),
        (SELECT count(*) FROM coming_gone),
        (SELECT count(*) FROM earlier_alert_gone),
        (SELECT count(*) FROM earlier_told_gone))
$$;

CREATE FUNCTION retention.forget_former_accounts(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM accounts.former_account WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM accounts.former_account WHERE erased_at <= p_now - accounts.former_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_results(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM booking.idempotency WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM booking.idempotency WHERE at < p_now - booking.idempotency_time()
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_presence(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    -- No ticket lives for a day.
    WITH gone AS (
        DELETE FROM booking.presence WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM booking.presence WHERE seen_at < p_now - interval '1 day'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_notices(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM notices.notice WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM notices.notice WHERE created_at < p_now - interval '90 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Why a patient came: a month after the appointment nobody asks any more. Those of holds that are gone go, too.
CREATE FUNCTION retention.forget_reasons(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM booking.reason WHERE ctid = ANY (ARRAY (
            SELECT reason.ctid FROM booking.reason LEFT JOIN booking.booking USING (provider_id, booking_id)
            WHERE said_at <= p_now - interval '30 days' AND coalesce(upper(during), said_at) <= p_now - interval '30 days'
            LIMIT p_rows_max FOR UPDATE OF reason SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_reminders(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM notices.reminder WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM notices.reminder WHERE starts_at < p_now - interval '90 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_coming(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM notices.coming WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM notices.coming WHERE starts_at < p_now - interval '90 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Alerts end when their book is next looked into; those of books in which nothing happens, here.
CREATE FUNCTION retention.forget_earlier_alerts(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM notices.earlier_alert WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM notices.earlier_alert WHERE starts_at < p_now
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_earlier_told(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM notices.earlier_told WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM notices.earlier_told WHERE told_at < p_now - interval '90 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Devices on which the patient is not signed in any more.
CREATE FUNCTION retention.forget_push_subscriptions(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM notices.push_subscription WHERE subscription_id = ANY (ARRAY (
            SELECT subscription_id FROM notices.push_subscription
            WHERE NOT EXISTS (
                SELECT FROM accounts.session
                WHERE session.token_hash = push_subscription.token_hash AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > p_now))
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Pictures that no provider or clinic has: what an import had stored when it broke off, and what others took the place of.
CREATE FUNCTION retention.forget_photos(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM directory.photo WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM directory.photo
            WHERE stored_at <= p_now - interval '1 day'
                AND NOT EXISTS (SELECT FROM directory.provider_photo WHERE provider_photo.hash = photo.hash)
                AND NOT EXISTS (SELECT FROM directory.clinic_picture WHERE clinic_picture.hash = photo.hash)
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Who reported a review, once somebody has looked at it: by then no limit counts it.
CREATE FUNCTION retention.forget_reports(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM reviews.report WHERE ctid = ANY (ARRAY (
            SELECT report.ctid FROM reviews.report JOIN reviews.review USING (review_id)
            WHERE reported_at <= p_now - interval '90 days' AND state <> 'reported'
            LIMIT p_rows_max FOR UPDATE OF report SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_webhooks(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    -- One that comes again later says what the ledger has, and changes nothing.
    WITH gone AS (
        DELETE FROM payments.webhook_event WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM payments.webhook_event WHERE at < p_now - interval '30 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- What did not match and was closed: as long as the books of its year may be asked about.
CREATE FUNCTION retention.forget_money_cases(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM payments.money_case WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM payments.money_case WHERE closed_at < p_now - interval '8 years'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_day_checks(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM payments.day_check WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM payments.day_check WHERE day < (p_now AT TIME ZONE 'UTC')::date - 400
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- With its lines; as long as the books of its year may be asked about.
CREATE FUNCTION retention.forget_settlements(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM payments.settlement WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM payments.settlement WHERE settled_at < p_now - interval '8 years'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_settlement_days(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM payments.settlement_day WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM payments.settlement_day WHERE day < (p_now AT TIME ZONE 'UTC')::date - 400
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Those of a year and a month, so that a year can be looked back on.
CREATE FUNCTION retention.forget_rehearsals(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM backup.restore_rehearsal WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM backup.restore_rehearsal WHERE at < p_now - interval '400 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Intents that are looked for no more: processes of release 2 leave these, where this one deletes them.
CREATE FUNCTION retention.forget_intents(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM payments.intent WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM payments.intent WHERE check_at IS NULL AND asked_at <= p_now
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_errors(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM monitoring.error WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM monitoring.error WHERE hour < p_now - interval '30 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Processes that were killed, and could not say that they end.
CREATE FUNCTION retention.forget_processes(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM monitoring.process WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM monitoring.process WHERE seen_at < p_now - interval '1 hour'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- The numbers of codes that have expired, every minute: the codes themselves are counted for longer.
CREATE FUNCTION retention.forget_numbers() RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE accounts.challenge SET phone = NULL
    WHERE challenge_id = ANY (ARRAY (
        SELECT challenge_id FROM accounts.challenge
        WHERE phone IS NOT NULL AND expires_at <= (SELECT public.app_now())
        FOR UPDATE SKIP LOCKED))
$$;

-- Who did not come, once it cannot count any more: within twelve months, and then for 24 at most.
CREATE FUNCTION retention.forget_no_shows(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM booking.no_show WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM booking.no_show WHERE starts_at <= p_now - interval '37 months'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION retention.forget_delays(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM booking.delay WHERE ctid = ANY (ARRAY (
            SELECT ctid FROM booking.delay WHERE starts_at < p_now - interval '30 days'
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED)) RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Receipts and credit notes of financial years that nobody has to keep any more.
CREATE FUNCTION retention.forget_receipts(p_now timestamptz, p_rows_max integer) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM set_config('healthplus.retention', 'on', true);
    DELETE FROM receipts.document WHERE ctid = ANY (ARRAY (
        SELECT document.ctid
        FROM receipts.series JOIN receipts.document USING (clinic_id, kind, financial_year)
        WHERE financial_year < receipts.kept_since(p_now) LIMIT p_rows_max FOR UPDATE OF document SKIP LOCKED));
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('healthplus.retention', '', true);
    RETURN gone;
END $$;
