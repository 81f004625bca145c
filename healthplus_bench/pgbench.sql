-- One patient holds a slot and confirms it, as the app does it: each slot once in no order, each time another patient, and
-- keys and texts as long as the app's. The slots are those of Environment.start_of.
\set i :i + 1
\set n permute(:i * :clients + :client_id, :slots, 20)
\set provider 1 + :n % :providers
\set clinic (:provider + 9) / 10
\set slot :n / :providers
\set of_day :slot % 72
\set start :first + :slot / 72 * 86400 + :of_day / 36 * 25200 + :of_day % 36 * 300
\set patient 1 + :i * :clients + :client_id
SELECT * FROM booking.hold(:provider, :clinic, to_timestamp(:start), 1, :patient, NULL, NULL, NULL,
    'patient:' || :patient, lpad('h' || :n, 36, '-'), NULL) \gset
SELECT * FROM booking.confirm(:provider, :booking_id, 'sandbox-' || :booking_id, 'patient:' || :patient, lpad('p' || :n, 36, '-'));
