-- One patient holds a slot and confirms it, as the app does it: each slot once in no order, patients as returning.py says, and
-- keys and texts as long as the app's. The slots are those of Environment.start_of_day.
\set i :i + 1
\set n :i * :clients + :client_id
\set come :n / :group
\set visit :come % 10
\set of_all :before + :come / 10 * :group + :n % :group
\set day (:of_all + :visit) % 14
\set place permute((:visit * :patients + :of_all) / 14, :slots, 20 + :day)
\set provider 1 + :place % :providers
\set clinic (:provider + 9) / 10
\set of_day :place / :providers
\set start :first + :day * 86400 + :of_day / 36 * 25200 + :of_day % 36 * 300
\set patient :first_patient + :of_all
SELECT * FROM booking.hold(:provider, :clinic, to_timestamp(:start), 1, NULL, :patient, NULL, NULL, NULL,
    'patient:' || :patient, lpad('h' || :before || '-' || :n, 36, '-'), NULL) \gset
SELECT * FROM booking.confirm(:provider, :booking_id, 'sandbox-' || :booking_id, 'patient:' || :patient,
    lpad('p' || :before || '-' || :n, 36, '-'));
