"""The database that a command or the product works on: the operator's own, or an embedded one that runs meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from healthplus.database.embedded import EmbeddedServer
from healthplus.database.free_space import FreeSpace
from healthplus.database.keeper import Keeper
from healthplus.database.migrations import check_migrated, migrate
from healthplus.database.rights import role_of
from healthplus.database.server_files import APP_ROLE, as_app_role
from healthplus.errors import DatabaseNotSetUp
from healthplus.processes import app_account
from healthplus.settings import Settings


@contextlib.contextmanager
def migrated_database(
    settings: Settings, with_key: Callable[[Settings], Settings], *, kept: bool = False
) -> Iterator[Settings]:
    """Bring the operator's own database, or an embedded one that runs for this block, to this release.

    An embedded server that is to be `kept` is started again when it is gone; then a database of the next release is
    left as it is, so that a machine that is upgraded last, or goes back, can start. `with_key` gives settings a secret
    key, of which the passwords of staff's logins are made, where they have some. Yields the settings with which the
    product works on it: the URLs of the role that owns nothing and of the owner, and the account of the app processes.
    Raises EmbeddedServerFailed and the errors of `migrate` and `role_of`.
    """
    with contextlib.ExitStack() as stack:
        found, server = stack.enter_context(_database(settings))
        assert found.database_url is not None
        app_role = None
        if server is not None:
            app_role = APP_ROLE
        elif found.database_owner_url:
            app_role = asyncio.run(role_of(found.database_url))
        owner_url = found.database_owner_url or found.database_url
        # The embedded server asks the kernel who is there, and nobody for a password.
        login_key = with_key(found).secret_key if server is None and app_role is not None else None
        asyncio.run(migrate(owner_url, app_role=app_role, login_key=login_key, may_be_next=kept))
        if kept and server is not None:
            stack.enter_context(Keeper(server))
        yield found


@contextlib.contextmanager
def running_database(settings: Settings, *, reads: bool = False) -> Iterator[str]:
    """Yield the DSN of a database that is of this very release, as `found_database` finds it."""
    with found_database(settings, reads=reads) as found:
        assert found.database_url is not None
        yield found.database_url


@contextlib.contextmanager
def found_database(settings: Settings, *, reads: bool = False, may_be_next: bool = False) -> Iterator[Settings]:
    """Yield the settings that lead to a database of this very release; apply nothing: others may be running on it.

    `may_be_next`: or of the next, which this one's processes go on with. Raises DiskFull, unless the caller only
    `reads`, EmbeddedServerFailed and the errors of `check_migrated`.
    """
    if not settings.database_url and not EmbeddedServer(settings.data_folder).is_initialized:
        raise DatabaseNotSetUp
    if not reads:
        FreeSpace.of(settings).require_for_changes()
    with _database(settings) as (found, server):
        assert found.database_url is not None
        # An embedded database of the release before may lack the role that owns nothing.
        dsn = found.database_url if server is None else found.database_owner_url or ""
        asyncio.run(check_migrated(dsn, may_be_next=may_be_next))
        yield found


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[tuple[Settings, EmbeddedServer | None]]:
    if settings.database_url:
        account = app_account(settings.account)
        yield replace(settings, account=account and account.pw_name), None
        return
    server = EmbeddedServer(settings.data_folder, account=settings.account)
    with server as owner_dsn:
        account = server.app_account
        complete = replace(
            settings,
            database_url=as_app_role(owner_dsn),
            database_owner_url=owner_dsn,
            database_folder=settings.space_folder,
            account=account and account.pw_name,
        )
        yield complete, server
