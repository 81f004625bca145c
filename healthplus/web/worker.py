"""How an app process begins: what the server calls in it."""

from __future__ import annotations

import functools
import logging

from litestar import Litestar

from healthplus.logs import configure_logs
from healthplus.metrics import MEMORY
from healthplus.processes import become, go_first
from healthplus.settings import Settings
from healthplus.web.app import create_routes, furnish

logger = logging.getLogger(__name__)


def create_app_in_account() -> Litestar:
    """Return the ASGI app of this process, which from here on runs under the account that the settings name.

    The port is bound by the process that started this one.
    """
    settings = Settings.from_environment()
    configure_logs(settings.log_format)
    go_first()
    become(settings.account)
    if settings.metrics_folder is not None:
        try:
            MEMORY.share(settings.metrics_folder)
        except OSError as error:  # bookings go on without
            logger.warning("this process's metrics are not published: %s", error.strerror)
    return furnish(prepared_routes(), settings)


@functools.cache
def prepared_routes() -> Litestar:
    """Return the app of this process with its routes alone; made by the process that forks this one, where it was."""
    return create_routes(Settings.from_environment())
