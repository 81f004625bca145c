"""Refuses changes while the disk of the database has no room for them; reading goes on."""

from __future__ import annotations

from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from healthplus.web.services import AnyRequest, services

_READING = ("GET", "HEAD", "OPTIONS")


def require_space(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Raise DiskFull for a request that may change something when there is no room for changes."""
    request = cast("AnyRequest", connection)
    if request.method not in _READING:
        services(request).database.space.require_for_changes()
