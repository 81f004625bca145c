"""Rehearsing a restore: beside the running product, to a random second, with everything checked, and stored."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder
from healthplus.backup.restore import recovered, say_nothing
from healthplus.backup.source import ask_facts, require_products, source_url
from healthplus.backup.state import queries
from healthplus.database import BULK, Database, temporary_folder
from healthplus.database.limits import COMMANDS
from healthplus.database.recovering import RecoveringServer
from healthplus.errors import HealthPlusError
from healthplus.ops.check import Violation, all_violations
from healthplus.settings import Settings

logger = logging.getLogger(__name__)

_PROBLEM_CHARACTERS_MAX = 1000
# The role that owns the product's functions may exchange one in the restored copy.
_LOGIN = """
SELECT rolname AS role, current_database() AS database
FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner WHERE pg_proc.oid = 'public.app_now'::regproc
"""
# What is checked is what there was at that moment: nothing runs in the copy, so its clock must not go on either.
_STOP_CLOCK = """
CREATE OR REPLACE FUNCTION public.app_now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN '{moment}'::timestamptz + coalesce((SELECT clock_offset FROM public.app_clock), interval '0');
END $$
"""


class Rehearsal(msgspec.Struct, frozen=True):
    """What a rehearsal found. `rpo_seconds`: how much would have been lost with the disk when it began.

    `rto_seconds`: until all was there again. `check_seconds`: how long checking it took. `problem`: None where it
    proved the back-up.
    """

    restored_to: datetime | None
    rpo_seconds: float | None
    rto_seconds: float | None = None
    check_seconds: float | None = None
    problem: str | None = None


def rehearse(
    settings: Settings, folder: BackupFolder, say: Callable[[str], object] = say_nothing, seed: int | None = None
) -> Rehearsal:
    """Restore to a random second that the back-up covers, check all of it, and store in the database what was found.

    The restored copy is removed. A back-up that cannot be restored is a problem that is stored, and no error. Raises
    the errors of `Database.connect` where the database cannot be asked.
    """
    began = time.monotonic()
    found = Rehearsal(None, None)
    try:
        facts = ask_facts(source_url(settings))
        asyncio.run(_require_products(settings, folder, facts))
        now: datetime = facts["at"]
        moment, until = choose_moment(folder, random.Random(seed))  # noqa: S311 - no secret
        found = msgspec.structs.replace(
            found, restored_to=moment, rpo_seconds=max(0.0, (now - until).total_seconds())
        )  # fmt: skip
        found = _restore_and_check(settings, folder, moment, found, say)
    except HealthPlusError as error:
        found = msgspec.structs.replace(found, problem=str(error)[:_PROBLEM_CHARACTERS_MAX])
    if found.problem is not None:
        logger.error("a rehearsal of restoring found: %s", found.problem)
    asyncio.run(_store(settings, found, began))
    return found


async def _require_products(settings: Settings, folder: BackupFolder, facts: Mapping[str, Any]) -> None:
    async with await Database.connect(settings.database_url or "", min_size=1, max_size=1, limits=COMMANDS) as database:
        await require_products(database, facts)
    if any(full.system_identifier != facts["system_identifier"] for full in folder.fulls()):
        raise BackupFailed(
            f"{folder.path} has the back-ups of another database server: they prove nothing of this one."
        )


def choose_moment(folder: BackupFolder, chance: random.Random) -> tuple[datetime, datetime]:
    """Return a random second of those that the back-up covers, and the last one. Raises BackupFailed.

    Those before a gap or an earlier restore are left out: not every second there can be had.
    """
    folder.require()
    fulls, until = [full for full in folder.fulls() if folder.is_connected(full)], folder.until()
    if not fulls or until is None:
        raise BackupFailed(
            f"There is no full back-up in {folder.path} that goes on to now. Run `healthplus backup --follow`."
        )
    # By chance any second, one after the newest full back-up, which is to be proven, or the last, which only a back-up
    # without a hole reaches.
    first = fulls[chance.choice((0, -1))].ended_at
    seconds = max(0, int((until - first).total_seconds()))
    return first + timedelta(seconds=chance.choice((chance.randint(0, seconds), seconds))), until


def _restore_and_check(
    settings: Settings, folder: BackupFolder, moment: datetime, found: Rehearsal, say: Callable[[str], object]
) -> Rehearsal:
    login = asyncio.run(_login(settings))
    # Below the folder of the back-ups: a copy must not fill the disk of the database.
    with (
        temporary_folder("rehearsal-", folder.path) as scratch,
        recovered(folder, moment, scratch, say=say) as restored,
    ):
        say("Checking what was restored")
        began = time.monotonic()
        violations = asyncio.run(_check(restored.server, login, moment))
        counts = Counter(violation.invariant for violation in violations)
        problem = ", ".join(f"{name} ({count} rows)" for name, count in counts.items())
        return msgspec.structs.replace(
            found,
            rto_seconds=restored.seconds,
            check_seconds=time.monotonic() - began,
            problem=f"What was restored is not consistent: {problem}"[:_PROBLEM_CHARACTERS_MAX] if problem else None,
        )


async def _login(settings: Settings) -> tuple[str, str]:
    async with await Database.connect(settings.database_url or "", 1, 1, COMMANDS) as database:
        row = await database.fetch_row(_LOGIN)
    assert row is not None
    return row["role"], row["database"]


async def _check(server: RecoveringServer, login: tuple[str, str], moment: datetime) -> list[Violation]:
    async with await Database.connect(server.dsn_of(*login), 1, 1, BULK) as database:
        await database.execute(_STOP_CLOCK.format(moment=moment.isoformat()))
        return await all_violations(database)


async def _store(settings: Settings, found: Rehearsal, began: float) -> None:
    async with await Database.connect(settings.database_url or "", 1, 1, COMMANDS) as database:
        await database.execute(
            queries.note_rehearsal,
            time.monotonic() - began, found.restored_to, found.rpo_seconds, found.rto_seconds, found.check_seconds,
            found.problem,
        )  # fmt: skip
