"""Which calls of a process go to the database for a provider's book: a few at once, and none that waits there long.

A verb holds one of the process's few connections while it waits for a lock. So calls wait here until few enough run,
and where a book turns out to be locked by something else, they wait here for that, too: one locked book is the trouble
of its own callers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from healthplus.accounts.actors import Actor, Patient
from healthplus.booking.lanes import LOCK_NOT_AVAILABLE
from healthplus.database import Bulkhead
from healthplus.errors import DatabaseBusy
from healthplus.idle import idle

T = TypeVar("T")

CALLS_PER_PROVIDER_MAX = 1
"""Newcomers, or rushes of them, of one process at the database at once, so that they lock in order of asking."""
OWN_CALLS_PER_PROVIDER_MAX = 2
"""The same for all other verbs, which are about what somebody has already and do not wait behind newcomers."""
CALLS_PER_PATIENT_MAX = 1
"""A verb that waits for its patient's other call would keep a book locked meanwhile."""
WAITING_PER_PATIENT_MAX = 16
WAIT_SECONDS_MAX = 4.0
"""How long a call waits to be let in, for a locked book and for a connection, all together: with what it then takes
itself, less than five seconds."""
_LOOK_SECONDS = 0.1
_LOOKS = 5
"""A busy book is locked whenever one looks, though never for long: after so many looks a call waits at the database."""


class BookBulkheads:
    """The calls of one process. `is_locked` looks, without waiting, whether something has a book or a patient locked.

    It is given what the database's advisory locks are: a provider's id, or a patient's with a minus.
    """

    def __init__(self, is_locked: Callable[[int], Awaitable[bool]]) -> None:
        self._is_locked = is_locked
        self._newcomers = Bulkhead(CALLS_PER_PROVIDER_MAX)
        self._others = Bulkhead(OWN_CALLS_PER_PROVIDER_MAX)
        self._patients = Bulkhead(CALLS_PER_PATIENT_MAX, WAITING_PER_PATIENT_MAX)
        self._locked: set[int] = set()
        """What the last call found locked: the next one looks before it waits at the database."""

    async def run(
        self, provider_id: int, call: Callable[[float], Awaitable[T]], actor: Actor | None, *, is_newcomer: bool
    ) -> T:
        """Return what `call` does, which is given the seconds that it may wait for a connection.

        Raises DatabaseBusy, with nothing changed, when it is not let in in time or what it needs stays locked.
        """
        until = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX
        async with self.patient(actor, until):
            return await self.run_for_patient(provider_id, call, actor, until, is_newcomer=is_newcomer)

    @contextlib.asynccontextmanager
    async def patient(self, actor: Actor | None, until: float) -> AsyncIterator[None]:
        """Let one call of a patient at a time run the block, and none while the patient is known to be locked.

        `until`, by the event loop's clock: how long it may wait to be let in; then DatabaseBusy is raised. Calls of
        others than patients run it at once.
        """
        if not isinstance(actor, Patient):
            yield
            return
        patient = -actor.patient_id
        await self._patients.enter(patient, until)
        try:
            if patient in self._locked:
                # Outside the provider's bulkhead, where others would wait behind this one.
                await self._wait_until_unlocked(patient, until)
            yield
            self._locked.discard(patient)
        finally:
            self._patients.leave(patient)

    async def run_for_patient(
        self,
        provider_id: int,
        call: Callable[[float], Awaitable[T]],
        actor: Actor | None,
        until: float,
        *,
        is_newcomer: bool,
        let_others: Callable[[], None] = lambda: None,
    ) -> T:
        """Do what `run` does, within the block of `patient`; `let_others` is called before it waits for the patient."""
        bulkhead = self._newcomers if is_newcomer else self._others
        try:
            return await self._call_within(bulkhead, provider_id, call, until)
        except DatabaseBusy as error:
            # A verb locks the book first, and then nothing but its patient.
            if not isinstance(actor, Patient) or -actor.patient_id in self._locked or not _waited_for_lock(error):
                raise
            let_others()
            self._locked.add(-actor.patient_id)
            await self._wait_until_unlocked(-actor.patient_id, until)
            return await self._call_within(bulkhead, provider_id, call, until)

    async def _call_within(
        self, bulkhead: Bulkhead, provider_id: int, call: Callable[[float], Awaitable[T]], until: float
    ) -> T:
        await bulkhead.enter(provider_id, until)
        try:
            return await self._call_at_book(provider_id, call, until)
        finally:
            bulkhead.leave(provider_id)

    async def _call_at_book(self, provider_id: int, call: Callable[[float], Awaitable[T]], until: float) -> T:
        """Call, and again for as long as the book is locked."""
        now = asyncio.get_running_loop().time
        while True:
            if provider_id in self._locked:
                await self._wait_until_unlocked(provider_id, until)
            try:
                answer = await call(max(0.0, until - now()))
            except DatabaseBusy as error:
                if now() >= until or not _waited_for_lock(error, "booking.lock_book("):
                    raise
                self._locked.add(provider_id)
            else:
                self._locked.discard(provider_id)
                return answer

    async def _wait_until_unlocked(self, lock: int, until: float) -> None:
        now = asyncio.get_running_loop().time
        looks = 0
        # A patient is never waited for at the database: the verb would keep the book locked meanwhile.
        while (lock < 0 or looks < _LOOKS) and await self._is_locked(lock):
            if now() + _LOOK_SECONDS >= until:
                raise DatabaseBusy
            async with idle():
                await asyncio.sleep(_LOOK_SECONDS)
            looks += 1


def _waited_for_lock(error: DatabaseBusy, within: str = "") -> bool:
    """Return whether the server gave up waiting for a lock; `within`: what the error's context must contain."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE and within in (getattr(cause, "context", None) or "")
