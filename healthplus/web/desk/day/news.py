"""Whether a page of the day has changed since it was shown: what its script asks each second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response

from healthplus.console.console import queries
from healthplus.web.desk.session import console
from healthplus.web.services import AnyRequest


async def day_version(request: AnyRequest, clinic_id: int) -> str:
    """Return what changes with each change of a clinic's day sheets and queues."""
    version: str = await console(request).fetch_value(queries.day_version, clinic_id)
    return version


async def news_since(
    after: str, version: Awaitable[str], page: Callable[[str], Awaitable[Response[str]]]
) -> Response[Any]:
    """Return what `page` makes of the version that there is now; nothing where it is still `after`."""
    now = await version
    if now == after:
        return Response(b"", status_code=204, headers={"Cache-Control": "no-store"})
    return await page(now)
