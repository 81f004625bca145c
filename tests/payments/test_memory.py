"""Captures of what this process booked, from its memory: prompt, together, and never the only way to the money."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from healthplus.database import Database
from healthplus.ops.check import money_invariants, violations
from healthplus.payments import captures as module
from healthplus.payments.accounts import Gateways, queries
from healthplus.payments.captures import Capture, Captures
from healthplus.payments.gateway import Gateway, PaymentState
from healthplus.payments.payments import Payments
from tests.fixtures.clock import until
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.conftest import Bank
from tests.payments.steps import facts, money, pay


@contextlib.asynccontextmanager
async def remembering(captures: Captures) -> AsyncIterator[None]:
    """Have the captures be made from memory during the block, as in an app process."""
    running = asyncio.create_task(captures.run_from_memory())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until_money_is(environment: Environment, *state: str | None) -> None:
    async def is_it() -> bool:
        return await money(environment) == state

    await until(is_it)


@pytest.fixture
async def held(payments: Payments, environment: Environment) -> AsyncIterator[UUID]:
    """A hold; at the end, all money is where it should be."""
    yield await environment.held()
    for _ in range(3):
        await environment.pass_time(seconds=31)
        await payments.captures.poll()
    await environment.pass_time(minutes=2)
    assert await violations(environment.db) + await violations(environment.db, money_invariants) == []


async def test_what_was_booked_here_is_captured_at_once(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    async with remembering(payments.captures):
        assert (await pay(payments, environment, held)).outcome.code == "booked"
        await until_money_is(environment, "captured", None)
    assert await facts(environment) == [("authorised", "answer"), ("captured", "answer")]
    await environment.pass_time(seconds=60)
    assert await payments.captures.poll() == await payments.reconciliation.poll() == (0, 0)
    assert bank.calls == ["authorise", "capture"]


async def test_money_that_came_late_is_captured_from_memory_too(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    bank.after["authorise"] = lambda: environment.pass_time(seconds=305)
    async with remembering(payments.captures):
        assert (await pay(payments, environment, held)).outcome.booking_id != held
        await until_money_is(environment, "captured", None)


async def test_what_this_process_did_not_set_aside_is_left_to_the_sweeper(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    """A repeat of a request may come long after its booking was cancelled."""
    await pay(payments, environment, held)
    async with remembering(payments.captures):
        assert (await pay(payments, environment, held)).outcome.code == "booked"
        await asyncio.sleep(2 * module.NOTE_SECONDS)
    assert (bank.calls, await money(environment)) == (["authorise"], ("authorised", "capture"))


async def test_a_booking_cancelled_while_it_is_captured_is_refunded(
    payments: Payments, bank: Bank, environment: Environment, held: UUID
) -> None:
    bank.after["capture"] = lambda: environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    async with remembering(payments.captures):
        await pay(payments, environment, held)
        await until_money_is(environment, "captured", "refund")
        assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("refunded", None)
    assert [state for state, _ in await facts(environment)] == ["authorised", "captured", "refunded"]


@pytest.mark.parametrize("voided_first", [False, True])
async def test_a_booking_cancelled_before_it_is_captured_keeps_no_money(
    payments: Payments, bank: Bank, environment: Environment, held: UUID, voided_first: bool
) -> None:
    await pay(payments, environment, held)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    if voided_first:
        assert await payments.captures.poll() == (1, 0)
    async with remembering(payments.captures):
        payments.captures.remember(Capture(PROVIDER, held, f"sandbox-{PROVIDER}:{held}", 50000, "INR"))
        if voided_first:
            await asyncio.sleep(2 * module.NOTE_SECONDS)
        else:
            await until_money_is(environment, "captured", "refund")
            assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("voided" if voided_first else "refunded", None)


class _Counted(Captures):
    """Captures at a gateway that answers at once; counts."""

    def __init__(self, database: Database, gateway: Any) -> None:
        super().__init__(database, gateway)
        self.notes: list[int] = []

    async def _note(self, answers: list[tuple[int, UUID, str, PaymentState, str]]) -> None:
        self.notes.append(len(answers))
        await super()._note(answers)


class _SlowBank:
    """Captures when it is let; counts the calls under way."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.under_way = self.most = self.calls = 0

    async def capture(self, *_: object) -> PaymentState:
        self.calls += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.open.wait()
        self.under_way -= 1
        return "captured"


async def test_answers_are_noted_together_and_calls_are_bounded(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNDER_WAY_MAX", 3)
    monkeypatch.setattr(module, "REMEMBERED_MAX", 8)
    hours = range(9, 12)
    holds = [
        await environment.held(hour=hour, name=name)
        for hour, name in zip(hours, ("asha", "bina", "chand"), strict=True)
    ]
    for hold, name in zip(holds, ("asha", "bina", "chand"), strict=True):
        await environment.book.confirm(PROVIDER, hold, f"money {name}", environment.actor(name))
    bank = _SlowBank()
    captures = _Counted(environment.db, Gateways({"sandbox": cast(Gateway, bank)}))

    async def is_captured() -> bool:
        rows = await environment.db.fetch("SELECT DISTINCT state::text, due::text FROM ledger.payment")
        return [tuple(row) for row in rows] == [("captured", None)]

    async with remembering(captures):
        for hold, name in zip(holds, ("asha", "bina", "chand"), strict=True):
            captures.remember(Capture(PROVIDER, hold, f"money {name}", 50000, "INR"))
        await asyncio.sleep(0)
        for _ in range(20):
            captures.remember(Capture(PROVIDER, uuid4(), "not known", 50000, "INR"))
        bank.open.set()
        await until(is_captured)
    assert (bank.most, bank.calls) == (3, 3 + 8)
    assert sum(captures.notes) == 3 + 8
    assert len(captures.notes) <= 2  # and not one by one


async def test_a_row_that_a_verb_has_locked_is_waited_for_by_nobody(
    payments: Payments, environment: Environment, held: UUID
) -> None:
    await pay(payments, environment, held)
    answers = [PROVIDER], [held], [f"sandbox-{PROVIDER}:{held}"], ["captured"], ["card"]
    async with environment.db.transaction() as verb:
        await verb.execute("SELECT FROM ledger.payment FOR UPDATE")
        await asyncio.wait_for(environment.db.execute(queries.note_states, *answers), 5)
        assert await money(environment) == ("authorised", "capture")
    async with environment.db.transaction() as look:
        await look.execute("SELECT FROM payments.intent FOR UPDATE")
        await asyncio.wait_for(environment.db.execute(queries.note_states, *answers), 5)
    assert await money(environment) == ("captured", None)


async def test_after_a_failure_memory_rests_and_the_sweeper_captures(
    payments: Payments, bank: Bank, environment: Environment, held: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.fails = {"capture"}
    async with remembering(payments.captures):
        await pay(payments, environment, held)
        await until(lambda: "capture" in bank.calls)
        await asyncio.sleep(0)
        bank.fails.clear()
        again = Capture(PROVIDER, held, f"sandbox-{PROVIDER}:{held}", 50000, "INR")
        payments.captures.remember(again)
        await asyncio.sleep(2 * module.NOTE_SECONDS)
        assert bank.calls == ["authorise", "capture"]
        assert await money(environment) == ("authorised", "capture")
        monkeypatch.setattr(payments.captures, "_rests_until", 0.0)
        payments.captures.remember(again)
        await until_money_is(environment, "captured", None)


async def test_what_was_answered_is_noted_as_the_process_ends(
    payments: Payments, bank: Bank, environment: Environment, held: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NOTE_SECONDS", 60)
    async with remembering(payments.captures):
        await pay(payments, environment, held)
        await until(lambda: "capture" in bank.calls)
        await asyncio.sleep(0)
        assert await money(environment) == ("authorised", "capture")
    assert await money(environment) == ("captured", None)
    payments.captures.remember(Capture(PROVIDER, held, f"sandbox-{PROVIDER}:{held}", 50000, "INR"))
    await asyncio.sleep(0)
    assert bank.calls == ["authorise", "capture"]  # and nothing is begun any more
