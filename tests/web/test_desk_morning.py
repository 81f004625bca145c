"""A whole morning at the desk, on the product over HTTP: three doctors, each of whose patients the model follows.

The clock's offset jumps from event to event; what is recorded, and when, is the product's own.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from random import Random
from uuid import UUID

import pytest
from litestar import Litestar

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.booking.numbers import number_of
from healthplus.database import Database
from healthplus.ops.check import all_violations
from tests.fixtures.clock import INDIA, days_ahead, move_clock_to, product_now
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients
from tests.fixtures.staff import cheap_hashes
from tests.reception import model
from tests.web.client import Browser, forget_shared_reads
from tests.web.staff import goes_to, log_in

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

_DOCTORS, _SLOTS, _SLOT = 3, 80, timedelta(minutes=5)
_BOOKED, _NO_SHOWS, _LEAVE = 61, 4, 2
"""Of each doctor."""
_MOVES, _CALLS, _WALK_INS = 25, 60, 40
_ARRIVALS = 210
_OPENS, _CLOSES = time(8), time(14, 40)
_ROW = re.compile(r'class="day-row (\w+)([^"]*)" id="visit-([0-9a-f-]{36})".*?(?=<li class="day|</ol>)', re.S)
_TOKEN = re.compile(r">Token (?:[A-Z]-)?(\d+)<")
_COLUMN = re.compile(r'id="provider-(\d+)">.*?</section>', re.S)
_NEXT = re.compile(r"<b>[A-Z]-(\d+)</b>")
_START = re.compile(r'name="start" value="([^"]+)"')
_ORDER = """
SELECT at, ARRAY(
    SELECT booking_id FROM reception.session CROSS JOIN reception.order_of(provider_id, session_id, at)
    WHERE provider_id = $1 ORDER BY place) AS ids
FROM public.app_now() AS at"""
_PEOPLE = """
SELECT person_id, reception.meet($1, person_id, public.app_now()) FROM accounts.person WHERE patient_id = ANY ($2)"""
_BOOKED_AS = """
SELECT lower(during) AS starts_at, extra, act_at
FROM booking.booking LEFT JOIN reception.attendance USING (provider_id, booking_id)
WHERE provider_id = $1 AND booking_id = $2"""
_ACT_AT = "SELECT act_at FROM reception.attendance WHERE provider_id = $1 AND booking_id = $2"
Event = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class Visit:
    """A booking and its patient, who is to come at `comes`; None: does not."""

    booking: UUID
    patient: model.Patient
    comes: datetime | None


@dataclass
class Doctor:
    provider_id: int
    session: model.Session
    visits: list[Visit] = field(default_factory=list)
    free: set[datetime] = field(default_factory=set)

    def visit_of(self, patient: model.Patient) -> Visit:
        return next(visit for visit in self.visits if visit.patient is patient)


class Morning:
    """What happens, in order of time, and the desks at which it is recorded."""

    def __init__(self, app: Litestar, db: Database, path: str, clinic_id: int) -> None:
        self.app, self.db, self.path, self.clinic_id = app, db, path, clinic_id
        self.desks: list[Browser] = []
        self.ward: Browser
        self.board = ""
        self.actors: list[str] = []
        self.doctors: list[Doctor] = []
        self.random = Random(17)
        self.events: list[tuple[datetime, int, Event]] = []
        self.numbers = itertools.count()
        self.now = datetime.min.replace(tzinfo=UTC)
        self.people: list[UUID] = []
        """Those whom the clinic knows and who have booked nothing."""
        self.acts = self.moved = self.called = self.walked_in = 0

    def at(self, when: datetime, event: Event) -> None:
        heapq.heappush(self.events, (max(when, self.now), next(self.numbers), event))

    async def play(self) -> None:
        while self.events:
            self.now, _, event = heapq.heappop(self.events)
            if self.now > await product_now(self.db):
                await move_clock_to(self.db, self.now)
            await self.db.execute("UPDATE staff.session SET seen_at = public.app_now()")  # somebody is always there
            await event()

    async def act(self, doctor: Doctor, visit: Visit, act: str) -> None:
        """Record an act at some desk, and see that all is as the model has it; now and then it is undone first."""
        self.acts += 1
        desk = self.acts % len(self.desks)
        browser, actor = self.desks[desk], self.actors[desk]
        await self.press(browser, doctor, visit, act)
        doctor.session.now = await self.db.fetch_value(_ACT_AT, doctor.provider_id, visit.booking)
        assert doctor.session.record(visit.patient, act, actor) == "recorded"
        await self.check(doctor)
        if act != "undo" and self.random.random() < 0.04:
            await self.press(browser, doctor, visit, "undo")
            doctor.session.now = await product_now(self.db)
            assert doctor.session.undo(visit.patient, actor) == "undone"
            await self.check(doctor)
            await self.act(doctor, visit, act)

    async def press(self, browser: Browser, doctor: Doctor, visit: Visit, act: str) -> None:
        form = {"provider": str(doctor.provider_id), "do": f"{act} {visit.booking}"}
        assert goes_to(await browser.post(self.path, form)).startswith(f"{self.path}?done={act}")

    async def check(self, doctor: Doctor) -> None:
        """Compare what another desk sees of all doctors with their models; and this one's order, to the instant."""
        row = await self.db.fetch_row(_ORDER, doctor.provider_id)
        assert row is not None
        doctor.session.now = row["at"]
        assert row["ids"] == [doctor.visit_of(patient).booking for patient in doctor.session.order()]
        before = await product_now(self.db)
        page = await self.desks[(self.acts + 1) % len(self.desks)].get(self.path)
        after = await product_now(self.db)
        forget_shared_reads(self.app)
        shown_on_board = {
            int(one[1]): [int(token) for token in _NEXT.findall(one[0])]
            for one in _COLUMN.finditer((await self.desks[0].get(self.board)).text)
        }
        at_last = await product_now(self.db)
        rows = {UUID(one[3]): one for one in _ROW.finditer(page.text)}
        for each in self.doctors:
            expected = {visit.booking: (visit.patient.state, visit.patient.token) for visit in each.visits}
            shown = {
                booking: (rows[booking][1], int(token[1]) if (token := _TOKEN.search(rows[booking][0])) else None)
                for booking in expected
            }
            assert shown == expected
            nexts = [booking for booking in expected if " next" in rows[booking][2]]
            possible = []
            for each.session.now in (before, after):
                order = each.session.order()
                possible.append([each.visit_of(order[0]).booking] if order else [])
            assert nexts in possible
            tokens = []
            for each.session.now in (before, at_last):
                # Who missed their call is asked to the desk, and stands there alone.
                tokens.append([patient.token for patient in each.session.order() if patient.state == "here"][:3])
            assert shown_on_board.get(each.provider_id, []) in tokens

    async def arrive(self, doctor: Doctor, visit: Visit) -> None:
        if visit.comes == self.now and visit.patient.state == "expected":  # and was not moved
            await self.act(doctor, visit, "arrive")

    async def serve(self, doctor: Doctor) -> None:
        """Have a doctor who is free call the next, who mostly comes in."""
        doctor.session.now = await product_now(self.db)
        order = doctor.session.order()
        if not order:
            # Those may still come who are expected, or were called just now.
            if self.now < doctor.session.ends + timedelta(hours=1):
                self.at(self.now + timedelta(seconds=50), partial(self.serve, doctor))
            return
        visit = doctor.visit_of(order[0])
        await self.act(doctor, visit, "call")
        if self.random.random() < 0.08:  # is not in the room of those who wait
            self.at(self.now + timedelta(seconds=self.random.uniform(20, 150)), partial(self.serve, doctor))
            return
        self.at(self.now + timedelta(seconds=self.random.uniform(15, 40)), partial(self.see, doctor, visit))

    async def see(self, doctor: Doctor, visit: Visit) -> None:
        await self.act(doctor, visit, "enter")
        self.at(self.now + timedelta(seconds=self.random.uniform(150, 320)), partial(self.finish, doctor, visit))

    async def finish(self, doctor: Doctor, visit: Visit) -> None:
        await self.act(doctor, visit, "finish")
        self.at(self.now + timedelta(seconds=self.random.uniform(5, 20)), partial(self.serve, doctor))

    async def leave(self, doctor: Doctor) -> None:
        """Have somebody who waits leave unseen."""
        waiting = [visit for visit in doctor.visits if visit.patient.state == "here"]
        if not waiting:
            self.at(self.now + timedelta(minutes=5), partial(self.leave, doctor))
            return
        await self.act(doctor, self.random.choice(waiting), "leave")

    async def move(self) -> None:
        """Have the desk ask that somebody comes later, and the ward administrator confirm it."""
        soon = await product_now(self.db) + timedelta(minutes=30)
        possible = [
            (doctor, visit, start)
            for doctor in self.doctors
            for visit in doctor.visits
            if visit.patient.state == "expected" and visit.comes and min(visit.patient.starts, visit.comes) > soon
            for start in sorted(doctor.free)
            if start > soon
        ]
        if not possible:
            return
        doctor, visit, start = self.random.choice(possible)
        form = {"number": number_of(visit.booking), "booking": str(visit.booking), "kind": "move", "reason": "Called"}
        goes_to(await self.desks[0].post(f"/desk/{self.clinic_id}/ask", {**form, "start": start.isoformat()}))
        asks = f"/office/{self.clinic_id}/asks"
        found = re.search(rf'action="({asks}/[0-9a-f-]+/confirm)"', (await self.ward.get(asks)).text)
        assert found
        assert goes_to(await self.ward.post(found[1])) == f"{asks}?done=done"
        doctor.free ^= {start, visit.patient.starts}
        assert visit.comes is not None
        visit.comes += start - visit.patient.starts
        visit.patient.starts = start
        self.at(visit.comes, partial(self.arrive, doctor, visit))
        self.moved += 1
        await self.check(doctor)

    async def call_desk(self) -> None:
        """Have somebody be booked who calls, for one of the next times that a doctor has."""
        doctor, desk = self.random.choice(self.doctors), self.random.choice(self.desks)
        person = self.people.pop()
        path = f"/desk/{self.clinic_id}/book"
        day = (self.now + timedelta(days=self.random.random() < 0.8)).astimezone(INDIA).date()
        page = await desk.get(f"{path}?person={person}&provider={doctor.provider_id}&day={day}")
        starts = _START.findall(page.text)
        form = {"person": str(person), "provider": str(doctor.provider_id), "start": self.random.choice(starts)}
        booking = UUID(goes_to(await desk.post(path, form)).rpartition("=")[2])
        row = await self.db.fetch_row(_BOOKED_AS, doctor.provider_id, booking)
        assert row is not None
        self.called += 1
        if row["starts_at"] < doctor.session.ends:  # today
            comes = max(
                self.now + timedelta(minutes=10), row["starts_at"] - timedelta(minutes=self.random.uniform(0, 20))
            )
            visit = self.add(doctor, booking, row["starts_at"], comes)
            self.at(comes, partial(self.arrive, doctor, visit))
            await self.check(doctor)

    async def walk_in(self) -> None:
        """Take in somebody who has no appointment: the next free time is theirs, or a token without one."""
        number = self.random.randrange(len(self.desks))
        doctor, person = self.random.choice(self.doctors), self.people.pop()
        form = {"person": str(person), "provider": str(doctor.provider_id)}
        slip = goes_to(await self.desks[number].post(f"/desk/{self.clinic_id}/walk-in", form))
        booking = UUID(re.split("[/?]", slip)[4])
        row = await self.db.fetch_row(_BOOKED_AS, doctor.provider_id, booking)
        assert row is not None
        self.walked_in += 1
        doctor.session.now = row["act_at"]
        if row["extra"]:
            assert not [start for start in doctor.free if start > self.now]
            assert doctor.session.take_in(self.actors[number]) == "booked"
            doctor.visits.append(Visit(booking, doctor.session.patients[-1], self.now))
        else:
            visit = self.add(doctor, booking, row["starts_at"], self.now)
            assert doctor.session.record(visit.patient, "arrive", self.actors[number]) == "recorded"
        await self.check(doctor)

    def add(self, doctor: Doctor, booking: UUID, start: datetime, comes: datetime | None) -> Visit:
        """Note that a time of a doctor's was booked."""
        visit = Visit(booking, model.Patient(start), comes)
        doctor.free.discard(start)
        doctor.visits.append(visit)
        doctor.session.patients.append(visit.patient)
        return visit

    async def miss(self, doctor: Doctor) -> None:
        """Record, once the session is over, who did not come; who is still there leaves."""
        for visit in doctor.visits:
            if visit.patient.state == "expected":
                await self.act(doctor, visit, "miss")
            elif visit.patient.state in ("here", "called"):
                await self.act(doctor, visit, "leave")


async def prepare(db: Database, morning: Morning, opens: datetime) -> None:
    """Book the doctors' mornings, and say who comes when."""
    random = morning.random
    book = Book(db)
    for number in range(_DOCTORS):
        provider_id = await make_provider(db, {morning.clinic_id: (50_000, "clinic")}, name=f"Dr {number}")
        await make_shift(db, provider_id, morning.clinic_id, DAILY, _OPENS, _CLOSES, 5)
        doctor = Doctor(provider_id, model.Session([], opens + _SLOTS * _SLOT, 4, opens, walk_ins_max=_WALK_INS))
        slots = random.sample(range(_SLOTS), _BOOKED)
        doctor.free = {opens + slot * _SLOT for slot in set(range(_SLOTS)) - set(slots)}
        stays_away = set(random.sample(range(_BOOKED), _NO_SHOWS))
        for place, (slot, patient_id) in enumerate(zip(slots, await make_patients(db, _BOOKED), strict=True)):
            start = opens + slot * _SLOT
            held = await book.hold(provider_id, morning.clinic_id, start, 1, patient_id, Patient(patient_id))
            assert held.booking_id
            assert (await book.confirm(provider_id, held.booking_id, None, Patient(patient_id))).code == "booked"
            minutes = random.uniform(16, 40) if random.random() < 0.1 else random.uniform(-40, 10)
            comes = None if place in stays_away else start + timedelta(minutes=minutes)
            visit = morning.add(doctor, held.booking_id, start, comes)
            if comes is not None:
                morning.at(comes, partial(morning.arrive, doctor, visit))
        morning.doctors.append(doctor)
        morning.at(opens, partial(morning.serve, doctor))
        morning.at(doctor.session.ends + timedelta(hours=2), partial(morning.miss, doctor))
        for _ in range(_LEAVE):
            morning.at(opens + timedelta(minutes=random.uniform(60, 300)), partial(morning.leave, doctor))
    # Later, no time is free to which somebody could be moved.
    for count, minutes, event in (
        (_MOVES, 120, morning.move),
        (_CALLS, 300, morning.call_desk),
        (_WALK_INS, 300, morning.walk_in),
    ):
        for _ in range(count):
            morning.at(opens + timedelta(minutes=random.uniform(-20, minutes)), event)
    callers = await make_patients(db, _CALLS + _WALK_INS)
    morning.people = [row["person_id"] for row in await db.fetch(_PEOPLE, morning.clinic_id, callers)]


async def test_a_morning_of_three_doctors_is_as_the_rule_says_at_every_step(
    app: Litestar, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    clinic_id = await make_clinic(db)
    await db.execute("UPDATE directory.clinic SET walk_in_cap = $1", _WALK_INS)
    opens = await days_ahead(db, 1, _OPENS)
    morning = Morning(app, db, f"/desk/{clinic_id}/{opens.date()}", clinic_id)
    await prepare(db, morning, opens)
    await move_clock_to(db, opens - timedelta(hours=1))
    morning.ward = await log_in(app, db, "ward", clinic_id)
    setup = f"/office/{clinic_id}/board"
    await morning.ward.post(setup)
    address = re.search(r"(/board/\d+\?key=[\w-]{32})", (await morning.ward.get(setup)).text)
    assert address
    morning.board = address[1]
    for number in range(3):
        morning.desks.append(await log_in(app, db, "desk", clinic_id, f"desk.{number}"))
        staff_id = await db.fetch_value("SELECT staff_id FROM staff.account WHERE log_on = $1", f"desk.{number}")
        morning.actors.append(f"staff:{staff_id}")
    await morning.play()
    patients = [visit.patient for doctor in morning.doctors for visit in doctor.visits]
    states = [patient.state for patient in patients]
    assert states.count("no_show") == _DOCTORS * _NO_SHOWS
    assert len([patient for patient in patients if patient.arrived]) >= _ARRIVALS
    assert states.count("done") > _ARRIVALS * 0.9
    assert (morning.called, morning.walked_in) == (_CALLS, _WALK_INS)
    assert morning.moved >= _MOVES * 0.7
    assert await all_violations(db) == []
