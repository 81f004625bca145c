"""Which commands apply anything to a database, and which only ask whether it is theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database

CHECKING = [
    ["find", "Dr"],
    ["fee", "1", "1", "500"],
    ["shift", "add", "1", "1", "Mon 09:00-10:00/10"],
    ["leave", "add", "1", "2100-12-24T00:00+0530", "2100-12-26T00:00+0530"],
    ["patient", "add", "Asha"],
    ["key", "list"],
    ["check"],
    ["import", __file__],
]


async def run(*arguments: str) -> Result:
    # In a thread: commands run an event loop of their own.
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


@pytest.mark.parametrize("arguments", CHECKING)
async def test_a_command_sets_no_database_up(
    arguments: list[str], blank_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", blank_dsn)
    result = await run(*arguments)
    assert result.exit_code == 1
    assert result.output == "Error: The database is not set up for this version; run `healthplus migrate`.\n"
    async with await Database.connect(blank_dsn, min_size=1, max_size=1) as db:
        assert await db.fetch_value("SELECT count(*) FROM pg_namespace WHERE nspname = 'booking'") == 0
        assert await db.fetch_value("SELECT to_regclass('public.schema_migration')") is None


def test_a_command_makes_no_embedded_database(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("HEALTHPLUS_DATA", str(server_folder))
    result = CliRunner().invoke(main, ["find", "Dr"])
    assert result.exit_code == 1
    assert "run `healthplus migrate`" in result.output
    assert list(server_folder.iterdir()) == []


async def test_a_newcomer_migrates_and_goes_on(blank_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", blank_dsn)
    for _ in range(2):
        assert (await run("migrate")).output.endswith("The database is up to date.\n")
    assert (await run("check")).output == "Every invariant holds.\n"
