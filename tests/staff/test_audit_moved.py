"""What was taken out of the audit, what a move leaves of it, and who holds its chain up: all of it is seen."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from healthplus.database import Database, EmbeddedServer
from healthplus.database.programs import Programs
from healthplus.database.server_files import as_app_role
from healthplus.errors import HealthPlusError
from healthplus.monitoring.status import read_status
from healthplus.retention.retention import Retention
from healthplus.settings import Settings
from healthplus.staff.accounts import add_staff
from healthplus.staff.audit_chain import verify_audit
from tests.conftest import FAST
from tests.fixtures.append_only import as_owner, chain_audit
from tests.fixtures.clock import move_clock
from tests.fixtures.staff import OPERATOR, PASSWORD, come_from, make_log_in, make_staff
from tests.staff.test_audit_chain import CHAIN, make_links

_TABLES = ("staff.audit_entry", "staff.audit_link")
_MANY_TRANSACTIONS = "DO $$ BEGIN FOR n IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
_AS_IF_ONE = """
UPDATE staff.audit_entry SET cluster = (SELECT system_identifier FROM pg_control_system());
UPDATE staff.audit_link SET cluster = (SELECT system_identifier FROM pg_control_system())
"""


def moved(dsn: str, to: str, folder: Path) -> None:
    """Copy a database as docs/operate.md says: with pg_dump and pg_restore."""
    programs = Programs(pwd.getpwuid(os.getuid()), folder)
    file = folder / "dump"
    for program, where, options in (
        ("pg_dump", dsn, ("--format=custom", "--no-privileges", "-f", file)),
        ("pg_restore", to, ("-d", urlsplit(to).path[1:], file)),
    ):
        name = () if program == "pg_restore" else (urlsplit(where).path[1:],)
        host = parse_qs(urlsplit(where).query)["host"][0]
        done = programs.run(program, "-h", host, "-U", "healthplus", *options, *name)
        assert done.returncode == 0, done.stderr


async def test_the_chain_goes_on_at_another_cluster(
    db: Database, dsn: str, migrated_folder: Path, tmp_path: Path
) -> None:
    """There, transactions are counted from the beginning again."""
    await db.execute(_MANY_TRANSACTIONS)
    await make_links(db)
    await add_staff(db, "unchained", "Unchained", OPERATOR)
    with EmbeddedServer(migrated_folder, FAST) as other:
        admin = await asyncpg.connect(other)
        await admin.execute("CREATE DATABASE moved")
        await admin.close()
        to = other.replace("/healthplus?", "/moved?")
        moved(dsn, to, tmp_path)
        async with await Database.connect(to, min_size=1, max_size=1) as there:
            await add_staff(there, "after.move", "After", OPERATOR)
            # Were the cluster not noted with each entry, nothing would be chained for as long as ids are lower.
            async with there.transaction() as tx:
                await tx.execute(as_owner(_AS_IF_ONE, *_TABLES))
                assert not await tx.fetch_value(CHAIN)
                await tx.execute("SELECT pg_current_xact_id()")
                raised = await tx.fetch_row("SELECT * FROM staff.verify_audit(NULL)")
                assert raised is not None
                await tx.execute("ROLLBACK; BEGIN")
            assert await there.fetch_value(CHAIN)  # what was not chained there
            assert await there.fetch_value(CHAIN)  # what came here
            assert not await there.fetch_value(CHAIN)
            assert (await verify_audit(there))[:4] == (5, 8, 0, 5)
            await there.execute(
                as_owner("UPDATE staff.audit_entry SET actor = 'x' WHERE entry_id = 8", "staff.audit_entry")
            )
            with pytest.raises(HealthPlusError, match="Link 5 does not fit"):
                await verify_audit(there)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ("DELETE FROM staff.audit_link; DELETE FROM staff.audit_entry", "a session began is gone"),
        (
            "DELETE FROM staff.audit_link WHERE link < 3; DELETE FROM staff.audit_entry WHERE entry_id < 5",
            "came before link 3 is gone",
        ),
        (
            "DELETE FROM staff.audit_link; DELETE FROM staff.audit_entry WHERE entry_id < 5; "
            "SELECT staff.chain_audit()",
            "a session began is gone",
        ),
    ],
)
async def test_a_beginning_that_was_cut_off_is_found(db: Database, cut: str, said: str) -> None:
    await make_links(db)
    await db.execute(as_owner(cut, *_TABLES))
    with pytest.raises(HealthPlusError, match=said):
        await verify_audit(db)


async def test_a_log_in_that_was_cut_off_is_found(db: Database) -> None:
    await make_staff(db)
    await make_log_in(db).with_password("meera", PASSWORD, come_from())
    assert (await verify_audit(db)).links == 0
    await db.execute(as_owner("DELETE FROM staff.audit_entry WHERE action = 'log_in'", "staff.audit_entry"))
    with pytest.raises(HealthPlusError, match="a session began is gone"):
        await verify_audit(db)


async def test_what_is_forgotten_leaves_its_last_link(db: Database, dsn: str) -> None:
    await make_links(db)
    await move_clock(db, days=401)
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=1) as app:
        await Retention(app).forget(pause_seconds=0)
    assert await db.fetch_value("SELECT array_agg(link) FROM staff.audit_link") == [3]
    assert (await verify_audit(db))[:4] == (0, 0, 0, 3)
    await make_staff(db, "later.one")
    await chain_audit(db)
    assert (await verify_audit(db)).last == 4
    await db.execute(as_owner("DELETE FROM staff.audit_link WHERE link = 3", *_TABLES))
    with pytest.raises(HealthPlusError, match="before link 4 is gone"):
        await verify_audit(db)


async def test_a_chain_that_stands_still_is_said(db: Database, dsn: str, tmp_path: Path) -> None:
    """A transaction that stays open holds it up, of any login."""
    settings = Settings(dsn, tmp_path, secret_key="for trials")
    async with db.transaction() as open_one:
        await open_one.fetch_value("SELECT pg_current_xact_id()")
        await add_staff(db, "somebody", "Somebody", OPERATOR)
        assert not await db.fetch_value(CHAIN)
        assert "audit" not in " ".join((await read_status(settings, dsn)).faults)
        await move_clock(db, minutes=2)
        assert "The audit has not been chained" in " ".join((await read_status(settings, dsn)).faults)
    assert await chain_audit(db)
    assert "audit" not in " ".join((await read_status(settings, dsn)).faults)
