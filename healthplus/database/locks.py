"""Every advisory lock of the product. PostgreSQL keeps two kinds apart: those of one bigint, and those of two ints.

Those of one bigint are the booking verbs' alone: the id of the provider whose book is locked; and, below zero, that of
the patient who is put at a time, which a verb takes after the book's. All others are pairs
(SPACE, number), and each number has one purpose, so that nobody ever waits for work that has nothing to do with
theirs. SQL writes the numbers out; tests/database/test_locks.py finds one that is not listed here, or that is taken
anywhere but where it is listed to be.
"""

from __future__ import annotations

from typing import NamedTuple

SPACE = 18


class AdvisoryLock(NamedTuple):
    """What a number stands for: `taken_in` has the files that take it, each in one statement."""

    number: int
    name: str
    guards: str
    taken_in: tuple[str, ...]


MIGRATIONS = AdvisoryLock(
    1, "migrations", "the schema: products that start together migrate one at a time", ("database/migrations.py",)
)
SIGN_IN_CODES = AdvisoryLock(
    2,
    "sign-in codes",
    "the counts of codes and guesses, in one order for all",
    ("accounts/functions/sign_in_codes.sql",),
)
WORD_COUNTS = AdvisoryLock(
    3,
    "word counts",
    "search.word, which two counts at once would both write",
    ("search/functions/word_counts.sql", "search/queries.sql"),
)
RETENTION = AdvisoryLock(
    4, "retention", "deleting what is over: one process at a time", ("retention/functions/forget.sql",)
)

BACKUP = AdvisoryLock(5, "back-up", "following what is written: one process at a time", ("backup/queries.sql",))
RECEIPTS = AdvisoryLock(
    6, "receipts", "numbering receipts: one process at a time", ("receipts/functions/receipts.sql",)
)

LOCKS = (MIGRATIONS, SIGN_IN_CODES, WORD_COUNTS, RETENTION, BACKUP, RECEIPTS)
