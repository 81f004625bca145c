"""An operator's SMS relay, on loopback."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from aiohttp import web


class Relay:
    """Remembers what it was sent; answers `status`, once `stuck`, if given, is set."""

    def __init__(self, stuck: asyncio.Event | None = None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 202
        self.url = ""
        self._stuck = stuck

    async def _take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        if self._stuck:
            await self._stuck.wait()
        return web.Response(
            status=self.status, text=str(self.bodies[-1]), headers={"Location": self.url + "/elsewhere"}
        )

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{any:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/sms"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
