"""No advisory lock has two purposes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import healthplus
from healthplus.database import Database
from healthplus.database.locks import LOCKS, SPACE
from healthplus.search.word_counts import count_words
from tests.fixtures.codes import ask, make_codes

PACKAGE = Path(healthplus.__file__).parent
BOOKS = "booking"
"""The area whose verbs alone take locks of one bigint."""
REGISTRY_ONLY = ("$1", "$2")
"""What Python writes that takes its numbers from the registry."""

_CALL = re.compile(r"\bpg_(?:try_)?advisory_\w+\(([^()]*)\)")


def calls() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the area and the arguments of each call that takes or lets go of an advisory lock."""
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".sql", ".py"):
            text = re.sub(r"(?m)(--|#).*$", "", path.read_text(encoding="utf-8"))
            for match in _CALL.finditer(text):
                yield path.relative_to(PACKAGE).parts[0], tuple(part.strip() for part in match[1].split(","))


def test_each_number_is_listed_once_and_taken_in_one_area() -> None:
    assert len({lock.number for lock in LOCKS}) == len({lock.name for lock in LOCKS}) == len(LOCKS)
    areas: dict[tuple[str, ...], str] = {(str(SPACE), str(lock.number)): lock.area for lock in LOCKS}
    taken = set()
    for area, arguments in calls():
        if len(arguments) == 1:
            assert area == BOOKS, f"{area} takes a lock of one bigint: {arguments}"
        elif arguments == REGISTRY_ONLY:
            assert area == "database"
        else:
            assert areas.get(arguments) == area, f"{area} takes the lock {arguments}"
            taken.add(arguments)
    assert taken | {(str(SPACE), str(lock.number)) for lock in LOCKS if lock.area == "database"} == set(areas)


async def test_codes_are_sent_while_words_are_counted(db: Database) -> None:
    async with db.transaction() as counting:
        await count_words(counting)  # has the lock until the transaction ends
        sent = await asyncio.wait_for(ask(make_codes(db), "a"), 5)
    assert sent.code
