"""Trees of the product's source as other releases have it, and their commands."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import healthplus
from healthplus.database.release import RELEASE
from healthplus.database.server_files import as_app_role

PRESENT = Path(healthplus.__file__).parents[1]

# What releases do to a database, one of each kind (docs/decisions/0020): columns of large tables, more in what verbs
# answer, a constraint, and afterwards an index, and old rows filled in batches.
_NEXT = """
ALTER TABLE booking.booking ADD COLUMN channel text, ADD COLUMN trial smallint NOT NULL DEFAULT 0;
ALTER TABLE booking.booking ADD CONSTRAINT booking_channel_check CHECK (channel <> '') NOT VALID;
"""
_NEXT_TICKET = "ALTER TABLE booking.ticket ADD COLUMN channel text;"
_NEXT_OUTCOME = "ALTER TYPE booking.outcome ADD ATTRIBUTE channel text;"
_NEXT_AFTER = """
ALTER TABLE booking.booking VALIDATE CONSTRAINT booking_channel_check;
DROP INDEX CONCURRENTLY IF EXISTS booking.booking_channel;
CREATE INDEX CONCURRENTLY booking_channel ON booking.booking (channel) WHERE channel IS NOT NULL;
-- One book at a time, under its row's lock, so that no verb waits for long.
DO $$
DECLARE
    head record;
BEGIN
    FOR head IN SELECT provider_id FROM booking.book ORDER BY provider_id LOOP
        PERFORM FROM booking.book WHERE provider_id = head.provider_id FOR UPDATE;
        UPDATE booking.ticket SET channel = 'web' WHERE provider_id = head.provider_id AND channel IS NULL;
        COMMIT;
    END LOOP;
END $$;
CALL search.refresh_all();
"""


class Tree:
    """A copy of the product that another release is made of; `source`: of which tree.

    With what Python has compiled of it, which is compiled again where the source is edited: files keep their times.
    """

    def __init__(self, folder: Path, source: Path = PRESENT) -> None:
        self.folder = folder
        self.package = folder / "healthplus"
        for name in ("healthplus", "healthplus_bench", "healthplus_sandbox"):
            shutil.copytree(source / name, folder / name)

    def edit(self, files: str, pattern: str, replacement: str) -> None:
        """Replace what matches in just one place."""
        places = 0
        for path in self.package.glob(files):
            text, count = re.subn(pattern, replacement, path.read_text(), flags=re.DOTALL)
            places += count
            if count:
                path.write_text(text)
        if places != 1:
            raise ValueError(f"{pattern} is found {places} times")

    def raise_release(self, release: int) -> None:
        self.edit("database/release.py", r"RELEASE = \d+", f"RELEASE = {release}")

    def migrate_with(self, name: str, sql: str) -> None:
        folder = self.package / "database" / "migrations"
        (folder / f"{len(list(folder.glob('*.sql'))) + 1:04}_{name}.sql").write_text(sql)

    async def run(self, dsn: str, *arguments: str) -> tuple[int, str]:
        """Run one of its commands; return the exit code and all that it says."""
        return await run(self.folder, dsn, *arguments)


def next_release(folder: Path) -> Tree:
    """Make the release after this one in a folder: it changes tables, an index, and what verbs answer."""
    tree = Tree(folder)
    tree.raise_release(RELEASE + 1)
    tree.migrate_with("channel_of_bookings", _NEXT)
    tree.migrate_with("channel_of_tickets", _NEXT_TICKET)
    tree.migrate_with("channel_of_outcomes", _NEXT_OUTCOME)
    tree.migrate_with("channel.after", _NEXT_AFTER)
    return tree


async def run(tree: Path, dsn: str, *arguments: str) -> tuple[int, str]:
    """Run a command of the product whose source is in `tree`, on a database; return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "healthplus", *arguments, cwd=tree,
        env={**os.environ, "DATABASE_URL": as_app_role(dsn), "DATABASE_OWNER_URL": dsn},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
