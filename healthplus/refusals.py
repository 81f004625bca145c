"""How often this process refused something because of a limit, summed; in the log once a minute while there is any."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

logger = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 60.0


class Refusals:
    """Counts by the name of the limit, such as "hold_budget", and never by who asked."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, limit: str) -> None:
        """Count one refusal."""
        self._counts[limit] += 1

    def take(self) -> dict[str, int]:
        """Return the counts since the last call, by name."""
        counts, self._counts = self._counts, Counter()
        return dict(sorted(counts.items()))

    async def run(self) -> None:
        """Log the counts of each minute until cancelled."""
        while True:
            await asyncio.sleep(LOG_EVERY_SECONDS)
            if counts := self.take():
                said = ", ".join(f"{name} {number}" for name, number in counts.items())
                logger.warning("refused in the last minute: %s", said)


refused = Refusals()
"""This process's."""
