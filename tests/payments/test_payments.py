from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.errors import DatabaseUnreachable, PaymentDeclined, PaymentUnavailable
from healthplus.payments.captures import Captures
from healthplus.payments.gateway import Authorisation, Declined, Money
from healthplus.payments.payments import Payments
from healthplus.payments.sandbox import SandboxGateway
from tests.web.world import AT_CLINIC, ONLINE, PROVIDER, World

_Answer = TypeVar("_Answer")
Hook = Callable[[], Awaitable[object]]


class Bank(SandboxGateway):
    """The sandbox, with something that happens just after a step was taken there; counts the calls."""

    def __init__(self, ledger: Path) -> None:
        super().__init__(ledger)
        self.after: dict[str, Hook] = {}
        self.fails: set[str] = set()
        self.calls: list[str] = []

    async def authorise(self, key: str, amount_paise: int, method: str) -> Authorisation | Declined:
        return await self._then("authorise", await super().authorise(key, amount_paise, method))

    async def capture(self, authorisation: str) -> Money:
        return await self._then("capture", await super().capture(authorisation))

    async def void(self, authorisation: str) -> Money:
        return await self._then("void", await super().void(authorisation))

    async def refund(self, authorisation: str) -> Money:
        return await self._then("refund", await super().refund(authorisation))

    async def _then(self, step: str, answer: _Answer) -> _Answer:
        self.calls.append(step)
        if step in self.fails:
            raise PaymentUnavailable
        if hook := self.after.pop(step, None):
            await hook()
        return answer


@pytest.fixture
async def world(db: Database) -> World:
    return await World.make(db)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    gateway = Bank(tmp_path / "bank.sqlite3")
    yield gateway
    gateway.close()


@pytest.fixture
def book(db: Database) -> Book:
    return Book(db)


@pytest.fixture
def payments(db: Database, book: Book, bank: Bank) -> Payments:
    return Payments(db, book, bank)


async def hold(book: Book, world: World, clinic_id: int = ONLINE, hour: int = 9) -> UUID:
    start = datetime.fromisoformat(world.at(hour))
    outcome = await book.hold(PROVIDER, clinic_id, start, 1, world.ids["asha"], "asha")
    assert outcome.booking_id is not None, outcome
    return outcome.booking_id


async def pay(payments: Payments, world: World, booking_id: UUID, method: str = "sandbox-ok") -> Any:
    return await payments.pay(PROVIDER, booking_id, world.ids["asha"], method, "asha", "key")


async def money(world: World) -> tuple[str, str | None] | None:
    row = await world.database.fetch_row("SELECT state::text, due::text FROM payments.payment")
    return None if row is None else (row["state"], row["due"])


async def test_authorise_then_book_then_capture(payments: Payments, book: Book, bank: Bank, world: World) -> None:
    paid = await pay(payments, world, await hold(book, world))
    assert (paid.outcome.code, paid.voided) == ("booked", None)
    assert await money(world) == ("authorised", "capture")
    assert await payments.captures.sweep() == (1, 0)
    assert await money(world) == ("captured", None)
    assert await payments.captures.sweep() == (0, 0)
    assert bank.calls == ["authorise", "capture"]


async def test_what_is_paid_at_the_clinic_moves_no_money(
    payments: Payments, book: Book, bank: Bank, world: World
) -> None:
    paid = await pay(payments, world, await hold(book, world, AT_CLINIC, 13), "cash, later")
    assert paid.outcome.code == "booked"
    assert (bank.calls, await money(world)) == ([], None)


async def test_a_decline_leaves_the_hold(payments: Payments, book: Book, world: World) -> None:
    held = await hold(book, world)
    with pytest.raises(PaymentDeclined):
        await pay(payments, world, held, "sandbox-declined")
    assert (await pay(payments, world, held)).outcome.code == "booked"


async def test_a_hold_lost_meanwhile_is_not_paid_for(payments: Payments, book: Book, bank: Bank, world: World) -> None:
    held = await hold(book, world)
    bank.after["authorise"] = lambda: world.pass_time(seconds=306)
    paid = await pay(payments, world, held)
    assert (paid.outcome.code, paid.voided) == ("expired", True)
    assert await money(world) == ("voided", None)
    assert bank.calls == ["authorise", "void"]


async def test_a_void_that_fails_is_done_later(payments: Payments, book: Book, bank: Bank, world: World) -> None:
    held = await hold(book, world)
    bank.after["authorise"] = lambda: book.release(PROVIDER, held, world.ids["asha"], "asha")
    bank.fails = {"void"}
    paid = await pay(payments, world, held)
    assert (paid.outcome.code, paid.voided) == ("wrong_state", False)
    assert await payments.captures.sweep() == (1, 1)
    bank.fails.clear()
    # It was tried just now, and is left alone for a while.
    assert await payments.captures.sweep() == (0, 0)
    await world.pass_time(seconds=31)
    assert await payments.captures.sweep() == (1, 0)
    assert await money(world) == ("voided", None)


async def test_gone_before_money_moves(payments: Payments, book: Book, bank: Bank, world: World) -> None:
    held = await hold(book, world)
    other = await payments.pay(PROVIDER, held, world.ids["bina"], "sandbox-ok", "bina", "key")
    assert other.outcome.code == "not_found"
    await world.pass_time(seconds=306)
    assert (await pay(payments, world, held)).outcome.code == "expired"
    assert bank.calls == []


async def test_an_unknown_outcome_is_settled_by_a_repeat(
    payments: Payments, book: Book, bank: Bank, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await hold(book, world)
    confirm = book.confirm

    async def lose_the_answer(*args: Any) -> Any:
        await confirm(*args)
        raise DatabaseUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(book, "confirm", lose_the_answer)
        with pytest.raises(DatabaseUnreachable):
            await pay(payments, world, held)
    assert (await pay(payments, world, held)).outcome.code == "booked"
    assert await money(world) == ("authorised", "capture")
    assert bank.calls == ["authorise"]


@pytest.mark.parametrize("captured_first", [False, True])
async def test_cancelling_gives_the_money_back(
    payments: Payments, book: Book, bank: Bank, world: World, captured_first: bool
) -> None:
    held = await hold(book, world)
    await pay(payments, world, held)
    if captured_first:
        await payments.captures.sweep()
    await book.cancel(PROVIDER, held, world.ids["asha"], "asha")
    assert await payments.captures.sweep() == (1, 0)
    assert await money(world) == ("refunded" if captured_first else "voided", None)


async def test_cancelling_while_it_is_captured(payments: Payments, book: Book, bank: Bank, world: World) -> None:
    held = await hold(book, world)
    await pay(payments, world, held)
    bank.after["capture"] = lambda: book.cancel(PROVIDER, held, world.ids["asha"], "asha")
    assert await payments.captures.sweep() == (1, 0)
    assert await money(world) == ("captured", "refund")
    assert await payments.captures.sweep() == (1, 0)
    assert await money(world) == ("refunded", None)


async def test_another_process_undoes_what_this_one_is_about_to_mark(
    payments: Payments, book: Book, bank: Bank, world: World
) -> None:
    held = await hold(book, world)
    await pay(payments, world, held)

    async def meanwhile() -> None:
        await book.cancel(PROVIDER, held, world.ids["asha"], "asha")
        other = Captures(world.database, bank)
        assert await other.sweep() == (1, 0)  # wants to void, and learns that it is captured
        assert await money(world) == ("captured", "refund")
        assert await other.sweep() == (1, 0)
        assert await money(world) == ("refunded", None)

    bank.after["capture"] = meanwhile
    assert await payments.captures.sweep() == (1, 0)
    assert await money(world) == ("refunded", None)
    assert bank.calls == ["authorise", "capture", "void", "refund"]


async def test_a_gateway_that_fails_is_asked_again(payments: Payments, book: Book, bank: Bank, world: World) -> None:
    await pay(payments, world, await hold(book, world))
    bank.fails = {"capture"}
    assert await payments.captures.sweep() == (1, 1)
    assert await money(world) == ("authorised", "capture")
    bank.fails.clear()
    await world.pass_time(seconds=31)
    assert await payments.captures.sweep() == (1, 0)
    assert await money(world) == ("captured", None)
