from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace

from healthplus.database.embedded import APP_ROLE, EmbeddedServer, as_app_role
from healthplus.database.migrations import check_migrated, migrate
from healthplus.database.rights import role_of
from healthplus.errors import DatabaseNotSetUp
from healthplus.processes import app_account
from healthplus.settings import Settings


@contextlib.contextmanager
def migrated_database(settings: Settings) -> Iterator[Settings]:
    """Bring the operator's own database, or an embedded one that runs for this block, to this release.

    Yields the settings with which the product works on it: the URLs of the role that owns nothing and of the owner, and
    the account of the app processes. Raises EmbeddedServerFailed and the errors of `migrate` and `role_of`.
    """
    with _database(settings) as found:
        assert found.database_url is not None
        app_role = None
        if settings.database_url is None:
            app_role = APP_ROLE
        elif found.database_owner_url:
            app_role = asyncio.run(role_of(found.database_url))
        asyncio.run(migrate(found.database_owner_url or found.database_url, app_role=app_role))
        yield found


@contextlib.contextmanager
def running_database(settings: Settings) -> Iterator[str]:
    """Yield the DSN of a database that is of this very release, and apply nothing: others may be running on it.

    Raises EmbeddedServerFailed and the errors of `check_migrated`.
    """
    if not settings.database_url and not EmbeddedServer(settings.data_folder).is_initialized:
        raise DatabaseNotSetUp
    with _database(settings) as found:
        assert found.database_url is not None
        # An embedded database of the release before may lack the role that owns nothing.
        asyncio.run(check_migrated(found.database_url if settings.database_url else found.database_owner_url or ""))
        yield found.database_url


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[Settings]:
    if settings.database_url:
        account = app_account(settings.account)
        yield replace(settings, account=account and account.pw_name)
        return
    server = EmbeddedServer(settings.data_folder, account=settings.account)
    with server as owner_dsn:
        account = server.app_account
        yield replace(
            settings,
            database_url=as_app_role(owner_dsn),
            database_owner_url=owner_dsn,
            account=account and account.pw_name,
        )
