"""Ten times as many as can be served: what is still done of it, and how soon the others are told.

First as many as possible are served, who ask again as soon as they are answered: that is the peak. Then requests come
at their times, whatever became of those before: a while at half the peak, at ten times the peak, and again at half.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import msgspec

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Refused
from healthplus.database import BULK, Database, load
from healthplus.ops.check import violations
from healthplus.ops.demo_data import Scale, create_demo_data
from healthplus.processes import set_nice
from healthplus.web.pages.addresses import chart_path, queue_path
from healthplus_bench.client import DEVELOPER_KEY, get, percentile_ms, post, show
from healthplus_bench.environment import BenchFailed, Environment, refuse_unless_durable, running_app
from healthplus_bench.environment import queries as environment_queries
from healthplus_bench.open_loop import OpenLoop, Request, Tally
from healthplus_bench.processes import require_open_files

queries = load(Path(__file__).with_name("overload.sql"))

SHARES = {"search": 0.2, "page": 0.45, "poll": 0.2, "hold": 0.15}
"""Of what comes: people look more often than they hold. Who holds a time pays for it, some seconds later."""
_DECIDE_SECONDS = (0.5, 2.5)
"""How long people take to pay: seconds here, so that they still pay while the burst lasts."""
_GOOD_SECONDS = 2.0
"""An answer that comes later than this is not counted as good."""
_CALM = 0.5
_WINDOW_SECONDS = 0.5
_DAYS = 7
_CLIENT_NICE = -10
"""Real clients have machines of their own: the client goes before the product at the cores that they share."""


@dataclass(frozen=True)
class OverloadPlan:
    """`times` the peak for `seconds`; at most `requests_max` in all, so that the client itself can keep up.

    `pool_size`: connections to the database of each process. With more than that at work, few cores have no time left
    for the app processes.
    """

    seconds: float = 20.0
    times: float = 10.0
    peak_seconds: float = 8.0
    warm_seconds: float = 4.0
    calm_seconds: float = 4.0
    recover_seconds: float = 10.0
    clients: int = 32
    processes: int = 2
    pool_size: int = 4
    cities: int = 4
    providers_per_city: int = 150
    patients: int = 40_000
    waiting: int = 200
    requests_max: int = 300_000
    connections_max: int = 4000


class OverloadResult(msgspec.Struct):
    """What was measured. The client shares the machine's cores with the product: at ten times the peak it needs some.

    Where the system lets it, the client goes first: `client_nice` is below 0 then. Else it is late itself.

    `peak_per_s`: good answers when as many are served as can be; `goodput_per_s`: in the burst, of those due in it,
    within 2 s of when they were due. `pay_ok`: the share of payments that booked. `refusal_p99_ms` counts from when a
    request was sent, `refusal_since_due_p99_ms` from when it should have been; `client_late_p99_ms` is how late the
    client sent. `recovered_s`: from the end of the burst until half the peak is served as fast as before it (twice the
    median at most) and nobody is refused. `lost`: connections that broke; `unsent`: for want of a connection. `answers`
    of the burst are by kind and status.
    """

    goodput_ratio: float
    pay_ok: float
    refusal_p99_ms: float
    recovered_s: float
    violations: int
    peak_per_s: float
    goodput_per_s: float
    offered_per_s: float
    refusal_p50_ms: float
    refusal_since_due_p99_ms: float
    client_late_p99_ms: float
    client_nice: int
    good_p50_ms: dict[str, float]
    good_p99_ms: dict[str, float]
    refused: int
    paid: int
    calm_p50_ms: float
    lost: int
    unsent: int
    answers: dict[str, dict[str, int]]
    processes: int
    cores: int


class _World:
    """The requests that people make, of each kind, on a demo."""

    def __init__(self, token_prefix: str, patients: list[int]) -> None:
        self.random = Random(1)  # noqa: S311 - not for secrets
        self.pages: list[bytes] = []
        self.searches: list[bytes] = []
        self.polls: list[bytes] = []
        self.starts: list[tuple[int, int, datetime]] = []
        self.patients = patients
        self._prefix = token_prefix
        self._serial = itertools.count()

    def token(self, patient_id: int) -> str:
        return f"{self._prefix}{patient_id}"

    def request(self, loop: OpenLoop, due: float, decide: Callable[[], float]) -> Request:
        """Return a request of some kind; after a hold that succeeds, it is paid for, `decide()` seconds later."""
        kind = self.random.choices(list(SHARES), SHARES.values())[0]  # type: ignore[arg-type]
        if kind != "hold":
            raws = {"search": self.searches, "page": self.pages, "poll": self.polls}[kind]
            return Request(kind, self.random.choice(raws), due)
        if not self.patients or not self.starts:
            raise BenchFailed("The bench ran out of patients or slots.")
        patient, (provider_id, clinic_id, start) = self.patients.pop(), self.starts.pop()
        path = f"/providers/{provider_id}/holds"
        document = {"clinic_id": clinic_id, "start": start, "slots_needed": 1}

        def held(status: int, body: bytes) -> None:
            if status == 201:
                pay = post(f"{path}/{show(body).id}/payment", self.token(patient), f"pay-{next(self._serial)}",
                           {"method": "sandbox-ok"})  # fmt: skip
                loop.at(Request("pay", pay, asyncio.get_running_loop().time() + decide()))
            else:  # somebody else tries
                self.patients.append(patient)
                if status == 503:
                    self.starts.append((provider_id, clinic_id, start))

        return Request("hold", post(path, self.token(patient), f"hold-{next(self._serial)}", document), due, held)


def _page(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n\r\n".encode()


async def bench_overload(dsn: str, folder: Path, plan: OverloadPlan) -> OverloadResult:
    """Fill a new database with a demo, and have too many use it. Raises BenchFailed."""
    require_open_files(plan.connections_max + 1000)
    async with await Database.connect(dsn, min_size=1, max_size=4, limits=BULK) as database:
        await refuse_unless_durable(database)
        await create_demo_data(database, Scale(cities=plan.cities, providers_per_city=plan.providers_per_city))
        await database.execute(environment_queries.put_developer_key, DEVELOPER_KEY)
        world = await _world(database, plan)
        await database.execute("VACUUM ANALYZE")
        environment = Environment(dsn, folder, database, token_prefix="", first_shift=await Book(database).now())
        async with running_app(
            environment, plan.processes, pool_size_min=plan.pool_size, pool_size_max=plan.pool_size
        ) as port:
            with _client_first():
                result = await _run(world, port, plan)
        result.violations = len(await violations(database))
        return result


async def _world(database: Database, plan: OverloadPlan) -> _World:
    prefix = secrets.token_urlsafe(24)
    rows = await database.fetch(queries.put_patients, plan.patients, prefix)
    world = _World(prefix, [row["patient_id"] for row in rows])
    book = Book(database)
    now = await book.now()
    world.pages = [_page(path) for path in ("/", "/hi/", "/help", "/privacy", "/verify")]
    for row in await database.fetch(queries.providers):
        provider_id, clinic_id, city, need = row["provider_id"], row["clinic_id"], row["city"], row["need"]
        world.searches += [_page(f"/in/{city}/{need}"), _page(f"/find?need=tooth+pain&place={city}")]
        world.pages.append(_page(chart_path(provider_id, row["name"], clinic_id)))
        world.pages.append(_page(queue_path(provider_id, row["name"], clinic_id)))
        world.pages.append(_page(f"/api/v1/providers/{provider_id}"))
        chart = await book.chart(provider_id, None, now + timedelta(days=1), now + timedelta(days=_DAYS), 1, None)
        free = [(provider_id, slot["clinic_id"], slot["starts_at"]) for slot in chart if slot["fits"]]
        ends = {slot["starts_at"]: slot["ends_at"] for slot in chart}
        if len(world.polls) < plan.waiting and len(free) > 10:
            last = free.pop()
            await _put_waiters(book, world, last, ends[last[2]])
        else:  # who waits at a provider would be offered what is held there
            world.starts += free
    world.random.shuffle(world.starts)
    return world


async def _put_waiters(book: Book, world: _World, slot: tuple[int, int, datetime], end: datetime) -> None:
    """Have one patient hold a slot, and ten others wait for it."""
    provider_id, clinic_id, start = slot
    patient = world.patients.pop()
    held = await book.hold(provider_id, clinic_id, start, 1, patient, Patient(patient))
    if held.code != "reserved":
        raise BenchFailed(f"The environment could not be set up: {held.code}.")
    for _ in range(10):
        patient = world.patients.pop()
        waits = await book.join_queue(provider_id, clinic_id, start, end, 1, patient, Patient(patient))
        if isinstance(waits, Refused):
            raise BenchFailed(f"The environment could not be set up: {waits.code}.")
        world.polls.append(get(f"/providers/{provider_id}/waits/{waits.ticket_id}", world.token(patient)))


@contextlib.contextmanager
def _client_first() -> Iterator[None]:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    set_nice(_CLIENT_NICE)
    try:
        yield
    finally:
        set_nice(before)


async def _run(world: _World, port: int, plan: OverloadPlan) -> OverloadResult:
    now = asyncio.get_running_loop().time
    loop = OpenLoop(port, plan.connections_max)
    await _closed(loop, world, plan.clients, plan.warm_seconds)
    peak = await _closed(loop, world, plan.clients, plan.peak_seconds)
    _refuse_faults(peak)
    peak_per_s = peak.good_within(_GOOD_SECONDS) / plan.peak_seconds
    calm = await _open(loop, world, peak_per_s * _CALM, plan.calm_seconds)
    calm_p50 = percentile_ms(calm.took(0, now()), 50)
    offered = min(peak_per_s * plan.times, plan.requests_max / plan.seconds)
    burst = await _open(loop, world, offered, plan.seconds)
    ended = now()
    after = await _open(loop, world, peak_per_s * _CALM, plan.recover_seconds)
    await loop.drain(_GOOD_SECONDS)
    loop.close()
    goodput = burst.good_within(_GOOD_SECONDS) / plan.seconds
    took = {kind: [seconds for _, seconds in times] for kind, times in sorted(burst.good.items())}
    return OverloadResult(
        goodput_ratio=round(goodput / peak_per_s, 3),
        pay_ok=round(burst.share_good("pay"), 4),
        refusal_p99_ms=percentile_ms(burst.refused, 99),
        recovered_s=_recovered(after, ended, plan.recover_seconds, calm_p50),
        violations=0,
        peak_per_s=round(peak_per_s, 1),
        goodput_per_s=round(goodput, 1),
        offered_per_s=round(offered, 1),
        refusal_p50_ms=percentile_ms(burst.refused, 50),
        refusal_since_due_p99_ms=percentile_ms(burst.refused_since_due, 99),
        client_late_p99_ms=percentile_ms(burst.late, 99),
        client_nice=os.getpriority(os.PRIO_PROCESS, 0),
        good_p50_ms={kind: percentile_ms(times, 50) for kind, times in took.items()},
        good_p99_ms={kind: percentile_ms(times, 99) for kind, times in took.items()},
        refused=len(burst.refused),
        paid=burst.statuses["pay"][200],
        calm_p50_ms=calm_p50,
        lost=burst.lost,
        unsent=burst.unsent,
        answers={
            kind: {str(status): count for status, count in sorted(statuses.items())}
            for kind, statuses in sorted(burst.statuses.items())
        },
        processes=plan.processes,
        cores=os.cpu_count() or 1,
    )


async def _closed(loop: OpenLoop, world: _World, clients: int, seconds: float) -> Tally:
    """Have clients each ask as soon as they are answered; pay at once. Return what became of it."""
    now = asyncio.get_running_loop().time
    until = now() + seconds
    tally = loop.tally = Tally()

    def ask() -> None:
        if now() < until:
            request = world.request(loop, now(), lambda: 0.0)
            before = request.then

            def then(status: int, body: bytes) -> None:
                if before is not None:
                    before(status, body)
                ask()

            request.then = then
            loop.send_now(request)

    for _ in range(clients):
        ask()
    await loop.run(until)
    await loop.drain(_GOOD_SECONDS)
    return tally


async def _open(loop: OpenLoop, world: _World, per_second: float, seconds: float) -> Tally:
    """Have so many requests a second come at random times; return what became of them."""
    now = asyncio.get_running_loop().time
    tally = loop.tally = Tally()
    due = now()
    until = due + seconds

    def send_arrivals(at: float) -> None:
        nonlocal due
        while due <= at:
            loop.send_now(world.request(loop, due, lambda: world.random.uniform(*_DECIDE_SECONDS)))
            due += world.random.expovariate(per_second)

    await loop.run(until, send_arrivals)
    return tally


def _recovered(after: Tally, ended: float, seconds: float, calm_p50_ms: float) -> float:
    """Return after how many seconds all was as before, and stayed so; `seconds` where it never was."""
    windows = int(seconds / _WINDOW_SECONDS)
    recovered = seconds
    for number in reversed(range(windows)):
        since, until = (ended + (number + part) * _WINDOW_SECONDS for part in (0, 1))
        took = after.took(since, until)
        refused = any(since <= due < until for due in after.refused_due)
        if refused or not took or percentile_ms(took, 50) > 2 * calm_p50_ms:
            break
        recovered = number * _WINDOW_SECONDS
    return recovered


def _refuse_faults(tally: Tally) -> None:
    """Raise BenchFailed if something was answered that no demo should: then other figures would mean nothing."""
    for kind, statuses in tally.statuses.items():
        if odd := set(statuses) - {200, 201, 409, 503}:
            raise BenchFailed(f"Of {kind}, some were answered {odd}.")
