"""Calls the handlers of the busiest routes of the API without what Litestar does around each request.

Litestar finds the route, takes the request through its middleware, asks for each feature that a route may have, and
makes objects for headers and the body that these routes read once: for a hold, that takes as long as its own code.
A handler is the same either way, and so are its parameters, errors and answers; a test compares them. Whatever is not
plain goes through Litestar.
"""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope, Receive, Send

from healthplus.web.http.errors import render
from healthplus.web.http.requests import WHOLE_BODY, StrictRequest, first_header

OPTION = "direct"
"""The option of routes that are called directly: `@post(opt={"direct": True})`."""

_KEY = "Idempotency-Key"
_PARAMETERS = {"request", "data", "idempotency_key"}
"""What a handler may take besides the parameters of its path, all of which it must take."""


class DirectRoute:
    """A route whose handler is called directly."""

    def __init__(self, route: HTTPRoute, handler: Any) -> None:
        self._handler = handler
        self._path_template = route.path_format
        self._before = handler.resolve_before_request()
        self._parse = handler.signature_model.parse_values_from_connection_kwargs
        parameters = set(handler.parsed_fn_signature.parameters)
        assert parameters == _PARAMETERS | set(route.path_parameters)
        assert not any((handler.resolve_guards(), handler.resolve_dependencies(), handler.resolve_middleware()))

    def takes(self, scope: HTTPScope) -> bool:
        """Return whether a request is plain: it has a key, and a body that has been read."""
        return bool(scope["state"].get(WHOLE_BODY)) and first_header(scope, _KEY) is not None

    async def __call__(self, params: dict[str, Any], scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request that this route takes; `params`: those of its path."""
        scope["path_params"] = params
        scope["route_handler"] = self._handler
        scope["path_template"] = self._path_template
        request = StrictRequest(scope, receive, send)
        try:
            await self._before(request)
            given = {
                **params,
                "request": request,
                "data": await request.json(),
                "idempotency_key": first_header(scope, _KEY),
            }
            answer = await self._handler.fn(**self._parse(connection=request, kwargs=given))
            sent = await self._handler.to_response(app=request.app, data=answer, request=request)
        except Exception as error:
            sent = render(request, error).to_asgi_response(app=None, request=request)
        await sent(scope, receive, send)


def direct_routes(app: Litestar) -> dict[int, DirectRoute]:
    """Return the routes of an app that are called directly, by the identity of the handler."""
    return {
        id(handler): DirectRoute(route, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.opt.get(OPTION)
    }
