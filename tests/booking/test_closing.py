"""Closing clinics and providers by command, and opening them again: what is booked there, and who finds them."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from tests.fixtures.directory import make_provider
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment

_OPEN = "SELECT count(*) FROM directory.provider_clinic WHERE closed_since IS NULL"
_LISTED = "SELECT count(*) FROM search.listing"
_NAMES = "SELECT count(*) FROM search.name WHERE kind = 'clinic' AND id = $1"
_FLAGGED = "SELECT count(*) FROM booking.booking WHERE needs_rebooking"


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, [*words])


@pytest.fixture
def command(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))


@pytest.mark.usefixtures("command")
async def test_a_clinic_closes_and_opens_again(db: Database, environment: Environment) -> None:
    held = await environment.hold(environment.instant(13), AT_CLINIC)
    assert held.booking_id is not None
    assert (await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor("asha"))).code == "booked"
    refused = await run("close", "--clinic", "clinic-2")
    assert refused.exit_code == 1
    assert f"bookings are in the way: {held.booking_id}" in refused.output
    assert await db.fetch_value(_OPEN) == 6
    closed = await run("close", "--clinic", "clinic-2", "--flag-for-rebooking", "--reason", "sold")
    assert closed.output == "Clinic 2 is closed. Appointments to be rebooked: 1.\n"
    assert (await db.fetch_value(_OPEN), await db.fetch_value(_LISTED), await db.fetch_value(_FLAGGED)) == (4, 4, 1)
    assert await db.fetch_value(_NAMES, AT_CLINIC) == 0
    assert "closed already" in (await run("close", "--clinic", "clinic-2")).output
    assert (await environment.hold(environment.instant(14), AT_CLINIC, "bina")).code == "no_such_slot"
    # Who is added meanwhile is closed with it, and one of them alone cannot be opened.
    await make_provider(db, {AT_CLINIC: (0, "clinic")})
    assert await db.fetch_value(_OPEN) == 4
    assert "stays closed" in (await run("reopen", "--clinic", str(AT_CLINIC), "--provider", str(PROVIDER))).output
    opened = await run("reopen", "--clinic", str(AT_CLINIC))
    assert opened.output == "Clinic 2 is open again. Appointments that stand again: 1.\n"
    assert (await db.fetch_value(_OPEN), await db.fetch_value(_LISTED), await db.fetch_value(_FLAGGED)) == (7, 7, 0)
    assert await db.fetch_value(_NAMES, AT_CLINIC) > 0
    noted = await db.fetch("SELECT action, detail FROM staff.audit_entry ORDER BY entry_id")
    assert [tuple(row) for row in noted] == [("close_clinic", "changed; sold"), ("open_clinic", "changed; ")]


@pytest.mark.usefixtures("command")
async def test_what_was_closed_otherwise_stays_closed(db: Database, environment: Environment) -> None:
    assert environment.ids
    for words in (["--clinic", "3", "--provider", "1"], ["--clinic", "3"], ["--provider", "provider-2"]):
        assert (await run("close", *words)).exit_code == 0
    assert await db.fetch_value(_OPEN) == 2
    # The clinic takes back those who were closed with it, but not who is closed alone there, or everywhere.
    assert (await run("reopen", "--clinic", str(FREE))).exit_code == 0
    assert await db.fetch_value(_OPEN) == 2
    assert (await run("reopen", "--provider", str(OTHER_PROVIDER))).exit_code == 0
    assert await db.fetch_value(_OPEN) == 5
    assert (await run("reopen", "--clinic", "3", "--provider", "1")).exit_code == 0
    assert await db.fetch_value(_OPEN) == 6
    for words, why in (
        (["reopen", "--clinic", str(ONLINE)], "is not closed"),
        (["close"], "Say what"),
        (["close", "--clinic", "nowhere"], "There is no clinic 'nowhere'"),
    ):
        assert why in (await run(*words)).output
