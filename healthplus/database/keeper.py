"""Watches the embedded server from the process that supervises the product, and starts it again when it is gone."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

from healthplus.database.embedded import EmbeddedServer
from healthplus.errors import EmbeddedServerFailed

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.5, 30.0
LIVED_SECONDS = 2.0
"""A server that ended sooner after its start counts as one that could not be started."""
LOOP_SECONDS, LOOP_DEATHS = 60.0, 3
"""So many deaths within so long are a crash loop, which the log says."""
_PATIENCE_SECONDS = 5.0


class Keeper:
    """Keeps a started server running while the block runs. Several may keep one server: only one of them starts it."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper of the embedded server")
        self._deaths: deque[float] = deque(maxlen=LOOP_DEATHS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._server.interrupt()  # it recovers, which may take a minute
            self._thread.join()

    def _watch(self) -> None:
        pause = 0.0
        started = time.monotonic()
        while not self._ending.wait(LOOK_SECONDS):
            if self._server.is_running:
                continue
            self._deaths.append(time.monotonic())
            if time.monotonic() - started > LIVED_SECONDS:
                pause = 0.0
            while not self._ending.wait(pause):
                pause = min(max(PAUSE_SECONDS_MIN, 2 * pause), PAUSE_SECONDS_MAX)
                if self._try_to_start(pause):
                    started = time.monotonic()
                    break

    def _try_to_start(self, next_seconds: float) -> bool:
        """Start the server, and write one line about it, a warning so that it is shown at every log level in use."""
        try:
            self._server.start_again()
            loops = len(self._deaths) == LOOP_DEATHS and self._deaths[-1] - self._deaths[0] < LOOP_SECONDS
            last_words = self._server.last_words(1) if loops else None
        except EmbeddedServerFailed as error:
            if not self._ending.is_set():  # else it was interrupted
                said = " ".join(str(error).split())
                logger.warning("The embedded database is gone. %s Next try in %g s.", said, next_seconds)
            return False
        except Exception:  # the machine may have no room for another process, say
            logger.exception("The embedded database is gone, and could not even be tried to start.")
            return False
        seconds = time.monotonic() - self._deaths[-1]
        if loops:
            logger.warning(
                "The embedded database was gone again and was started after %.1f s: %d times within a minute, so "
                "something keeps ending it. Its own last words (%s): %s",
                seconds, LOOP_DEATHS, self._server.folder / "server" / "log", last_words,
            )  # fmt: skip
        else:
            logger.warning("The embedded database was gone and was started again after %.1f s.", seconds)
        return True
