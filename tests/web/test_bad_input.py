"""Nothing a client may send breaks anything: it gets a problem document, and nothing changes."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.fixtures.developer_key import DEVELOPER_KEY
from tests.fixtures.environment import PROVIDER, Environment
from tests.web.client import Client
from tests.web.problem import problem

HOLDS = f"/api/v1/providers/{PROVIDER}/holds"
WAITS = f"/api/v1/providers/{PROVIDER}/waits"
NOBODYS = UUID(int=7)
START = "2026-11-25T03:30:00Z"

WRONG_BODIES: list[tuple[str, Any, int]] = [
    (HOLDS, body, status)
    for body, status in (
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"clinic_id": NaN}', 400),
        (b"[" * 10_000, 422),
        (b"null", 422),
        (b'{"clinic_id": 1e400, "start": "' + START.encode() + b'"}', 422),
        ({"clinic_id": 1}, 422),
        ({"clinic_id": "1", "start": START}, 422),
        ({"clinic_id": 1.5, "start": START}, 422),
        ({"clinic_id": None, "start": START}, 422),
        ({"clinic_id": 0, "start": START}, 422),
        ({"clinic_id": -1, "start": START}, 422),
        ({"clinic_id": 2**63, "start": START}, 422),
        ({"clinic_id": 10**30, "start": START}, 422),
        ({"clinic_id": 1, "start": START, "slots_needed": 0}, 422),
        ({"clinic_id": 1, "start": START, "slots_needed": 100}, 422),
        ({"clinic_id": 1, "start": START, "slots_needed": -1}, 422),
        ({"clinic_id": 1, "start": START, "patient_id": 2}, 422),
        ({"clinic_id": 1, "start": "2026-11-25T03:30:00"}, 422),
        ({"clinic_id": 1, "start": "2026-02-30T03:30:00Z"}, 422),
        ({"clinic_id": 1, "start": 1795577400}, 422),
        ({"clinic_id": 1, "start": "0001-01-01T00:00:00Z"}, 422),
        ({"clinic_id": 1, "start": "0001-01-01T00:00:00+14:00"}, 422),
        ({"clinic_id": 1, "start": "9999-12-31T23:59:59-14:00"}, 422),
        ({"clinic_id": 1, "start": "+12026-11-25T03:30:00Z"}, 422),
        ({"clinic_id": 1, "start": "\x00"}, 422),
        ({"clinic_id": 1, "start": START, "x": "x" * 20_000}, 413),
    )
] + [
    (WAITS, body, 422)
    for body in (
        {"from": START},
        {"from": START, "to": START},
        {"from": START, "to": "2026-11-24T00:00:00Z"},
        {"from": START, "to": "2027-11-24T00:00:00Z"},
        {"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"},
        {"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:00:00Z"},
        {"from": START, "to": "2026-11-25T04:30:00", "clinic_id": 1},
        {"from": START, "to": "2026-11-25T04:30:00Z", "slots_needed": 21},
        {"from": START, "to": "2026-11-25T04:30:00Z", "clinic_id": 2**70},
    )
]


async def test_wrong_bodies(http: httpx.AsyncClient, environment: Environment) -> None:
    counts = await environment.counts()
    headers = {
        "Idempotency-Key": "key",
        "Api-Dev-Key": DEVELOPER_KEY,
        "Authorization": f"Bearer {environment.tokens['asha']}",
    }
    for url, body, status in WRONG_BODIES:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await http.post(url, content=content, headers=headers)
        assert response.status_code == status, (body, response.text)
        problem(response, status)
    assert await environment.counts() == counts


async def test_every_change_needs_a_key(http: httpx.AsyncClient, environment: Environment) -> None:
    one = f"{HOLDS}/{NOBODYS}"
    appointment = f"/api/v1/providers/{PROVIDER}/appointments/{NOBODYS}"
    requests = [
        ("POST", HOLDS, {"clinic_id": 1, "start": START}),
        ("DELETE", one, None),
        ("POST", f"{one}/move", {"start": START}),
        ("POST", f"{one}/payment", {"method": "sandbox-ok"}),
        ("DELETE", appointment, None),
        ("POST", f"{appointment}/move", {"start": START}),
        ("POST", WAITS, {"from": START, "to": "2026-11-26T03:30:00Z"}),
        ("POST", f"{WAITS}/{NOBODYS}/accept", {}),
        ("DELETE", f"{WAITS}/{NOBODYS}", None),
    ]
    counts = await environment.counts()
    for key in (None, b"", b"x" * 256, b"caf\xe9", b"tab\there"):
        headers = {b"Authorization": f"Bearer {environment.tokens['asha']}".encode()}
        headers[b"Api-Dev-Key"] = DEVELOPER_KEY.encode()
        if key is not None:
            headers[b"Idempotency-Key"] = key
        for method, url, body in requests:
            answer = problem(await http.request(method, url, json=body, headers=headers), 400)
            assert "idempotency" in answer["detail"].lower()
    assert await environment.counts() == counts


async def test_ids_that_no_provider_has(asha: Client, environment: Environment) -> None:
    counts = await environment.counts()
    for provider_id in ("99", "0", "-1", str(2**63), str(10**30), "9" * 5000, "x", "1.0", "%00", "1'--"):
        base = f"/api/v1/providers/{provider_id}"
        for method, path, body in (
            ("GET", "slots", None),
            ("POST", "holds", {"clinic_id": 1, "start": START}),
            ("GET", f"holds/{NOBODYS}", None),
            ("DELETE", f"appointments/{NOBODYS}", None),
            ("PUT", f"appointments/{NOBODYS}/rating", {"stars": 5}),
            ("DELETE", f"waits/{NOBODYS}", None),
        ):
            problem(await asha.ask(method, f"{base}/{path}", body), 404)
    assert await environment.counts() == counts


async def test_ids_that_are_no_uuids(asha: Client) -> None:
    for one in ("x", "0", str(uuid4())[:-1], "%00", "../../appointments/1"):
        for path in (f"holds/{one}", f"appointments/{one}", f"waits/{one}"):
            problem(await asha.get(f"/api/v1/providers/{PROVIDER}/{path}"), 404)


async def test_unknown_addresses_and_methods(asha: Client) -> None:
    problem(await asha.get("/api/v1/nothing"), 404)
    response = await asha.ask("PUT", HOLDS)
    problem(response, 405)
    assert "POST" in response.headers["allow"]
