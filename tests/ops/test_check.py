"""Each invariant finds the fault it is there for, and nothing in a book that only the verbs have touched."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.ops.check import (
    all_violations,
    business_invariants,
    invariants,
    money_invariants,
    violations,
)
from tests.fixtures.append_only import as_owner
from tests.fixtures.clock import days_ahead, product_now
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients

EARLIER = "UPDATE {0} SET {1} = {1} - interval '2 minutes 1 second'"
_DATED = (("booking.event_log", "at"), ("ledger.payment", "authorised_at"), ("ledger.payment", "captured_at"))
LATER = as_owner("; ".join(EARLIER.format(*dated) for dated in _DATED), "booking.event_log", "ledger.payment")
CAPTURE = "SELECT payments.advance_payment(payment, 'captured', 'answer', app_now()) FROM ledger.payment"
PART = as_owner(
    """INSERT INTO ledger.refund (
        provider_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by, ordered_at,
        from_at, state, tries)
    SELECT provider_id, hold_id, authorisation, booking_id, 'key', false, {}, 'desk', 'staff:1', app_now(), app_now(),
        '{}', {} FROM ledger.payment""",
    "ledger.refund",
)
PAID = """
    INSERT INTO till.payment (
        provider_id, booking_id, clinic_id, session_id, kind, of_id, method, amount_minor, currency, actor, key,
        paid_at)
    SELECT provider_id, booking_id, clinic_id, gen_random_uuid(), '{kind}', {of}, 'cash', 100, 'INR', 'staff:1', '1',
        app_now()
    FROM booking.booking WHERE state = 'booked'"""
FAULTS = {
    "no_overlap": """
        ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap;
        UPDATE booking.booking SET during = (SELECT during FROM booking.booking WHERE state = 'booked')
        WHERE state = 'reserved' AND NOT offer""",
    "overlap_constraint_present": "ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap",
    "events_without_gaps": as_owner(
        "UPDATE booking.event_log SET seq = seq + 1 WHERE seq = (SELECT max(seq) FROM booking.event_log)",
        "booking.event_log",
    ),
    "extra_bookings_are_beside": "UPDATE booking.booking SET extra = 'walk_in' WHERE state = 'booked'",
    "bookings_match_events": "UPDATE booking.booking SET state = 'arrived' WHERE state = 'booked'",
    "events_name_their_actor": """
        INSERT INTO booking.event_log (provider_id, seq, at, kind)
        SELECT provider_id, version + 1, app_now(), 'leave_changed' FROM booking.book;
        UPDATE booking.book SET version = version + 1""",
    "tickets_match_events": "UPDATE booking.ticket SET state = 'left' WHERE state = 'waiting'",
    "tickets_numbered_once": "UPDATE booking.ticket SET number = number + 10 WHERE state = 'waiting'",
    "queue_chain_unbroken": as_owner(
        "UPDATE booking.queue_entry SET number = number + 1 WHERE entry = 2", "booking.queue_entry"
    ),
    "queue_chain_matches_events": as_owner("DELETE FROM booking.queue_entry WHERE entry = 1", "booking.queue_entry"),
    "no_offer_after_the_hour": "UPDATE booking.ticket SET expires_at = joined_at WHERE state = 'offered'",
    "offers_belong_to_tickets": "UPDATE booking.ticket SET offer_id = gen_random_uuid() WHERE state = 'offered'",
    "calls_belong_to_tickets": "UPDATE booking.booking SET patient_id = NULL WHERE state = 'reserved' AND offer",
    "lowest_answer_wins": """
        INSERT INTO booking.queue_entry (provider_id, entry, at, kind, number, slots_needed, hash, leader)
        SELECT provider_id, 100 + place, (SELECT app_now()), kind, called, 1, '', 1
        FROM booking.book, (VALUES
            (1, 'called', 1), (2, 'called', 2), (3, 'answered', 2), (4, 'answered', 1), (5, 'accepted', 2)
        ) AS forged (place, kind, called)""",
    "turns_let_go_ended": "UPDATE booking.ticket SET let_go_at = app_now() WHERE state = 'waiting'",
    "nobody_overtaken": """
        UPDATE booking.ticket SET number = number + 10;
        UPDATE booking.ticket SET number = 13 - number""",
    "no_free_slot_unoffered": """
        UPDATE booking.booking SET state = 'released' WHERE state = 'reserved' AND NOT offer""",
    "closed_places_take_nobody": """
        UPDATE directory.clinic SET closed_since = app_now()
        WHERE clinic_id IN (SELECT clinic_id FROM directory.provider_clinic WHERE closed_since IS NULL)""",
    "cities_reach_their_listings": """
        INSERT INTO directory.city_alias (slug, city_id) SELECT slug, city_id FROM directory.city""",
    "one_live_claim": "DELETE FROM booking.claim",
    "one_place_at_a_time": """
        ALTER TABLE booking.booking DROP CONSTRAINT booking_overlap;
        UPDATE booking.booking
        SET (patient_id, person_id, during) = (
            SELECT patient_id, person_id, during FROM booking.booking WHERE state = 'booked')
        WHERE state = 'reserved' AND NOT offer""",
    "replaced_are_cancelled": """
        INSERT INTO booking.replacement (provider_id, booking_id, replaced_provider_id, replaced_id, due_at)
        SELECT provider_id, booking_id, provider_id, booking_id, app_now() - interval '5 minutes 1 second'
        FROM booking.booking WHERE state = 'booked'""",
    "withheld_only_for_runs": """
        UPDATE booking.ticket SET withheld_seat = 1, withheld_during = queue_window WHERE state = 'waiting'""",
    "next_free_times_match": "UPDATE booking.book SET next_free_at = next_free_at + interval '1 hour'",
    "next_due_is_early_enough": """
        UPDATE booking.book SET next_due = min_deadline + interval '1 microsecond'
        FROM (SELECT min(deadline) AS min_deadline FROM booking.booking WHERE state = 'reserved') AS held""",
    "queues_are_known": "UPDATE booking.book SET is_queued = false",
    "scarce_days_match": "DELETE FROM booking.scarce_day",
    "listings_match": "UPDATE search.listing SET fee = fee + 1",
    "no_payment_without_booking": """
        UPDATE booking.booking SET state = 'cancelled' WHERE state = 'booked';
        INSERT INTO booking.event_log (provider_id, seq, at, kind, booking_id, actor)
        SELECT provider_id, 1 + (SELECT max(seq) FROM booking.event_log), app_now(), 'cancelled', booking_id, 'test'
        FROM booking.booking WHERE state = 'cancelled';
        UPDATE booking.book SET version = version + 1""",
    "no_booking_without_payment": as_owner("DELETE FROM ledger.payment", "ledger.payment"),
    "payments_match_ledger": "UPDATE ledger.payment SET captured_at = app_now(), captured_source = 'fetch'",
    "no_foreign_money_kept": "UPDATE ledger.payment SET currency = 'USD'",
    "ratings_add_up": "UPDATE directory.provider SET rating_total = 5, rating_count = 1",
    "ratings_come_from_bookings": """
        INSERT INTO reviews.rating (provider_id, patient_id, booking_id, stars, rated_at)
        SELECT provider_id, patient_id, booking_id, 5, app_now() FROM booking.booking WHERE state = 'booked';
        UPDATE directory.provider SET rating_total = 5, rating_count = 1""",
    "no_shows_are_recorded": """
        INSERT INTO booking.no_show (provider_id, booking_id, clinic_id, patient_id, person_id, starts_at)
        SELECT provider_id, booking_id, clinic_id, patient_id, gen_random_uuid(), lower(during) FROM booking.booking
        WHERE state = 'booked'""",
    "reviews_have_ratings": """
        INSERT INTO reviews.review (provider_id, patient_id, text, written_at)
        SELECT provider_id, patient_id, 'She listens.', app_now() FROM booking.booking WHERE state = 'booked'""",
    "persons_are_there": "UPDATE accounts.person SET name = 'Somebody else'",
    "persons_expected_are_there": "UPDATE booking.booking SET person_id = gen_random_uuid() WHERE state = 'booked'",
    "references_exist": "UPDATE booking.booking SET patient_id = -1 WHERE state = 'booked'",
    "services_exist": "UPDATE booking.ticket SET service_ids = '{-1}' WHERE state = 'waiting'",
    "terms_exist": "UPDATE booking.booking SET terms_id = -1 WHERE state = 'booked'",
    "ladders_are_ladders": "INSERT INTO directory.terms DEFAULT VALUES",
    "captured_not_booked": f"{CAPTURE}; UPDATE booking.booking SET state = 'cancelled' WHERE state = 'booked'",
    "booked_not_captured": LATER,
    "double_captured": f"""
        {CAPTURE};
        DROP INDEX ledger.payment_kept;
        INSERT INTO ledger.payment (
            provider_id, hold_id, booking_id, authorisation, amount_minor, state, at, authorised_at, captured_at)
        SELECT provider_id, hold_id, booking_id, 'once more', amount_minor, state, at, authorised_at, captured_at
        FROM ledger.payment""",
    "money_adds_up": as_owner(
        f"{CAPTURE}; UPDATE ledger.payment SET amount_minor = amount_minor + 1", "ledger.payment"
    ),
    "kept_as_agreed": f"{CAPTURE}; UPDATE ledger.payment SET kept_minor = 1",
    "payments_name_their_hold": as_owner("UPDATE ledger.payment SET hold_id = gen_random_uuid()", "ledger.payment"),
    "receipts_numbered_once": as_owner(
        "UPDATE booking.queue_entry SET number = number + 1 WHERE kind = 'joined' AND number = 2", "booking.queue_entry"
    ),
    "refunds_within_payments": f"{CAPTURE}; {PART.format(50001, 'ordered', 1)}",
    "fees_are_paid_once": f"{PAID.format(kind='payment', of='NULL')}; DELETE FROM receipts.due",
    "failed_refunds_are_tried_again": f"{CAPTURE}; {PART.format(1, 'failed', 3)}",
    "receipts_in_a_row": f"{CAPTURE}; SELECT receipts.issue(9); UPDATE receipts.series SET last_number = 2",
    "receipts_match_money": f"{CAPTURE}; DELETE FROM receipts.due",
    "desk_receipts_match_money": f"{PAID.format(kind='payment', of='NULL')}; DELETE FROM receipts.due",
    "desk_gives_back_what_it_took": PAID.format(kind="return", of="gen_random_uuid()") + "; DELETE FROM receipts.due",
    "tills_add_up": """
        INSERT INTO till.session (clinic_id, staff_id, day, currency, float_minor, opened_at)
        SELECT 1, 1, current_date, 'INR', 0, app_now();
        INSERT INTO till.closing
        SELECT clinic_id, session_id, 1, 1, 0, 0, 1, 0, 0, '', app_now(), 'staff:1' FROM till.session""",
    "settlements_add_up": """
        INSERT INTO payments.settlement (
            account, name, settled_at, currency, amount_minor, read_at, payments_minor, fees_minor, lines)
        SELECT 'a', 'setl', app_now(), 'INR', 98, app_now(), 100, 1, 1""",
    "refund_missing": f"{CAPTURE}; UPDATE ledger.payment SET due = 'refund'; {LATER}",
}


@pytest.fixture
async def book(db: Database) -> Book:
    """A book with a hold, a booking that was paid for, an offer, and a ticket that waits."""
    clinic = await make_clinic(db)
    provider = await make_provider(db, {clinic: (50000, "online")})
    await make_shift(db, provider, clinic, DAILY, time(9, 30), time(10), 10)
    first = await days_ahead(db, 3, time(9, 30))
    patients = await make_patients(db, 5)
    book = Book(db)
    starts = [first + timedelta(minutes=10 * number) for number in range(3)]
    held = [
        await book.hold(provider, clinic, start, 1, patient, Patient(patient))
        for start, patient in zip(starts, patients[:3], strict=True)
    ]
    assert [outcome.code for outcome in held] == ["reserved"] * 3
    assert held[0].booking_id
    assert held[1].booking_id
    await book.confirm(provider, held[0].booking_id, "set aside", Patient(patients[0]))
    for patient in patients[3:]:
        waiting = await book.join_queue(
            provider, clinic, first, first + timedelta(minutes=30), 1, patient, Patient(patient)
        )
        assert waiting.code == "waiting"
    await book.release(provider, held[1].booking_id, Patient(patients[1]))
    return book


@pytest.mark.dates
async def test_nothing_is_found_in_a_sound_book(book: Book, db: Database) -> None:
    assert book
    assert await db.fetch_value("SELECT count(*) FROM booking.ticket WHERE state = 'offered'") == 1
    assert await all_violations(db) == []


def test_every_invariant_has_its_fault() -> None:
    assert FAULTS.keys() == {**invariants, **money_invariants, **business_invariants}.keys()


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("invariant", FAULTS)
async def test_each_fault_is_found(book: Book, db: Database, invariant: str) -> None:
    assert book
    await db.execute(FAULTS[invariant])
    found = await all_violations(db)
    assert invariant in {violation.invariant for violation in found}


@pytest.mark.parametrize("days", [410, 4000])
@pytest.mark.dates
async def test_a_leave_of_years_breaks_nothing(db: Database, days: int) -> None:
    clinic = await make_clinic(db)
    provider = await make_provider(db, {clinic: (50000, "online")}, max_booking_days=366)
    await make_shift(db, provider, clinic, 1, time(9), time(12), 30)
    now = await product_now(db)
    begins, ends = now + timedelta(days=3), now + timedelta(days=days)
    outcome = await Book(db).add_leave(provider, None, begins, ends, "", Staff(1))
    assert outcome.code == "changed"
    assert await violations(db) == []
