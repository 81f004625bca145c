"""Thousands of payments at a bank that fails in every way there is, by two processes at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time as clock
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec
import pytest
from aiohttp import web

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.errors import BadSignature, NotFound, PaymentDeclined, PaymentUnavailable
from healthplus.ops.check import all_violations
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateways.sandbox import SandboxGateway
from healthplus.payments.gateways.sandbox_process import bank_url, running_bank
from healthplus.payments.payments import Payments
from healthplus.settings import Settings
from healthplus_sandbox.bank import FaultPlan
from tests.fixtures.clock import days_ahead, move_clock, product_now
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients
from tests.fixtures.terms import set_terms

PAYMENTS_MAX = 2000
PROVIDERS = 40
AT_ONCE = 40
ANSWER_SECONDS_MAX = 0.5
STEP_SECONDS = 10
HOUR_SECONDS = 3600
FEE, KEPT = 50000, 12345
"""What a visit costs, and what is kept of that when its patient cancels."""
FAULTY = FaultPlan(
    fail_before=0.14,
    fail_after=0.14,
    never_answer=0.005,
    slow=0.03,
    slow_seconds=0.7,  # longer than anyone waits
    later=0.03,
    later_seconds=3,
    pay_twice=0.05,
    webhooks="all",
    webhook_lost=0.3,
    webhook_repeated=0.3,
    webhook_seconds_max=3,
)


@dataclass
class BankEnvironment:
    """Where it happens; `offsets` says since when the product's clock is ahead of the bank's, and how far."""

    db: Database
    book: Book
    bank: Settings
    providers: list[int]
    clinic: int
    first: datetime
    patients: list[int]
    offsets: list[tuple[float, float]]
    processes: list[Payments] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def ledger(self) -> Path:
        return self.bank.data_folder / "sandbox-bank" / "sandbox-bank.sqlite3"

    async def plan_faults(self, plan: FaultPlan) -> Counter[str]:
        """Have the bank play other faults; return how often it has played each until now."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{bank_url(self.bank)}/fault-plan", data=msgspec.json.encode(plan)) as response,
        ):
            return Counter(msgspec.json.decode(await response.read()))

    async def pass_time(self, seconds: float) -> None:
        await move_clock(self.db, seconds=seconds)
        self.offsets.append((clock.time(), self.offsets[-1][1] + seconds))

    def at(self, bank_time: float) -> float:
        """Return what the product's clock showed then."""
        return bank_time + next(ahead for since, ahead in reversed(self.offsets) if since <= bank_time)


@pytest.fixture
def own_bank(tmp_path: Path) -> Iterator[Settings]:
    with running_bank(Settings(None, tmp_path, account="root", port=9, sandbox_payments=True)) as settings:
        yield settings


@pytest.fixture
async def environment(db: Database, own_bank: Settings) -> AsyncIterator[BankEnvironment]:
    clinic = await make_clinic(db)
    await set_terms(db, clinic, {8784: KEPT})
    providers = []
    for _ in range(PROVIDERS):
        providers.append(await make_provider(db, {clinic: (FEE, "online")}))
        await make_shift(db, providers[-1], clinic, DAILY, time(6), time(18), 5)
    now = await product_now(db)
    first = await days_ahead(db, 2, time(6))
    ahead = now.timestamp() - clock.time()
    environment = BankEnvironment(
        db, Book(db), own_bank, providers, clinic, first, await make_patients(db, PAYMENTS_MAX), [(0.0, ahead)]
    )
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            gateway = SandboxGateway(bank_url(own_bank), own_bank.payment_webhook_secret, ANSWER_SECONDS_MAX)
            gateways = Gateways({"sandbox": await stack.enter_async_context(gateway)})
            environment.processes.append(Payments(db, Book(db), gateways))
        yield environment


@contextlib.asynccontextmanager
async def webhooks_received(environment: BankEnvironment) -> AsyncIterator[str]:
    """Take the bank's webhooks, as the API does; yield the address."""

    async def take(request: web.Request) -> web.Response:
        process = random.choice(environment.processes)
        try:
            await process.reconciliation.receive(
                {k.lower(): v for k, v in request.headers.items()}, await request.read()
            )
        except (BadSignature, NotFound) as error:
            environment.seen[f"webhook {error.code}"] += 1
            return web.Response(status=error.status)
        environment.seen["webhook"] += 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def book(environment: BankEnvironment, patient: int, draw: random.Random) -> None:
    """One patient: holds, pays in some way, asks again or gives up, and may think better of it."""
    process = draw.choice(environment.processes)
    provider, held = await hold_some(environment, patient, draw)
    method = draw.choices(("sandbox-ok", "sandbox-later", "sandbox-declined"), (80, 12, 8))[0]
    for _ in range(3):
        try:
            paid = await process.pay(provider, held, method, Patient(patient), f"key {patient}")
        except PaymentDeclined:
            environment.seen["declined"] += 1
            method = "sandbox-ok"
        except PaymentUnavailable:
            environment.seen["unavailable"] += 1
            if draw.random() < 0.4:
                break
        else:
            environment.seen[paid.outcome.code] += 1
            if paid.outcome.code == "booked":
                held = paid.outcome.booking_id
            break
    if draw.random() < 0.15:
        await asyncio.sleep(draw.random())
        for give_back in (environment.book.release, environment.book.cancel):
            environment.seen[(await give_back(provider, held, Patient(patient))).code] += 1


async def hold_some(environment: BankEnvironment, patient: int, draw: random.Random) -> tuple[int, UUID]:
    while True:
        provider, slot = draw.choice(environment.providers), draw.randrange(144)
        start = environment.first + timedelta(minutes=5 * slot)
        held = await environment.book.hold(provider, environment.clinic, start, 1, patient, Patient(patient))
        if held.code == "reserved" and held.booking_id:
            return provider, held.booking_id


async def pay_all(environment: BankEnvironment, count: int) -> None:
    """Let so many patients come, some at once, with all that runs in the background of a process."""
    tasks = [
        asyncio.create_task(run())
        for process in environment.processes
        for run in (process.captures.run, process.captures.run_from_memory, process.reconciliation.run)
    ]
    draw = random.Random(20)
    coming = iter(environment.patients[:count])

    async def queue() -> None:
        for patient in coming:
            await book(environment, patient, draw)

    await asyncio.gather(*(queue() for _ in range(AT_ONCE)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settle_all(environment: BankEnvironment) -> None:
    """Ten more minutes, in steps, and the ten after the hour at which second payments are looked for.

    The bank works again, and another process gives it time to answer.
    """
    async with SandboxGateway(bank_url(environment.bank), environment.bank.payment_webhook_secret) as gateway:
        await _settle_all(environment, Payments(environment.db, environment.book, Gateways({"sandbox": gateway})))


async def _settle_all(environment: BankEnvironment, process: Payments) -> None:
    steps = [STEP_SECONDS] * (600 // STEP_SECONDS)
    for seconds in (*steps, HOUR_SECONDS - 600, *steps):
        for row in await environment.db.fetch(
            "SELECT DISTINCT provider_id FROM booking.booking WHERE state = 'reserved' AND deadline <= app_now()"
        ):
            await environment.book.advance(row["provider_id"])
        while (await process.captures.poll())[0]:
            pass
        while (await process.reconciliation.poll())[0]:
            pass
        await environment.pass_time(seconds)


async def cancel_some(environment: BankEnvironment) -> None:
    """Have some cancel once their money has been taken, so that it goes back."""
    rows = await environment.db.fetch(
        "SELECT provider_id, booking_id, patient_id FROM booking.booking WHERE state = 'booked'"
    )
    for row in rows[::20]:
        cancelled = await environment.book.cancel(row["provider_id"], row["booking_id"], Patient(row["patient_id"]))
        assert cancelled.code == "cancelled"


async def check_ledgers(environment: BankEnvironment) -> Counter[str]:
    """Compare the bank's ledger and ours: the same money in the same state, none kept for nothing or taken twice."""
    assert await all_violations(environment.db) == []
    with contextlib.closing(sqlite3.connect(environment.ledger)) as ledger:
        at_bank = {
            name: (key, state)
            for name, key, state in ledger.execute(
                "SELECT authorisation, key, state FROM payment WHERE state <> 'pending'"
            )
        }
        left = ledger.execute(
            "SELECT sum(amount_minor - refunded_minor) FROM payment WHERE state IN ('captured', 'refunded')"
        ).fetchone()[0]
        moved = ledger.execute("SELECT authorisation, state, count(*), max(at) FROM moved GROUP BY 1, 2").fetchall()
    assert max(times for _, _, times, _ in moved) == 1
    rows = await environment.db.fetch("SELECT authorisation, state::text FROM ledger.payment")
    assert {row["authorisation"]: row["state"] for row in rows} == {name: state for name, (_, state) in at_bank.items()}
    taken = Counter(key for key, state in at_bank.values() if state == "captured")
    booked = await environment.db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'booked'")
    assert set(taken.values()) == {1}
    assert len(taken) == booked
    cancelled = await environment.db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'cancelled'")
    assert cancelled > 0
    assert left == FEE * booked + KEPT * cancelled
    return Counter(state for _, state in at_bank.values())


async def ordered_after(environment: BankEnvironment) -> list[float]:
    """For all money that went back: how long after it could be known to be owed that was ordered, in seconds.

    It is owed once it is at the bank and what it was for is over, and ordered with what ended that, or when it is
    recorded. A second payment that no webhook reported can be known at the hour of the look for it.
    """
    with contextlib.closing(sqlite3.connect(environment.ledger)) as ledger:
        came = dict(ledger.execute("SELECT authorisation, at FROM moved WHERE state = 'authorised'").fetchall())
    rows = await environment.db.fetch(
        """SELECT payment.authorisation, extract(epoch FROM entry.at)::float8 AS recorded,
            ended.at AS ended, paid.at AS paid, entry.source = 'fetch' AND paid.at IS NOT NULL AS is_looked_for,
            extract(epoch FROM asked.at)::float8 AS asked
        FROM ledger.payment
        JOIN ledger.entry ON entry.authorisation = payment.authorisation AND entry.state = 'authorised'
        CROSS JOIN LATERAL (
            SELECT extract(epoch FROM max(at))::float8 AS at FROM booking.event
            WHERE event.booking_id = payment.booking_id AND kind IN ('expired', 'released', 'cancelled')) AS ended
        CROSS JOIN LATERAL (
            SELECT extract(epoch FROM min(at))::float8 AS at FROM booking.event
            WHERE event.booking_id = payment.booking_id AND kind = 'booked') AS paid
        CROSS JOIN LATERAL (
            SELECT max(at) AS at FROM ledger.entry AS first
            WHERE first.hold_id = payment.hold_id AND first.state = 'authorised'
                AND first.authorisation <> payment.authorisation) AS asked
        WHERE payment.state IN ('voided', 'refunded')"""
    )
    found = []
    for row in rows:
        over = row["ended"] or row["paid"]  # a second payment is owed as soon as the first has booked
        known = max(environment.at(came[row["authorisation"]]), over)
        if row["is_looked_for"] and row["asked"]:
            known = max(known, row["asked"] + HOUR_SECONDS)
        found.append(max(row["recorded"], over) - known)
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("payments", [600, pytest.param(PAYMENTS_MAX, marks=pytest.mark.long)])
async def test_no_money_is_lost_or_taken_twice(environment: BankEnvironment, payments: int) -> None:
    async with webhooks_received(environment) as url:
        await environment.plan_faults(msgspec.structs.replace(FAULTY, webhook_url=url))
        await pay_all(environment, payments)
        faults = await environment.plan_faults(FaultPlan(webhooks="none"))
        await asyncio.sleep(FAULTY.later_seconds + 1)  # what is still to be authorised is, by the bank's own clock
        await settle_all(environment)
        await cancel_some(environment)
        await settle_all(environment)
    states = await check_ledgers(environment)
    lags = await ordered_after(environment)
    failed = sum(faults[fault] for fault in ("fail_before", "fail_after", "never_answer", "slow"))
    assert failed >= 0.3 * payments
    assert min(faults[fault] for fault in ("later", "pay_twice", "webhook_lost", "webhook_repeated")) > 0
    assert min(states[state] for state in ("captured", "voided", "refunded")) > 0
    assert max(lags) <= 60
