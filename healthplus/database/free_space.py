"""How much room is left on the disk of the database, and what may still be done with it.

A server whose disk is full stops, and with it everything. So what fills the disk ends earlier: first new holds, tickets
and imports, then every change. What is needed to finish what was begun goes on in between; reading always does.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeAlias

from healthplus.errors import DiskFull
from healthplus.settings import Settings

logger = logging.getLogger(__name__)

SpaceState: TypeAlias = Literal["enough", "low", "full"]
"""`low`: no new holds, tickets or imports. `full`: no changes."""

LOOK_SECONDS = 1.0
STEADY_SECONDS = 3.0
"""How long there must have been more room before it counts: a server's log grows and is emptied in jumps."""
REFUSED_SECONDS = 10.0
"""How long the disk counts as full after the server has said that it is: other disks than the known one may be."""
RETRY_AFTER_SECONDS = 30

_MIB = 1 << 20
_BOOKINGS_MIB_MAX, _BOOKINGS_SHARE = 1024, 0.05
_CHANGES_MIB_MAX, _CHANGES_SHARE = 256, 0.01
_BETTER: dict[SpaceState, int] = {"full": 0, "low": 1, "enough": 2}


class Room(NamedTuple):
    """Bytes: what is free on a disk, what it has in all, and what must be free for bookings and for any change."""

    free_bytes: int
    all_bytes: int
    bookings_floor_bytes: float
    changes_floor_bytes: float


class FreeSpace:
    """Looks at most once a second at the disk of a folder. Without a folder, only the server's own word counts."""

    def __init__(
        self, folder: Path | None = None, bookings_mib: int | None = None, changes_mib: int | None = None
    ) -> None:
        """Take the floors below which there is no room for new bookings, and for changes.

        By default the smaller of 1 GiB and 5 % of the disk, and the smaller of 256 MiB and 1 %.
        """
        self._folder = folder
        self._bookings_mib = bookings_mib
        self._changes_mib = changes_mib
        self._state: SpaceState = "enough"
        self._reason: str | None = None
        self._worse_at = self._looked_at = -STEADY_SECONDS
        self._refused_until = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return that of the disk which the settings say the database is on, if any."""
        return cls(settings.space_folder, settings.space_for_bookings_mib, settings.space_for_changes_mib)

    @property
    def state(self) -> SpaceState:
        """What there is room for."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look(now)
        return self._state

    @property
    def reason(self) -> str | None:
        """Why bookings cannot be made, in a sentence for the operator; None when they can."""
        return None if self.state == "enough" else self._reason

    @property
    def has_room_for_changes(self) -> bool:
        return self.state != "full"

    def require_for_bookings(self) -> None:
        """Raise DiskFull when nothing new may be held, queued for or imported."""
        self.require_for_changes()
        if self.state == "low":
            raise DiskFull(reason="bookings", retry_after=RETRY_AFTER_SECONDS)

    def require_for_changes(self) -> None:
        """Raise DiskFull when nothing may be changed."""
        if self.state == "full":
            raise full()

    def measure(self) -> Room | None:
        """Return what is free now, and the floors; None where the folder is not known or not there."""
        try:
            disk = os.statvfs(self._folder) if self._folder is not None else None
        except OSError:
            disk = None
        if disk is None:
            return None
        all_bytes = disk.f_blocks * disk.f_frsize
        return Room(
            disk.f_bavail * disk.f_frsize,
            all_bytes,
            _floor(self._bookings_mib, _BOOKINGS_MIB_MAX, _BOOKINGS_SHARE, all_bytes),
            _floor(self._changes_mib, _CHANGES_MIB_MAX, _CHANGES_SHARE, all_bytes),
        )

    def note_refusal(self) -> None:
        """Note that the server itself has refused something because its disk is full."""
        now = time.monotonic()
        self._refused_until = now + REFUSED_SECONDS
        self._look(now)

    def _look(self, now: float) -> None:
        found, reason = self._find(now)
        if _BETTER[found] <= _BETTER[self._state]:
            self._worse_at = now
        elif now - self._worse_at < STEADY_SECONDS:
            return
        if found != self._state:
            logger.warning("%s", reason or f"There is room again on the disk of the database ({self._folder}).")
        self._state, self._reason = found, reason

    def _find(self, now: float) -> tuple[SpaceState, str | None]:
        if now < self._refused_until:
            return "full", "The database server says that its disk is full: nothing can be changed until there is room."
        if (room := self.measure()) is None:
            return "enough", None  # that the folder is missing, the keeper reports
        state: SpaceState
        for state, floor_bytes, what in (
            ("full", room.changes_floor_bytes, "nothing can be changed"),
            ("low", room.bookings_floor_bytes, "no holds, no joins and no imports"),
        ):
            if room.free_bytes // _MIB < floor_bytes / _MIB:
                return state, (
                    f"Only {room.free_bytes // _MIB} MiB are free on the disk of {self._folder}, of "
                    f"{floor_bytes / _MIB:.0f} MiB that must be: {what} until there is more."
                )
        return "enough", None


def _floor(given_mib: int | None, longest_mib: int, share: float, all_bytes: int) -> float:
    return min(longest_mib * _MIB, all_bytes * share) if given_mib is None else given_mib * _MIB


def full() -> DiskFull:
    """Return the error for a change that there is no room for."""
    return DiskFull(
        "The disk of our book is full, so nothing can be changed just now, and nothing was; what is booked or held is "
        "safe, and can be looked at. Try again later with the same key.",
        reason="changes",
        retry_after=RETRY_AFTER_SECONDS,
    )
