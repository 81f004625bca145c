"""How old the back-up is, and how long ago it was proven: read from the database, so on every machine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from healthplus.database import Database, load
from healthplus.settings import Settings

queries = load(Path(__file__).with_name("queries.sql"))

NIGHTLY_SECONDS_MAX = 26 * 3600.0
"""Older than this, a full back-up or a proof is late: they are made every night, and one may take a little longer."""
WAL_SECONDS_MAX = 60.0
"""Older than this, what is written does not reach the back-up as it should: it is looked at every few seconds."""


class BackupState(msgspec.Struct, frozen=True):
    """Ages in seconds; None: never. `rpo_seconds`, `rto_seconds` and `problem` are the last rehearsal's.

    `full_age_seconds`: since the newest full back-up. `wal_age_seconds`: what was committed before that is in the
    back-up. `proven_age_seconds`: since a rehearsal that found nothing wrong. `is_wanted`: this machine backs up, or
    another one has.
    """

    is_wanted: bool
    full_age_seconds: float | None
    wal_age_seconds: float | None
    proven_age_seconds: float | None
    rehearsed_age_seconds: float | None
    rpo_seconds: float | None
    rto_seconds: float | None
    problem: str | None

    @property
    def is_full_late(self) -> bool:
        """Whether no full back-up was made within 26 hours."""
        return _is_late(self.full_age_seconds, NIGHTLY_SECONDS_MAX)

    @property
    def is_proof_late(self) -> bool:
        """Whether no rehearsal has proven the back-up within 26 hours."""
        return _is_late(self.proven_age_seconds, NIGHTLY_SECONDS_MAX)

    @property
    def is_behind(self) -> bool:
        """Whether more than a minute would be lost with the disk."""
        return _is_late(self.wal_age_seconds, WAL_SECONDS_MAX)


def _is_late(age_seconds: float | None, seconds_max: float) -> bool:
    """Return whether something is too old, or was never done; or was noted by a clock that was wrong."""
    return age_seconds is None or not -WAL_SECONDS_MAX <= age_seconds <= seconds_max


async def backup_state(database: Database, settings: Settings) -> BackupState:
    """Return how old the back-up is. Raises as `Database.fetch_row`."""
    row = await database.fetch_row(queries.state)
    assert row is not None
    found = dict(row)
    is_wanted = settings.backup_folder is not None or any(value is not None for value in found.values())
    return BackupState(is_wanted, **found)
