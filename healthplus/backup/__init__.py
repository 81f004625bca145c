"""Back-ups: full ones and what is written after them, in a folder; restoring to a moment; and how old all of it is."""

from healthplus.backup.state import NIGHTLY_SECONDS_MAX, BackupState, backup_state

__all__ = ["NIGHTLY_SECONDS_MAX", "BackupState", "backup_state"]
