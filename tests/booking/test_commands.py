"""What the commands refuse before a verb is called."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from tests.fixtures.clock import move_clock, product_now
from tests.fixtures.directory import make_clinic, make_provider
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment


@pytest.mark.dates
async def test_a_leave_that_is_over_by_the_products_clock_is_refused(
    dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    provider = await make_provider(db, {await make_clinic(db): (50000, "online")})
    starts = await product_now(db) + timedelta(days=1)
    words = [f"{at:%Y-%m-%dT%H:%M}+0000" for at in (starts, starts + timedelta(days=1))]

    async def add() -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["leave", "add", str(provider), *words])

    added = await add()
    assert (added.exit_code, added.output) == (0, "Added the leave.\n")
    await move_clock(db, days=2, minutes=1)
    refused = await add()
    assert refused.exit_code == 1
    assert "A leave must not end in the past." in refused.output
    assert await db.fetch_value("SELECT count(*) FROM schedule.leave") == 1


async def test_shifts_and_leaves_are_listed_and_taken_back(
    dsn: str, db: Database, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    held = await environment.hold(environment.instant(13), AT_CLINIC)
    assert held.booking_id is not None
    booked = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor("asha"))
    assert booked.code == "booked"
    flagged = "SELECT needs_rebooking FROM booking.booking WHERE state = 'booked'"

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, [*words])

    listed = (await run("shift", "list", str(PROVIDER))).output
    day = (environment.day + timedelta(hours=6)).strftime("%a")
    shift = re.search(rf"shift (\d+), clinic 2 \(Clinic 2\): {day} 13:00-16:00/30 slots_max=4", listed)
    assert shift, listed
    refused = await run("shift", "remove", str(PROVIDER), shift[1])
    assert f"bookings are in the way: {held.booking_id}" in refused.output
    assert (await run("shift", "remove", str(PROVIDER), "999999")).exit_code == 1
    ended = await run("shift", "remove", str(PROVIDER), shift[1], "--flag-for-rebooking")
    assert (ended.exit_code, ended.output) == (0, "The shift is ended.\n")
    assert await db.fetch_value(flagged)
    # With the shift there again, the appointment stands.
    assert (await run("shift", "add", str(PROVIDER), "2", f"{day} 13:00-16:00/30 slots_max=4")).exit_code == 0
    assert not await db.fetch_value(flagged)
    assert (await run("leave", "list", str(PROVIDER))).output == "No leave.\n"
    zone = ZoneInfo("Asia/Kolkata")
    times = [f"{environment.instant(hour).astimezone(zone):%Y-%m-%dT%H:%M%z}" for hour in (12, 15)]
    assert (await run("leave", "add", str(PROVIDER), *times, "--reason", "Holi", "--flag-for-rebooking")).exit_code == 0
    assert await db.fetch_value(flagged)
    listed = (await run("leave", "list", str(PROVIDER))).output
    leave = re.fullmatch(rf"leave ([0-9a-f-]{{36}}), all clinics: {re.escape(' to '.join(times))}, Holi\n", listed)
    assert leave
    back = await run("leave", "remove", str(PROVIDER), leave[1])
    assert (back.exit_code, back.output) == (0, "The leave is taken back. Appointments that stand again: 1.\n")
    assert not await db.fetch_value(flagged)
    assert await db.fetch_value("SELECT count(*) FROM booking.event WHERE kind = 'stands'") == 2
    noted = await db.fetch(
        "SELECT action, is_refused, detail, clinic_id, provider_id FROM staff.audit_entry "
        "WHERE actor = 'system:operator' ORDER BY entry_id"
    )
    assert [(row["action"], row["is_refused"]) for row in noted] == [
        ("change_shifts", True),
        *[("change_shifts", False)] * 2,
        ("add_leave", False),
        ("remove_leave", False),
    ]
    assert {row["provider_id"] for row in noted} == {PROVIDER}
    assert [row["clinic_id"] for row in noted] == [2, 2, 2, None, None]
    assert noted[0]["detail"] == f"conflict; ended {shift[1]}"
    assert noted[3]["detail"] == noted[4]["detail"] != ""
    assert "There is no leave" in (await run("leave", "remove", str(PROVIDER), leave[1])).output
