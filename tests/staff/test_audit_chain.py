"""The audit's chain: whatever was changed in the audit is found."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.errors import HealthPlusError
from healthplus.retention.retention import Retention
from healthplus.staff.accounts import add_staff
from healthplus.staff.audit_chain import verify_audit
from tests.fixtures.append_only import as_owner, chain_audit
from tests.fixtures.clock import move_clock
from tests.fixtures.staff import OPERATOR

CHAIN = "SELECT staff.chain_audit()"


class _Undo(Exception):
    """Ends a transaction of which nothing stays."""


async def make_links(db: Database, count: int = 3) -> None:
    for n in range(count):
        await add_staff(db, f"person-{n}", f"Person {n}", OPERATOR)
        await add_staff(db, f"another-{n}", f"Another {n}", OPERATOR)
        assert await chain_audit(db)


async def test_what_was_written_fits(db: Database) -> None:
    assert await verify_audit(db) == (0, 0, 0, 0, "")
    await make_links(db)
    assert not await chain_audit(db)  # there is nothing new
    await add_staff(db, "later", "Later", OPERATOR)
    found = await verify_audit(db)
    assert found[:4] == (3, 6, 1, 3)
    assert await verify_audit(db, (3, found.hash)) == found


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE staff.audit_entry SET actor = 'staff:9' WHERE entry_id = 3", 2),
        ("DELETE FROM staff.audit_entry WHERE entry_id = 4", 2),
        (
            "INSERT INTO staff.audit_entry (at, actor, action, is_refused, detail, xid) "
            "SELECT at, actor, action, false, '', xid FROM staff.audit_entry WHERE entry_id = 1",
            1,
        ),
        ("UPDATE staff.audit_link SET entries = 1 WHERE link = 2", 2),
        ("DELETE FROM staff.audit_link WHERE link = 2", 3),
    ],
)
async def test_what_was_changed_is_found(db: Database, change: str, broken: int) -> None:
    await make_links(db)
    await db.execute(as_owner(change, "staff.audit_entry", "staff.audit_link"))
    with pytest.raises(HealthPlusError, match=f"Link {broken} does not fit"):
        await verify_audit(db)


_COLUMNS = """
SELECT quote_ident(attname) AS name, atttypid::regtype::text AS type, attidentity <> '' AS is_identity FROM pg_attribute
WHERE attrelid = 'staff.audit_entry'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'xid'
"""
"""What an entry says; `xid` says in which link it is."""
_ANOTHER = {
    "bigint": "coalesce({0}, 0) + 1",
    "text": "coalesce({0}, '') || 'x'",
    "boolean": "NOT {0}",
    "uuid": "gen_random_uuid()",
    "timestamp with time zone": "{0} + interval '1 microsecond'",
}


async def test_whatever_of_an_entry_was_changed_is_found(db: Database) -> None:
    await make_links(db)
    columns = await db.fetch(_COLUMNS)
    assert len(columns) > 10
    unnoticed = []
    for name, type_, is_identity in columns:
        change = f"UPDATE staff.audit_entry SET {name} = {_ANOTHER[type_].format(name)} WHERE entry_id = 6"
        if is_identity:
            change = f"ALTER TABLE staff.audit_entry ALTER {name} DROP IDENTITY; {change}"
        with contextlib.suppress(_Undo):
            async with db.transaction() as tx:
                await tx.execute(as_owner(change, "staff.audit_entry"))
                if await tx.fetch_value("SELECT broken FROM staff.verify_audit(NULL)") != 3:
                    unnoticed.append(name)
                raise _Undo
    assert unnoticed == []
    assert (await verify_audit(db)).links == 3


async def test_what_was_cut_off_is_found_by_what_was_noted(db: Database) -> None:
    await make_links(db)
    noted = await verify_audit(db)
    cut = "DELETE FROM staff.audit_entry WHERE entry_id > 4; DELETE FROM staff.audit_link WHERE link > 2"
    await db.execute(as_owner(cut, "staff.audit_entry", "staff.audit_link"))
    with pytest.raises(HealthPlusError, match="with which an account or a session began is gone"):
        await verify_audit(db)
    await db.execute("DELETE FROM staff.account WHERE staff_id > 4")  # by one who thinks of that
    assert (await verify_audit(db)).links == 2
    with pytest.raises(HealthPlusError, match="Link 3 is not the one that was noted"):
        await verify_audit(db, (noted.last, noted.hash))


async def test_one_that_commits_late_is_not_left_out(db: Database) -> None:
    async with db.transaction() as late:
        await add_staff(late, "late", "Late", OPERATOR)  # has its id, and is not committed
        await add_staff(db, "soon", "Soon", OPERATOR)
        await db.fetch_value(CHAIN)
        assert (await verify_audit(db)).entries == 0
    await chain_audit(db)
    found = await verify_audit(db)
    assert (found.entries, found.unchained) == (2, 0)


async def test_many_chain_at_once_and_one_does(db: Database) -> None:
    for n in range(5):
        await asyncio.gather(*(add_staff(db, f"one-{n}-{m}", "One", OPERATOR) for m in range(4)))
        await asyncio.gather(*(db.fetch_value(CHAIN) for _ in range(6)))
    await chain_audit(db)
    found = await verify_audit(db)
    assert (found.entries, found.unchained) == (20, 0)


async def test_what_is_forgotten_leaves_a_chain_that_fits(db: Database, dsn: str) -> None:
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=1) as app:
        await make_links(db, 2)
        await move_clock(db, days=200)
        await add_staff(db, "middle", "Middle", OPERATOR)
        await chain_audit(db)
        await move_clock(db, days=199, hours=12)
        assert (await verify_audit(db)).links == 1  # the first two are about to go
        await move_clock(db, days=1)
        await Retention(app).forget(pause_seconds=0)
        await add_staff(db, "new", "New", OPERATOR)
        await chain_audit(db)
        assert (await verify_audit(db)).links == 2
        await db.execute(as_owner("UPDATE staff.audit_entry SET actor = '' WHERE entry_id = 6", "staff.audit_entry"))
        with pytest.raises(HealthPlusError, match="Link 4"):
            await verify_audit(db)


async def test_the_command(db: Database, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["verify-audit", *words])

    await make_links(db)
    said = (await run()).output
    assert said.startswith("6 entries in 3 links are as they were written; 0 are not chained yet.\n3:")
    noted = said.splitlines()[1]
    assert (await run("--seen", noted)).output == said
    assert (await run("--seen", "3:00")).exit_code == 1
    assert (await run("--seen", "x")).exit_code == 1
    await db.execute(as_owner("UPDATE staff.audit_entry SET actor = ''", "staff.audit_entry"))
    broken = await run()
    assert broken.exit_code == 1
    assert "Link 1 does not fit" in broken.output
