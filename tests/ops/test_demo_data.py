from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random

import pytest

from healthplus.accounts.actors import Patient
from healthplus.accounts.keys import SCOPES, KeyUses
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import BookingChanged
from healthplus.database import Database, Record, migrate
from healthplus.errors import UnknownDeveloperKey
from healthplus.ops.demo_data import Scale, create_demo_data
from healthplus.ops.demo_directory import Directory, DirectoryMaker
from healthplus.ops.demo_facts import FACTS
from healthplus.ops.demo_guide import demo_guide, demo_text
from healthplus.ops.demo_services import NOT_FOR_EVERYBODY
from tests.fixtures.clock import move_clock
from tests.fixtures.patients import make_patients

pytestmark = pytest.mark.dates

SMALL = Scale(cities=2, providers_per_city=40, patients=80)

DIRECTORY = """
    SELECT provider.identifier, provider.name, provider.type::text, bio, languages, fee_minor, funding::text,
        clinic.name AS clinic, clinic.latitude, postal_code, terms_id, (
            SELECT array_agg((to_jsonb(service) - 'opened_at')::text ORDER BY service_id) FROM directory.service
            WHERE service.provider_id = provider.provider_id) AS services,
        array_agg(starts::text ORDER BY shift_id) AS shifts
    FROM directory.provider JOIN directory.provider_clinic USING (provider_id) JOIN directory.clinic USING (clinic_id)
    JOIN schedule.shift USING (provider_id, clinic_id)
    GROUP BY provider.provider_id, provider_clinic.provider_id, provider_clinic.clinic_id, clinic.clinic_id
    ORDER BY provider.provider_id, clinic.clinic_id"""


@pytest.fixture
async def other(blank_dsn: str) -> AsyncIterator[Database]:
    await migrate(blank_dsn)
    async with await Database.connect(blank_dsn, min_size=1, max_size=2) as database:
        yield database


async def test_every_provider_has_two_shifts_of_36_slots_a_day(db: Database) -> None:
    await create_demo_data(db, SMALL)
    days = await db.fetch(
        """SELECT count(*) AS shifts, min(extract(epoch FROM ends - starts) / 60 / slot_minutes)::integer AS slots
        FROM schedule.shift GROUP BY provider_id, weekday"""
    )
    assert len(days) == 2 * 40 * 7
    assert await db.fetch_value("SELECT count(*) FROM receipts.due") == 0  # what was paid has its receipts
    paid = await db.fetch_value("SELECT count(*) FROM ledger.payment WHERE captured_at IS NOT NULL")
    assert 0 < paid == await db.fetch_value("SELECT count(*) FROM receipts.document")
    assert await db.fetch_value("SELECT count(*) FROM notices.notice") == 0  # nobody is sent a message about them
    assert {tuple(day) for day in days} == {(2, 36)}
    assert await db.fetch_value("SELECT count(*) FROM booking.book WHERE next_free_at IS NOT NULL") == 80
    seats = await db.fetch_value(
        "SELECT min(seats) FROM schedule.shift JOIN directory.provider USING (provider_id) WHERE type = 'lab'"
    )
    assert seats > 1


async def test_what_is_shown_is_there(db: Database) -> None:
    demo = await create_demo_data(db, SMALL)
    states = await db.fetch(
        """SELECT state, count(*)
        FROM booking.chart($1, NULL, app_now(), app_now() + interval '3 days', 1, NULL, NULL, app_now())
        GROUP BY state""",
        demo.nearly_full_doctor_id,
    )
    counts = dict(tuple(row) for row in states)
    assert 0 <= counts.get("held", 0) <= 3
    assert counts.get("free", 0) <= 1
    assert counts["booked"] > 100
    clinics = "SELECT count(*) FROM directory.provider_clinic WHERE provider_id = $1"
    assert await db.fetch_value(clinics, demo.two_clinics_doctor_id) == 2
    assert (
        await db.fetch_value("SELECT type::text FROM directory.provider WHERE provider_id = $1", demo.lab_id) == "lab"
    )
    for name, token in demo.patient_tokens.items():
        found = await db.fetch_value(
            "SELECT name FROM accounts.patient JOIN accounts.session USING (patient_id) WHERE token_hash = $1",
            hashlib.sha256(token.encode()).digest(),
        )
        assert found == name
    assert len(demo.patient_tokens) == 2


async def test_the_guide_sends_to_a_day_with_one_free_time(db: Database) -> None:
    demo = await create_demo_data(db, SMALL)
    book = Book(db)

    async def shown() -> tuple[str, int, list[Record]]:
        """Return the guide, and the doctor and the free slots of the day that it names."""
        facts = await demo_guide(db, demo, "http://127.0.0.1:8000")
        assert facts.waiting_room
        guide = await demo_text(db, demo, facts, "http://127.0.0.1:8000")
        assert facts.waiting_room.path in guide
        found = re.search(r"/doctor/(\d+)/-/(\d+)\?day=(\S+)", guide)
        assert found
        begins = datetime.fromisoformat(f"{found[3]}T00:00:00+05:30")
        chart = await book.chart(int(found[1]), int(found[2]), begins, begins + timedelta(days=1), 1, None)
        return guide, int(found[1]), [slot for slot in chart if slot["fits"]]

    guide, doctor, free = await shown()
    assert (doctor, len(free)) == (demo.nearly_full_doctor_id, 1)
    assert "hold the one free time of a doctor" in guide
    # When that is booked, the guide says what is there then.
    patient_id, _ = await add_patient(db, "Somebody")
    actor = Patient(patient_id)
    hold = await book.hold(doctor, free[0]["clinic_id"], free[0]["starts_at"], 1, patient_id, actor)
    assert isinstance(hold, BookingChanged)
    assert (await book.confirm(doctor, hold.booking_id, "paid", actor)).code == "booked"
    guide, _, free = await shown()
    assert 0 < len(free) < 72
    assert ("hold the one free time of" if len(free) == 1 else f"one of the {len(free)} free times") in guide


async def test_holds_are_live_and_bookings_can_be_acted_on(db: Database) -> None:
    """The rows are such as the verbs themselves would have written."""
    demo = await create_demo_data(db, SMALL)
    holds = await db.fetch(
        """SELECT provider_id, booking_id, patient_id, deadline - app_now() AS left FROM booking.booking
        WHERE state = 'reserved' AND provider_id = $1""",
        demo.nearly_full_doctor_id,
    )
    assert len(holds) == 3
    assert all(290 < hold["left"].total_seconds() <= 305 for hold in holds)
    confirmed = await db.fetch_row(
        "SELECT * FROM booking.confirm($1, $2, 'paid', 'patient:' || $3::bigint, 'key')",
        *(holds[0][key] for key in ("provider_id", "booking_id", "patient_id")),
    )
    assert confirmed is not None
    assert confirmed["code"] == "booked"
    booked = await db.fetch_row(
        "SELECT * FROM booking.booking WHERE state = 'booked' AND funding = 'online' ORDER BY during DESC LIMIT 1"
    )
    assert booked is not None
    cancelled = await db.fetch_row(
        "SELECT * FROM booking.cancel($1, $2, 'patient:' || $3::bigint, 'key')",
        *(booked[key] for key in ("provider_id", "booking_id", "patient_id")),
    )
    assert cancelled is not None
    assert cancelled["code"] == "cancelled"


async def test_bookings_lie_on_the_grid_of_a_shift(db: Database) -> None:
    await create_demo_data(db, SMALL)
    off = await db.fetch_value(
        """SELECT count(*) FROM booking.booking AS b
        CROSS JOIN LATERAL booking.need_of(slots_needed, provider_id, service_ids) AS need
        WHERE NOT EXISTS (
            SELECT
            FROM schedule.openings(b.provider_id, b.clinic_id, lower(b.during), upper(b.during), b.created_at) AS o
            WHERE o.during @> b.during AND upper(b.during) - lower(b.during) = o.slot * booking.slots_of(need, o.slot)
                AND booking.is_on_grid(need, lower(b.during), lower(o.during), o.slot, o.weekday)
                AND b.seat <= o.seats)"""
    )
    assert off == 0
    assert await db.fetch_value("SELECT count(*) FROM booking.booking") > 100


async def test_bookings_for_services_cost_what_these_do(db: Database) -> None:
    await create_demo_data(db, SMALL)
    counts = await db.fetch_row(
        """SELECT count(*) FILTER (WHERE service_ids IS NOT NULL) AS with_services,
            count(*) FILTER (WHERE cardinality(service_ids) > 1) AS with_tests,
            count(*) FILTER (WHERE upper(during) - lower(during) > interval '10 minutes') AS long,
            count(booking.terms_id) AS with_terms, count(*) AS bookings,
            count(*) FILTER (
                WHERE (booking.fee_minor, booking.funding) IS DISTINCT FROM (price.fee_minor, price.funding)) AS off,
            count(*) FILTER (WHERE booking.terms_id IS DISTINCT FROM price.terms_id) AS other_terms
        FROM booking.booking CROSS JOIN LATERAL booking.price_of(provider_id, clinic_id, service_ids) AS price"""
    )
    assert counts is not None
    assert counts["off"] == counts["other_terms"] == 0
    assert counts["bookings"] / 10 < counts["with_services"] < counts["bookings"]
    assert counts["with_tests"] > 0
    assert counts["long"] > 10
    assert 0 < counts["with_terms"] < counts["bookings"]
    clinics = await db.fetch_row("SELECT count(terms_id) AS with_terms, count(*) AS clinics FROM directory.clinic")
    assert clinics is not None
    assert 0 < clinics["with_terms"] <= clinics["clinics"] / 2


async def test_the_shown_patients_have_something_to_rate_and_to_cancel(db: Database) -> None:
    demo = await create_demo_data(db, SMALL)
    assert demo.patient_phone is not None
    rows = await db.fetch(
        """SELECT booking.*, stars, captured_at, lower(during) > app_now() AS is_ahead
        FROM booking.booking JOIN accounts.patient USING (patient_id)
        LEFT JOIN reviews.rating USING (provider_id, booking_id)
        LEFT JOIN ledger.payment USING (provider_id, booking_id)
        WHERE phone = $1 ORDER BY during""",
        demo.patient_phone,
    )
    past, ahead = ([row for row in rows if row["is_ahead"] is is_ahead] for is_ahead in (False, True))
    assert len(past) >= 2
    assert {row["state"] for row in past} == {"fulfilled"}
    assert any(row["service_ids"] and len(row["service_ids"]) >= 1 for row in past)
    assert [row["stars"] is not None for row in past] == [True] + [False] * (len(past) - 1)
    # The desk recorded who came lately, as it would have.
    recorded = await db.fetch("SELECT booking_id FROM reception.attendance WHERE finished_at IS NOT NULL")
    assert {row["booking_id"] for row in past[-2:]} <= {row["booking_id"] for row in recorded}
    assert ahead
    assert {row["state"] for row in ahead} == {"booked"}
    assert ahead[0]["terms_id"] is not None
    assert all((row["captured_at"] is not None) == (row["funding"] == "online") for row in rows)
    assert any(row["captured_at"] for row in past)
    rated = past[-1]
    code = await db.fetch_value(
        "SELECT code FROM reviews.rate($1, $2, $3, 4::smallint)",
        *(rated[key] for key in ("provider_id", "booking_id", "patient_id")),
    )
    assert code == "rated"


async def test_what_the_shown_patients_had_suits_anybody(db: Database) -> None:
    demo = await create_demo_data(db, Scale(cities=1, providers_per_city=120, patients=80))
    booked = await db.fetch(
        """SELECT service_type.slug FROM booking.booking JOIN accounts.patient USING (patient_id)
        JOIN directory.service ON service_id = ANY (service_ids) JOIN directory.service_type USING (service_type_id)
        WHERE patient.name = ANY ($1)""",
        list(demo.patient_tokens),
    )
    assert len(booked) > 8
    assert {row["slug"] for row in booked} & NOT_FOR_EVERYBODY == set()
    assert {"pregnancy-check-up", "mammography", "child-consultation"} < NOT_FOR_EVERYBODY


def test_the_first_city_has_a_root_canal_where_people_look_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> Directory:
        maker = DirectoryMaker(Random(20), clinic_id=0, provider_id=0, service_id=0, terms_ids=[1, 2, 3])
        for number, city in enumerate(FACTS["cities"][:2], start=1):
            maker.add_city(city, number, Scale().providers_per_city)
        return maker.directory

    directory = drawn()
    number, dentist = next(one for one in enumerate(directory.providers) if one[1][1] == "demo:pune:doctor-3")
    [service] = [one for one in directory.services[dentist[0]] if one.type_slug == "root-canal-treatment"]
    [clinic_id] = [clinic for provider, clinic in directory.provider_clinics if provider == dentist[0]]
    assert (service.clinic_id, service.fee_minor, service.funding) == (None, 575000, "online")
    assert [slug for provider, slug in directory.specialities if provider == dentist[0]] == ["dentistry"]
    assert {shift.clinic_id for shift in directory.shifts[dentist[0]]} == {clinic_id}
    [address] = [clinic[4] for clinic in directory.clinics if clinic[0] == clinic_id]
    assert "Kothrud, Pune" in str(address)
    # All others are as they would be without.
    monkeypatch.setattr(DirectoryMaker, "_make_dentist", lambda *_: None)
    others = drawn()
    assert others.providers[:number] + others.providers[number + 1 :] == [
        *directory.providers[:number],
        *directory.providers[number + 1 :],
    ]
    assert others.clinics == directory.clinics
    assert others.services[dentist[0]] != directory.services[dentist[0]]


async def test_nobody_is_told_that_a_made_up_hold_has_expired(db: Database) -> None:
    await create_demo_data(db, SMALL)
    await move_clock(db, minutes=6)
    held = await db.fetch("SELECT DISTINCT provider_id FROM booking.booking WHERE state = 'reserved'")
    for row in held:
        await db.execute("SELECT booking.advance($1)", row["provider_id"])
    assert await db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'expired'") >= 3
    assert await db.fetch_value("SELECT count(*) FROM notices.notice") == 0


async def test_ratings_are_from_past_appointments(db: Database) -> None:
    """That each is from a visit of its own, and that they add up, is what `healthplus check` looks at."""
    await create_demo_data(db, SMALL)
    rated = await db.fetch(
        """SELECT rating_count, directory.rating_mean(rating_total, rating_count) AS mean
        FROM directory.provider WHERE rating_count > 0"""
    )
    assert 40 < len(rated) < 80
    assert {row["rating_count"] for row in rated} >= {1, 2, 3}
    means = sorted(row["mean"] for row in rated if row["rating_count"] > 2)
    assert 1.5 < means[0] < 3.9
    assert means[-1] > 4.2
    assert await db.fetch_value("SELECT max(rated_at) < app_now() FROM reviews.rating")
    backwards = """SELECT count(*) FROM booking.event JOIN booking.event AS later USING (provider_id)
        WHERE later.seq = event.seq + 1 AND later.at < event.at"""
    assert await db.fetch_value(backwards) == 0
    # The patients to try the product as have rated only one.
    visits = """SELECT bool_and(upper(during) < app_now()), count(*), count(*) FILTER (WHERE takes_sms)
        FROM booking.booking JOIN accounts.patient USING (patient_id) WHERE state = 'fulfilled'"""
    are_past, count, shown = next(iter(await db.fetch(visits)))
    assert are_past
    assert count - (shown - 1) == sum(row["rating_count"] for row in rated)


async def test_nothing_can_reach_a_real_person(db: Database) -> None:
    """Only the two patients to sign in as have numbers that somebody could have: what these do, the demo shows."""
    demo = await create_demo_data(db, SMALL)
    phones = await db.fetch(
        """SELECT phone, takes_sms FROM accounts.patient UNION ALL SELECT phone, false FROM directory.provider
        UNION ALL SELECT phone, false FROM directory.clinic"""
    )
    real = [row["phone"] for row in phones if not row["phone"].startswith("+910")]
    assert demo.patient_phone in real
    assert sorted(real) == sorted(row["phone"] for row in phones if row["takes_sms"])
    assert len(real) == 2
    assert await db.fetch_value("SELECT bool_and(email LIKE '%@example.com') FROM directory.provider")
    assert await db.fetch_value("SELECT count(email) FROM accounts.patient") == 0


async def test_a_number_that_somebody_has_is_left_to_them(db: Database) -> None:
    theirs, _ = await add_patient(db, "Devi", "+919876543210", "IN")
    demo = await create_demo_data(db, SMALL)
    assert demo.patient_phone is None
    assert len(demo.patient_tokens) == 2
    sessions = "SELECT count(*) FROM accounts.session WHERE patient_id = $1"
    assert await db.fetch_value(sessions, theirs) == await db.fetch_value("SELECT count(*) FROM accounts.session") - 2


async def test_again_adds_only_tokens_and_a_key(db: Database) -> None:
    first = await create_demo_data(db, SMALL)
    count = "SELECT (SELECT count(*) FROM directory.provider), (SELECT count(*) FROM booking.booking)"
    before = await db.fetch(count)
    again = await create_demo_data(db, SMALL)
    assert await db.fetch(count) == before
    assert again.lab_id == first.lab_id
    assert again.patient_tokens.keys() == first.patient_tokens.keys()
    assert again.patient_tokens != first.patient_tokens
    for scope in SCOPES:
        assert (await KeyUses(db).count(again.developer_key, scope)).counted
    with pytest.raises(UnknownDeveloperKey, match="was revoked"):
        await KeyUses(db).count(first.developer_key, "search")
    # The ids that COPY was given are not given out again.
    await make_patients(db, 1)


async def test_a_seed_always_gives_the_same_directory(db: Database, other: Database) -> None:
    await create_demo_data(db, SMALL)
    await create_demo_data(other, SMALL)
    assert await db.fetch(DIRECTORY) == await other.fetch(DIRECTORY)
