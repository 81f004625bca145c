"""No advisory lock has two purposes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import healthplus
from healthplus.database import Database, locks
from healthplus.database.locks import LOCKS, SPACE
from healthplus.search.word_counts import count_words
from tests.fixtures.codes import ask, make_codes

PACKAGE = Path(healthplus.__file__).parent
_PLAIN = ("booking/functions/plain/hold.sql", "booking/functions/plain/confirm.sql")
BOOK_TAKEN_IN = ("booking/functions/core/lock.sql", "booking/functions/core/locked.sql", *_PLAIN)
"""The files of the verbs that take the lock of a book, each in one statement."""
PATIENT_TAKEN_IN = ("booking/functions/core/claims.sql", "booking/functions/core/locked.sql", *_PLAIN)
"""The same for the lock of a patient. There are no other locks of one bigint."""

_NAME = re.compile(r'\bpg_\w*advisory\w*"?', re.IGNORECASE)
_ARGUMENTS = re.compile(r"\s*\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")
_BY_NAME = re.compile(r'", SPACE, (\w+)\.number\)')


def arguments(text: str) -> Iterator[str]:
    """Yield the arguments of each call that takes or lets go of an advisory lock, without spaces.

    Python passes its numbers by their names in the registry.
    """
    for name in _NAME.finditer(text):
        call = _ARGUMENTS.match(text, name.end())
        assert call, f"{name[0]} has no arguments that can be read"
        found = re.sub(r"\s", "", call[1])
        by_name = _BY_NAME.match(text, call.end())
        yield f"{SPACE},{getattr(locks, by_name[1]).number}" if by_name and found == "$1,$2" else found


def test_each_number_is_listed_once_and_taken_where_it_is_listed_to_be() -> None:
    assert len({lock.number for lock in LOCKS}) == len({lock.name for lock in LOCKS}) == len(LOCKS)
    assert all(len({file.split("/")[0] for file in lock.taken_in}) == 1 for lock in LOCKS)
    found = [
        (path.relative_to(PACKAGE.parent).as_posix().removeprefix("healthplus/"), call)
        for path in PACKAGE.parent.glob("healthplus*/**/*")
        if path.suffix in (".sql", ".py")
        for call in arguments(re.sub("--.*", "", path.read_text("utf-8")))
    ]
    listed = [(file, f"{SPACE},{lock.number}") for lock in LOCKS for file in lock.taken_in]
    books = [(file, "p_provider_id") for file in BOOK_TAKEN_IN]
    patients = [(file, "-p_patient_id") for file in PATIENT_TAKEN_IN]
    patients.append(("booking/functions/plain/join.sql", "-patient_id"))  # of each call of a rush
    assert sorted(found) == sorted(listed + books + patients)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT pg_advisory_xact_lock(hashtext($1))", ["hashtext($1)"]),
        ("PERFORM pg_catalog.PG_TRY_ADVISORY_LOCK_SHARED (18,\n hashtext(lower($1)))", ["18,hashtext(lower($1))"]),
        ('SELECT "pg_advisory_unlock"(18, 2), pg_advisory_unlock_all()', ["18,2", ""]),
        ('execute("SELECT pg_advisory_lock($1, $2)", SPACE, WORD_COUNTS.number)', ["18,3"]),
        ('execute("SELECT pg_advisory_lock($1, $2)", 18, 3)', ["$1,$2"]),
    ],
)
def test_each_form_of_a_call_is_found(text: str, found: list[str]) -> None:
    assert list(arguments(text)) == found


def test_a_call_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(AssertionError, match="pg_advisory_lock has no arguments"):
        list(arguments("'SELECT pg_advisory_lock' || '(18, 2)'"))


async def test_codes_are_sent_while_words_are_counted(db: Database) -> None:
    async with db.transaction() as counting:
        await count_words(counting)  # has the lock until the transaction ends
        sent = await asyncio.wait_for(ask(make_codes(db), "a"), 5)
    assert sent.code
