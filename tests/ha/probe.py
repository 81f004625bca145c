"""Writes that are sent straight to one server, past everything that would send them to the main."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from uuid import UUID, uuid4

import asyncpg

from tests.ha.machines import enter_network

_SECONDS_MAX = 3.0
_PAUSE_SECONDS = 0.2


class Probe:
    """Writes to a server from its own machine, again and again, until told to end; counts what it answered.

    `acknowledged`: what the server said it has stored. `answers`: by what became of each try.
    """

    def __init__(self, dsn: str, name: str, pid: int) -> None:
        """`pid`: of a process on the machine, whose network is used even while the machine is cut off."""
        self.acknowledged: list[UUID] = []
        self.answers: Counter[str] = Counter()
        self._dsn, self._name, self._pid = dsn, name, pid
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Have it end."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        enter_network(self._pid)
        asyncio.run(self._write())

    async def _write(self) -> None:
        while not self._ending.is_set():
            self.answers[await self._write_once()] += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _write_once(self) -> str:
        try:
            connection = await asyncpg.connect(self._dsn, timeout=_SECONDS_MAX)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return "no connection" if isinstance(error, OSError) else type(error).__name__
        number = uuid4()
        write = asyncio.ensure_future(
            connection.execute("INSERT INTO public.ha_probe (id, sent_to) VALUES ($1, $2)", number, self._name)
        )
        # Not cancelled: a server that is told to give up a commit that waits for its standby says that it is done.
        done, _ = await asyncio.wait({write}, timeout=_SECONDS_MAX)
        connection.terminate()
        if not done:
            await asyncio.wait({write})
            write.exception()
            return "no answer"
        if (refusal := write.exception()) is not None:
            return type(refusal).__name__
        self.acknowledged.append(number)
        return "acknowledged"
