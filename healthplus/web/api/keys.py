"""Developers' keys: which operations need one, how they are refused, and the headers that show their quotas.

A key says which program makes a request. It never stands for a patient, and no verb sees it: the queue is served in
order of arrival, whatever program a patient uses. Every change of a booking or of a queue needs one, so that a key's
quotas and its end cannot be left behind by leaving the key away; people book on the pages, whose forms are guarded by
the session's cookie and the same-origin check (pages/session.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from litestar.openapi.spec import OpenAPIHeader, OpenAPIResponse, OpenAPIType, Operation, Schema, SecurityScheme
from litestar.types import Message
from litestar.types import Scope as AsgiScope

from healthplus.accounts.keys import KeyUse, Scope
from healthplus.errors import QuotaExceeded, UnknownDeveloperKey
from healthplus.web.http.requests import begin_request, first_header
from healthplus.web.services import AnyRequest, services

HEADER = "Api-Dev-Key"
PARAMETER = "api_dev_key"
_STATE = "key_use"

SECURITY_SCHEMES = {
    "developer_key": SecurityScheme(
        type="apiKey", name=HEADER, security_scheme_in="header", description="A developer's key, from the operator."
    ),
    "developer_key_in_query": SecurityScheme(
        type="apiKey",
        name=PARAMETER,
        security_scheme_in="query",
        description=f"The same; the header is better: addresses are logged. Where both are sent, {HEADER} counts.",
    ),
}


async def require_key(request: AnyRequest, scope: Scope) -> KeyUse:
    """Count the request for the developer key that it must carry.

    Raises UnknownDeveloperKey, OutOfScope and QuotaExceeded.
    """
    key = first_header(request.scope, HEADER)
    if key is None:
        key = request.query_params.get(PARAMETER)
    if key is None:
        raise UnknownDeveloperKey(
            f"Send a developer key with this, as the header `{HEADER}` or as `{PARAMETER}` in the query; "
            f"ask the operator for one, who makes it by `healthplus key add <name> --scope {scope}`."
        )
    use = await services(request).key_uses.count(key, scope)
    request.scope["state"][_STATE] = use
    if not use.counted:
        raise _quota_exceeded(use)
    return use


def _quota_exceeded(use: KeyUse) -> QuotaExceeded:
    violated = [quota for quota in use.quotas if not quota.left]
    last = max(violated, key=lambda quota: quota.ends_in)
    members: dict[str, Any] = {
        "retry_after": last.ends_in,
        # The name that draft-ietf-httpapi-ratelimit-headers has for it.
        "violated-policies": [quota.name for quota in violated],
    }
    return QuotaExceeded(
        f"This key's {last.limit} requests a {last.name} are used up; try again in {last.ends_in} seconds.", **members
    )


def add_quota_headers(message: Message, scope: AsgiScope) -> None:
    """Add to the start of an answer, if its request had a developer key, what is left of the key's quotas.

    The headers are those of draft-ietf-httpapi-ratelimit-headers-10, two lists of structured fields (RFC 9651).
    """
    use: KeyUse | None = scope["state"].get(_STATE)
    if use is None or message["type"] != "http.response.start":
        return
    policy = ", ".join(f'"{q.name}";q={q.limit};w={q.window_seconds}' for q in use.quotas)
    left = ", ".join(f'"{q.name}";r={q.left};t={q.ends_in}' for q in use.quotas)
    message["headers"] = [*message["headers"], (b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]


def needs_key(scope: Scope) -> dict[str, Any]:
    """Return the arguments of a route that needs a developer key with that scope: `@get(**needs_key("search"))`.

    What books needs the token of the patient for whom it is done, too.
    """

    # Before the request is parsed: one that makes no sense counts like any other. No guard, as Litestar copies the
    # route for each.
    async def begin(request: AnyRequest) -> None:
        await begin_request(request)  # refuses before anything is counted
        await require_key(request, scope)

    patient: dict[str, list[str]] = {"token": []} if scope == "book" else {}
    security = [{**patient, name: []} for name in SECURITY_SCHEMES]
    return {"before_request": begin, "security": security, "operation_class": _KeyedOperation}


_REFUSALS = {
    "401": "The developer key is missing, not known, expired or revoked.",
    "403": "The developer key lacks the scope for this.",
    "429": "The developer key's quota is used up.",
}
_TEXT, _SECONDS = Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.INTEGER)
_QUOTA_HEADERS = {
    "RateLimit-Policy": OpenAPIHeader(
        _TEXT, description="With a developer key: its quotas, `q` requests in `w` seconds."
    ),
    "RateLimit": OpenAPIHeader(
        _TEXT, description="With a developer key: `r` requests are left of each quota for `t` seconds."
    ),
}
_RETRY_AFTER = OpenAPIHeader(_SECONDS, description="In how many seconds to try again.")


@dataclass
class _KeyedOperation(Operation):
    """Describes in the OpenAPI document what a developer key adds to the answers of an operation."""

    def __post_init__(self) -> None:
        # The patient's token alone, which a controller asks for, is not enough here.
        self.security = [one for one in self.security or () if one.keys() & SECURITY_SCHEMES.keys()]
        responses = cast("dict[str, OpenAPIResponse]", self.responses)
        content = responses["503"].content  # a problem document, which every operation here may answer with
        for status, text in _REFUSALS.items():
            before = responses.get(status)
            description = f"{before.description} {text}" if before else text
            responses[status] = OpenAPIResponse(description, content=content)
        for status, response in responses.items():
            response.headers = {**(response.headers or {}), **_QUOTA_HEADERS}
            if status == "429":
                response.headers["Retry-After"] = _RETRY_AFTER
