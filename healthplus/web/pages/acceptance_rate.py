"""How many of those who joined a queue got a time: what the pages of a queue say of a patient's chance."""

from __future__ import annotations

from dataclasses import dataclass

from healthplus.database import Record

TICKETS_MIN = 30
"""So many tickets must be over before pages state a rate."""
GOOD_RATE = 0.2
"""Below this rate pages show other ways to an appointment before the queue."""


@dataclass(frozen=True)
class AcceptanceRate:
    """Of `tickets` that joined at `position` and are over, `got` ended with a time."""

    position: int
    tickets: int
    got: int

    @classmethod
    def of(cls, position: int | None, row: Record) -> AcceptanceRate | None:
        """Return the rate that a row of booking.acceptance_rate counts; None where that is of too few tickets."""
        if position is None or row["waits"] < TICKETS_MIN:
            return None
        return cls(position, row["waits"], row["got"])

    @property
    def is_poor(self) -> bool:
        return self.got < GOOD_RATE * self.tickets
