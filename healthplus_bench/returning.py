"""Who books what: a fixed number of patients, who come back until each has as many appointments ahead as is allowed.

They come in groups: everyone of a group comes once before anyone comes again, and the next group follows when all have
what they may have. So most bookings, from the first seconds on, are made by people who have been here before. A patient
never has two on one day, so none of them overlap and none is a second one with a provider on that day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from healthplus_bench.environment import SLOTS_A_DAY, BenchFailed

DAYS = 14
"""How many days are booked; pgbench.sql has this figure and the next as well."""
AHEAD_MAX = 10
"""Appointments that a person may have ahead, as booking.ahead_max says; those paid for online have no other bound."""
_GROUP_MIN = 500
_CLIENTS_TIMES = 4


@dataclass(frozen=True)
class Turn:
    """A patient, from 0 on, and what this one books next: `rank` numbers all that is booked on that day."""

    patient: int
    day: int
    rank: int


@dataclass(frozen=True)
class Returning:
    """Patients in groups of `group`, a multiple of DAYS, at so many providers."""

    group: int
    groups: int
    providers: int

    def __post_init__(self) -> None:
        if self.bookings_max > self.slots_a_day * DAYS:
            raise BenchFailed("There are too few providers for so many bookings.")

    @property
    def patients(self) -> int:
        """Return how many there are, of all groups."""
        return self.group * self.groups

    @property
    def slots_a_day(self) -> int:
        """Return how many slots the providers have in a day."""
        return self.providers * SLOTS_A_DAY

    @property
    def bookings_max(self) -> int:
        """Return how often they may come in all."""
        return self.patients * AHEAD_MAX

    def turn(self, number: int) -> Turn:
        """Return who comes at a number from 0 on, and for what. pgbench.sql says the same."""
        come, one = divmod(number, self.group)
        group, visit = divmod(come, AHEAD_MAX)
        patient = group * self.group + one
        return Turn(patient, (patient + visit) % DAYS, (visit * self.patients + patient) // DAYS)


def group_of(clients: int, step: int = DAYS) -> int:
    """Return how large groups must be, so that nobody comes back while so many clients still serve the others.

    It is a multiple of `step`, which is one of DAYS.
    """
    return math.ceil(max(_GROUP_MIN, _CLIENTS_TIMES * clients) / step) * step


def groups_for(bookings: float, group: int) -> int:
    """Return how many groups can make so many bookings."""
    return math.ceil(bookings / (group * AHEAD_MAX))
