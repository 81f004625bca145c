-- name: no_overlap
-- No two bookings that occupy the same seat of a provider overlap: checked without relying on the constraint.
SELECT provider_id, booking_id, seat, during, taken_until
FROM (
    SELECT provider_id, booking_id, seat, during, max(upper(during)) OVER (
        PARTITION BY provider_id, seat ORDER BY lower(during), booking_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS taken_until
    FROM booking.booking
    WHERE occupies
) AS occupied
WHERE lower(during) < taken_until

-- name: overlap_constraint_present
-- The constraint that forbids double bookings exists and is enforced.
SELECT 'booking_overlap' AS missing
WHERE NOT EXISTS (
    SELECT FROM pg_constraint
    WHERE conname = 'booking_overlap' AND conrelid = 'booking.booking'::regclass AND contype = 'x' AND convalidated)

-- name: events_without_gaps
-- A book's events are numbered from 1 to its version, without gaps but for those that went with holds that came to nothing; the
-- last event may be such a one, too.
SELECT provider_id, book.version, happened.events, happened.last_seq, forgotten_events
FROM booking.book
FULL JOIN (
    SELECT provider_id, count(*) AS events, max(seq) AS last_seq FROM booking.event GROUP BY provider_id) AS happened USING (provider_id)
FULL JOIN retention.progress USING (provider_id)
WHERE coalesce(events, 0) + coalesce(forgotten_events, 0) IS DISTINCT FROM book.version
    OR last_seq > book.version OR (last_seq IS DISTINCT FROM nullif(book.version, 0) AND coalesce(progress.seq, 0) < book.version)

-- name: events_name_their_actor
-- Every event says who did it: an actor, or a booking or ticket whose patient it was.
SELECT provider_id, seq, kind, booking_id, ticket_id FROM booking.event WHERE actor IS NULL

-- name: bookings_match_events
-- Every booking was reserved first, changed only in ways its states allow, and is in the state that its last event says.
WITH step AS (
    SELECT provider_id, booking_id, kind, lag(kind) OVER turn AS before, lead(kind) OVER turn AS after
    FROM booking.event
    WHERE booking_id IS NOT NULL
        AND kind IN (
            'reserved', 'booked', 'expired', 'released', 'cancelled', 'arrived', 'fulfilled', 'no_show', 'attendance_undone',
            'uncancelled')
    WINDOW turn AS (PARTITION BY provider_id, booking_id ORDER BY seq)
)
SELECT provider_id, booking_id, booking.state::text, step.before, step.kind
FROM booking.booking FULL JOIN step USING (provider_id, booking_id)
WHERE step.kind IS NULL OR booking.state IS NULL
    OR (step.after IS NULL AND CASE WHEN step.kind IN ('attendance_undone', 'uncancelled') THEN 'booked' ELSE step.kind END <> booking.state::text)
    OR (coalesce(step.before, ''), step.kind) NOT IN (
        ('', 'reserved'), ('reserved', 'booked'), ('reserved', 'expired'), ('reserved', 'released'), ('booked', 'cancelled'),
        ('booked', 'arrived'), ('booked', 'no_show'), ('arrived', 'fulfilled'), ('arrived', 'attendance_undone'),
        ('no_show', 'attendance_undone'), ('fulfilled', 'attendance_undone'), ('attendance_undone', 'arrived'), ('attendance_undone', 'no_show'),
        ('attendance_undone', 'cancelled'), ('cancelled', 'uncancelled'), ('uncancelled', 'cancelled'), ('uncancelled', 'arrived'),
        ('uncancelled', 'no_show'))

-- name: tickets_match_events
-- Every ticket changed only in ways its states allow, and is in the state that its last event says.
WITH step AS (
    SELECT provider_id, ticket_id, kind, lag(kind) OVER turn AS before, lead(kind) OVER turn AS after
    FROM booking.event
    WHERE ticket_id IS NOT NULL AND kind IN ('waiting', 'offered', 'called', 'accepted', 'lapsed', 'left', 'timed_out', 'full')
    WINDOW turn AS (PARTITION BY provider_id, ticket_id ORDER BY seq)
)
SELECT provider_id, ticket_id, ticket.state::text, step.before, step.kind
FROM booking.ticket FULL JOIN step USING (provider_id, ticket_id)
WHERE step.kind IS NULL OR ticket.state IS NULL
    OR (step.after IS NULL AND step.kind <> ticket.state::text)
    OR (coalesce(step.before, ''), step.kind) NOT IN (
        ('', 'waiting'), ('waiting', 'offered'), ('waiting', 'left'), ('waiting', 'timed_out'), ('waiting', 'full'),
        ('offered', 'accepted'), ('offered', 'lapsed'), ('offered', 'waiting'), ('offered', 'left'),
        ('waiting', 'called'), ('called', 'accepted'), ('called', 'lapsed'), ('called', 'waiting'), ('called', 'left'))

-- name: tickets_numbered_once
-- Tickets are numbered from 1 to the book's counter, in the order of the events that record the joins.
SELECT provider_id, number, join_order, last_ticket_number
FROM (
    SELECT ticket.provider_id, ticket.number, book.last_ticket_number,
        row_number() OVER (PARTITION BY ticket.provider_id ORDER BY joined.seq) AS join_order,
        count(*) OVER (PARTITION BY ticket.provider_id) AS tickets
    FROM booking.ticket
    LEFT JOIN booking.book USING (provider_id)
    LEFT JOIN LATERAL (
        SELECT min(seq) AS seq FROM booking.event
        WHERE event.provider_id = ticket.provider_id AND event.ticket_id = ticket.ticket_id AND kind = 'waiting') AS joined ON true
) AS numbered
WHERE number <> join_order OR last_ticket_number IS DISTINCT FROM tickets

-- name: queue_chain_unbroken
-- A queue's entries are numbered from 1 without gaps, each hashed with the one before it; the book has the hash of the last.
WITH link AS (
    SELECT queue_entry AS this, provider_id, entry, hash, lag(hash) OVER chain AS previous, row_number() OVER chain AS expected
    FROM booking.queue_entry WINDOW chain AS (PARTITION BY provider_id ORDER BY entry)
)
SELECT provider_id, entry FROM link WHERE entry <> expected OR hash <> booking.queue_hash(previous, this)
UNION ALL
SELECT provider_id, queue_entries FROM booking.book
WHERE queue_hash IS DISTINCT FROM (
    SELECT hash FROM booking.queue_entry
    WHERE queue_entry.provider_id = book.provider_id ORDER BY entry DESC LIMIT 1)

-- name: queue_chain_matches_events
-- A ticket has as many entries in its queue's chain as it has events.
SELECT provider_id, number, ticket.state::text, happened.events, chained.entries
FROM booking.ticket
CROSS JOIN LATERAL (
    SELECT count(*) AS events FROM booking.event
    WHERE event.provider_id = ticket.provider_id AND event.ticket_id = ticket.ticket_id AND booking_id IS NULL) AS happened
CROSS JOIN LATERAL (
    SELECT count(*) AS entries FROM booking.queue_entry
    WHERE queue_entry.provider_id = ticket.provider_id AND queue_entry.number = ticket.number) AS chained
WHERE joined_position IS NOT NULL AND events <> entries

-- name: no_offer_after_the_hour
-- No ticket got an offer or a call after its hour was over.
SELECT ticket.provider_id, ticket.ticket_id, ticket.expires_at, event.at
FROM booking.ticket JOIN booking.event USING (provider_id, ticket_id)
WHERE event.kind IN ('offered', 'called') AND event.at >= ticket.expires_at

-- name: offers_belong_to_tickets
-- The ticket of a live offer is in the state offered and names that offer, and every offered ticket has a live offer.
SELECT provider_id, booking.booking_id, ticket.ticket_id, ticket.state::text
FROM (SELECT * FROM booking.booking WHERE offer AND state = 'reserved' AND patient_id IS NOT NULL) AS booking
FULL JOIN (SELECT * FROM booking.ticket WHERE state = 'offered') AS ticket USING (provider_id, ticket_id)
WHERE ticket.offer_id IS DISTINCT FROM booking.booking_id

-- name: calls_belong_to_tickets
-- A live group offer is one that at least one ticket and at most called_max are called for, each for as many slots, and every
-- called ticket names one. A booking without a patient is such an offer, or was one.
SELECT booking.provider_id, booking.booking_id, booking.state::text, called.ticket_id
FROM (SELECT * FROM booking.booking WHERE patient_id IS NULL) AS booking
FULL JOIN (
    SELECT *, count(*) OVER (PARTITION BY provider_id, offer_id) AS together FROM booking.ticket WHERE state = 'called'
) AS called ON called.provider_id = booking.provider_id AND called.offer_id = booking.booking_id
WHERE booking.booking_id IS NULL OR NOT booking.offer OR booking.state NOT IN ('reserved', 'expired', 'released')
    OR (booking.state = 'reserved') IS DISTINCT FROM (called.ticket_id IS NOT NULL)
    OR called.together > booking.called_max() OR called.slots_needed <> booking.slots_needed

-- name: lowest_answer_wins
-- Nobody got what several were called for while a ticket with a lower number that had answered was called for it, too.
WITH step AS (
    SELECT *, lead(entry) OVER turn AS next_entry, lead(kind) OVER turn AS next_kind,
        first_value(at) OVER called AS called_at, first_value(leader) OVER called AS call
    FROM (
        SELECT *, count(*) FILTER (WHERE kind = 'called') OVER (PARTITION BY provider_id, number ORDER BY entry) AS calls
        FROM booking.queue_entry
    ) AS entry
    WINDOW turn AS (PARTITION BY provider_id, number ORDER BY entry), called AS (PARTITION BY provider_id, number, calls ORDER BY entry)
)
SELECT got.provider_id, got.number, earlier.number AS answered_before, got.entry
FROM step AS got JOIN step AS earlier USING (provider_id, called_at, call)
WHERE got.kind = 'accepted' AND earlier.kind = 'answered' AND earlier.number < got.number
    AND earlier.entry < got.entry AND coalesce(earlier.next_entry > got.entry, true)

-- name: turns_let_go_ended
-- A turn that counts as let go ended with its ticket, or with a hold or booking that came to nothing.
SELECT ticket.provider_id, ticket.ticket_id, ticket.state::text, booking.state::text AS booking_state
FROM booking.ticket LEFT JOIN booking.booking ON booking.provider_id = ticket.provider_id AND booking_id = offer_id
WHERE let_go_at IS NOT NULL AND NOT CASE ticket.state
    WHEN 'accepted' THEN booking.state IN ('expired', 'released', 'cancelled') ELSE ticket.state IN ('lapsed', 'left') END

-- name: nobody_overtaken
-- Of two tickets of one provider with the same queue window, the earlier was offered a slot, or called for one, first, unless it
-- had ended or been passed over before the later one was.
WITH turn AS (
    SELECT ticket.provider_id, ticket.ticket_id, number, clinic_id, queue_window, slots_needed,
        min(event.seq) FILTER (WHERE kind = 'waiting') AS joined,
        min(event.seq) FILTER (WHERE kind IN ('offered', 'called')) AS offered,
        min(event.seq) FILTER (WHERE kind IN ('passed_over', 'left', 'timed_out', 'full', 'expired')) AS excused
    FROM booking.ticket JOIN booking.event USING (provider_id, ticket_id)
    GROUP BY ticket.provider_id, ticket.ticket_id
)
SELECT provider_id, earlier.number, later.number AS overtaken_by
FROM turn AS earlier JOIN turn AS later USING (provider_id, queue_window, slots_needed)
WHERE earlier.number < later.number AND earlier.clinic_id IS NOT DISTINCT FROM later.clinic_id
    AND later.offered < coalesce(earlier.offered, 9223372036854775807)
    AND later.offered < coalesce(earlier.excused, 9223372036854775807)

-- name: no_free_slot_unoffered
-- Nothing is free in a present ticket's window that is not withheld for an earlier ticket. (No wake-up is lost.)
SELECT ticket.provider_id, ticket.ticket_id, ticket.number
FROM (SELECT public.app_now() AS now_at) AS clock CROSS JOIN booking.ticket
WHERE ticket.state = 'waiting' AND ticket.expires_at > now_at AND booking.is_present(ticket, now_at)
    AND EXISTS (
        SELECT FROM booking.obtainable_runs(
            ticket.provider_id, ticket.clinic_id, lower(ticket.queue_window), upper(ticket.queue_window),
            booking.need_of(ticket.slots_needed, ticket.provider_id, ticket.service_ids), now_at, false, ticket.number))

-- name: one_live_claim
-- A patient has at most one live hold or ticket, and it is the one that the claim names. The claim on a hold that came of a call
-- may still name the ticket.
WITH live AS (
    SELECT patient_id, provider_id, booking_id, ticket_id FROM booking.booking
    WHERE state = 'reserved' AND NOT offer AND NOT booking.is_due(booking, (SELECT public.app_now()))
    UNION ALL
    SELECT ticket.patient_id, ticket.provider_id, NULL, ticket.ticket_id
    FROM booking.ticket LEFT JOIN booking.booking AS offered
        ON offered.provider_id = ticket.provider_id AND offered.booking_id = ticket.offer_id
    WHERE (ticket.state IN ('offered', 'called') AND booking.state_at(offered, (SELECT public.app_now())) <> 'expired')
        OR (ticket.state = 'waiting' AND expires_at > (SELECT public.app_now()))
)
SELECT live.*, count(*) OVER (PARTITION BY live.patient_id) AS live_claims
FROM live LEFT JOIN booking.claim ON claim.patient_id = live.patient_id
WHERE (claim.provider_id = live.provider_id AND (claim.booking_id = live.booking_id OR claim.ticket_id = live.ticket_id)) IS NOT TRUE

-- name: one_place_at_a_time
-- A person has no two holds or appointments at overlapping times, unless one replaces the other or the desk had a reason. Bookings
-- of the release before, which knew no persons, are not looked at.
SELECT a.provider_id, a.booking_id, b.provider_id AS other_provider_id, b.booking_id AS other_booking_id
FROM booking.booking AS a
JOIN booking.booking AS b
    ON b.patient_id = a.patient_id AND b.person_id = a.person_id AND b.during && a.during AND b.booking_id > a.booking_id
        AND booking.visit(b.during, b.service_ids) && booking.visit(a.during, a.service_ids)
CROSS JOIN (SELECT public.app_now() AS now_at) AS clock
WHERE a.state IN ('reserved', 'booked', 'arrived') AND NOT a.offer AND NOT booking.is_due(a, now_at)
    AND b.state IN ('reserved', 'booked', 'arrived') AND NOT b.offer AND NOT booking.is_due(b, now_at)
    AND a.instead_of_id IS DISTINCT FROM b.booking_id AND b.instead_of_id IS DISTINCT FROM a.booking_id
    AND NOT EXISTS (
        SELECT FROM booking.event
        WHERE kind IN ('reserved', 'moved') AND reason <> '' AND reason !~ '^was \S+$' AND actor NOT LIKE 'patient:%'
            AND (provider_id, booking_id) IN ((a.provider_id, a.booking_id), (b.provider_id, b.booking_id)))

-- name: replaced_are_cancelled
-- What another booking has replaced is cancelled within five minutes.
SELECT provider_id, booking_id, replaced_provider_id, replaced_id, due_at
FROM booking.replacement WHERE due_at < (SELECT public.app_now()) - interval '5 minutes'

-- name: withheld_only_for_runs
-- Slots are withheld only for tickets that need several.
SELECT provider_id, ticket_id FROM booking.ticket WHERE withheld_seat IS NOT NULL AND slots_needed = 1

-- name: next_free_times_match
-- A provider's stored next free time is the one that the book has now, unless it has passed or an expired hold is not retired yet.
-- A stored NULL says that nothing was free as far ahead as could be booked when it was stored.
SELECT book.provider_id, book.next_free_at, actual.next_free_at AS actual_next_free_at
FROM (SELECT public.app_now() AS now_at) AS clock
CROSS JOIN booking.book
JOIN directory.provider USING (provider_id)
CROSS JOIN LATERAL (SELECT booking.first_free(book.provider_id, NULL, now_at, NULL, now_at) AS next_free_at) AS actual
WHERE isfinite(book.touched_at)
    AND NOT EXISTS (
        SELECT FROM booking.booking
        WHERE booking.provider_id = book.provider_id AND booking.is_due(booking, now_at))
    AND CASE WHEN book.next_free_at IS NULL
        THEN actual.next_free_at < book.touched_at + make_interval(days => provider.max_booking_days)
        ELSE actual.next_free_at IS DISTINCT FROM book.next_free_at AND book.next_free_at > now_at + (
            SELECT make_interval(mins => max(lead_minutes))
            FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
            WHERE provider_clinic.provider_id = book.provider_id) END

-- name: no_payment_without_booking
-- Money is captured, or due to be, only for a booking that is funded online, or was and is cancelled by terms that keep something; all
-- other money is due to go back, or has.
SELECT payment.provider_id, payment.booking_id, payment.authorisation, payment.state::text, payment.due::text,
    booking.state::text AS booking_state
FROM ledger.payment LEFT JOIN booking.booking USING (provider_id, booking_id)
WHERE booking.booking_id IS NULL
    OR (payment.state = 'authorised' AND payment.due IS NULL)
    OR (((payment.state = 'authorised' AND payment.due = 'capture') OR (payment.state = 'captured' AND payment.due IS NULL))
        AND (booking.state NOT IN ('booked', 'arrived', 'fulfilled', 'no_show', 'cancelled') OR booking.funding <> 'online'
            OR booking.fee_minor <> payment.amount_minor))
    OR (booking.state = 'cancelled' AND payment.kept_minor IS NULL AND payment.due = 'capture')
    OR (booking.state = 'cancelled' AND payment.state = 'captured' AND payment.due IS NULL
        AND (payment.kept_minor IS NULL OR ledger.rest_minor(payment) > 0))
    OR (payment.kept_minor IS NOT NULL AND booking.state <> 'cancelled')

-- name: no_booking_without_payment
-- Every booking that is funded online has exactly one payment that is captured, or authorised and due to be captured.
SELECT booking.provider_id, booking.booking_id, kept.payments
FROM booking.booking
CROSS JOIN LATERAL (
    SELECT count(*) AS payments FROM ledger.payment
    WHERE payment.provider_id = booking.provider_id AND payment.booking_id = booking.booking_id
        AND payment.hold_id = ANY (ledger.holds_paid(booking.provider_id, booking.booking_id))
        AND ((state = 'authorised' AND due = 'capture') OR (state = 'captured' AND due IS NULL))) AS kept
WHERE booking.funding = 'online' AND booking.state IN ('booked', 'arrived', 'fulfilled', 'no_show') AND kept.payments <> 1

-- name: payments_match_ledger
-- Every payment is in the last state that the ledger says it reached, and the first is the authorisation. What was let go and then
-- captured is captured, until it is refunded.
SELECT provider_id, hold_id, authorisation, payment.state::text, fact.first::text, fact.last::text
FROM ledger.payment
LEFT JOIN (
    SELECT provider_id, hold_id, authorisation, min(state) AS first, max(state) AS last
    FROM ledger.entry GROUP BY provider_id, hold_id, authorisation
) AS fact USING (provider_id, hold_id, authorisation)
WHERE (CASE WHEN payment.state = 'captured' AND payment.due = 'refund' AND fact.last = 'voided' THEN 'voided' ELSE payment.state END, fact.first)
    IS DISTINCT FROM (fact.last, 'authorised')

-- name: no_foreign_money_kept
-- Money that a gateway set aside in another currency than the clinic's is due to go back, or has.
SELECT provider_id, hold_id, authorisation, currency, state::text, due::text
FROM ledger.payment
WHERE currency IS NOT NULL
    AND ((payment.state = 'authorised' AND due = 'capture') OR (payment.state = 'captured' AND due IS NULL))

-- name: references_exist
-- What the book refers to exists. It has no foreign keys, since checking one locks rows that many providers share.
SELECT provider_id, booking_id, patient_id, clinic_id
FROM booking.booking
WHERE (patient_id IS NOT NULL AND NOT EXISTS (SELECT FROM accounts.patient WHERE patient.patient_id = booking.patient_id))
    OR NOT EXISTS (
        SELECT FROM directory.provider_clinic
        WHERE provider_clinic.provider_id = booking.provider_id AND provider_clinic.clinic_id = booking.clinic_id)
    OR NOT EXISTS (SELECT FROM booking.book WHERE book.provider_id = booking.provider_id)

-- name: persons_are_there
-- Every account that is not erased has a holder, with its name, and at most six persons.
SELECT patient_id, count(*) AS persons, bool_or(is_holder AND person.name = patient.name) AS has_holder
FROM accounts.patient LEFT JOIN accounts.person USING (patient_id)
WHERE erased_at IS NULL AND removed_at IS NULL
GROUP BY patient_id
HAVING count(*) > accounts.persons_max() OR bool_or(is_holder AND person.name = patient.name) IS NOT true

-- name: persons_expected_are_there
-- Nobody is removed for whom something is ahead.
SELECT provider_id, booking_id, patient_id, person_id
FROM booking.booking
WHERE state IN ('reserved', 'booked', 'arrived') AND booking.visit_end(during, service_ids) > (SELECT public.app_now())
    AND NOT booking.is_due(booking, (SELECT public.app_now()))
    AND person_id IS NOT NULL AND (booking.person_of(patient_id, person_id)).person_id IS NULL

-- name: scarce_days_match
-- For each day of the next ten years on which a slot is taken, booking.scarce_day has the last free slot that the book has, unless
-- an expired hold is not retired yet.
WITH location AS (
    SELECT provider_id, clinic_id, time_zone
    FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.city USING (city_id)
), taken AS (
    SELECT provider_id, during FROM booking.booking WHERE occupies
    UNION ALL
    SELECT provider_id, withheld_during FROM booking.ticket WHERE state = 'waiting' AND withheld_during IS NOT NULL
    UNION ALL
    SELECT provider_id, tstzrange(at, at, '[]') FROM schedule.leave
    CROSS JOIN LATERAL generate_series(lower(during), upper(during), interval '12 hours') AS at
), day AS (
    SELECT location.*, (lower(during) AT TIME ZONE time_zone)::date AS day FROM location JOIN taken USING (provider_id)
    UNION
    SELECT location.*, day FROM location JOIN booking.scarce_day USING (provider_id, clinic_id)
)
SELECT provider_id, clinic_id, day, stored.day IS NOT NULL AS is_stored, stored.last_free_at, last.free_at, last.last_at
FROM day
CROSS JOIN (SELECT public.app_now() AS now_at) AS clock
CROSS JOIN LATERAL booking.last_of_day(
    provider_id, clinic_id,
    tstzrange(day::timestamp AT TIME ZONE time_zone, (day + 1)::timestamp AT TIME ZONE time_zone), now_at) AS last
LEFT JOIN booking.scarce_day AS stored USING (provider_id, clinic_id, day)
WHERE day > (now_at AT TIME ZONE time_zone)::date AND day < (now_at AT TIME ZONE time_zone)::date + 3650
    AND (stored.day IS NOT NULL, stored.last_free_at) IS DISTINCT FROM (
        last.last_at IS DISTINCT FROM last.free_at, CASE WHEN last.last_at IS DISTINCT FROM last.free_at THEN last.free_at END)
    AND NOT EXISTS (
        SELECT FROM booking.booking
        WHERE booking.provider_id = day.provider_id AND booking.is_due(booking, now_at))

-- name: listings_match
-- The listings that search reads have what the directory, the schedule and the ratings have.
SELECT provider_id, clinic_id, to_jsonb(listing) - 'terms' AS listing, to_jsonb(actual) - 'terms' AS actual
FROM search.listing_of(array(SELECT provider_id FROM directory.provider)) AS actual
FULL JOIN search.listing USING (provider_id, clinic_id)
WHERE (listing.*) IS DISTINCT FROM (actual.*)

-- name: ratings_add_up
-- A provider's rating totals are the sums of its ratings.
SELECT provider_id, rating_total, rating_count, summed.stars, summed.ratings
FROM directory.provider
FULL JOIN (
    SELECT provider_id, sum(stars) AS stars, count(*) AS ratings FROM reviews.rating GROUP BY provider_id
) AS summed USING (provider_id)
WHERE (rating_total, rating_count) IS DISTINCT FROM (coalesce(summed.stars, 0), coalesce(summed.ratings, 0))

-- name: ratings_come_from_bookings
-- Every rating is for a fulfilled booking of the patient who gave it.
SELECT provider_id, rating.patient_id, rating.booking_id, booking.state::text
FROM reviews.rating LEFT JOIN booking.booking USING (provider_id, patient_id, booking_id)
WHERE booking.state IS DISTINCT FROM 'fulfilled'

-- name: reviews_have_ratings
-- Nobody writes of a provider whom they have not rated.
SELECT review_id, provider_id, patient_id FROM reviews.review
WHERE NOT EXISTS (
    SELECT FROM reviews.rating WHERE rating.provider_id = review.provider_id AND rating.patient_id = review.patient_id)

-- name: next_due_is_early_enough
-- Nothing that is held or offered, and no ticket's hour, runs out before its book's next_due: verbs look for it only then.
SELECT provider_id, next_due, min(due_at) AS first_due
FROM booking.book
JOIN (
    SELECT provider_id, deadline AS due_at FROM booking.booking WHERE state = 'reserved'
    UNION ALL
    SELECT provider_id, expires_at FROM booking.ticket WHERE state = 'waiting'
) AS runs_out USING (provider_id)
GROUP BY provider_id, next_due
HAVING next_due > min(due_at)

-- name: queues_are_known
-- A book in whose queue somebody waits, or has an offer or a call, says so.
SELECT provider_id, ticket_id, ticket.state::text
FROM booking.ticket LEFT JOIN booking.book USING (provider_id)
WHERE ticket.state IN ('waiting', 'offered', 'called') AND is_queued IS NOT TRUE
