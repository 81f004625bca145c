from __future__ import annotations

import copy
import json
import logging
import re
from typing import Any

import httpx
import pytest
from asyncpg.exceptions import DeadlockDetectedError
from litestar import Litestar

from healthplus.booking.book import Book
from healthplus.database import Database, PostgresError
from healthplus.errors import DatabaseBusy, DatabaseUnreachable, OutcomeUnknown
from healthplus.settings import Settings
from healthplus.waiting.waiting_users import WaitingUsers
from healthplus.web.app import furnish
from tests.fixtures.environment import PROVIDER, Environment
from tests.web.client import Client, connect
from tests.web.problem import problem


async def test_the_openapi_document_lists_every_route(http: httpx.AsyncClient, app: Litestar) -> None:
    response = await http.get("/api/v1/openapi.json")
    document = json.loads(response.content)
    assert document["openapi"].startswith("3.")
    routes = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and route.path.startswith("/api/") and "openapi.json" not in route.path
    }
    assert len(routes) == 62
    assert {(path, method) for path, item in document["paths"].items() for method in item} == routes
    for path, method in routes:
        operation = document["paths"][path][method]
        parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
        # The gateway's own event ids tell a repeated webhook; a PUT says how things shall be, and repeats by nature.
        assert ("Idempotency-Key" in parameters) == (method not in ("get", "put") and "/webhooks/" not in path)


async def test_nothing_but_json_is_published(http: httpx.AsyncClient) -> None:
    for page in ("/api/v1", "/api/v1/swagger", "/api/v1/redoc", "/api/v1/openapi.yaml"):
        problem(await http.get(page), 404)
    assert (await http.get("/schema")).status_code == 404


async def test_live_and_ready(anyone: Client, db: Database) -> None:
    assert (await anyone.get("live")).json() == {"status": "live"}
    assert (await anyone.get("ready")).json() == {"status": "ready"}
    await db.execute("DELETE FROM public.schema_migration WHERE number > 5")
    response = await anyone.get("ready")
    problem(response, 503, "not_ready")
    assert response.headers["retry-after"] == "1"


_DEADLOCK = DeadlockDetectedError("deadlock detected")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DatabaseUnreachable("10.0.0.7 refused"), 503, "database_unreachable"),
        (OutcomeUnknown("10.0.0.7 refused"), 503, "outcome_unknown"),
        (DatabaseBusy(), 503, "busy"),
        (_DEADLOCK, 503, "busy"),
        (PostgresError("+919876543210"), 500, "error"),
        (ValueError("+919876543210"), 500, "error"),
    ],
)
async def test_faults_are_told_and_logged_without_secrets(
    asha: Client,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str,
) -> None:
    async def hold(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Book, "hold", hold)
    with caplog.at_level(logging.DEBUG):
        response = await asha.post(f"providers/{PROVIDER}/holds", {"clinic_id": 1, "start": environment.at(9)})
    problem(response, status, code)
    assert (response.headers.get("retry-after") is not None) == (status == 503)
    # That the database is away is said once, by the pool.
    assert (type(error).__name__ in caplog.text) != isinstance(error, DatabaseUnreachable)
    assert "10.0.0.7" not in response.text
    for secret in ("+9198", environment.tokens["asha"]):
        assert secret not in caplog.text + response.text


async def test_what_fails_after_a_change_is_not_told_as_nothing_changed(
    asha: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same key then tells: it was done, once."""
    path, slot = f"providers/{PROVIDER}/waits", {"clinic_id": 1, "from": environment.at(9), "to": environment.at(10)}
    assert (await environment.hold(environment.instant(9), name="bina")).code == "reserved"
    assert (await environment.hold(environment.instant(9, 30), name="chand")).code == "reserved"

    async def fail(*_: Any) -> None:
        raise DatabaseBusy

    with monkeypatch.context() as failing:
        failing.setattr(WaitingUsers, "_request_read", fail)
        problem(await asha.post(path, slot, key="join"), 503, "outcome_unknown")
    again = await asha.post(path, slot, key="join")
    assert again.status_code == 201
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.ticket") == 1


async def test_a_read_whose_connection_is_lost_has_changed_nothing(
    anyone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise OutcomeUnknown

    monkeypatch.setattr(Book, "chart", fail)
    problem(await anyone.get(f"providers/{PROVIDER}/slots"), 503, "database_unreachable")


async def test_an_app_without_a_database_does_not_start(routes: Litestar, tmp_path: Any) -> None:
    app = furnish(copy.copy(routes), Settings(database_url=None, data_folder=tmp_path))
    with pytest.raises(ExceptionGroup) as caught:
        async with app.lifespan():
            pass
    assert caught.group_contains(DatabaseUnreachable)


async def test_without_a_gateway_only_online_appointments_cannot_be_booked(
    dsn: str, environment: Environment, routes: Litestar, tmp_path: Any
) -> None:
    app = furnish(copy.copy(routes), Settings(database_url=dsn, data_folder=tmp_path))
    async with (
        app.lifespan(),
        connect(app) as http,
    ):
        for name, clinic_id, hour, status in (("asha", 1, 9, 503), ("bina", 2, 13, 200)):
            client = Client(http, environment.tokens[name])
            held = await client.post(
                f"providers/{PROVIDER}/holds", {"clinic_id": clinic_id, "start": environment.at(hour)}
            )
            paid = await client.post(f"{held.json()['url']}/payment", {"method": "card"})
            assert paid.status_code == status
