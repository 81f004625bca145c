"""A clinic's desk on a full day: how soon its pages and searches answer, and how soon a change is on every screen."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from random import Random
from typing import NamedTuple
from urllib.parse import quote
from uuid import UUID

import aiohttp
import msgspec

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Refused
from healthplus.database import ChangeFeed, Record
from healthplus.ops.check import violations
from healthplus.ops.demo_facts import FACTS
from healthplus_bench.client import percentile_ms
from healthplus_bench.desk_patients import DEVANAGARI, put_patients, queries
from healthplus_bench.environment import (
    SLOTS_A_DAY,
    BenchFailed,
    Environment,
    prepared_environment,
    running_app,
)
from healthplus_bench.processes import cpu_seconds, used_since

_PROVIDERS = 3
_CLINIC = 1
_BOOKERS = 1500
"""Patients who book, or change something, numbered from 1; the others are there to be found among."""
_FREE_EACH = 10
"""Times at the end of each day but the last doctor's, who is booked up but for a time that is held, and has a queue."""
_COME = 12
"""Of each doctor's patients, who have come before anything is measured."""
_INTO_THE_DAY = timedelta(minutes=65)
_ALONE = 30
"""Pages of each kind when nobody else asks."""
_LIVE_SECONDS_MAX = 10.0
_PAUSE_SECONDS = 1.0
"""After an answer that has nothing new, as the page's script has it."""
_SEED = 17
_ROW = re.compile(r'class="day-row (\w+)[^"]*" id="visit-([0-9a-f-]{36})"')
_BUTTON = re.compile(r'name="do" value="((arrive|call|enter|finish) ([0-9a-f-]{36})[^"]*)"')
_VERSION = re.compile(r'data-version="([^"]*)"')
_STATE_AFTER = {"arrive": "here", "call": "called", "enter": "in_room", "finish": "done"}


class Button(NamedTuple):
    """What pressing it sends, what that records, and of which booking."""

    value: str
    act: str
    booking: str


def buttons_of(sheet: str) -> list[Button]:
    """Return the buttons of a sheet that record what comes next of a patient."""
    return [Button(*found) for found in _BUTTON.findall(sheet)]


@dataclass(frozen=True)
class DeskPlan:
    """`desks` are open for `seconds`, of a clinic that is one of many: its people are found among `patients`.

    Each second, so many `changes` are made by patients, and as many by the desks.
    """

    desks: int = 20
    patients: int = 1_000_000
    seconds: float = 30
    changes: float = 1.0
    processes: int = 2


class DeskResult(msgspec.Struct):
    """Times are until the whole of an answer is there; the client shares the machine with the product.

    `page_p95_ms`: of all pages and presses but searches, `by_kind` has the median and the 95th percentile of each.
    `live_`: from when a change is asked for until it is shown by an answer to a desk, for each change and each desk.
    `alone_p50_ms`, `alone_cpu_ms`: when nobody else asks, and what the app and the database then use of CPU for one.
    `cpu_share`: of a core, used by each kind of process while all is open. `kb`: of what is sent when something is new.
    `violations`: broken invariants.
    """

    desks: int
    patients: int
    rows: int
    changes: int
    page_p95_ms: float
    search_p95_ms: float
    live_p50_ms: float
    live_p99_ms: float
    live_max_ms: float
    violations: int
    kb: float
    by_kind: dict[str, tuple[float, float]]
    alone_p50_ms: dict[str, float]
    alone_cpu_ms: dict[str, float]
    cpu_share: dict[str, float]


async def bench_desk(dsn: str, folder: Path, plan: DeskPlan) -> DeskResult:
    """Fill a new database with patients and a full day, and work at its desks. Raises BenchFailed."""
    async with prepared_environment(dsn, folder, _PROVIDERS, _BOOKERS) as environment:
        clinic = await _Clinic.prepare(environment, plan)
        async with running_app(environment, plan.processes) as port, _client(port) as client:
            desks = [_Desk(clinic, client, f"{clinic.tokens}{number}") for number in range(1, plan.desks + 1)]
            alone = {kind: await _alone(desks[0], path, folder) for kind, path in clinic.paths().items()}
            for desk in desks:
                desk.show(await desk.get("sheet", clinic.path))
            clinic.times.clear()
            before, began = cpu_seconds(folder), asyncio.get_running_loop().time()
            await _work(clinic, desks, plan)
            seconds = asyncio.get_running_loop().time() - began
            cpu = used_since(before, cpu_seconds(folder))
        broken = await violations(environment.database)
    searches = [one for kind, times in clinic.times.items() if kind.startswith("search") for one in times]
    pages = [one for kind, times in clinic.times.items() if not kind.startswith("search") for one in times]
    return DeskResult(
        desks=plan.desks,
        patients=plan.patients,
        rows=clinic.rows,
        changes=clinic.changes,
        page_p95_ms=percentile_ms(pages, 95),
        search_p95_ms=percentile_ms(searches, 95),
        live_p50_ms=percentile_ms(clinic.live, 50),
        live_p99_ms=percentile_ms(clinic.live, 99),
        live_max_ms=percentile_ms(clinic.live, 100),
        violations=len(broken),
        kb=round(clinic.page_bytes / 1000, 1),
        by_kind={kind: (percentile_ms(v, 50), percentile_ms(v, 95)) for kind, v in sorted(clinic.times.items())},
        alone_p50_ms={kind: p50 for kind, (p50, _) in alone.items()},
        alone_cpu_ms={kind: used for kind, (_, used) in alone.items()},
        cpu_share={kind: round(used / seconds, 2) for kind, used in cpu.items()},
    )


@dataclass
class _Clinic:
    """A clinic's day: its bookings with their patients and doctors, and what was changed of them, in order."""

    environment: Environment
    tokens: str
    path: str
    known: Record
    """Somebody whom the clinic knows, and their number."""
    rows: int = 0
    bookings: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Doctor and patient of each booking."""
    log: defaultdict[str, list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    """The states that each booking has come to, and when they were asked for; `gone`: given back."""
    desks: list[_Desk] = field(default_factory=list)
    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    live: list[float] = field(default_factory=list)
    changes: int = 0
    page_bytes: int = 0

    @classmethod
    async def prepare(cls, environment: Environment, plan: DeskPlan) -> _Clinic:
        """Fill the day by the verbs, and all accounts there are in one go; it is an hour after the doors open."""
        database = environment.database
        await database.execute(queries.pay_at_the_clinic)
        await put_patients(environment.dsn, _BOOKERS, plan.patients)
        known = await database.fetch_row(queries.person_of, plan.patients // 20 * 20 - 13)
        assert known is not None
        path = f"/desk/{_CLINIC}/{environment.first_shift.date()}"
        clinic = cls(environment, secrets.token_urlsafe(24), path, known)
        book = Book(database)
        for provider_id in range(1, _PROVIDERS + 1):
            taken = SLOTS_A_DAY - (_FREE_EACH if provider_id < _PROVIDERS else 1)
            for slot in range(taken):
                await clinic.book(book, provider_id, slot, 1 + (provider_id - 1) * SLOTS_A_DAY + slot)
        await database.execute(queries.move_clock_to, environment.first_shift + _INTO_THE_DAY)
        await database.execute(queries.put_desks, plan.desks, clinic.tokens)
        for provider_id in range(1, _PROVIDERS + 1):
            # Of those who have come, all but the last two were called in, and the one before them is in the room.
            of_provider = [UUID(booking) for booking, (doctor, _) in clinic.bookings.items() if doctor == provider_id]
            for booking_id in of_provider[:_COME]:
                await database.execute(queries.record, provider_id, booking_id, "arrive")
            for booking_id in of_provider[: _COME - 2]:
                for act in ("call", "enter", "finish")[: 2 if booking_id == of_provider[_COME - 3] else 3]:
                    await database.execute(queries.record, provider_id, booking_id, act)
        await clinic.hold(book, _PROVIDERS, SLOTS_A_DAY - 1, _BOOKERS)
        clinic.rows = len(clinic.bookings)
        return clinic

    def paths(self) -> dict[str, str]:
        """Return the pages that are looked at, by kind: the sheet, a phone booking, and whom a desk looks for."""
        family, devanagari = FACTS["names"]["west"]["family"][0], DEVANAGARI[1][0]
        searches = {
            "digits": self.known["phone"][-4:],
            "number": self.known["phone"][3:],
            "name": family,
            "beginnings": f"{FACTS['names']['north']['female'][0][:3]} {family[:3]}",
            "Devanagari": devanagari,
            "token": "7",
        }
        at = f"/desk/{_CLINIC}"
        return {
            "sheet": self.path,
            "csv": f"{self.path}/csv",
            "book": f"{at}/book?person={self.known['person_id']}",
            "search the sheet": f"{self.path}?q={quote(family)}",
            **{f"search {kind}": f"{at}/people?q={quote(text)}" for kind, text in searches.items()},
        }

    async def book(self, book: Book, provider_id: int, slot: int, patient_id: int) -> None:
        """Book a time of a doctor's day for a patient."""
        held = await self.hold(book, provider_id, slot, patient_id)
        booked = await book.confirm(provider_id, UUID(held), None, Patient(patient_id))
        if booked.code != "booked":
            raise BenchFailed(f"A booking was refused: {booked}.")

    async def hold(self, book: Book, provider_id: int, slot: int, patient_id: int) -> str:
        start = self.environment.start_of_day(0, slot)
        held = await book.hold(provider_id, _CLINIC, start, 1, patient_id, Patient(patient_id))
        if held.booking_id is None:
            raise BenchFailed(f"A hold was refused: {held}.")
        self.bookings[str(held.booking_id)] = provider_id, patient_id
        return str(held.booking_id)

    def changed(self, booking: str, state: str, asked_at: float) -> None:
        """Note what a booking has come to, or is about to."""
        self.changes += 1
        self.log[booking].append((state, asked_at))
        for desk in self.desks:
            desk.look(booking)


@contextlib.asynccontextmanager
async def _client(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}",
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=60),
    ) as client:
        yield client


@dataclass
class _Desk:
    """One desk's browser, with the sheet open: where each patient stands on it."""

    clinic: _Clinic
    client: aiohttp.ClientSession
    token: str
    states: dict[str, str] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    """How many changes of each booking it has shown."""
    version: str = ""

    async def get(self, kind: str, path: str) -> str:
        """Return a page, which must be there, and note how long it took; nothing where nothing is new."""
        return await self._ask("GET", kind, path, None)

    async def press(self, button: Button) -> None:
        form = {"provider": str(self.clinic.bookings[button.booking][0]), "do": button.value}
        await self._ask("POST", "press", self.clinic.path, form)

    async def _ask(self, method: str, kind: str, path: str, form: dict[str, str] | None) -> str:
        began = asyncio.get_running_loop().time()
        headers = {"Cookie": f"desk={self.token}"}
        async with self.client.request(method, path, data=form, headers=headers, allow_redirects=False) as answer:
            text = await answer.text()
        if answer.status != (200 if form is None else 303) and (kind, answer.status) != ("news", 204):
            raise BenchFailed(f"{method} {path} answers {answer.status}.")
        if kind == "news":  # which is answered when there is something
            self.clinic.page_bytes = max(self.clinic.page_bytes, int(answer.headers.get("Content-Length", 0)))
        else:
            self.clinic.times[kind].append(asyncio.get_running_loop().time() - began)
        return text

    async def watch(self) -> None:
        """Ask for what is new, as the page's script does, until cancelled."""
        while True:
            text = await self.get("news", f"{self.clinic.path}/news?after={self.version}")
            if text:
                self.show(text)
            else:
                await asyncio.sleep(_PAUSE_SECONDS)

    def show(self, text: str) -> None:
        """Take over what an answer shows."""
        found = _VERSION.search(text)
        if found is None:
            raise BenchFailed("A sheet without a version.")
        self.version = found[1]
        self.states = {booking: state for state, booking in _ROW.findall(text)}
        for booking in self.clinic.log:
            self.look(booking)

    def look(self, booking: str) -> None:
        """Note how long ago the changes of a booking were asked for that are shown now."""
        log, first = self.clinic.log[booking], self.seen.get(booking, 0)
        shown = self.states.get(booking, "gone")
        upto = next((at + 1 for at in range(len(log) - 1, first - 1, -1) if log[at][0] == shown), first)
        now = asyncio.get_running_loop().time()
        self.clinic.live.extend(now - asked_at for _, asked_at in log[first:upto])
        self.seen[booking] = upto


async def _alone(desk: _Desk, path: str, folder: Path) -> tuple[float, float]:
    """Return the median time and the mean CPU time of a page when nobody else asks, in milliseconds."""
    await desk.get("alone", path)
    desk.clinic.times["alone"].clear()
    before = cpu_seconds(folder)
    for _ in range(_ALONE):
        await desk.get("alone", path)
    cpu = used_since(before, cpu_seconds(folder))
    return percentile_ms(desk.clinic.times["alone"], 50), round((cpu["app"] + cpu["database"]) / _ALONE * 1000, 1)


async def _work(clinic: _Clinic, desks: list[_Desk], plan: DeskPlan) -> None:
    """Have all desks open, and patients and staff change what they show; all of it has to be shown in the end."""
    clinic.desks = desks
    feed = ChangeFeed(clinic.environment.dsn)
    book = Book(clinic.environment.database, feed.publish)
    watching = [asyncio.create_task(desk.watch()) for desk in desks]
    feeding = asyncio.create_task(feed.run())
    await asyncio.sleep(_PAUSE_SECONDS)  # by then all wait
    until = asyncio.get_running_loop().time() + plan.seconds
    try:
        await asyncio.gather(
            _change_as_patients(clinic, book, 1 / plan.changes, until), _use_desks(desks, 1 / plan.changes, until)
        )
        end = asyncio.get_running_loop().time() + _LIVE_SECONDS_MAX
        while any(desk.seen.get(booking, 0) < len(log) for desk in desks for booking, log in clinic.log.items()):
            if asyncio.get_running_loop().time() > end:
                raise BenchFailed("A change was not shown by every desk.")
            await asyncio.sleep(0.05)
    finally:
        for task in [*watching, feeding]:
            if task.done():
                task.result()  # raises what went wrong
            task.cancel()


async def _change_as_patients(clinic: _Clinic, book: Book, pause: float, until: float) -> None:
    """Hold, book and cancel times that are free, one after another, and join and leave the queue."""
    loop = asyncio.get_running_loop()
    patient = _PROVIDERS * SLOTS_A_DAY
    window = clinic.environment.start_of_day(0, SLOTS_A_DAY // 2), clinic.environment.start_of_day(1, 0)
    for turn in cycle(range(_FREE_EACH * (_PROVIDERS - 1))):
        provider_id, slot = 1 + turn % (_PROVIDERS - 1), SLOTS_A_DAY - 1 - turn // (_PROVIDERS - 1)
        patient += 1
        asked_at = loop.time()
        booking = await clinic.hold(book, provider_id, slot, patient)
        clinic.changed(booking, "reserved", asked_at)
        await asyncio.sleep(pause)
        clinic.changed(booking, "expected", loop.time())
        await book.confirm(provider_id, UUID(booking), None, Patient(patient))
        await asyncio.sleep(pause)
        clinic.changed(booking, "gone", loop.time())
        await book.cancel(provider_id, UUID(booking), Patient(patient))
        await asyncio.sleep(pause)
        waits = await book.join_queue(_PROVIDERS, _CLINIC, *window, 1, patient, Patient(patient))
        if isinstance(waits, Refused):
            raise BenchFailed(f"Joining was refused: {waits}.")
        await asyncio.sleep(pause)
        await book.leave_queue(_PROVIDERS, waits.ticket_id, Patient(patient))
        if loop.time() > until:
            return


async def _use_desks(desks: list[_Desk], pause: float, until: float) -> None:
    """At one desk after another, record what comes next, look for somebody, and now and then ask for the table."""
    loop, random = asyncio.get_running_loop(), Random(_SEED)  # noqa: S311 - not for secrets
    clinic = desks[0].clinic
    searches = cycle((kind, path) for kind, path in clinic.paths().items() if kind.startswith("search"))
    for number, desk in enumerate(cycle(desks)):
        if loop.time() > until:
            return
        if not (possible := buttons_of(await desk.get("sheet", clinic.path))):
            raise BenchFailed("A full day without a button.")
        act = random.choice(sorted({button.act for button in possible}))
        button = random.choice([button for button in possible if button.act == act])
        if desk.states.get(button.booking) != _STATE_AFTER[act]:  # and not called again
            clinic.changed(button.booking, _STATE_AFTER[act], loop.time())
        await desk.press(button)
        await desk.get("sheet", clinic.path)
        for kind, path in (next(searches), next(searches)):
            await desk.get(kind, path)
        if number % 5 == 0:
            for kind in ("csv", "book"):
                await desk.get(kind, clinic.paths()[kind])
        await asyncio.sleep(pause)
