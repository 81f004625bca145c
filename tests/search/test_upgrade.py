from __future__ import annotations

from datetime import datetime

from healthplus.accounts.actors import System
from healthplus.booking.book import Book
from healthplus.database import Database, migrate
from tests.fixtures.environment import FREE, ONLINE, PROVIDER, Environment


async def test_a_filled_database_from_before_search_gets_all_that_search_reads(db: Database, dsn: str) -> None:
    environment = await Environment.make(db)
    book = Book(db)
    # The only slot of the evening, and the last of the morning.
    for start, clinic, who in ((environment.at(18), FREE, "asha"), (environment.at(11, 30), ONLINE, "bina")):
        held = await book.hold(PROVIDER, clinic, datetime.fromisoformat(start), 1, environment.ids[who], System("test"))
        assert held.code == "reserved"
    noted = await db.fetch("SELECT * FROM booking.scarce_day ORDER BY clinic_id")
    assert len(noted) == 2
    await db.execute("TRUNCATE booking.scarce_day, search.listing")
    await db.execute("DELETE FROM public.schema_migration WHERE name LIKE '%.after'")
    await migrate(dsn)
    assert await db.fetch("SELECT * FROM booking.scarce_day ORDER BY clinic_id") == noted
    assert await db.fetch_value("SELECT count(*) FROM search.listing WHERE scarce") == 2
