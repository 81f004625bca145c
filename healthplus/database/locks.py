"""Every advisory lock of the product. PostgreSQL keeps two kinds apart: those of one bigint, and those of two ints.

Those of one bigint are the booking verbs' alone: the id of the provider whose book is locked. All others are pairs
(SPACE, number), and each number has one purpose, so that nobody ever waits for work that has nothing to do with
theirs. SQL writes the numbers out; tests/database/test_locks.py finds one that is not listed here, or that a second
area uses.
"""

from __future__ import annotations

from typing import NamedTuple

SPACE = 18


class AdvisoryLock(NamedTuple):
    """What a number stands for: `area` is the only folder of the package in which it is taken."""

    number: int
    name: str
    area: str
    guards: str


MIGRATIONS = AdvisoryLock(1, "migrations", "database", "the schema: products that start together migrate one at a time")
SIGN_IN_CODES = AdvisoryLock(2, "sign-in codes", "accounts", "the counts of codes and guesses, in one order for all")
WORD_COUNTS = AdvisoryLock(3, "word counts", "search", "search.word, which two counts at once would both write")

LOCKS = (MIGRATIONS, SIGN_IN_CODES, WORD_COUNTS)
