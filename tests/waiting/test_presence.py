"""Presence is written in batches, and one row that cannot be written does not make the others absent."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from healthplus.database import REQUESTS, Database
from healthplus.errors import DatabaseBusy, DatabaseUnreachable
from healthplus.waiting.presence import Presence

_WRITTEN = "SELECT ticket_id FROM booking.presence WHERE provider_id = $1"


async def written(db: Database, provider_id: int) -> list[UUID]:
    return [row["ticket_id"] for row in await db.fetch(_WRITTEN, provider_id)]


async def test_a_locked_row_is_written_later_and_the_others_now(dsn: str, db: Database) -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    async with await Database.connect(dsn, 1, 2, REQUESTS) as database:
        presence = Presence(database)
        await presence.see(1, first)
        await presence.flush()
        before = await db.fetch_value("SELECT seen_at FROM booking.presence")
        async with db.transaction() as other:
            await other.execute("SELECT FROM booking.presence FOR UPDATE")
            await presence.see(1, first)
            await presence.see(2, second)
            with pytest.raises(DatabaseBusy):
                await presence.flush()
            assert await written(db, 2) == [second]
            await presence.see(3, third, uuid4())  # an offer that was shown is written at once, and was
            assert await written(db, 3) == [third]
        await presence.flush()
        assert await db.fetch_value("SELECT seen_at FROM booking.presence WHERE provider_id = 1") > before


async def test_what_a_lost_connection_kept_from_being_written_is_written_later(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence, ticket = Presence(db), uuid4()

    async def fail(*_: object) -> None:
        raise DatabaseUnreachable

    await presence.see(1, ticket)
    with monkeypatch.context() as away:
        away.setattr(db, "execute", fail)
        with pytest.raises(DatabaseUnreachable):
            await presence.flush()
    await presence.flush()
    assert await written(db, 1) == [ticket]
