"""Every answer bears the id of its request, and so does what is written of it."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest
from litestar import Litestar

from healthplus import logs
from healthplus.database import Database
from healthplus.metrics import MEMORY, REQUEST_SECONDS, RESPONSES, SLOW
from healthplus.monitoring.reporter import queries
from healthplus.web.admission import Admission, Traffic
from healthplus.web.assets import asset_url
from healthplus.web.entrance import Entrance
from tests.fixtures.clock import until
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.web.client import Browser, Client, connect
from tests.web.problem import problem

ID = "proxy:7f3c-1"
SENT = {"X-Request-Id": ID}


async def test_every_answer_has_the_id_that_came_or_a_new_one(
    app: Litestar, asha: Client, anyone: Client, environment: Environment
) -> None:
    body = {"clinic_id": ONLINE, "start": environment.at(9)}
    page = Browser(app)
    for answer in (
        await anyone.get("live", headers=SENT),
        await anyone.get("cities", headers=SENT),
        await anyone.get(asset_url("app.css"), headers=SENT),
        await anyone.ask("HEAD", "cities", headers=SENT),
        await anyone.get("nothing", headers=SENT),
        await anyone.ask("DELETE", "cities", headers=SENT),
        await asha.post(f"providers/{PROVIDER}/holds", body, headers=SENT),  # called directly
        await asha.post(f"providers/{PROVIDER}/holds", body, headers=SENT),
        await anyone.post(f"providers/{PROVIDER}/holds", body, headers=SENT),
        await page.http.get("/api/v1/cities", headers=[("Host", "a"), ("Host", "b"), *SENT.items()]),
        await page.http.get("/", headers=SENT),
        await page.http.get("/hi/nothing", headers=SENT),
    ):
        assert answer.headers.get_list("x-request-id") == [ID], answer.text
        if answer.headers["content-type"] == "application/problem+json":
            assert answer.json()["request_id"] == ID
    made = [(await anyone.get("live", headers=headers)).headers["x-request-id"] for headers in (
        {}, {"X-Request-Id": "9812345670"}, {"X-Request-Id": "a b"}, {"X-Request-Id": "x" * 129},
    )]  # fmt: skip
    assert len({*made}) == 4
    assert {len(one) for one in made} == {24}


async def test_what_is_refused_as_too_many_come_has_the_id_too(
    app: Litestar, anyone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal itself is made once, for all."""
    for class_ in app.asgi_handler._admission._classes:  # type: ignore[attr-defined]
        monkeypatch.setattr(class_, "slow", 10_000)
    for request_id in (ID, "another-and-longer-one-than-the-first", "b"):
        refused = await anyone.get("cities", headers={"X-Request-Id": request_id})
        assert problem(refused, 503, "overloaded")["request_id"] == request_id
        assert refused.headers["x-request-id"] == request_id
        assert int(refused.headers["content-length"]) == len(refused.content)
        page = await Browser(app).http.get("/", headers={"X-Request-Id": request_id})
        assert (page.status_code, page.headers["x-request-id"]) == (503, request_id)
        assert int(page.headers["content-length"]) == len(page.content)


async def test_a_fault_leads_from_the_answer_to_the_log_and_the_row_and_the_servers_process(
    app: Litestar, anyone: Client, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    formatter = logs._formatter("json")
    handler.emit = lambda record: lines.append(json.loads(formatter.format(record)))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    await db.execute("ALTER TABLE directory.provider RENAME TO gone")
    try:
        failed = await anyone.get(f"providers/{PROVIDER}/slots", headers=SENT, params={"phone": "9812345670"})
    finally:
        await db.execute("ALTER TABLE directory.gone RENAME TO provider")
        logging.getLogger().removeHandler(handler)
    assert problem(failed, 500)["request_id"] == ID
    (line,) = [line for line in lines if line.get("request_id") == ID]
    assert (line["request_id"], line["error"]) == (ID, "UndefinedTableError")
    known = {row["pid"] for row in await db.fetch("SELECT pid FROM pg_stat_activity")}
    assert line["backend"] in known
    assert f"in backend {line['backend']}" in line["message"]

    async def written() -> bool:
        return any(row["request_id"] == ID for row in await db.fetch(queries.errors, 1))

    await until(written, 10)
    (row,) = [row for row in await db.fetch(queries.errors, 1) if row["request_id"] == ID]
    assert row["route"] == "GET /api/v1/providers/{provider_id}/slots"
    assert row["type"] == "asyncpg.exceptions.UndefinedTableError"
    assert "9812345670" not in str(row)


@pytest.mark.parametrize(("slow_seconds", "is_slow"), [(0.0, True), (60.0, False)])
async def test_what_is_slow_is_named_by_its_route(
    app: Litestar, environment: Environment, caplog: pytest.LogCaptureFixture, slow_seconds: float, is_slow: bool
) -> None:
    app.asgi_handler = Entrance(_app_of(app), Admission(), slow_seconds)
    before = counted(SLOW)
    async with connect(app) as http:
        await http.get(f"/api/v1/providers/{PROVIDER}/slots?phone=9812345670", headers=SENT)
        ticket = f"/api/v1/providers/{PROVIDER}/waits/{'0' * 32}"
        await http.get(ticket, headers={"Authorization": f"Bearer {environment.tokens['asha']}"})  # a poll, which waits
    said = [text for text in caplog.messages if "slow request" in text]
    assert len(said) == counted(SLOW) - before == is_slow
    if is_slow:
        assert said[0].startswith("slow request: GET /api/v1/providers/{provider_id}/slots took ")
        assert said[0].endswith("status 200")


def _app_of(app: Litestar) -> Litestar:
    """Return the app as it is before its entrance stands before it."""
    inner = app.asgi_handler
    assert isinstance(inner, Entrance)
    app.asgi_handler = inner._app
    return app


async def test_slow_statements_are_named_with_the_servers_process(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    db.slow_seconds = 0.05
    await db.fetch_value("SELECT 1, $1::text", "9812345670")
    assert caplog.messages == []
    await db.fetch_value("SELECT pg_sleep(0.1),\n    pg_backend_pid(), $1::text", "9812345670")
    pid = await db.fetch_value("SELECT pg_backend_pid()")
    (said,) = caplog.messages
    assert said.startswith("slow statement: 1")
    assert said.endswith(f"backend {pid}: SELECT pg_sleep(0.1), pg_backend_pid(), $1::text")


def counted(metric: Any, *labels: str) -> float:
    place = metric._places.get(labels)
    return 0.0 if place is None else MEMORY.values[place]


async def test_requests_are_counted_by_route_class_and_status(anyone: Client, http: httpx.AsyncClient) -> None:
    def seen() -> list[float]:
        place = REQUEST_SECONDS._places.get(("GET /api/v1/cities", "page"))
        width = len(REQUEST_SECONDS.bounds) + 1
        times = sum(MEMORY.values[place : place + width]) if place is not None else 0.0
        return [times, counted(RESPONSES, "page", "200"), counted(RESPONSES, "page", "404")]

    before = seen()
    for path in ("cities", "cities?after=9812345670", "cities/9812345670"):
        await anyone.get(path)
    assert [now - then for now, then in zip(seen(), before, strict=True)] == [2, 2, 1]
    assert not any("9812345670" in label for labels in REQUEST_SECONDS._places for label in labels)
    assert {labels[1] for labels in REQUEST_SECONDS._places} <= {"other", *(one.name.lower() for one in Traffic)}
