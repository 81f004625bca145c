"""The busiest routes answer the same, whether they are called directly or through Litestar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar.types import HTTPScope

from healthplus.web import direct
from healthplus.web.direct import DirectRoute
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.web.client import Client

HOLDS = f"providers/{PROVIDER}/holds"
PAY = {"method": "sandbox-ok"}
_CHANGING = ("ratelimit", "date", "x-request-id")
"""Headers that say what is left, when, or which request it is."""


@contextmanager
def called(monkeypatch: pytest.MonkeyPatch, *, directly: bool) -> Iterator[list[bool]]:
    """Have requests go one way in the block; the list says for each that could whether it went directly."""
    takes, went = DirectRoute.takes, []

    def spy(route: DirectRoute, scope: HTTPScope) -> bool:
        went.append(directly and takes(route, scope))
        return went[-1]

    with monkeypatch.context() as patch:
        patch.setattr(DirectRoute, "takes", spy)
        yield went


def shown(response: httpx.Response) -> tuple[int, list[tuple[str, str]], Any]:
    """Return what must be the same: status, headers, and the body, but for the seconds that are left and the id."""
    headers = [(name, value) for name, value in response.headers.items() if name not in (*_CHANGING, "content-length")]
    body = response.json()
    for one in ("expires_in", "request_id"):
        body.pop(one, None)
    return response.status_code, sorted(headers), body


@pytest.mark.parametrize("first", [True, False], ids=["directly first", "through Litestar first"])
async def test_a_hold_and_its_payment_answer_the_same(
    asha: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """Each is made one way and repeated the other way, which answers what the first did."""
    path, body = HOLDS, {"clinic_id": ONLINE, "start": environment.at(9)}
    for status in (201, 200):
        answers = []
        for directly in (first, not first):
            with called(monkeypatch, directly=directly) as went:
                response = await asha.post(path, body, key=f"key of {status}")
            assert went == [directly]
            assert response.status_code == status, response.text
            assert "ratelimit" in response.headers
            answers.append(shown(response))
        assert answers[0] == answers[1]
        path, body = f"{HOLDS}/{response.json()['id']}/payment", dict(PAY)


ODD: dict[str, dict[str, Any]] = {
    "no JSON": {"content": b"{"},
    "no body": {"content": b""},
    "no text": {"content": b'{"clinic_id": "\xff"}'},
    "no object": {"content": b"[]"},
    "an unknown field": {"more": {"doctor": 1}},
    "a wrong type": {"more": {"clinic_id": "1"}},
    "a time without a zone": {"more": {"start": "2026-01-01T09:00"}},
    "a time that is none": {"more": {"start": "2126-01-01T09:00:01Z"}},
    "too many slots": {"more": {"slots_needed": 99}},
    "a long body": {"more": {"start": "x" * 20_000}},
    "no key": {"headers": {"Idempotency-Key": None}},
    "an empty key": {"headers": {"Idempotency-Key": ""}},
    "a long key": {"headers": {"Idempotency-Key": "k" * 256}},
    "a key in other letters": {"headers": {"Idempotency-Key": "schlüssel"}},
    "no token": {"headers": {"Authorization": None}},
    "no bearer": {"headers": {"Authorization": "Basic YTpi"}},
    "an unknown token": {"headers": {"Authorization": "Bearer x"}},
    "no developer's key": {"headers": {"Api-Dev-Key": None}},
    "an unknown developer's key": {"headers": {"Api-Dev-Key": f"hp_{'x' * 43}"}},
    "no provider": {"path": "providers/0/holds"},
    "an id too large": {"path": f"providers/{2**63}/holds"},
    "an id far too large": {"path": f"providers/{'9' * 5000}/holds"},
    "another provider": {"path": "providers/999999/holds"},
    "no hold": {"path": f"{HOLDS}/{uuid4()}/payment", "body": PAY},
    "no hold's id": {"path": f"{HOLDS}/7/payment", "body": PAY},
    "an unknown way to pay": {"path": f"{HOLDS}/{uuid4()}/payment", "body": {"method": "shells"}},
    "an empty way to pay": {"path": f"{HOLDS}/{uuid4()}/payment", "body": {"method": ""}},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_what_is_refused_is_refused_in_the_same_words(
    asha: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]
) -> None:
    answers = []
    for directly in (True, False):
        with called(monkeypatch, directly=directly):
            answers.append(shown(await sent(asha, environment, **odd)))
    assert answers[0] == answers[1]
    assert answers[0][0] >= 400


async def sent(
    client: Client,
    environment: Environment,
    path: str = HOLDS,
    body: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    content: bytes | None = None,
    headers: dict[str, str | None] | None = None,
) -> httpx.Response:
    """Send a request that is good but for what is given; a header that is None is left out."""
    given = {
        **client._headers,
        "Idempotency-Key": str(uuid4()),
        "Api-Dev-Key": client._developer_key,
        **(headers or {}),
    }
    body = body or {"clinic_id": ONLINE, "start": environment.at(9), **(more or {})}
    return await client.http.post(
        f"/api/v1/{path}",
        headers=[(name.encode(), value.encode()) for name, value in given.items() if value is not None],
        **({"json": body} if content is None else {"content": content}),
    )


async def test_a_slow_or_missing_body_goes_through_litestar(asha: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is whole is plain: a body that is too long was not read to its end."""
    with called(monkeypatch, directly=True) as went:
        assert (await asha.post(HOLDS, {"start": "x" * 20_000})).status_code == 413
        assert (await asha.ask("POST", HOLDS, {}, headers={"Api-Dev-Key": "x"})).status_code == 401
    assert went == [False, True]


async def test_the_routes_that_are_called_directly_are_those_of_a_booking(asha: Client) -> None:
    app = asha.http._transport.app  # type: ignore[attr-defined]
    assert sorted(route._path_template for route in direct.direct_routes(app).values()) == [
        "/api/v1/providers/{provider_id}/holds",
        "/api/v1/providers/{provider_id}/holds/{hold_id}/payment",
    ]
