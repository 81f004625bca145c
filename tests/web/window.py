"""A browser's cookies, without a browser."""

from __future__ import annotations

import re

import httpx
from litestar import Litestar

from tests.web.conftest import connect


class Window:
    """Where somebody is signed in, by their token, or nobody."""

    def __init__(self, app: Litestar, token: str | None = None) -> None:
        self.http = connect(app)
        if token:
            self.http.cookies.set("session", token)
        self._keys = 0

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def post(
        self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a form under a new key, unless it has one."""
        self._keys += 1
        return await self.http.post(path, data={"key": f"key-{self._keys}", **(form or {})}, headers=headers)

    async def fill(self, path: str, **form: str) -> httpx.Response:
        """Send the form that is on a page, with what the page has put in it."""
        page = await self.get(path)
        given = dict(re.findall(r'name="(key|has)" value="([^"]+)"', page.text))
        assert given, page.text
        return await self.http.post(path, data={**given, **form})
