from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthplus.errors import BadInput, PaymentUnavailable
from healthplus.payments.gateway import Authorisation, Declined
from healthplus.payments.sandbox import SandboxGateway


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "bank.sqlite3"


@pytest.fixture
def bank(ledger: Path) -> Iterator[SandboxGateway]:
    gateway = SandboxGateway(ledger)
    yield gateway
    gateway.close()


def entries(ledger: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(ledger)
    rows = connection.execute("SELECT authorisation, amount_paise, state FROM entry").fetchall()
    connection.close()
    return rows


async def test_money_is_set_aside_once_a_key(bank: SandboxGateway, ledger: Path) -> None:
    first = await bank.authorise("a", 500, "sandbox-ok")
    assert isinstance(first, Authorisation)
    assert await bank.authorise("a", 500, "sandbox-ok") == first
    assert entries(ledger) == [(first.name, 500, "authorised")]
    with pytest.raises(PaymentUnavailable, match="500"):
        await bank.authorise("a", 600, "sandbox-ok")


async def test_a_refusal_is_not_kept(bank: SandboxGateway, ledger: Path) -> None:
    assert isinstance(await bank.authorise("a", 500, "sandbox-declined"), Declined)
    assert entries(ledger) == []
    assert isinstance(await bank.authorise("a", 500, "sandbox-ok"), Authorisation)
    with pytest.raises(BadInput, match="sandbox-ok"):
        await bank.authorise("b", 500, "gold")
    with pytest.raises(PaymentUnavailable):
        await bank.authorise("b", 500, "sandbox-unreachable")


@pytest.mark.parametrize(
    ("steps", "states"),
    [
        (["capture", "capture"], ["captured", "captured"]),
        (["void", "void"], ["voided", "voided"]),
        (["capture", "refund", "refund"], ["captured", "refunded", "refunded"]),
        (["capture", "void"], ["captured", "captured"]),
        (["void", "capture"], ["voided", "voided"]),
        (["void", "refund"], ["voided", "voided"]),
        (["refund"], ["authorised"]),
        (["capture", "refund", "capture"], ["captured", "refunded", "refunded"]),
    ],
)
async def test_every_step_says_what_is_so(bank: SandboxGateway, steps: list[str], states: list[str]) -> None:
    authorisation = await bank.authorise("a", 500, "sandbox-ok")
    assert isinstance(authorisation, Authorisation)
    assert [await getattr(bank, step)(authorisation.name) for step in steps] == states


async def test_processes_share_the_ledger(bank: SandboxGateway, ledger: Path) -> None:
    authorisation = await bank.authorise("a", 500, "sandbox-ok")
    assert isinstance(authorisation, Authorisation)
    other = SandboxGateway(ledger)
    assert await other.capture(authorisation.name) == "captured"
    assert await bank.capture(authorisation.name) == "captured"
    other.close()


async def test_what_is_not_there_is_unavailable(bank: SandboxGateway) -> None:
    with pytest.raises(PaymentUnavailable):
        await bank.capture("sandbox-nothing")
    bank.close()
    with pytest.raises(PaymentUnavailable):
        await bank.authorise("a", 500, "sandbox-ok")


async def test_it_is_fast_enough_for_the_way_of_every_booking(bank: SandboxGateway) -> None:
    started = time.perf_counter()
    for n in range(1000):
        await bank.authorise(str(n), 500, "sandbox-ok")
    assert (time.perf_counter() - started) / 1000 < 1e-3  # some 20 us; the rest is for a busy machine
