"""Whether the process lives is for balancers; whether bookings can be made is for people and deploys."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from litestar import Litestar

from healthplus import cli, serving
from healthplus.accounts.keys import add_key
from healthplus.database import Database, refuse_unsafe_commits
from healthplus.errors import UnsafeCommits
from healthplus.monitoring.readiness import LIMITS, DatabaseChecks, Readiness
from healthplus.settings import Settings
from healthplus.waiting.waiting_users import DRAIN_SIGNAL
from tests.fixtures.clock import until
from tests.fixtures.environment import AT_CLINIC, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.problem import problem

_END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'healthplus%'"""


@pytest.fixture
async def checks(dsn: str) -> AsyncIterator[DatabaseChecks]:
    async with await Database.connect(dsn, 1, 1, LIMITS) as database:
        yield DatabaseChecks(database, allow_unsafe_commits=True)


ASKED = ContextVar("ASKED", default=False)
"""Whether it is this test that asks, and not a background task of the app."""


async def test_live_says_when_the_process_drains_and_asks_no_database(
    app: Litestar, anyone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    borrow = Database._borrow

    async def refuse(*args: Any, **more: Any) -> Any:
        if ASKED.get():
            raise AssertionError("the database was asked")
        return await borrow(*args, **more)

    ASKED.set(True)
    monkeypatch.setattr(Database, "_borrow", refuse)
    assert (await anyone.get("live")).json() == {"status": "live"}
    os.kill(os.getpid(), DRAIN_SIGNAL)
    await asyncio.sleep(0.05)
    problem(await anyone.get("live"), 503, "draining")


async def test_ready_has_a_connection_of_its_own(app: Litestar, anyone: Client) -> None:
    database: Database = app.state.services.database
    taken = [database.transaction() for _ in range(10)]
    for one in taken:
        await one.__aenter__()
    try:
        async with asyncio.timeout(0.9):
            assert (await anyone.get("ready")).status_code == 200
    finally:
        for one in taken:
            await one.__aexit__(None, None, None)


async def test_a_database_that_does_not_answer_is_not_ready_within_a_second(
    checks: DatabaseChecks, db: Database
) -> None:
    readiness = Readiness(checks.all())
    assert await readiness.reasons() == []
    loop = asyncio.get_running_loop()
    async with db.transaction() as other:
        await other.execute("LOCK TABLE public.schema_migration")
        began = loop.time()
        assert await readiness.reasons() == ["The database does not answer (LockNotAvailableError)."]
    slow = Readiness([*checks.all(), lambda: asyncio.sleep(5, "late")])
    assert await slow.reasons() == ["The database did not answer within 1 s."]
    assert loop.time() - began < 3
    assert await readiness.reasons() == []


async def test_a_lost_connection_is_opened_again(checks: DatabaseChecks, db: Database) -> None:
    readiness = Readiness(checks.all())
    await db.execute(_END_OTHERS)
    await until(lambda: _none(readiness), 5)


async def _none(readiness: Readiness) -> bool:
    return await readiness.reasons() == []


async def test_a_database_that_lacks_migrations_is_not_ready(checks: DatabaseChecks, db: Database) -> None:
    await db.execute("DELETE FROM public.schema_migration WHERE number > 5")
    assert await Readiness(checks.all()).reasons() == ["The database lacks migrations; run `healthplus migrate`."]


@pytest.mark.parametrize(
    ("statements", "ready"),
    [
        (["ALTER DATABASE {database} SET default_transaction_read_only = on"], False),
        (["ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = true"], False),
        # What is set for a role here wins over what is set for the database.
        (
            [
                "ALTER DATABASE {database} SET default_transaction_read_only = on",
                "ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = off",
            ],
            True,
        ),
    ],
)
async def test_a_database_that_new_sessions_cannot_change_is_not_ready(
    checks: DatabaseChecks, db: Database, dsn: str, statements: list[str], ready: bool
) -> None:
    database, role = await db.fetch_value("SELECT current_database()"), await db.fetch_value("SELECT session_user")
    for statement in statements:
        await db.execute(statement.format(database=database, role=role))
    reasons = [] if ready else ["The database is read-only (default_transaction_read_only)."]
    assert await Readiness(checks.all()).reasons() == reasons
    async with await Database.connect(dsn, 1, 1) as fresh:
        assert await fresh.fetch_value("SHOW transaction_read_only") == ("off" if ready else "on")


async def test_commits_that_a_power_cut_may_lose_are_refused(checks: DatabaseChecks, dsn: str) -> None:
    """The tests' own server is such a one."""
    assert await checks.is_durable() is None  # as it was told otherwise
    checks._allow_unsafe_commits = False
    off = "fsync, full_page_writes, synchronous_commit."
    assert await checks.is_durable() == f"Bookings could be lost in a power cut: off at the database server: {off}"
    with pytest.raises(UnsafeCommits, match=f"Off at the database server: {off}"):
        await refuse_unsafe_commits(dsn)


def test_serve_refuses_them_unless_told_otherwise(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[Settings] = []
    monkeypatch.setattr(serving, "_run_processes", served.append)
    with socket.socket() as room:
        room.bind(("127.0.0.1", 0))
        port = str(room.getsockname()[1])
    environment = {"DATABASE_URL": dsn, "HEALTHPLUS_DATA": str(tmp_path), "HEALTHPLUS_ALLOW_UNSAFE_COMMITS": ""}
    refused = CliRunner().invoke(cli.main, ["serve", "--port", port], env=environment)
    assert (refused.exit_code, served) == (1, [])
    assert "Off at the database server: fsync" in refused.output
    allowed = CliRunner().invoke(cli.main, ["serve", "--port", port, "--allow-unsafe-commits"], env=environment)
    assert (allowed.exit_code, [one.allow_unsafe_commits for one in served]) == (0, [True])
    environment["HEALTHPLUS_ALLOW_UNSAFE_COMMITS"] = "1"
    assert CliRunner().invoke(cli.main, ["serve", "--port", port], env=environment).exit_code == 0


async def test_a_read_only_database_is_read_and_says_so_at_every_entrance(
    app: Litestar, http: httpx.AsyncClient, asha: Client, environment: Environment, db: Database
) -> None:
    slot = {"clinic_id": AT_CLINIC, "start": environment.at(13)}
    held = (await asha.post(f"providers/{PROVIDER}/holds", slot)).json()
    _, key = await add_key(db, "Acme", ("search", "book"))
    await db.execute("UPDATE accounts.session SET used_on = used_on - 1")  # the next use is the first of its day
    database = await db.fetch_value("SELECT current_database()")
    await db.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    await db.execute(_END_OTHERS)
    browser = Browser(app, environment.tokens["asha"])

    async def is_noticed() -> bool:
        return (await asha.get("ready")).status_code == 503

    await until(is_noticed)
    reasons = (await asha.get("ready")).json()
    assert (reasons["code"], reasons["detail"]) == (
        "not_ready",
        "The database is read-only (default_transaction_read_only).",
    )
    assert (await asha.get("live")).status_code == 200
    hold = {"clinic_id": AT_CLINIC, "start": environment.at(14)}
    window = {"clinic_id": AT_CLINIC, "from": environment.at(13), "to": environment.at(14)}
    for answer in (
        await asha.post(f"providers/{OTHER_PROVIDER}/holds", hold),
        await asha.post(f"providers/{OTHER_PROVIDER}/waits", window),
        await asha.post(f"{held['url']}/payment", {"method": "card"}),
        await asha.delete(held["url"]),
    ):
        problem(answer, 503, "read_only")
        assert answer.headers["retry-after"] == "1"
    chart = f"/doctor/{OTHER_PROVIDER}/dr-2/{AT_CLINIC}?day={environment.day:%Y-%m-%d}"
    page = await browser.post(chart, {"start": environment.at(14)})
    assert (page.status_code, "Nothing can be booked or changed just now" in page.text) == (503, True)
    for path in ("/", chart, "/appointments", f"/api/v1{held['url'].removeprefix('/api/v1')}"):
        shown = await (asha.get(path) if path.startswith("/api/") else browser.get(path))
        assert shown.status_code == 200, (path, shown.text)
    doctors = await http.get("/api/v1/doctors?q=dr", headers={"Api-Dev-Key": key})
    assert doctors.status_code == 200, doctors.text
    await db.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
