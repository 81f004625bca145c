from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from healthplus.accounts.sessions import hash_token
from healthplus.console.console import Console
from healthplus.console.logins import Logins
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.staff.log_in import LoggedIn
from healthplus.staff.rights import Role
from tests.fixtures.environment import Environment
from tests.fixtures.staff import PASSWORD, cheap_hashes, come_from, make_log_in, make_staff

KEY = "of no matter to the embedded server"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def logins(dsn: str, environment: Environment) -> AsyncIterator[Logins]:
    """The logins of staff, each by its own authentication, at a database with three clinics."""
    async with await Database.connect(as_app_role(dsn), min_size=1, max_size=2) as database:
        found = await Logins.find(database, as_app_role(dsn), KEY, 2)
        yield found
        await found.close()


async def log_in(db: Database, log_on: str, role: Role, clinic_id: int | None = 1) -> tuple[int, bytes]:
    """Add a member of the staff who logs in; return their id and the hash of their session's token."""
    staff_id = await make_staff(db, log_on, role, clinic_id)
    done = await make_log_in(db).with_password(log_on, PASSWORD, come_from())
    assert isinstance(done, LoggedIn)
    return staff_id, hash_token(done.token)


def console_of(logins: Logins, role: Role, token_hash: bytes) -> Console:
    return Console(logins.of(role), token_hash, "192.0.2.9")
