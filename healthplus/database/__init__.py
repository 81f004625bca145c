"""The database: the only package that imports the driver."""

from asyncpg import PostgresError, Range

from healthplus.database.bulkhead import Bulkhead
from healthplus.database.change_feed import ChangeFeed
from healthplus.database.changes import forget_changes, has_changed, note_change
from healthplus.database.durability import refuse_unsafe_commits, unsafe_settings
from healthplus.database.embedded import EmbeddedServer
from healthplus.database.free_space import FreeSpace
from healthplus.database.limits import BACKGROUND, BULK, REQUESTS, Limits
from healthplus.database.migrations import migrate
from healthplus.database.pool import Database, Record, Transaction
from healthplus.database.queries import Queries, load
from healthplus.database.repeating import repeat, task_runs
from healthplus.database.running import found_database, migrated_database, running_database
from healthplus.database.warden import temporary_folder

__all__ = [
    "BACKGROUND",
    "BULK",
    "REQUESTS",
    "Bulkhead",
    "ChangeFeed",
    "Database",
    "EmbeddedServer",
    "FreeSpace",
    "Limits",
    "PostgresError",
    "Queries",
    "Range",
    "Record",
    "Transaction",
    "forget_changes",
    "found_database",
    "has_changed",
    "load",
    "migrate",
    "migrated_database",
    "note_change",
    "refuse_unsafe_commits",
    "repeat",
    "running_database",
    "task_runs",
    "temporary_folder",
    "unsafe_settings",
]
