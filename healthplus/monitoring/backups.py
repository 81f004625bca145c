"""How old the newest back-up is, and how long ago restoring one was proven."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from healthplus.settings import Settings

RED_SECONDS = 26 * 3600
"""Older than this, either is a fault: both come nightly, and a night may be a little late."""


class BackupAges(NamedTuple):
    """Seconds; None where there is none."""

    backup_seconds: float | None
    proven_restore_seconds: float | None


def backup_ages(settings: Settings) -> BackupAges | None:
    """Return the ages, or None where no back-ups are set up."""
    if find_spec("healthplus.backup") is None:
        return None
    read: Callable[[Settings], BackupAges | None] | None = getattr(
        import_module("healthplus.backup"), "backup_state", None
    )
    return None if read is None else read(settings)
