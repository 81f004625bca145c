"""Money that release 2 wrote, brought to where a payment's facts stand in its own row."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

import healthplus
from healthplus.database import Database, migrate
from healthplus.database.areas import AREAS, Area
from healthplus.database.server_files import APP_ROLE, as_app_role

MIGRATIONS = Path(healthplus.__file__).parent / "database" / "migrations"
# These came later.
TABLES_ONLY = [Area(area.name, area.schema) for area in AREAS if area.name not in ("backup", "monitoring")]
BOOKS = 3

# What release 2 granted, as far as it matters here.
RIGHTS = f"""
GRANT USAGE ON SCHEMA ledger, booking, payments TO {APP_ROLE};
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ledger, booking, payments TO {APP_ROLE};
REVOKE UPDATE ON ledger.entry FROM {APP_ROLE}"""
# As its functions have them.
SET_ASIDE = """
INSERT INTO ledger.payment (provider_id, hold_id, booking_id, authorisation, amount_minor, due, at)
VALUES ($1, $2, $3, $4, 50000, 'capture', clock_timestamp())"""
AUTHORISED = """
INSERT INTO ledger.entry (provider_id, hold_id, authorisation, state, amount_minor, currency, source, at)
VALUES ($1, $2, $3, 'authorised', 50000, $4, 'answer', clock_timestamp())"""
REACHED = """
INSERT INTO ledger.entry (provider_id, hold_id, authorisation, state, amount_minor, currency, source, at)
SELECT provider_id, hold_id, authorisation, $4::ledger.payment_state, amount_minor, currency, 'webhook', now()
FROM ledger.entry
WHERE provider_id = $1 AND hold_id = $2 AND authorisation = $3 AND state = 'authorised'
ON CONFLICT DO NOTHING"""
ADVANCED = """
UPDATE ledger.payment SET state = $4, due = NULL, at = clock_timestamp()
WHERE provider_id = $1 AND hold_id = $2 AND authorisation = $3"""
ENTRIES = """
SELECT provider_id, hold_id, authorisation, state::text, amount_minor, source::text, at, currency FROM ledger.entry
ORDER BY provider_id, hold_id, authorisation, state"""


async def pay(app: Database, provider_id: int, *reached: str, currency: str | None = None) -> UUID:
    """Have a payment reach states, as release 2 writes them; return its hold."""
    hold, name = uuid4(), f"sandbox-{uuid4()}"
    await app.execute(SET_ASIDE, provider_id, hold, uuid4() if "late" in reached else hold, name)
    await app.execute(AUTHORISED, provider_id, hold, name, currency)
    for state in reached:
        if state != "late":
            await app.execute(REACHED, provider_id, hold, name, state)
            await app.execute(REACHED, provider_id, hold, name, state)  # reported again
            await app.execute(ADVANCED, provider_id, hold, name, state)
    return hold


async def pay_in_all_ways(app: Database) -> None:
    for provider_id in range(1, BOOKS + 1):
        await pay(app, provider_id)
        await pay(app, provider_id, "captured")
        await pay(app, provider_id, "captured", "late")
        await pay(app, provider_id, "captured", "refunded", currency="USD")
        await pay(app, provider_id, "voided")


async def entries(db: Database) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await db.fetch(ENTRIES)]


@pytest.fixture
def of_release_2(tmp_path: Path) -> Path:
    """The tables of release 2, without functions and what needs them."""
    folder = tmp_path / "database" / "migrations"
    folder.mkdir(parents=True)
    for path in sorted(MIGRATIONS.glob("*.sql")):
        if path.stem.endswith("_money"):
            break
        shutil.copy(path, folder)
        if path.stem.endswith(".after"):
            (folder / path.name).write_text("SELECT 1")
    return tmp_path


@pytest.fixture
async def old(template: str, blank_dsn: str, of_release_2: Path) -> AsyncIterator[Database]:
    assert template  # with it, the role was made
    await migrate(blank_dsn, of_release_2, TABLES_ONLY, release=2)
    async with await Database.connect(blank_dsn, min_size=1) as owner:
        await owner.execute(RIGHTS)
    async with await Database.connect(as_app_role(blank_dsn)) as app:
        for provider_id in range(1, BOOKS + 1):
            await app.execute("INSERT INTO booking.book (provider_id) VALUES ($1)", provider_id)
        yield app


async def add_tables(dsn: str, folder: Path) -> None:
    """Apply the first step of the migration, as it is before its functions come."""
    (path,) = MIGRATIONS.glob("*_money.sql")
    shutil.copy(path, folder / "database" / "migrations")
    await migrate(dsn, folder, TABLES_ONLY, release=2)


@pytest.mark.breaks_invariants  # there are no bookings for this money
async def test_what_release_2_wrote_is_in_the_payments_rows(old: Database, blank_dsn: str, of_release_2: Path) -> None:
    await pay_in_all_ways(old)
    before = await entries(old)
    assert len(before) == 10 * BOOKS
    await add_tables(blank_dsn, of_release_2)
    assert await entries(old) == before
    await pay_in_all_ways(old)  # its functions go on meanwhile
    between = await entries(old)
    assert len(between) == 20 * BOOKS
    asked = """INSERT INTO payments.intent (provider_id, hold_id, amount_minor, asked_at, check_at)
        VALUES ($1, $2, 1, $3, $4)"""
    now = await old.fetch_value("SELECT clock_timestamp()")
    kept = uuid4()
    await old.execute(asked, 1, kept, now, now)
    await old.execute(asked, 1, uuid4(), now, None)

    await migrate(blank_dsn, release=3, app_role=APP_ROLE)  # one release at a time, while the other runs
    assert await entries(old) == between
    assert await old.fetch_value("SELECT count(*) FROM ledger.payment WHERE authorised_at IS NULL") == 0
    assert [row["hold_id"] for row in await old.fetch("SELECT hold_id FROM payments.intent")] == [kept]
    async with await Database.connect(blank_dsn) as owner:
        indexes = await owner.fetch(
            """SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            WHERE indrelid = 'ledger.payment'::regclass AND indisvalid ORDER BY 1"""
        )
    assert [row["relname"] for row in indexes] == [
        "payment_authorisation",
        "payment_booked_instead",
        "payment_due",
        "payment_kept",
        "payment_times",
    ]
    # One that was set aside twice is refused, whatever the lock of its book is good for.
    with pytest.raises(asyncpg.UniqueViolationError):
        await old.execute(
            """INSERT INTO ledger.payment (provider_id, hold_id, booking_id, authorisation, amount_minor, state, at)
            SELECT provider_id, hold_id, gen_random_uuid(), authorisation, amount_minor, state, at
            FROM ledger.payment"""
        )


@pytest.mark.breaks_invariants
async def test_a_payment_may_advance_before_it_has_taken_its_entries_over(
    old: Database, blank_dsn: str, of_release_2: Path
) -> None:
    """Between the new functions and the turn of its book, a payment of release 2 may be captured or refunded."""
    await pay_in_all_ways(old)
    await add_tables(blank_dsn, of_release_2)
    hold = await pay(old, 1, "captured")
    before = await entries(old)
    shutil.copytree(MIGRATIONS.parents[1], of_release_2, dirs_exist_ok=True)
    (ending,) = (of_release_2 / "database" / "migrations").glob("*_money.after.sql")
    now_ending = ending.read_text()
    ending.write_text("SELECT 1")
    await migrate(blank_dsn, of_release_2, release=3, app_role=APP_ROLE)
    assert await entries(old) == before
    # A call that release 2 began still adds to them.
    late = await pay(old, 2)
    note = """SELECT payments.advance_payment(payment, $2, 'answer', clock_timestamp())
        FROM ledger.payment WHERE hold_id = $1 FOR UPDATE"""
    for one, state in (
        (hold, "authorised"),
        (hold, "captured"),
        (hold, "refunded"),
        (late, "captured"),
        (late, "captured"),
    ):
        await old.execute(note, one, state)
    after = await entries(old)
    assert set(before) < set(after)
    assert [row[3] for row in after if row[1] == hold] == ["authorised", "captured", "refunded"]
    assert [row[3] for row in after if row[1] == late] == ["authorised", "captured"]
    ending.write_text(now_ending)
    async with await Database.connect(blank_dsn) as owner:
        await owner.execute("DELETE FROM public.schema_migration WHERE name LIKE '%_money.after'")
    await migrate(blank_dsn, of_release_2, release=3, app_role=APP_ROLE)
    assert await entries(old) == after
    assert await old.fetch_value("SELECT count(*) FROM ledger.payment WHERE authorised_at IS NULL") == 0
