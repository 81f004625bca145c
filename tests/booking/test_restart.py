"""A restart of the database is no fault of those who wait: they count as present for a minute after it."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import time, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, System
from healthplus.booking.book import Book
from healthplus.database import Database, EmbeddedServer, migrate
from healthplus.errors import DatabaseUnreachable
from healthplus.ops.check import violations
from tests.fixtures.clock import days_ahead, move_clock
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients, see

SMALL = {"shared_buffers": "128MB"}


async def wait_behind_a_hold(dsn: str) -> tuple[int, UUID, UUID]:
    """Return a provider, a hold of its only slot, and the ticket for it of somebody not seen for ten minutes."""
    await migrate(dsn)
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        clinic = await make_clinic(db)
        provider = await make_provider(db, {clinic: (0, "free")})
        await make_shift(db, provider, clinic, DAILY, time(9, 30), time(10), 30)
        holder, waiter = await make_patients(db, 2)
        start = await days_ahead(db, 3, time(9, 30))
        book = Book(db)
        held = await book.hold(provider, clinic, start, 1, holder, Patient(holder))
        waiting = await book.join_queue(
            provider, clinic, start, start + timedelta(minutes=30), 1, waiter, Patient(waiter)
        )
        assert held.booking_id
        assert waiting.ticket_id
        await see(db, provider, waiting.ticket_id)
        await db.execute("UPDATE booking.ticket SET present_at = present_at - interval '10 minutes'")
        await db.execute("UPDATE booking.presence SET seen_at = seen_at - interval '10 minutes'")
        return provider, held.booking_id, waiting.ticket_id


async def release_and_look(dsn: str, provider: int, hold: UUID) -> str:
    """Let the slot go; return what became of the ticket."""
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        assert (await Book(db).release(provider, hold, System("test"))).code == "released"
        assert await violations(db) == []
        return str(await db.fetch_value("SELECT state FROM booking.ticket"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_everyone_is_present_after_a_restart(server_folder: Path, how: signal.Signals) -> None:
    with EmbeddedServer(server_folder, SMALL) as dsn:
        provider, hold, _ = asyncio.run(wait_behind_a_hold(dsn))
        postmaster = int((server_folder / "server" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, how)
        with EmbeddedServer(server_folder, SMALL) as restarted:
            assert asyncio.run(release_and_look(restarted, provider, hold)) == "offered"


def test_everyone_is_present_after_a_crash_of_one_session(server_folder: Path) -> None:
    """It empties what is known of presence, and the server goes on without having been restarted."""
    with EmbeddedServer(server_folder, SMALL) as dsn:
        provider, hold, ticket = asyncio.run(wait_behind_a_hold(dsn))
        asyncio.run(lose_a_session_ten_minutes_later(dsn, provider, ticket))
        assert asyncio.run(release_and_look(dsn, provider, hold)) == "offered"


async def lose_a_session_ten_minutes_later(dsn: str, provider: int, ticket: UUID) -> None:
    async with await Database.connect(dsn, min_size=1, max_size=1) as db:
        # By the product's clock, the server was started ten minutes ago.
        await move_clock(db, minutes=10)
        await db.execute("UPDATE booking.booking SET deadline = deadline + interval '10 minutes'")
        await see(db, provider, ticket)
        os.kill(await db.fetch_value("SELECT pg_backend_pid()"), signal.SIGKILL)
    async with asyncio.timeout(30):
        while True:
            try:
                async with await Database.connect(dsn, min_size=1, max_size=1) as db:
                    assert await db.fetch_value("SELECT count(*) FROM booking.presence") == 0
                    return
            except DatabaseUnreachable:
                await asyncio.sleep(0.1)


async def test_who_was_away_is_passed_over_without_one(dsn: str, db: Database) -> None:
    provider, hold, _ = await wait_behind_a_hold(dsn)
    # The server of the tests may have started just now; by the product's clock it started ten minutes ago.
    await move_clock(db, minutes=10)
    await db.execute("UPDATE booking.booking SET deadline = deadline + interval '10 minutes'")
    assert await release_and_look(dsn, provider, hold) == "waiting"
