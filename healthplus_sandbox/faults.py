"""The faults that a bank plays, and how often it has; the sandbox bank's, and those of the gateways' emulators."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

_NEVER_SECONDS = 60
_Answer = TypeVar("_Answer")


class CommonPlan(msgspec.Struct, forbid_unknown_fields=True):
    """The faults that every bank plays. Chances are between 0 and 1, each of one request or one webhook."""

    fail_before: float = 0.0
    fail_after: float = 0.0
    never_answer: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 1.0
    pay_twice: float = 0.0  # the patient pays a second time under the same key
    webhook_url: str | None = None
    webhook_lost: float = 0.0
    webhook_repeated: float = 0.0
    webhook_seconds_max: float = 0.0  # each is sent within so long: in any order

    @property
    def is_faulty(self) -> bool:
        """Return whether an answer may be late or missing."""
        return any((self.fail_before, self.fail_after, self.never_answer, self.slow))


_Plan = TypeVar("_Plan", bound=CommonPlan)


class Faults(Generic[_Plan]):
    """What is played now, `plan`, and how often each of it was."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan
        self._played: Counter[str] = Counter()

    def play_from_now(self, body: bytes) -> dict[str, int]:
        """Play the plan in a document; return how often each fault was played until now. Raises msgspec's errors."""
        self.plan = msgspec.json.decode(body, type=type(self.plan))
        played, self._played = self._played, Counter()
        return dict(played)

    def happens(self, fault: str, chance: float) -> bool:
        """Return whether a fault is to happen now, and count it if so."""
        drawn = random.random() < chance  # noqa: S311
        self._played[fault] += drawn
        return drawn

    async def around(self, do: Callable[[], _Answer]) -> _Answer | None:
        """Do what was requested, or not, or late; return the answer, or None where the client is to get none."""
        plan = self.plan
        if self.happens("fail_before", plan.fail_before):
            return None
        if self.happens("slow", plan.slow):
            await asyncio.sleep(plan.slow_seconds)
        answer = do()
        if self.happens("never_answer", plan.never_answer):
            await asyncio.sleep(_NEVER_SECONDS)
        return None if self.happens("fail_after", plan.fail_after) else answer
