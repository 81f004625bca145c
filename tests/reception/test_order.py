"""Arrivals, calls, undo and today's order, as the desk's functions have them and as the model does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import time, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.reception import receipts
from healthplus.web.pages.calls import queries
from tests.fixtures.clock import INDIA, days_ahead, freeze_clock, set_clock
from tests.fixtures.directory import make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients
from tests.reception import model

SECONDS = (1, 9, 10, 59, 60, 119, 120, 179, 180, 600, 1800)
ACTS = ("arrive", "call", "enter", "finish", "leave", "miss")
_RECORD = "SELECT * FROM reception.record($1, $2, $3, $4, $5)"
_UNDO = "SELECT * FROM reception.undo($1, $2, $3, $4)"
_TELL = "SELECT reception.tell($1, $2, $3, $3, false, public.app_now())"
_WALK_IN = """
SELECT answer.* FROM accounts.person
CROSS JOIN LATERAL (SELECT reception.meet($2, person_id, public.app_now()) OFFSET 0) AS met
CROSS JOIN LATERAL reception.walk_in($1, $2, NULL, person_id, '', $4, NULL) AS answer
WHERE patient_id = $3"""
_OVERBOOK = """
SELECT answer.* FROM accounts.person
CROSS JOIN booking.overbook($1, $2, $3, NULL, $4, person_id, 'x', 'staff:1', NULL) AS answer
WHERE patient_id = $4"""
_ORDER = """
SELECT booking_id FROM reception.session CROSS JOIN reception.order_of(provider_id, session_id, public.app_now())
WHERE provider_id = $1 ORDER BY place"""
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(ACTS), st.integers(0, 8), st.integers(1, 2)),
        # What a desk does most: somebody comes, the next is called.
        st.tuples(st.just("arrive"), st.integers(0, 5), st.just(1)),
        st.tuples(st.just("next"), st.sampled_from((0, 120, 120)), st.integers(1, 2)),
        st.tuples(st.just("recall"), st.just(0), st.just(2)),
        st.tuples(st.just("walk in"), st.just(0), st.integers(1, 2)),
        st.tuples(st.just("undo"), st.integers(0, 8), st.integers(1, 2)),
        st.tuples(st.just("take back"), st.just(-1), st.integers(1, 2)),  # who came last without an appointment
        st.tuples(st.just("wait"), st.sampled_from(SECONDS), st.just(0)),
    ),
    min_size=10,
    max_size=40,
)


class Desk:
    """A clinic's desk, whose clock stands still but for what passes in steps."""

    def __init__(self, db: Database, clinic_id: int) -> None:
        self.db, self.clinic_id = db, clinic_id
        self.seen: set[str] = set()
        self.entries = 0

    async def morning(self, every: int, taken: list[int]) -> tuple[int, list[UUID], model.Session]:
        """Return a new doctor whose six times of ten minutes are booked, one of them twice, and the model of the same.

        It is ten to nine, and two may come without an appointment.
        """
        db = self.db
        opens = await days_ahead(db, 1, time(9))
        provider = await make_provider(db, {self.clinic_id: (0, "free")})
        await make_shift(db, provider, self.clinic_id, opens.astimezone(INDIA).isoweekday(), time(9), time(10), 10)
        await db.execute("UPDATE directory.clinic SET walk_in_every = $1, walk_in_cap = 2, overbook_cap = 1", every)
        book, bookings, patients = Book(db), [], []
        for place, patient in zip(taken, await make_patients(db, 6), strict=True):
            start = opens + timedelta(minutes=10) * place
            held = await book.hold(provider, self.clinic_id, start, 1, patient, Patient(patient))
            assert held.booking_id
            assert (await book.confirm(provider, held.booking_id, None, Patient(patient))).code == "booked"
            bookings.append(held.booking_id)
            patients.append(model.Patient(start))
        start = patients[0].starts
        row = await db.fetch_row(_OVERBOOK, provider, self.clinic_id, start, (await make_patients(db, 1))[0])
        assert row is not None
        assert row["code"] == "booked"
        bookings.append(row["booking_id"])
        patients.append(model.Patient(start))
        session = model.Session(patients, opens + timedelta(hours=1), every, opens - timedelta(minutes=10), 2)
        await set_clock(db, session.now)
        return provider, bookings, session

    async def try_steps(self, steps: list[tuple[str, int, int]], every: int, taken: list[int]) -> None:
        now = await self.db.fetch_value("SELECT public.app_now()")
        provider, bookings, session = await self.morning(every, taken)
        for what, which, who in steps:
            if what in ("wait", "next"):
                session.now += timedelta(seconds=which)
                await set_clock(self.db, session.now)
            if what == "wait":
                continue
            if what == "walk in":
                expected = session.take_in(f"staff:{who}")
                row = await self.db.fetch_row(
                    _WALK_IN, provider, self.clinic_id, (await make_patients(self.db, 1))[0], f"staff:{who}"
                )
                assert row is not None
                assert row["code"] == expected
                self.seen.add(f"walk in {expected}")
                bookings += [row["booking_id"]] if expected == "booked" else []
                await self.compare_order(provider, bookings, session)
                continue
            order = session.order()
            patient = session.patients[which % len(session.patients)]
            if what == "next" and order:
                patient = order[0]
            elif what == "recall":
                patient = max(session.patients, key=lambda p: (p.calls or [p.starts])[-1])
            act = {"next": "call", "recall": "call", "take back": "undo"}.get(what, what)
            booking, actor = bookings[session.patients.index(patient)], f"staff:{who}"
            if act == "tell":
                come = patient.starts + timedelta(minutes=who)
                said = await self.db.fetch_value(_TELL, provider, booking, come)
                assert said == session.tell(patient, come), what
                continue
            if act == "undo":
                expected = session.undo(patient, actor)
                row = await self.db.fetch_row(_UNDO, provider, booking, self.clinic_id, actor)
            else:
                expected = session.record(patient, act, actor)
                row = await self.db.fetch_row(_RECORD, provider, booking, self.clinic_id, act, actor)
            assert row is not None
            assert (row["code"], row["state"], row["token"]) == (expected, patient.state, patient.token), (what, which)
            self.seen.add(f"{what if what == 'take back' else act} {expected}")
            await self.compare_order(provider, bookings, session)
        await self.check_chain(provider)
        await set_clock(self.db, now)

    async def check_chain(self, provider: int) -> None:
        """Have the published checks agree that all went by the rule, and see a call that did not."""
        for row in await self.db.fetch("SELECT session_id FROM reception.session WHERE provider_id = $1", provider):
            chain = [
                receipts.Entry(**dict(one)) for one in await self.db.fetch(queries.chain, provider, row["session_id"])
            ]
            verification = receipts.Verification(provider, str(row["session_id"]))
            verification.read(chain)
            assert verification.faults == []
            self.entries += len(chain)

    async def compare_order(self, provider: int, bookings: list[UUID], session: model.Session) -> None:
        order = [row["booking_id"] for row in await self.db.fetch(_ORDER, provider)]
        assert order == [bookings[session.patients.index(one)] for one in session.order()]


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def open_desk(dsn: str) -> Desk:
    db = await Database.connect(dsn, min_size=1, max_size=1)
    await freeze_clock(db)
    return Desk(db, await make_clinic(db))


@pytest.mark.timeout(180)
@pytest.mark.dates
def test_the_desk_does_as_the_published_rule_says(dsn: str, runner: asyncio.Runner) -> None:
    desk = runner.run(open_desk(dsn))

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.permutations(range(6)), st.integers(0, 6), st.sampled_from((-10, 15, 35)), _STEPS, st.integers(1, 3))
    def try_steps(arrivals: list[int], count: int, minutes: int, steps: list[tuple[str, int, int]], every: int) -> None:
        told = [("tell", which, (0, 20, 40)[which % 3]) for which in arrivals[::2]]
        told += [("tell", arrivals[0], 10)]  # earlier than before, or later
        first = [("arrive", which, 1) for which in arrivals[:count]]
        first += [("next", 0, 1), ("recall", 0, 2)] if count % 2 else []  # too soon for a recall
        last = [("wait", 3600, 0), ("walk in", 0, 1)] if count == 6 else []  # in some, the session is over
        steps = [*told, ("wait", (minutes + 10) * 60, 0), *first, *steps, *last]
        runner.run(desk.try_steps(steps, every, arrivals[::-1]))

    try:
        try_steps()
    finally:
        runner.run(desk.db.close())
    refusals = {"wrong_state", "too_early", "just_called", "not_next", "recorded"}
    assert {f"call {code}" for code in refusals - {"too_early"}} <= desk.seen
    assert desk.entries > 300
    assert {"miss too_early", "undo undone", "undo too_late"} <= desk.seen
    assert {"walk in booked", "walk in no_token", "walk in not_working", "take back undone"} <= desk.seen
