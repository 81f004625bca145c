"""Thousands of payments at a bank that fails in every way there is, by two processes at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time as clock
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import web

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.errors import BadSignature, DatabaseBusy, NotFound, PaymentDeclined, PaymentUnavailable
from healthplus.ops.check import all_violations
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateways.sandbox_process import running_bank
from healthplus.payments.payments import Payments
from healthplus.settings import Settings
from healthplus_emulators.running import running_emulator
from tests.fixtures.clock import days_ahead, move_clock, product_now
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients
from tests.fixtures.terms import set_terms
from tests.payments.emulated import STRIPE_KEYS
from tests.payments.razorpay_account import KEYS as RAZORPAY_KEYS
from tests.payments.razorpay_rig import RazorpayRig
from tests.payments.rigs import Rig, SandboxRig
from tests.payments.steps import BACK
from tests.payments.stripe_rig import StripeRig

PAYMENTS_MAX = 2000
PROVIDERS = 40
AT_ONCE = 40
STEP_SECONDS = 10
HOUR_SECONDS = 3600
FEE, KEPT = 50000, 12345
"""What a visit costs, and what is kept of that when its patient cancels."""
RUN_SECONDS_MAX = 300
"""How long the patients take who come."""
LATER_SECONDS = 4
"""By when what the bank authorises later is."""


@dataclass
class BankEnvironment:
    """Where it happens; `offsets` says since when the product's clock is ahead of the bank's, and how far."""

    db: Database
    book: Book
    rig: Rig
    providers: list[int]
    clinic: int
    first: datetime
    patients: list[int]
    offsets: list[tuple[float, float]]
    processes: list[Payments] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    async def pass_time(self, seconds: float) -> None:
        await move_clock(self.db, seconds=seconds)
        self.offsets.append((clock.time(), self.offsets[-1][1] + seconds))

    def at(self, bank_time: float) -> float:
        """Return what the product's clock showed then."""
        return bank_time + next(ahead for since, ahead in reversed(self.offsets) if since <= bank_time)


@pytest.fixture
def own_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """An account at the gateway whose name is the parameter, with a bank of this test's own."""
    if request.param == "sandbox":
        with running_bank(Settings(None, tmp_path, account="root", port=9, sandbox_payments=True)) as settings:
            yield SandboxRig(settings)
    elif request.param == "stripe":
        with running_emulator("stripe", tmp_path, STRIPE_KEYS) as emulator:
            yield StripeRig(emulator)
    else:
        with running_emulator("razorpay", tmp_path, RAZORPAY_KEYS) as emulator:
            yield RazorpayRig(emulator, request.param.removeprefix("razorpay-"))


@pytest.fixture
async def environment(db: Database, own_rig: Rig) -> AsyncIterator[BankEnvironment]:
    await own_rig.open_account(db)
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
        db, Book(db), own_rig, providers, clinic, first, await make_patients(db, PAYMENTS_MAX), [(0.0, ahead)]
    )
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            gateway = await stack.enter_async_context(own_rig.gateway(own_rig.answer_seconds_max))
            environment.processes.append(Payments(db, Book(db), Gateways({own_rig.account: gateway})))
        yield environment


@contextlib.asynccontextmanager
async def webhooks_received(environment: BankEnvironment) -> AsyncIterator[str]:
    """Take the bank's webhooks, as the API does; yield the address."""

    async def take(request: web.Request) -> web.Response:
        process = random.choice(environment.processes)
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            await process.reconciliation.receive(headers, await request.read(), environment.rig.account)
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
    method = draw.choices((*environment.rig.methods, "sandbox-declined"), (80, 12, 8))[0]
    method = method if environment.rig.account == "sandbox" else environment.rig.methods[0]
    for _ in range(4):
        try:
            paid = await process.pay(provider, held, method, Patient(patient), f"key {patient}", BACK)
        except PaymentDeclined:
            environment.seen["declined"] += 1
            method = environment.rig.methods[0]
        except (PaymentUnavailable, DatabaseBusy):
            environment.seen["unavailable"] += 1
            if draw.random() < 0.4:
                break
        else:
            environment.seen[paid.outcome.code] += 1
            if paid.outcome.code == "booked":
                held = paid.outcome.booking_id
            if paid.url is None or not await pay_there(environment, provider, held, draw):
                break
    if draw.random() < 0.15:
        await asyncio.sleep(draw.random())
        with contextlib.suppress(DatabaseBusy):
            for give_back in (environment.book.release, environment.book.cancel):
                environment.seen[(await give_back(provider, held, Patient(patient))).code] += 1


async def pay_there(environment: BankEnvironment, provider: int, held: UUID, draw: random.Random) -> bool:
    """Go on at the gateway's page, as some do; return whether the patient then comes back from there."""
    order = await environment.db.fetch_value("SELECT order_name FROM payments.intent WHERE hold_id = $1", held)
    if order is None:  # the sandbox pays by itself
        return False
    if draw.random() < 0.1:
        environment.seen["left"] += 1
        return False
    if draw.random() < 0.1:
        await environment.rig.pay_there(f"{provider}:{held}", order, good=False)
    await environment.rig.pay_there(f"{provider}:{held}", order)
    return draw.random() < 0.6


async def hold_some(environment: BankEnvironment, patient: int, draw: random.Random) -> tuple[int, UUID]:
    while True:
        provider, slot = draw.choice(environment.providers), draw.randrange(144)
        start = environment.first + timedelta(minutes=5 * slot)
        with contextlib.suppress(DatabaseBusy):
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
    """Ten more minutes, in steps, and those around the hour at which second payments are looked for.

    The bank works again, and another process gives it time to answer.
    """
    async with environment.rig.gateway() as gateway:
        gateways = Gateways({environment.rig.account: gateway})
        await _settle_all(environment, Payments(environment.db, environment.book, gateways))


async def _settle_all(environment: BankEnvironment, process: Payments) -> None:
    steps = [STEP_SECONDS] * (600 // STEP_SECONDS)
    # The first were asked for when all this began: their hour must not be leapt over.
    before = [STEP_SECONDS] * (RUN_SECONDS_MAX // STEP_SECONDS)
    for seconds in (*steps, HOUR_SECONDS - 600 - RUN_SECONDS_MAX, *before, *steps):
        for row in await environment.db.fetch(
            "SELECT DISTINCT provider_id FROM booking.booking WHERE state = 'reserved' AND deadline <= app_now()"
        ):
            await environment.book.advance(row["provider_id"])
        while (await process.captures.poll())[0]:
            pass
        while (await process.reconciliation.poll())[0]:
            pass
        await environment.pass_time(seconds)


async def settle_refunds(environment: BankEnvironment) -> None:
    """Have refunds that fail be tried as often as they are by themselves, and once more when the bank works again."""
    process = environment.processes[0]
    for _ in range(5):
        await environment.pass_time(3 * HOUR_SECONDS)
        await asyncio.sleep(1.3)  # what is pending is not any more, by the bank's own clock
        while (await process.captures.poll())[0]:
            pass
    played = await environment.rig.plan_faults(environment.rig.peaceful())
    assert min(played["refund_pending"], played["refund_fails"]) > 0
    await environment.db.execute(
        "SELECT ledger.try_refund_again(refund, 'staff:1', public.app_now()) FROM ledger.refund "
        "WHERE state = 'failed' AND is_last"
    )
    while (await process.captures.poll())[0]:
        pass


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
    found = environment.rig.at_bank()
    # What failed at first went back under another key.
    at_bank = {one.name: (one.key, "refunded" if one.refunded_minor else one.state) for one in found}
    left = sum(one.amount_minor - one.refunded_minor for one in found if one.state in ("captured", "refunded"))
    assert max(environment.rig.moves().values()) == 1
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


async def ordered_after(environment: BankEnvironment) -> dict[str, float]:
    """For all money that went back: how long after it could be known to be owed that was ordered, in seconds.

    It is owed once it is at the bank and what it was for is over, and ordered with what ended that, or when it is
    recorded. A second payment that no webhook reported can be known at the hour of the look for it.
    """
    came = {one.name: one.came_at for one in environment.rig.at_bank()}
    rows = await environment.db.fetch(
        """SELECT payment.authorisation, entry.source::text, extract(epoch FROM entry.at)::float8 AS recorded,
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
    found = {}
    for row in rows:
        over = row["ended"] or row["paid"]  # a second payment is owed as soon as the first has booked
        known = max(environment.at(came[row["authorisation"]]), over)
        if row["is_looked_for"] and row["asked"]:
            known = max(known, row["asked"] + HOUR_SECONDS)
        found[f"{row['authorisation']}, {row['source']}"] = max(row["recorded"], over) - known
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("own_rig", "payments"),
    [
        ("sandbox", 600),
        ("stripe", 100),
        ("razorpay-upi", 100),
        pytest.param("sandbox", PAYMENTS_MAX, marks=pytest.mark.long),
        pytest.param("stripe", PAYMENTS_MAX, marks=pytest.mark.long),
        pytest.param("razorpay-upi", PAYMENTS_MAX, marks=pytest.mark.long),
        pytest.param("razorpay-card", PAYMENTS_MAX, marks=pytest.mark.long),
    ],
    indirect=["own_rig"],
)
async def test_no_money_is_lost_or_taken_twice(environment: BankEnvironment, payments: int) -> None:
    rig = environment.rig
    async with webhooks_received(environment) as url:
        await rig.plan_faults(faulty := rig.faulty(url))
        await pay_all(environment, payments)
        faults = await rig.plan_faults(rig.peaceful())
        await asyncio.sleep(LATER_SECONDS)  # what is still to be authorised is, by the bank's own clock
        await settle_all(environment)
        if refunding := rig.refunding():
            await rig.plan_faults(refunding)
        await cancel_some(environment)
        await settle_all(environment)
        if refunding:
            await settle_refunds(environment)
    states = await check_ledgers(environment)
    lags = await ordered_after(environment)
    failed = sum(faults[fault] for fault in ("fail_before", "fail_after", "never_answer", "slow"))
    assert failed >= 0.3 * payments
    played = {fault for fault in faults if getattr(faulty, fault) > 0}
    assert played >= {"webhook_lost", "webhook_repeated"}
    if payments >= 600:  # of few, some are met by none
        assert min(faults[fault] for fault in played) > 0
        assert min(states[state] for state in rig.ends) > 0
    assert {money: seconds for money, seconds in lags.items() if seconds > 60} == {}
