"""The sandbox bank, through the gateway that asks it: a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from healthplus.database.system import command_lines
from healthplus.errors import BadInput, Conflict, PaymentUnavailable
from healthplus.payments.gateway import Authorisation, Declined, GatewayPayment, GatewayRefund, Pending
from healthplus.payments.gateways.sandbox import SandboxGateway
from healthplus.payments.gateways.sandbox_process import bank_url, running_bank
from healthplus.settings import Settings
from healthplus_sandbox.bank import Bank as SandboxBank
from healthplus_sandbox.bank import FaultPlan
from tests.payments.conftest import Bank


@pytest.fixture
def key() -> str:
    return f"1:{uuid4()}"


async def fetch(bank: SandboxGateway, key: str) -> list[GatewayPayment]:
    """Return the payments under a key, without the refunds, whose sums they say."""
    found = await bank.fetch(key)
    assert all(one.refunded_minor == sum(refund.amount_minor for refund in one.refunds) for one in found)
    return [msgspec.structs.replace(one, refunds=[]) for one in found]


async def authorise(bank: SandboxGateway, key: str, amount: int = 500) -> str:
    answer = await bank.authorise(key, amount, "INR", "sandbox-ok")
    assert isinstance(answer, Authorisation)
    return answer.name


async def test_money_is_set_aside_once_a_key(bank: Bank, key: str) -> None:
    first = await authorise(bank, key)
    assert await authorise(bank, key) == first
    assert await bank.fetch(key) == [GatewayPayment(first, "authorised", 500, "INR")]
    with pytest.raises(PaymentUnavailable, match="500"):
        await authorise(bank, key, 600)


async def test_an_amount_is_in_one_currency(bank: Bank, key: str) -> None:
    name = await authorise(bank, key)
    with pytest.raises(PaymentUnavailable, match=r"INR 500 .* not USD 500"):
        await bank.authorise(key, 500, "USD", "sandbox-ok")
    with pytest.raises(PaymentUnavailable, match="not USD 500"):
        await bank.capture(name, 500, "USD")
    yen = await bank.authorise(f"{key} yen", 500, "JPY", "sandbox-ok")
    assert isinstance(yen, Authorisation)
    assert await bank.capture(yen.name, 500, "JPY") == "captured"
    assert await bank.fetch(f"{key} yen") == [GatewayPayment(yen.name, "captured", 500, "JPY")]


def test_a_ledger_from_before_there_were_currencies_is_in_rupees(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with contextlib.closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute(
            """CREATE TABLE payment (
                authorisation TEXT PRIMARY KEY, key TEXT NOT NULL,
                amount_paise INTEGER NOT NULL CHECK (amount_paise > 0),
                state TEXT NOT NULL, due_at REAL
            ) STRICT, WITHOUT ROWID"""
        )
        ledger.execute("INSERT INTO payment VALUES ('money', 'key', 500, 'authorised', NULL)")
    for _ in range(2):
        bank = SandboxBank(path, "", None, "")
        assert bank.payments("key") == [GatewayPayment("money", "authorised", 500, "INR")]
        bank.close()


async def test_a_refusal_is_not_kept(bank: Bank, key: str) -> None:
    assert isinstance(await bank.authorise(key, 500, "INR", "sandbox-declined"), Declined)
    assert await bank.fetch(key) == []
    await authorise(bank, key)
    with pytest.raises(BadInput, match="sandbox-ok"):
        await bank.authorise(key, 500, "INR", "gold")
    with pytest.raises(PaymentUnavailable):
        await bank.authorise(key, 500, "INR", "sandbox-unreachable")


async def test_later_is_pending_first(bank: Bank, key: str) -> None:
    answer = await bank.authorise(key, 500, "INR", "sandbox-later")
    assert isinstance(answer, Pending)
    assert await bank.authorise(key, 500, "INR", "sandbox-later") == answer
    assert await bank.fetch(key) == []
    async with aiohttp.ClientSession() as session, session.get(answer.url) as page:
        assert page.status == 200
    name = await authorise(bank, key)
    assert await bank.authorise(key, 500, "INR", "sandbox-later") == Authorisation(name)


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
async def test_every_step_says_what_is_so(bank: Bank, key: str, steps: list[str], states: list[str]) -> None:
    name = await authorise(bank, key)
    answered = [await (bank.void(name) if step == "void" else getattr(bank, step)(name, 500, "INR")) for step in steps]
    answered = ["refunded" if isinstance(answer, GatewayRefund) else answer for answer in answered]
    assert answered == states
    refunded = 500 if answered[-1] == "refunded" else 0
    assert await fetch(bank, key) == [GatewayPayment(name, answered[-1], 500, "INR", refunded)]


async def test_a_part_is_given_back_once(bank: Bank, key: str) -> None:
    name = await authorise(bank, key)
    await bank.capture(name, 500, "INR")
    for amount in (0, 501):
        with pytest.raises(PaymentUnavailable, match="how much"):
            await bank.refund(name, amount, "INR")
    first = await bank.refund(name, 123, "INR")
    assert isinstance(first, GatewayRefund)
    assert (first.name, first.key, first.amount_minor, first.state) == (name, "", 123, "processed")
    assert await bank.refund(name, 123, "INR") == first
    (payment,) = await bank.fetch(key)
    assert payment.refunds == [first]
    with pytest.raises(PaymentUnavailable, match=r"123 of INR 500 .* not 377"):
        await bank.refund(name, 377, "INR")
    with pytest.raises(PaymentUnavailable, match="not USD 123"):
        await bank.refund(name, 123, "USD")
    assert await fetch(bank, key) == [GatewayPayment(name, "refunded", 500, "INR", 123)]


async def test_parts_are_given_back_by_key_and_never_more_than_was_taken(bank: Bank, key: str) -> None:
    name = await authorise(bank, key)
    assert await bank.refund(name, 100, "INR", "early") == "authorised"
    await bank.capture(name, 500, "INR")
    first = await bank.refund(name, 100, "INR", "one")
    assert isinstance(first, GatewayRefund)
    assert await bank.refund(name, 100, "INR", "one") == first
    with pytest.raises(PaymentUnavailable, match="100 of INR 500"):
        await bank.refund(name, 101, "INR", "one")
    second = await bank.refund(name, 300, "INR", "two")
    assert isinstance(second, GatewayRefund)
    assert second.name != first.name
    with pytest.raises(PaymentUnavailable, match=r"100 of INR 500 .* left"):
        await bank.refund(name, 101, "INR", "three")
    assert await fetch(bank, key) == [GatewayPayment(name, "captured", 500, "INR", 400)]
    await bank.refund(name, 100, "INR")
    assert await fetch(bank, key) == [GatewayPayment(name, "refunded", 500, "INR", 500)]


async def test_a_refund_that_does_not_say_how_much_is_refused(bank: Bank, sandbox_bank: Settings, key: str) -> None:
    """As a process of the release before asks, which does not know that something is kept."""
    name = await authorise(bank, key)
    await bank.capture(name, 500, "INR")
    url = f"{bank_url(sandbox_bank)}/payments/{name}/refund"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"{}") as response:
        assert response.status == 409
    assert [payment.state for payment in await bank.fetch(key)] == ["captured"]


def test_what_was_refunded_before_there_were_parts_was_refunded_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with contextlib.closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute(
            """CREATE TABLE payment (
                authorisation TEXT PRIMARY KEY, key TEXT NOT NULL,
                amount_minor INTEGER NOT NULL CHECK (amount_minor > 0), currency TEXT NOT NULL,
                state TEXT NOT NULL, due_at REAL
            ) STRICT, WITHOUT ROWID"""
        )
        ledger.execute("INSERT INTO payment VALUES ('back', 'key', 500, 'INR', 'refunded', NULL)")
        ledger.execute("INSERT INTO payment VALUES ('here', 'key', 500, 'INR', 'captured', NULL)")
    for _ in range(2):
        bank = SandboxBank(path, "", None, "")
        assert [payment.refunded_minor for payment in bank.payments("key")] == [500, 0]
        bank.close()


async def test_an_answer_of_another_form_is_as_none() -> None:
    """A sandbox bank of the release before may still run."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response([{"authorisation": "money", "state": "authorised", "amount_minor": 50000}])

    app = web.Application()
    app.router.add_get("/payments/{key}", answer)
    async with TestServer(app) as server, SandboxGateway(str(server.make_url("")).rstrip("/"), None) as gateway:
        with pytest.raises(PaymentUnavailable):
            await gateway.fetch("1:2")


async def test_what_is_not_there_is_unavailable(bank: Bank, key: str) -> None:
    with pytest.raises(PaymentUnavailable, match="no such"):
        await bank.capture(f"sandbox-{key}", 500, "INR")
    name = await authorise(bank, key)
    with pytest.raises(PaymentUnavailable, match="500"):
        await bank.capture(name, 499, "INR")
    async with SandboxGateway("http://127.0.0.1:9", "secret") as nobody:
        with pytest.raises(PaymentUnavailable):
            await nobody.fetch(key)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Settings]:
    with running_bank(Settings(None, tmp_path, account="root", port=9, sandbox_payments=True)) as settings:
        yield settings


def bank_processes(port: int) -> list[int]:
    """Return the processes whose environment names this port."""
    found = []
    for pid, command in command_lines():
        with contextlib.suppress(OSError):
            if b"healthplus_sandbox" in command and b"HEALTHPLUS_SANDBOX_BANK_PORT=%d" % port in Path(
                f"/proc/{pid}/environ"
            ).read_bytes().split(b"\0"):
                found.append(pid)
    return found


async def test_it_comes_back_when_it_dies_and_forgets_nothing(own: Settings, key: str) -> None:
    async with SandboxGateway(bank_url(own), "", 30) as gateway:
        name = await authorise(gateway, key)
        (victim,) = bank_processes(own.sandbox_bank_port)
        os.kill(victim, signal.SIGKILL)
        while True:  # who has a connection to it sees it break, and asks again
            with contextlib.suppress(PaymentUnavailable):
                assert await gateway.capture(name, 500, "INR") == "captured"
                break
        assert bank_processes(own.sandbox_bank_port) != [victim]


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    keeper = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time; from pathlib import Path; from healthplus.settings import Settings\n"
            "from healthplus.payments.gateways.sandbox_process import running_bank\n"
            "with running_bank(Settings(None, Path(sys.argv[1]), account='root')) as bank:\n"
            "    print(bank.sandbox_bank_port, flush=True); time.sleep(60)",
            tmp_path,
        ],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert keeper.stdout
    with keeper.stdout as said:
        port = int(said.readline())
    give_up = time.monotonic() + 30
    while not (tmp_path / "sandbox-bank" / "sandbox-bank.sqlite3").exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)
    keeper.kill()
    keeper.wait()
    while bank_processes(port):
        assert time.monotonic() < give_up
        time.sleep(0.05)


async def test_it_fails_as_planned(own: Settings, key: str) -> None:
    async def behave(plan: FaultPlan) -> None:
        async with aiohttp.ClientSession() as session:
            await session.post(f"{bank_url(own)}/fault-plan", data=msgspec.json.encode(plan))

    async with SandboxGateway(bank_url(own), "", 30) as gateway, SandboxGateway(bank_url(own), "", 0.3) as hasty:
        await behave(FaultPlan(fail_before=1))
        with pytest.raises(PaymentUnavailable):
            await authorise(gateway, key)
        await behave(FaultPlan())
        assert await gateway.fetch(key) == []
        for plan in (FaultPlan(fail_after=1), FaultPlan(never_answer=1), FaultPlan(slow=1, slow_seconds=0.6)):
            done_key = f"{key}{plan.slow}{plan.never_answer}"
            await behave(plan)
            with pytest.raises(PaymentUnavailable):
                await authorise(hasty, done_key)
            await asyncio.sleep(0.4 if plan.slow else 0)
            await behave(FaultPlan())
            assert [fact.state for fact in await gateway.fetch(done_key)] == ["authorised"]
        with contextlib.closing(sqlite3.connect(own.data_folder / "sandbox-bank" / "sandbox-bank.sqlite3")) as ledger:
            assert ledger.execute("SELECT count(*) FROM moved").fetchone() == (3,)


def test_a_port_in_use_is_said(sandbox_bank: Settings) -> None:
    with pytest.raises(Conflict, match="HEALTHPLUS_SANDBOX_BANK_PORT"), running_bank(sandbox_bank):
        pass


async def test_it_is_fast_enough_for_the_way_of_every_booking(bank: Bank) -> None:
    await authorise(bank, f"1:{uuid4()}")
    spent = time.process_time()
    for _ in range(200):
        await authorise(bank, f"1:{uuid4()}")
    assert (time.process_time() - spent) / 200 < 3e-3  # some 0.4 ms of this process; the rest is for a busy machine
