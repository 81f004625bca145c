"""A request's id, and what is noted of it once it is answered: how long it took, and the status."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from litestar.types import Send

from healthplus import logs
from healthplus.metrics import REQUEST_SECONDS, RESPONSES, SLOW
from healthplus.web.admission import Traffic
from healthplus.web.http.requests import REQUEST_ID
from healthplus.web.traffic import Treatment

logger = logging.getLogger(__name__)

HEADER = b"x-request-id"
_CLOSE = (b"connection", b"close")


class Trace:
    """One request from its beginning; answers are sent through it, so that each of them bears the id.

    The id is the one that came with the request, if it is one, so that a proxy's or client's log leads to ours.
    """

    __slots__ = ("_began", "_is_draining", "_send", "_status", "header", "id", "is_last")

    def __init__(self, scope: Any, send: Send, is_draining: Callable[[], bool]) -> None:
        """`is_draining`: whether this process is about to end, so that the client's next request goes elsewhere."""
        self._began = time.perf_counter()
        self._send = send
        self._is_draining = is_draining
        self._status = 0
        self.is_last = False  # on its connection
        found = None
        for name, value in scope["headers"]:
            if name == HEADER:
                found = logs.accepted_request_id(value)
                break
        self.id = found or logs.new_request_id()
        self.header = (HEADER, self.id.encode())
        scope["state"][REQUEST_ID] = self.id
        logs.request_id.set(self.id)

    async def send(self, message: Any) -> None:
        """Send a message of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message["headers"], self.header]
            if self.is_last or self._is_draining():
                headers.append(_CLOSE)
            message = {**message, "headers": headers}  # it may be kept, and sent again
        await self._send(message)

    def end(self, treatment: Treatment, slow_seconds: float) -> None:
        """Note what became of the request; one that was slow is named in the log, but a poll, which waits."""
        took = time.perf_counter() - self._began
        name = _NAMES[treatment.traffic]
        REQUEST_SECONDS.observe(took, treatment.route, name)
        RESPONSES.add(name, str(self._status or "none"))
        if took > slow_seconds and treatment.traffic is not Traffic.POLL:
            SLOW.add()
            logger.warning("slow request: %s took %.0f ms, status %d", treatment.route, took * 1000, self._status)


_NAMES: dict[Traffic | None, str] = {None: "other", **{traffic: traffic.name.lower() for traffic in Traffic}}
