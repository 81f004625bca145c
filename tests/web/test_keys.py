"""Developers' keys over HTTP: where they are needed and taken, what answers say of quotas, and what they do not buy."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.params import FromQuery

from healthplus.accounts.keys import add_key, revoke_key
from healthplus.accounts.sessions import hash_token, queries
from healthplus.database import Database
from healthplus.errors import Conflict
from healthplus.settings import Settings
from healthplus.web.api.keys import needs_key
from healthplus.web.api.problems import READ_PROBLEMS
from healthplus.web.app import create_routes
from tests.fixtures.clock import move_clock, start_clock_tomorrow
from tests.fixtures.environment import FREE, PROVIDER, Environment
from tests.web.client import Browser, Client, connect
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, hold_body
from tests.web.test_waits import WAITS, evening, join

FIND = "/api/v1/trial/find"
HOLDS = f"providers/{PROVIDER}/holds"
NOBODYS = "0d4f3c1e-8a57-4b0e-9d53-2a1f6f0c7b11"
APPOINTMENT = f"providers/{PROVIDER}/appointments/{NOBODYS}"
CHANGES = {
    ("POST", HOLDS),
    ("DELETE", f"{HOLDS}/{NOBODYS}"),
    ("POST", f"{HOLDS}/{NOBODYS}/move"),
    ("PUT", f"{HOLDS}/{NOBODYS}/person"),
    ("PUT", f"{HOLDS}/{NOBODYS}/reason"),
    ("POST", f"{HOLDS}/{NOBODYS}/payment"),
    ("DELETE", APPOINTMENT),
    ("POST", f"{APPOINTMENT}/move"),
    ("PUT", f"{APPOINTMENT}/rating"),
    ("PUT", f"{APPOINTMENT}/reason"),
    ("PUT", f"{APPOINTMENT}/coming"),
    ("PUT", f"{APPOINTMENT}/earlier"),
    ("PUT", f"providers/{PROVIDER}/reviews/{NOBODYS}/report"),
    ("POST", WAITS),
    ("POST", f"{WAITS}/{NOBODYS}/accept"),
    ("POST", f"{WAITS}/{NOBODYS}/answer"),
    ("DELETE", f"{WAITS}/{NOBODYS}"),
}


@get(FIND, responses=READ_PROBLEMS, **needs_key("search"))
async def find(results_per_page: FromQuery[int] = 1, fail: FromQuery[bool] = False) -> dict[str, int]:
    if fail:
        raise Conflict
    return {"found": results_per_page}


@functools.cache
def _routes() -> Litestar:
    routes = create_routes(Settings(None, Path()))
    routes.register(find)
    return routes


@pytest.fixture
def routes() -> Litestar:
    """The product's routes, and one more."""
    return _routes()


def items(field: str) -> dict[str, dict[str, int]]:
    """Parse a list of strings with whole numbers as parameters, strictly, as RFC 9651 has it."""

    def parse() -> Iterator[tuple[str, dict[str, int]]]:
        for member in re.split(r"[ \t]*,[ \t]*", field):
            found = re.fullmatch(r'"([ !#-\[\]-~]*)"((?: *;[a-z*][a-z0-9_.*-]*=-?[0-9]{1,15})*)', member)
            assert found, member
            parameters = (pair.strip().partition("=") for pair in found[2].split(";")[1:])
            yield found[1], {name: int(value) for name, _, value in parameters}

    return dict(parse())


def quotas(response: httpx.Response) -> dict[str, tuple[int, int, int, int]]:
    """Return what an answer says of each quota: how many requests in how many seconds; what is left, for how long."""
    policies, limits = items(response.headers["ratelimit-policy"]), items(response.headers["ratelimit"])
    assert policies.keys() == limits.keys()
    assert all(policy.keys() == {"q", "w"} for policy in policies.values())
    assert all(limit.keys() == {"r", "t"} for limit in limits.values())
    return {name: (policy["q"], policy["w"], limits[name]["r"], limits[name]["t"]) for name, policy in policies.items()}


def tells_no_quota(response: httpx.Response) -> bool:
    return not {"ratelimit", "ratelimit-policy"} & response.headers.keys()


@pytest.mark.dates
async def test_where_a_key_is_needed(http: httpx.AsyncClient, db: Database) -> None:
    await start_clock_tomorrow(db, "10:00:10")
    for params in ({}, {"results_per_page": "many"}):
        missing = await http.get(FIND, params=params)
        document = problem(missing, 401, "unknown_developer_key")["detail"]
        assert all(part in document for part in ("`Api-Dev-Key`", "`api_dev_key`", "ask the operator"))
        assert missing.headers["www-authenticate"] == "Api-Dev-Key"
        assert tells_no_quota(missing)

    key_id, key = await add_key(db, "Acme", ["search"], 4, 5, timedelta(days=1))
    header = {"Api-Dev-Key": key}
    by_header = await http.get(FIND, headers=header)
    assert by_header.json() == {"found": 1}
    minute, day = quotas(by_header).values()
    assert minute[:3] == (4, 60, 3)
    assert day[:3] == (5, 86_400, 4)
    assert 45 <= minute[3] <= 50
    assert 13 * 3600 < day[3] <= 14 * 3600
    by_query = await http.get(FIND, params={"api_dev_key": key})
    assert [quota[2] for quota in quotas(by_query).values()] == [2, 3]
    # What is not understood, or goes wrong, counts like any other; of two keys, the header's counts.
    for params, status in ({"results_per_page": "many"}, 400), ({"fail": "true", "api_dev_key": "hp_x"}, 409):
        answer = await http.get(FIND, headers=header, params=params)
        problem(answer, status)
        assert quotas(answer)["minute"][0] == 4
    assert quotas(answer)["minute"][2] == 0

    full = await http.get(FIND, headers=header)
    document = problem(full, 429, "quota_exceeded")
    assert "4 requests a minute are used up" in document["detail"]
    assert document["violated-policies"] == ["minute"]
    assert int(full.headers["retry-after"]) == document["retry_after"] == quotas(full)["minute"][3]
    await move_clock(db, seconds=document["retry_after"] - 2)
    assert (await http.get(FIND, headers=header)).status_code == 429
    await move_clock(db, seconds=2)
    assert (await http.get(FIND, headers=header)).status_code == 200
    document = problem(full := await http.get(FIND, headers=header), 429, "quota_exceeded")
    assert (document["violated-policies"], document["retry_after"]) == (["day"], quotas(full)["day"][3])
    await move_clock(db, seconds=document["retry_after"])
    assert quotas(await http.get(FIND, headers=header))["day"][2] == 4

    await move_clock(db, hours=11)
    for headers, params in ((header, {}), ({}, {"api_dev_key": key})):
        expired = await http.get(FIND, headers=headers, params=params)
        assert "has expired" in problem(expired, 401, "unknown_developer_key")["detail"]
    for wrong in ("", "x", "hp_" + "x" * 43, "é", key[:-1]):
        answer = await http.get(FIND, params={"api_dev_key": wrong})
        assert "not known" in problem(answer, 401, "unknown_developer_key")["detail"]
        assert tells_no_quota(answer)
        assert not wrong or wrong == "x" or wrong not in answer.text

    key_id, key = await add_key(db, "Acme", ["book"])
    wrong_scope = await http.get(FIND, headers={"Api-Dev-Key": key})
    document = problem(wrong_scope, 403, "out_of_scope")
    assert document["scope"] == "search"
    assert "`search`" in document["detail"]
    assert tells_no_quota(wrong_scope)
    await revoke_key(db, key_id)
    revoked = await http.get(FIND, headers={"Api-Dev-Key": key})
    assert "was revoked" in problem(revoked, 401)["detail"]


UNKEYED = re.compile(r"/api/v1/(codes|me|webhooks)\b")
"""What changes no booking: signing in, one's own account, and what the bank tells."""


def test_every_change_but_of_ones_own_account_needs_a_key(app: Litestar) -> None:
    changing = {
        (method, re.sub(r"\{\w+:uuid\}", NOBODYS, route.path.replace("{provider_id:int}", str(PROVIDER))))
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method not in ("GET", "OPTIONS", "HEAD") and route.path.startswith("/api/") and not UNKEYED.match(route.path)
    }
    assert changing == {(method, f"/api/v1/{path}") for method, path in CHANGES}


async def test_nothing_is_booked_by_program_without_a_key(
    http: httpx.AsyncClient, anyone: Client, db: Database, environment: Environment
) -> None:
    await start_clock_tomorrow(db, "10:00:10")
    asha = Client(http, environment.tokens["asha"], None)
    _, search = await add_key(db, "Finder", ["search"])
    key_id, key = await add_key(db, "Acme", ["book"], 100, 100)
    counts = await environment.counts()
    for method, path in CHANGES:
        # A patient's token alone is not enough, and what is said helps.
        without = await asha.ask(method, path, {})
        document = problem(without, 401, "unknown_developer_key")["detail"]
        assert all(part in document for part in ("`Api-Dev-Key`", "ask the operator", "`healthplus key add", "book`"))
        assert tells_no_quota(without)
        unknown = await asha.ask(method, path, {}, headers={"Api-Dev-Key": "hp_"})
        problem(unknown, 401, "unknown_developer_key")
        problem(await asha.ask(method, path, {}, params={"api_dev_key": ""}), 401, "unknown_developer_key")
        assert problem(await asha.ask(method, path, {}, headers={"Api-Dev-Key": search}), 403)["scope"] == "book"
        # A key stands for no patient.
        nobody = await anyone.ask(method, path, {}, params={"api_dev_key": key})
        assert nobody.status_code in (400, 401, 422)
        assert quotas(nobody)["day"][0] == 100
    assert await environment.counts() == counts
    used = await db.fetch("SELECT key_id, requests FROM accounts.developer_key_use")
    assert [tuple(row) for row in used] == [(key_id, len(CHANGES))]


async def test_what_a_key_buys(asha: Client, http: httpx.AsyncClient, db: Database, environment: Environment) -> None:
    await start_clock_tomorrow(db, "10:00:10")
    _, key = await add_key(db, "Acme", ["book"], 100, 100)
    # What only looks counts nothing, and a repeat counts like any other request.
    header = {"Api-Dev-Key": key}
    first = await asha.post(HOLDS, hold_body(environment), key="once", headers=header)
    again = await asha.post(HOLDS, hold_body(environment), key="once", headers=header)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert quotas(first)["minute"][2] - quotas(again)["minute"][2] == 1
    looked = await asha.get(first.json()["url"], headers=header)
    assert looked.json()["state"] == "reserved"
    assert tells_no_quota(looked)
    paid = await asha.post(f"{first.json()['url']}/payment", PAY, headers=header)
    assert paid.json()["state"] == "booked"
    assert quotas(again)["day"][2] - quotas(paid)["day"][2] == 1
    moved = await asha.post(f"{paid.json()['url']}/move", {"start": environment.at(10)}, headers=header)
    assert moved.status_code == 200
    cancelled = await asha.delete(paid.json()["url"], headers=header)
    assert cancelled.json()["state"] == "cancelled"
    assert quotas(cancelled)["day"][2] == 100 - 5

    # Over its quota a key is refused, and leaving it away is no way round.
    _, key = await add_key(db, "Acme", ["book"], 1)
    body = hold_body(environment, 11)
    assert (await asha.delete(APPOINTMENT, headers={"Api-Dev-Key": key})).status_code == 404
    refused = await asha.post(HOLDS, body, headers={"Api-Dev-Key": key})
    assert problem(refused, 429, "quota_exceeded")["retry_after"] == int(refused.headers["retry-after"])
    assert quotas(refused)["minute"][2] == 0
    problem(await Client(http, environment.tokens["asha"], None).post(HOLDS, body), 401, "unknown_developer_key")


async def test_people_book_on_pages_without_a_key(app: Litestar, environment: Environment) -> None:
    """By the session's cookie, and only where the form comes from a page of ours."""
    browser = Browser(app, environment.tokens["asha"])
    path, form = f"/doctor/{PROVIDER}/dr-1/{FREE}", {"start": environment.at(18)}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert (await browser.post(path, form, headers)).status_code == 403
    held = await browser.post(path, form, {"Sec-Fetch-Site": "same-origin"})
    assert (held.status_code, "/hold/" in held.headers["location"]) == (303, True)
    # The cookie does not open the API.
    cookie = {
        "Cookie": f"session={environment.tokens['bina']}",
        "Idempotency-Key": "a",
        "Sec-Fetch-Site": "same-origin",
    }
    answer = await connect(app).post(f"/api/v1/{HOLDS}", json=hold_body(environment), headers=cookie)
    problem(answer, 401, "unknown_developer_key")


async def test_a_key_buys_no_better_position(
    asha: Client, bina: Client, chand: Client, db: Database, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    call = Database._call

    async def spy(self: Database, method: str, *args: Any, **options: Any) -> Any:
        asked.append((args[0], args[1:]))
        return await call(self, method, *args, **options)

    _, key = await add_key(db, "Acme", ["book"])
    header = {"Api-Dev-Key": key}
    held = await hold(asha, hold_body(environment, 18, FREE))
    monkeypatch.setattr(Database, "_call", spy)
    first = await join(bina, evening(environment))
    joined = await chand.post(WAITS, evening(environment), headers=header)
    second = joined.json()
    assert quotas(joined)["minute"][2] == 59
    assert first["number"] < second["number"]
    assert (first["position"], second["position"]) == (1, 2)
    await asha.delete(held["url"])
    assert (await chand.get(second["url"], headers=header)).json()["state"] == "waiting"
    assert (await bina.get(first["url"])).json()["state"] == "offered"
    # Nor can a key take what is offered, by either way.
    problem(await chand.post(f"{second['url']}/accept", headers=header), 409, "wrong_state")
    problem(await chand.post(HOLDS, hold_body(environment, 18, FREE), headers=header), 409)
    await bina.delete(first["url"])
    assert (await chand.get(second["url"])).json()["state"] == "offered"
    monkeypatch.undo()

    # No call of the database but that which counts it sees the key, or its developer.
    telling = [
        sql for sql, args in asked if {key, hash_token(key)} & {one for one in args if isinstance(one, str | bytes)}
    ]
    assert telling == [queries.use_developer_key] * 3
    assert any("join_queue" in sql for sql, _ in asked)
    actors = {row["actor"] for row in await db.fetch("SELECT DISTINCT actor FROM booking.event")}
    assert actors <= {*(f"patient:{patient_id}" for patient_id in environment.ids.values()), "system"}


async def test_what_the_description_says(http: httpx.AsyncClient, app: Litestar) -> None:
    app.update_openapi_schema()
    document = json.loads((await http.get("/api/v1/openapi.json")).content)
    schemes = document["components"]["securitySchemes"]
    assert {(one.get("in"), one.get("name")) for one in schemes.values() if one["type"] == "apiKey"} == {
        ("header", "Api-Dev-Key"),
        ("query", "api_dev_key"),
    }
    by_key: list[dict[str, list[str]]] = [{"developer_key": []}, {"developer_key_in_query": []}]
    needing = document["paths"][FIND]["get"]
    assert needing["security"] == by_key
    taking = document["paths"]["/api/v1/providers/{provider_id}/holds"]["post"]
    assert taking["security"] == [{"token": []} | one for one in by_key]
    for operation in (needing, taking):
        for status in ("401", "403", "429"):
            refusal = operation["responses"][status]
            assert "developer key" in refusal["description"]
            assert list(refusal["content"]) == ["application/problem+json"]
        for status, response in operation["responses"].items():
            assert {"RateLimit", "RateLimit-Policy"} <= response["headers"].keys()
            assert ("Retry-After" in response["headers"]) == (status == "429")
    keyed = sum(
        any("developer_key" in one for one in operation.get("security", ()))
        for path in document["paths"].values()
        for operation in path.values()
    )
    assert keyed == len(CHANGES) + 2
    looking = document["paths"]["/api/v1/providers/{provider_id}/holds/{hold_id}"]["get"]
    assert looking["security"] == [{"token": []}]
    properties = document["components"]["schemas"]["Problem"]["properties"]
    assert {"violated-policies", "scope"} <= properties.keys()
