"""Clients of the app: a program with a token, and a browser with a cookie, without a browser."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import httpx
from litestar import Litestar

from healthplus.web.shared_reads import SharedReads
from tests.fixtures.developer_key import DEVELOPER_KEY

_keys = itertools.count(1)


class Client:
    """An HTTP client for one patient, or nobody; every changing request has a new key unless it comes with one.

    Changes are made with a developer's key, or with none.
    """

    def __init__(self, http: httpx.AsyncClient, token: str | None, developer_key: str | None = DEVELOPER_KEY) -> None:
        self.http = http
        self._developer_key = developer_key
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = {**self._headers, **options.pop("headers", {})}
        if method != "GET":
            headers.setdefault("Idempotency-Key", key or f"key-{next(_keys)}")
            if self._developer_key is not None and "api_dev_key" not in options.get("params", {}):
                headers.setdefault("Api-Dev-Key", self._developer_key)
        url = path if path.startswith("/") else f"/api/v1/{path}"
        return await self.http.request(method, url, json=body, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.ask("POST", path, body, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("DELETE", path, **options)


def forget_shared_reads(app: Litestar) -> None:
    """Have the app's next pages show what is so now, as those after a second do."""
    app.state.services = replace(app.state.services, reads=SharedReads())


def connect(app: Litestar) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's ASGI types are narrower than httpx's
    return httpx.AsyncClient(transport=transport, base_url="http://healthplus.test")


class Browser:
    """A browser's cookies and forms: one patient is signed in, by their token, or nobody."""

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
