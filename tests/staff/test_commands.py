"""`healthplus staff`, as an operator types it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.errors import StaffLinkOver
from healthplus.staff.own_account import OwnAccount
from healthplus.staff.passwords import Passwords
from tests.fixtures.codes import SECRET
from tests.fixtures.environment import PROVIDER, Environment
from tests.fixtures.staff import PASSWORD, audit

Run: TypeAlias = Callable[..., Awaitable[str]]


@pytest.fixture
async def run(environment: Environment, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What runs `healthplus staff` on a directory with clinics, and returns what it says."""
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    monkeypatch.setenv("DATABASE_OWNER_URL", dsn)

    async def invoke(*words: object, fails: bool = False) -> str:
        # In a thread: a command runs an event loop of its own.
        result: Result = await asyncio.to_thread(CliRunner().invoke, main, ["staff", *(str(word) for word in words)])
        assert result.exit_code == (1 if fails else 0), result.output
        return result.output

    return invoke


def token_in(said: str) -> str:
    found = re.search(r"/desk/welcome\?link=([\w-]{43})\n", said)
    assert found, said
    return found[1]


async def test_from_the_first_link_to_the_end(run: Run, db: Database) -> None:
    own = OwnAccount(db, SECRET, Passwords())
    said = await run("add", "Meera", "Meera Rao", "--role", "desk", "--clinic", "clinic-1", "--clinic", 2)
    assert "it works once, within a day" in said
    listed = await run("list")
    assert listed == "meera Meera Rao: desk at Clinic 1 (1), desk at Clinic 2 (2); has not logged in yet\n"
    await own.use_link(token_in(said), PASSWORD, None, "", "")
    assert (await run("list")).endswith("; password\n")
    assert await run("role", "meera", "ward", "--clinic", 2) == "The role is set.\n"
    assert await run("role", "meera", "none", "--clinic", 1) == "The role is set.\n"
    assert "meera Meera Rao: ward at Clinic 2 (2);" in await run("list")
    first, second = token_in(await run("reset", "meera")), token_in(await run("reset", "meera", "--factors"))
    with pytest.raises(StaffLinkOver):
        await own.link(first)
    assert (await own.link(second))["ends_factors"]
    assert await run("disable", "meera") == "The account is disabled.\n"
    assert re.search(r"; disabled \d{4}-\d\d-\d\d\n", await run("list"))
    assert "disabled already" in await run("disable", "meera", fails=True)
    assert "is disabled" in await run("reset", "meera", fails=True)
    await own.link(token_in(await run("enable", "meera")))
    assert {one[0] for one in await audit(db)} == {"system:operator", "staff:1"}


async def test_what_does_not_fit_is_refused(run: Run, db: Database) -> None:
    add = ("add", "meera", "Meera Rao", "--role")
    assert "say where" in await run(*add, "desk", fails=True)
    assert "every clinic" in await run(*add, "administrator", "--clinic", 1, fails=True)
    assert "say whom" in await run(*add, "practitioner", "--clinic", 1, fails=True)
    assert "say whom" in await run(*add, "desk", "--clinic", 1, "--provider", PROVIDER, fails=True)
    assert "no clinic 'nowhere'" in await run(*add, "desk", "--clinic", "nowhere", fails=True)
    assert "Nobody has the log-on ID" in await run("reset", "meera", fails=True)
    assert await db.fetch_value("SELECT count(*) FROM staff.account") == 0
    await run(*add, "practitioner", "--clinic", 1, "--provider", "provider-1")
    assert await db.fetch_value("SELECT provider_id FROM staff.account") == PROVIDER
    assert "already" in await run(*add, "desk", "--clinic", 1, fails=True)


async def test_the_last_administrator_stays(run: Run, db: Database) -> None:
    await run("add", "sunita", "Sunita Nair", "--role", "administrator")
    for words in (("disable", "sunita"), ("role", "sunita", "none")):
        assert "the last administrator" in await run(*words, fails=True)
    said = await run("add", "arun", "Arun Kulkarni", "--role", "administrator")
    assert "the last administrator" in await run("disable", "sunita", fails=True)  # the other cannot log in yet
    await OwnAccount(db, SECRET, Passwords()).use_link(token_in(said), PASSWORD, None, "", "")
    await run("disable", "sunita")


async def test_who_becomes_more_than_a_desk_gets_a_new_link(run: Run, db: Database) -> None:
    own = OwnAccount(db, SECRET, Passwords())
    first = token_in(await run("add", "meera", "Meera Rao", "--role", "desk", "--clinic", 1))
    said = await run("role", "meera", "administrator")
    assert "has ended" in said
    with pytest.raises(StaffLinkOver):
        await own.use_link(first, PASSWORD, None, "", "")
    await own.use_link(token_in(said), PASSWORD, None, "", "")
