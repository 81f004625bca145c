"""The database: the only package that imports the driver."""

from asyncpg import PostgresError, Range

from healthplus.database.change_feed import ChangeFeed
from healthplus.database.embedded import EmbeddedServer
from healthplus.database.free_space import FreeSpace
from healthplus.database.migrations import migrate
from healthplus.database.pool import Database, Record, Transaction
from healthplus.database.queries import Queries, load
from healthplus.database.repeating import repeat
from healthplus.database.running import migrated_database, running_database
from healthplus.database.warden import temporary_folder

__all__ = [
    "ChangeFeed",
    "Database",
    "EmbeddedServer",
    "FreeSpace",
    "PostgresError",
    "Queries",
    "Range",
    "Record",
    "Transaction",
    "load",
    "migrate",
    "migrated_database",
    "repeat",
    "running_database",
    "temporary_folder",
]
