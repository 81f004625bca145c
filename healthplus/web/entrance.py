"""Checks every request before Litestar sees it: whether it is whole, and whether there is room for it.

A request without a Host, or with two, is refused. HEAD is answered as GET is, without the body. Bodies are read before
anything else, in BODY_SECONDS_MAX: a slow sender keeps nobody else waiting. Also those that nobody wants are read: the
server hangs up after an answer that came before the whole body, and the client's next request on that connection is
lost. Where a body is too long or too slow, the answer says that it is the connection's last. Then the request is let in
to work, or waits, or is refused at once (`web/admission.py`). What a client no longer wants is not begun, or is ended
where it only reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.utils import normalize_path

from healthplus.accounts.sessions import hash_token
from healthplus.errors import HealthPlusError, Malformed, Overloaded, TooSlow
from healthplus.idle import worker
from healthplus.web.admission import Admission, Call, Traffic
from healthplus.web.api.keys import add_quota_headers
from healthplus.web.direct import DirectRoute, direct_routes
from healthplus.web.http.actor import bearer_token
from healthplus.web.http.errors import render as render_problem
from healthplus.web.http.requests import BODY_BYTES_MAX, IS_HEAD, REQUEST_ID, WHOLE_BODY
from healthplus.web.languages import split_path
from healthplus.web.pages.errors import render
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest, services
from healthplus.web.trace import Trace
from healthplus.web.traffic import UNKNOWN_ROUTE, Treatment, treatments

BODY_SECONDS_MAX = 10.0
_PROGRAMS = ("/api/", "/news")
"""The beginning or end of the addresses that scripts and programs ask, and not people."""
_LATER = Treatment(Traffic.PAGE, BODY_BYTES_MAX, "another address")
_ID_PLACE = "place-of-a-request-id"
"""What stands for the id in a refusal that is made once."""
_SENT_AS_IT_IS = "".join(map(chr, range(128)))
_TICKETS = ("ticket_id", "wait_id")
"""What the routes that poll a ticket call it."""


class Entrance:
    """Stands before an app; `admission` is of its process. What takes over `slow_seconds` is named in the log."""

    def __init__(self, app: Litestar, admission: Admission, slow_seconds: float) -> None:
        self._app = app.asgi_handler
        self._state = app.state
        self._find_route = app.asgi_router.handle_routing
        self._treatments = treatments(app)
        self._direct = direct_routes(app)
        self._admission = admission
        self._slow_seconds = slow_seconds
        self._refusals: dict[tuple[Traffic, str], list[Any]] = {}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        # Always of type http: the product has no websockets, and Litestar itself takes what is no request.
        trace = Trace(scope, send, self._is_draining)
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
            scope["state"][IS_HEAD] = True
        if not scope["query_string"].isascii():  # as curl sends what is typed: UTF-8, which is read only when encoded
            scope["query_string"] = quote(scope["query_string"], _SENT_AS_IT_IS).encode()
        treatment, params, direct = self._route(scope)
        try:
            answer = _without_body(trace.send) if IS_HEAD in scope["state"] else trace.send
            await self._take(trace, scope, receive, answer, treatment, params, direct)
        finally:
            trace.end(treatment, self._slow_seconds)

    async def _take(
        self,
        trace: Trace,
        scope: Any,
        receive: Receive,
        send: Send,
        treatment: Treatment,
        params: dict[str, Any],
        direct: DirectRoute | None,
    ) -> None:
        client = _Client(scope, receive, send)
        try:
            if scope["method"] != "GET" or _says_it_has_a_body(scope):
                trace.is_last = True  # until all of it is here
                trace.is_last = not await client.read_body(treatment.body_bytes_max)
            _check_host(scope)
        except _Gone:
            return
        except HealthPlusError as error:
            await _answer(scope, receive, send, error)
            return
        if treatment.traffic is None:
            await self._app(scope, client.receive, send)
            return
        try:
            call = self._admission.let_in(treatment.traffic) or await self._wait(treatment.traffic, client)
        except _Gone:
            return
        except Overloaded as refusal:
            await self._refuse(scope, treatment.traffic, params, refusal, send)
            return
        app = self._app if direct is None or not direct.takes(scope) else partial(direct, params)
        await self._work(scope, call, client, app)

    def _is_draining(self) -> bool:
        services = self._state.get("services")
        return services is not None and services.waiting.draining

    def _route(self, scope: HTTPScope) -> tuple[Treatment, dict[str, Any], DirectRoute | None]:
        """Return how a request is to be treated, the parameters in its path, and the route that is called directly."""
        try:
            # The router keeps the answer, and asks for it again.
            _, handler, _, params, _ = self._find_route(path=normalize_path(scope["path"]), method=scope["method"])
        except HTTPException:  # there is no such route; the router will say so
            return UNKNOWN_ROUTE, {}, None
        treatment = self._treatments.get(id(handler)) or _LATER  # one that came later
        if IS_HEAD in scope["state"] and treatment.traffic is Traffic.POLL:
            scope["query_string"] = b""  # it is not to wait for anything
        return treatment, params, self._direct.get(id(handler))

    async def _wait(self, traffic: Traffic, client: _Client) -> Call:
        client.watch()
        try:
            return await self._admission.wait(traffic)
        except asyncio.CancelledError:
            if client.has_gone:
                raise _Gone from None
            raise
        finally:
            client.stop_watching()

    async def _work(self, scope: HTTPScope, call: Call, client: _Client, app: ASGIApp) -> None:
        if scope["method"] == "GET":
            call.on_slow = client.watch
        token = worker.set(call)
        try:
            await app(scope, client.receive, client.send)
        except asyncio.CancelledError:
            if not client.has_gone:
                raise
        finally:
            call.end()
            worker.reset(token)
            client.stop_watching()

    async def _refuse(
        self, scope: HTTPScope, traffic: Traffic, params: dict[str, Any], refusal: Overloaded, send: Send
    ) -> None:
        path = scope["path"]
        if traffic is Traffic.POLL and IS_HEAD not in scope["state"]:
            _note_presence(scope, params)
        is_program = path.startswith(_PROGRAMS[0]) or path.endswith(_PROGRAMS[1])
        language = split_path(path)[0]
        kind = "" if is_program else language.url("/")
        messages = self._refusals.get((traffic, kind))
        if messages is None:
            # Made once: a refusal must cost next to nothing.
            hosts = [header for header in scope["headers"] if header[0] == b"host"]
            plain: Any = {**scope, "path": kind or "/", "query_string": b"", "headers": hosts}
            plain["state"] = {REQUEST_ID: _ID_PLACE}
            messages = await _rendered(plain, refusal, render_problem if is_program else render)
            self._refusals[traffic, kind] = messages
        start, body = messages
        content = body["body"].replace(_ID_PLACE.encode(), scope["state"][REQUEST_ID].encode())
        length = (b"content-length", str(len(content)).encode())
        headers = [length if header[0] == length[0] else header for header in start["headers"]]
        answer: list[Any] = [{**start, "headers": headers}, {**body, "body": content}]
        for message in answer:
            await send(message)


class _Gone(Exception):
    """The client has hung up."""


class _Client:
    """The client of one request. While it is watched, its request is cancelled when it hangs up.

    `can_be_watched`: nothing of its body is left to read, so all that can come is that it hangs up.
    """

    __slots__ = (
        "_is_answered", "_is_late", "_receive", "_scope", "_send", "_task", "_watching",
        "can_be_watched", "has_gone", "receive",
    )  # fmt: skip

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = self.receive = receive
        self._send = send
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self.can_be_watched = True
        self._is_answered = self._is_late = self.has_gone = False

    async def read_body(self, bytes_max: int) -> bool:
        """Read the body, up to a length, into the state of the request; what is longer, the app reads on by itself.

        Returns whether this was all of it. Raises TooSlow, and _Gone when the client hangs up.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + BODY_SECONDS_MAX
        late = loop.call_at(until, self._be_late)  # a tenth of the time that asyncio.timeout takes
        messages: list[Any] = []
        size = 0
        more = True
        try:
            while more and size <= bytes_max:
                message: Any = await self._receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                messages.append(message)
                size += len(message["body"])
                more = message.get("more_body", False)
        except asyncio.CancelledError:
            if not self._is_late or self._task is None or self._task.uncancel():
                raise
            raise TooSlow from None
        finally:
            late.cancel()
        self.can_be_watched = not more
        if size <= bytes_max:
            self._scope["state"][WHOLE_BODY] = b"".join(message["body"] for message in messages)
        self.receive = _repeated(messages, self._receive, until if more else None)
        return not more

    def _be_late(self) -> None:
        if self._task is not None:
            self._is_late = True
            self._task.cancel()

    async def send(self, message: Message) -> None:
        self._is_answered = True
        add_quota_headers(message, self._scope)
        await self._send(message)

    def watch(self) -> None:
        if self.can_be_watched and not self._is_answered:
            self._watching = asyncio.get_running_loop().create_task(self._until_gone())

    def stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._is_answered and self._task is not None:
            self.has_gone = True
            self._task.cancel()


def _check_host(scope: HTTPScope) -> None:
    """Raise Malformed unless the request has one Host, as HTTP/1.1 wants it."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    # The server adds an empty one where there is none, which HTTP/1.0 allows.
    if len(hosts) != 1 or not (hosts[0] or scope["http_version"].startswith("1.0") or scope["http_version"] == "1"):
        raise Malformed("The request must have one Host header, with the name of this site.")


def _says_it_has_a_body(scope: HTTPScope) -> bool:
    return any(
        (name == b"content-length" and value != b"0") or name == b"transfer-encoding"
        for name, value in scope["headers"]
    )


def _repeated(messages: list[Any], receive: Receive, until: float | None) -> Receive:
    """Return what repeats messages, and then passes others on; after `until`, the client counts as gone."""
    messages.reverse()

    async def repeat() -> Any:
        if messages:
            return messages.pop()
        try:
            async with asyncio.timeout_at(until):
                return await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}

    return repeat


def _note_presence(scope: HTTPScope, params: dict[str, Any]) -> None:
    """Note that the client of a ticket was here: the poll is refused, the patient waits all the same.

    Whose ticket it is, is looked at when presence is written: here nothing may wait for the database.
    """
    ticket_id = next((params[name] for name in _TICKETS if name in params), None)
    if ticket_id is None:
        return
    request: AnyRequest = Request(scope)
    try:
        token = bearer_token(request) if scope["path"].startswith("/api/") else site(request).read(request, "session")
    except HealthPlusError:
        return
    if token:
        services(request).waiting.note_refused(hash_token(token), ticket_id)


async def _answer(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
    request: AnyRequest = Request(scope, receive, send)
    await render(request, error).to_asgi_response(app=None, request=request)(scope, receive, send)


async def _rendered(scope: Scope, error: Exception, how: Callable[[AnyRequest, Exception], Response[Any]]) -> list[Any]:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    request: AnyRequest = Request(scope)
    await how(request, error).to_asgi_response(app=None, request=request)(scope, request.receive, keep)
    return messages


def _without_body(send: Send) -> Send:
    async def send_without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {"type": "http.response.body", "body": b"", "more_body": message["more_body"]}
        await send(message)

    return send_without_body
