"""Sending finished files elsewhere, by a command of the operator's such as `aws s3 cp {path} s3://bucket/{name}`."""

from __future__ import annotations

import os
import shlex
import subprocess

from healthplus.backup.errors import BackupFailed
from healthplus.backup.folder import BackupFolder

_SENT = "sent.txt"
_SECONDS_MAX = 3600
_SECRET_PREFIXES = ("HEALTHPLUS_", "DATABASE_", "PG")


def arguments(command: str, path: str, name: str) -> list[str]:
    """Return the command for one file."""
    return [word.replace("{path}", path).replace("{name}", name) for word in shlex.split(command)]


def send_finished(folder: BackupFolder, command: str) -> int:
    """Call the command for each finished file that it has not taken, the oldest first; return for how many.

    Raises BackupFailed for the first that it refuses; those before it are not sent again.
    """
    path = folder.path / _SENT
    sent = set(path.read_text().splitlines()) if path.exists() else set()
    there = {str(file.relative_to(folder.path)): file for file in folder.finished_files()}
    if not sent <= there.keys():
        sent &= there.keys()
        path.write_text("".join(f"{name}\n" for name in sorted(sent)))
    count = 0
    # It needs credentials of its own, and none of the product's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRET_PREFIXES)}
    for name, file in there.items():
        if name in sent:
            continue
        try:
            done = subprocess.run(
                arguments(command, str(file), name), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, check=False, timeout=_SECONDS_MAX, env=environment,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackupFailed(f"HEALTHPLUS_BACKUP_COMMAND could not be run for {name}: {error}") from error
        if done.returncode != 0:
            raise BackupFailed(f"HEALTHPLUS_BACKUP_COMMAND failed for {name} ({done.returncode}).")
        with path.open("a") as file_of_sent:
            file_of_sent.write(f"{name}\n")
        count += 1
    return count
