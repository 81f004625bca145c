"""What a back-up fails with."""

from __future__ import annotations

from healthplus.errors import DatabaseError


class BackupFailed(DatabaseError):
    """The back-up could not be made, read or restored."""

    code = "backup_failed"
