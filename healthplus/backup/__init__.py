"""Back-ups: full ones and what is written after them, in a folder; restoring to a moment; and how old all of it is."""

from healthplus.backup.state import PROOF_SECONDS_MAX, BackupState, backup_state

__all__ = ["PROOF_SECONDS_MAX", "BackupState", "backup_state"]
