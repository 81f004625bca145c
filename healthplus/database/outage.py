"""What the log says of a database that cannot be reached: one line when that begins, and one when it is over."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from healthplus.errors import DatabaseUnreachable

logger = logging.getLogger(__name__)


class Outage:
    """Keeps track of whether connections can be opened, by what became of each try."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._failures = 0

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note whether a connection can be opened in this block."""
        try:
            yield
        except DatabaseUnreachable as error:
            self._failures += 1
            if self._began is None:
                self._began = time.monotonic()
                cause = type(error.__cause__ or error).__name__
                logger.warning("The database cannot be reached (%s); it is tried until it can be.", cause)
            raise
        if self._began is not None:
            seconds, failures = time.monotonic() - self._began, self._failures
            self._began, self._failures = None, 0
            logger.warning("The database can be reached again, after %.1f s; %d tries failed.", seconds, failures)


OUTAGE = Outage()
"""Of the one database that a process works with, through however many pools."""
