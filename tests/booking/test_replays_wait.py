"""An answer that is given again is given only once it is on the standby, where commits wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from healthplus.database import EmbeddedServer, migrate
from healthplus.database.server_files import APP_ROLE, as_app_role
from tests.conftest import FAST

_STORE = """
INSERT INTO booking.idempotency (provider_id, caller, operation, key, request_hash, at, code)
VALUES (1, 'patient:1', 'confirm', 'known', sha256('asked'), public.app_now(), 'booked')
"""
_FIND = "SELECT code FROM booking.find_result(1, 'patient:1', 'confirm', $1, 'asked', public.app_now())"


@pytest.fixture
def waiting_server(server_folder: Path) -> Iterator[str]:
    """The DSN of a server that waits for a standby which is not there, when a session's commits are to be durable."""
    with EmbeddedServer(server_folder, {**FAST, "synchronous_standby_names": "nobody"}) as dsn:
        asyncio.run(migrate(dsn, app_role=APP_ROLE))
        yield dsn


_DO_NOT_WAIT = """
CREATE OR REPLACE FUNCTION booking.wait_for_standby() RETURNS void LANGUAGE plpgsql VOLATILE AS $$ BEGIN END $$
"""


async def test_a_replay_waits_for_the_standby(waiting_server: str) -> None:
    owner = await asyncpg.connect(waiting_server)
    app = await asyncpg.connect(as_app_role(waiting_server), server_settings={"synchronous_commit": "on"})
    try:
        await owner.execute(_STORE)
        assert await app.fetchval(_FIND, "new") is None  # nothing to answer with, and nothing to wait for
        guard = await owner.fetchval("SELECT pg_get_functiondef('booking.wait_for_standby'::regproc)")
        await owner.execute(_DO_NOT_WAIT)
        assert await asyncio.wait_for(app.fetchval(_FIND, "known"), 10) == "booked"  # what would then be lost
        await owner.execute(guard)
        replay = asyncio.ensure_future(app.fetchval(_FIND, "known"))
        assert (await asyncio.wait({replay}, timeout=1))[0] == set()
        await owner.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        await owner.execute("SELECT pg_reload_conf()")
        assert await asyncio.wait_for(replay, 10) == "booked"
    finally:
        await owner.close()
        await app.close()
