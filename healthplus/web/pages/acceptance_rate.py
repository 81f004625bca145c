"""How many of those who joined a queue got a time: what the pages of a queue say of a patient's chance."""

from __future__ import annotations

from dataclasses import dataclass

from healthplus.database import Record

TICKETS_MIN = 30
"""So many tickets must be over before pages state a rate."""
GOOD_RATE = 0.2
"""Below this rate pages show other ways to an appointment before the queue."""
_DOTS = 50


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
    def rows(self) -> list[int]:
        """Return how many dots are filled in each row of ten, of five that stand for all tickets."""
        dots = round(_DOTS * self.got / self.tickets)
        return [min(10, dots - before) for before in range(0, dots, 10)]

    @property
    def is_poor(self) -> bool:
        return self.got < GOOD_RATE * self.tickets
