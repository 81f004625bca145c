"""The server that is backed up: how its programs and the product connect to it, and what it says of itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from healthplus.backup.errors import BackupFailed
from healthplus.database import Database
from healthplus.database.limits import COMMANDS
from healthplus.settings import Settings

SLOT = "healthplus_backup"
"""The replication slot: what is written stays at the server until it is in the back-up."""

# By the server's own clock, as restoring goes by it: the product's may be moved in tests.
_FACTS = """
SELECT clock_timestamp() AS at, pg_current_wal_flush_lsn()::text AS lsn, system_identifier,
    (SELECT setting::integer FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes,
    current_setting('server_version_num')::integer / 10000 AS version, current_user AS role,
    current_database() AS database, current_setting('max_slot_wal_keep_size') AS slot_limit
FROM pg_control_system()
"""
_IDENTITY = "SELECT system_identifier, current_database() AS database FROM pg_control_system()"


class Connection(NamedTuple):
    """How a program of PostgreSQL connects: an address that others may see, and an environment that they may not."""

    address: str
    environment: Mapping[str, str]


def source_url(settings: Settings) -> str:
    """Return the address by which the server is backed up."""
    return settings.backup_url or settings.database_owner_url or settings.database_url or ""


def connection_of(url: str) -> Connection:
    """Return how programs connect to `url`: its password is not in the address, which is in their titles."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    query = dict(parse_qsl(parts.query))
    password = query.pop("password", "") or unquote(password)
    key_password = query.pop("sslpassword", "")
    address = parts._replace(netloc=f"{name}{at}{host}", query=urlencode(query, quote_via=quote)).geturl()
    environment = {key: value for key, value in os.environ.items() if key.startswith("PG") or key == "HOME"}
    if key_password:
        raise BackupFailed("sslpassword would show in the titles of programs: let the key have no password.")
    return Connection(address, {**environment, **({"PGPASSWORD": password} if password else {})})


async def facts(server: Database) -> Mapping[str, Any]:
    """Return what the server says of itself and its clock. Raises BackupFailed where it is another's replica."""
    if await server.fetch_value("SELECT pg_is_in_recovery()"):
        raise BackupFailed("The database server is a replica; back up the server that takes the changes.")
    row = await server.fetch_row(_FACTS)
    assert row is not None
    return dict(row)


async def require_products(database: Database, found: Mapping[str, Any]) -> None:
    """Raise BackupFailed where these facts are not of the server that the product works on."""
    own = await database.fetch_row(_IDENTITY)
    assert own is not None
    if (own["system_identifier"], own["database"]) != (found["system_identifier"], found["database"]):
        raise BackupFailed(
            "HEALTHPLUS_BACKUP_URL leads to another database than DATABASE_URL: let both name the same, or a back-up "
            "proves nothing."
        )


def ask_facts(url: str) -> Mapping[str, Any]:
    """Return what the server at `url` says of itself, from where nothing else runs. Raises BackupFailed."""

    async def ask() -> Mapping[str, Any]:
        async with await Database.connect(url, min_size=1, max_size=1, limits=COMMANDS) as server:
            return await facts(server)

    return asyncio.run(ask())
