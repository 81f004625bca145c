"""How long a connection's statements may wait and run, by what the connection is for.

The server enforces all but `wait_seconds`, so that what is given up here does not go on there. A limit that ends a
statement rolls it back: nothing was changed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

_ANSWER_SECONDS = 0.25
"""How much longer than its statement may run its answer is waited for: after that the outcome is unknown."""


@dataclass(frozen=True)
class Limits:
    """`None` is no limit.

    `wait_seconds`: how long a call waits for a connection of its pool. `lock_seconds`: for one lock.
    `statement_seconds`: how long a statement may take with all its waits. `idle_seconds`: how long an open transaction
    may be left without a statement, with the locks that it has.
    """

    wait_seconds: float | None
    lock_seconds: float | None
    statement_seconds: float | None
    idle_seconds: float | None

    @property
    def answer_seconds(self) -> float | None:
        """How long an answer is waited for."""
        return None if self.statement_seconds is None else self.statement_seconds + _ANSWER_SECONDS

    def session(self, name: str) -> dict[str, str]:
        """Return the settings of a session; `name` is its `application_name`."""
        return {
            "application_name": name,
            "TimeZone": "UTC",
            "lock_timeout": _milliseconds(self.lock_seconds),
            "statement_timeout": _milliseconds(self.statement_seconds),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_seconds),
            # A statement whose client has gone is found out only by asking.
            "client_connection_check_interval": "1s",
        }

    def waiting(self, seconds: float) -> Limits:
        """Return these limits with another `wait_seconds`."""
        return dataclasses.replace(self, wait_seconds=seconds)


def _milliseconds(seconds: float | None) -> str:
    return "0" if seconds is None else f"{round(seconds * 1000)}ms"


# A caller is to hear what became of a request within five seconds. Any verb has a lock for milliseconds only: one that
# is not to be had after a third of a second is held by something else.
REQUESTS = Limits(wait_seconds=2, lock_seconds=0.3, statement_seconds=2.5, idle_seconds=5)
"""What a request waits for."""

BACKGROUND = Limits(wait_seconds=10, lock_seconds=0.3, statement_seconds=60, idle_seconds=10)
"""Background work, such as counting words or deleting what is old: nobody waits for it, and it is tried again."""

COMMANDS = Limits(wait_seconds=30, lock_seconds=10, statement_seconds=30, idle_seconds=60)
"""A command of the operator's, who would rather wait than type it again."""

BULK = Limits(wait_seconds=None, lock_seconds=None, statement_seconds=None, idle_seconds=600)
"""An import, demo data, a check of everything: one long piece of work, which says itself what it waits for."""

MIGRATION = Limits(wait_seconds=None, lock_seconds=None, statement_seconds=None, idle_seconds=None)
"""migrations.py sets what it needs, a step at a time."""

FEED = Limits(wait_seconds=None, lock_seconds=5, statement_seconds=20, idle_seconds=20)
"""The change feed, whose statements are small."""
