"""What every request passes first: one Host, a body that arrives, room to work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from healthplus.booking.book import Book
from healthplus.errors import Overloaded
from healthplus.settings import Settings
from healthplus.web import entrance
from healthplus.web.admission import Admission, Traffic
from healthplus.web.app import create_routes
from healthplus.web.traffic import LISTED, listed_name
from tests.fixtures.developer_key import DEVELOPER_KEY
from tests.fixtures.environment import FREE, PROVIDER, Environment
from tests.web.client import Browser, Client, connect
from tests.web.problem import problem
from tests.web.test_holds import hold, hold_body
from tests.web.test_odd_requests import Pages, pages  # noqa: F401 - a fixture
from tests.web.test_waits import evening, join

Messages = list[dict[str, Any]]
Headers = list[tuple[bytes, bytes]]
HOST = (b"host", b"healthplus.test")
GONE = {"type": "http.disconnect"}
PATHS = ("/", "/hi/", "/find", "/api/v1/cities", "/api/v1/live", "/static/x/app.css", "/nothing", "/api/v1/nothing")
FORM = (b"content-type", b"application/x-www-form-urlencoded")
MULTIPART = (b"content-type", b"multipart/form-data; boundary=x")


async def ask(
    app: Litestar,
    method: str,
    path: str,
    headers: Headers,
    *received: dict[str, Any] | asyncio.Event,
    **scope: Any,
) -> Messages:
    """Send what no client library would, and return the answer's messages.

    After `received` nothing comes any more; an event among them is waited for.
    """
    left = [*received, asyncio.Event()]
    sent: Messages = []

    async def receive() -> Any:
        while isinstance(found := left[0], asyncio.Event):
            await found.wait()
            left.pop(0)
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    whole: Any = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "server": ("healthplus.test", 80), "client": ("127.0.0.1", 1), "scheme": "http", "root_path": "",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers, **scope,
    }  # fmt: skip
    await app(whole, receive, send)
    return sent


def body(content: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


def bearer(environment: Environment, name: str = "asha") -> Headers:
    token = (b"authorization", f"Bearer {environment.tokens[name]}".encode())
    return [HOST, token, (b"idempotency-key", b"one"), (b"api-dev-key", DEVELOPER_KEY.encode())]


def cookie(environment: Environment, name: str = "asha") -> Headers:
    return [HOST, (b"cookie", f"session={environment.tokens[name]}".encode())]


def refuse_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def let_in(_: Admission, traffic: Traffic) -> None:
        raise Overloaded(retry_after=int(traffic) + 1)

    monkeypatch.setattr(Admission, "let_in", let_in)


# Classes.


def test_every_route_has_a_class_and_nothing_else_has(tmp_path: Any) -> None:
    app = create_routes(Settings(database_url=None, data_folder=tmp_path, sandbox_notices=True))
    routes = {
        listed_name(route.path_format, method)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }
    assert routes - LISTED.keys() == set(), "say in web/traffic.py of which class these are"
    assert LISTED.keys() - routes == set(), "these are no routes"


async def test_what_is_refused_says_so_to_programs_and_people(
    anyone: Client, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_all(monkeypatch)
    refused = await anyone.get("cities")
    assert problem(refused, 503, "overloaded")["retry_after"] == Traffic.PAGE + 1
    assert refused.headers["retry-after"] == str(Traffic.PAGE + 1)
    assert (await anyone.get("doctors")).headers["retry-after"] == str(Traffic.SEARCH + 1)
    assert (await anyone.post("webhooks/payments")).headers["retry-after"] == str(Traffic.PAY + 1)
    http = Browser(app)
    for path, text in (("/", "Very many people are here"), ("/hi/help", "यहाँ बहुत लोग हैं"), ("/nothing", "Very many")):
        shown = await http.get(path)
        assert (shown.status_code, shown.headers["cache-control"]) == (503, "no-store")
        assert shown.headers["retry-after"] == str(Traffic.PAGE + 1)
        assert text in shown.text
        assert "cannot reach" not in shown.text
    for path in ("/doctor/1/-/1/news", "/hi/doctor/1/-/1/news"):
        problem(await http.get(path), 503, "overloaded")
    for path in ("/api/v1/live", "/api/v1/ready"):
        assert (await http.get(path)).status_code == 200
    assert (await http.get("/static/x/app.css")).status_code == 200


async def test_a_refused_poll_counts_as_presence_of_whom_the_ticket_is(
    asha: Client, bina: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch, app: Litestar
) -> None:
    await hold(asha, hold_body(environment, 18, FREE))
    ticket = UUID((await join(bina, evening(environment)))["id"])
    at = f"/api/v1/providers/{PROVIDER}/waits/{ticket}", f"/doctor/{PROVIDER}/wait/{ticket}"
    refuse_all(monkeypatch)
    seen = "SELECT seen_at FROM booking.presence WHERE ticket_id = $1"
    flush = app.state.services.waiting._presence.flush

    async def is_seen(method: str, path: str, headers: Headers) -> bool:
        before = await environment.db.fetch_value(seen, ticket)
        sent = await ask(app, method, path, headers)
        assert sent[0]["status"] == 503
        await flush()
        return bool(await environment.db.fetch_value(seen, ticket) != before)

    own, other = bearer(environment, "bina"), bearer(environment, "asha")
    assert await is_seen("GET", at[0], own)
    assert await is_seen("GET", f"/api/v1/waits/{ticket}", own)
    assert await is_seen("GET", f"{at[1]}/news", cookie(environment, "bina"))
    assert await is_seen("GET", f"/hi{at[1]}", cookie(environment, "bina"))
    await environment.db.execute("UPDATE booking.ticket SET state = 'called'")
    assert await is_seen("GET", at[0], own)
    await environment.db.execute("UPDATE booking.ticket SET state = 'waiting'")
    assert not await is_seen("HEAD", at[0], own)
    assert not await is_seen("GET", at[0], other)
    assert not await is_seen("GET", at[0], [HOST, (b"authorization", b"Bearer x")])
    assert not await is_seen("GET", at[0], [HOST, (b"authorization", b"Basic x")])
    assert not await is_seen("GET", at[1], cookie(environment, "asha"))
    assert not await is_seen("GET", f"/api/v1/providers/{PROVIDER}/waits/{UUID(int=7)}", own)
    await environment.db.execute("UPDATE accounts.session SET revoked_at = public.app_now() WHERE patient_id = $1",
                                 environment.ids["bina"])  # fmt: skip
    assert not await is_seen("GET", at[0], own)


async def test_a_refused_poll_keeps_a_patient_in_the_queue_and_brings_nobody_back(
    asha: Client, bina: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch, app: Litestar
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    ticket = (await join(bina, evening(environment)))["id"]
    flush = app.state.services.waiting._presence.flush
    path = f"/api/v1/providers/{PROVIDER}/waits/{ticket}"
    with monkeypatch.context() as patch:
        refuse_all(patch)
        for _ in range(2):
            await environment.pass_time(seconds=45)
            await ask(app, "GET", path, bearer(environment, "bina"))
            await flush()
    await Book(environment.db).advance(PROVIDER)
    absent = "SELECT absent FROM booking.ticket"
    assert await environment.db.fetch_value(absent) is False
    # Whom the queue has passed over is not made present in silence: a slot freed meanwhile would wake nobody.
    await environment.pass_time(seconds=61)
    await asha.delete(held["url"])
    assert await environment.db.fetch_value(absent) is True
    seen = await environment.db.fetch_value("SELECT seen_at FROM booking.presence")
    with monkeypatch.context() as patch:
        refuse_all(patch)
        await ask(app, "GET", path, bearer(environment, "bina"))
        await flush()
    assert await environment.db.fetch_value("SELECT seen_at FROM booking.presence") == seen
    assert (await bina.get(path)).json()["state"] == "offered"


# Hosts and HEAD.


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_has_one_host(app: Litestar, path: str) -> None:
    other = (b"host", b"evil.example")
    for headers in ([], [(b"host", b"")], [HOST, other], [HOST, HOST], [(b"host", b"a b")]):
        sent = await ask(app, "GET", path, headers)
        assert sent[0]["status"] == 400, headers
    fine = (await ask(app, "GET", path, [HOST]))[0]["status"]
    assert fine != 400
    # HTTP/1.0 knows no hosts; the server puts an empty one.
    assert (await ask(app, "GET", path, [(b"host", b"")], http_version="1"))[0]["status"] == fine
    assert (await ask(app, "GET", path, [HOST, other], http_version="1"))[0]["status"] == 400


async def test_head_is_get_without_a_body(app: Litestar, environment: Environment, pages: Pages) -> None:  # noqa: F811
    api = [
        route.path_format
        for route in app.routes
        if isinstance(route, HTTPRoute) and "GET" in route.methods and route.path_format.startswith("/api/")
    ]
    names = {**pages._ids, "wait_id": pages._ids["ticket_id"], "appointment_id": pages._ids["booking_id"], "path": "x"}
    names["slug"] = "pune"
    addresses = [*pages.plain(), "/static/x/app.css", "/nothing", *(path.format(**names) for path in api)]
    assert len(addresses) > 60
    same = {"content-type", "cache-control", "location", "vary", "allow", "retry-after"}
    async with connect(app) as http:
        for path in addresses:
            name = "bina" if "wait" in path else "asha"
            token = environment.tokens[name]
            is_api = path.startswith("/api/")
            headers = {"Authorization": f"Bearer {token}"} if is_api else {"Cookie": f"session={token}"}
            got, head = [await http.request(method, path, headers=headers) for method in ("GET", "HEAD")]
            assert head.status_code == got.status_code, path
            assert head.content == b"", path
            assert {name: head.headers.get(name) for name in same} == {name: got.headers.get(name) for name in same}
            assert int(head.headers.get("content-length", 0)) > 0 or not got.content, path
        refused = await http.put("/")
        assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "OPTIONS"})


async def test_head_neither_waits_nor_tells_that_a_patient_is_here(
    asha: Client, bina: Client, environment: Environment, app: Litestar
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    here = f"/doctor/{PROVIDER}/wait/{wait['id']}"
    news = (await ask(app, "GET", f"{here}/news", cookie(environment, "bina")))[1]["body"]
    chart = f"/doctor/{PROVIDER}/dr-1/{FREE}/news"
    await environment.pass_time(seconds=61)
    await asha.delete(held["url"])
    flush = app.state.services.waiting._presence.flush
    await flush()
    presence = await environment.db.fetch("SELECT * FROM booking.presence")
    async with asyncio.timeout(20):
        for path, query in (
            (f"/api/v1/providers/{PROVIDER}/waits/{wait['id']}", wait["version"]),
            (f"/api/v1/waits/{wait['id']}", wait["version"]),
            ("/api/v1/waits", ""),
            (here, ""),
            (f"{here}/news", news.split(b'"')[3].decode()),
            (chart, ""),
        ):
            head = [*bearer(environment, "bina"), *cookie(environment, "bina")[1:]]
            sent = await ask(app, "HEAD", path, head, query_string=f"after={query}".encode())
            assert sent[0]["status"] == 200, path
    await flush()
    assert await environment.db.fetch("SELECT * FROM booking.presence") == presence
    row = await environment.db.fetch_row("SELECT state::text, absent FROM booking.ticket")
    assert row is not None
    assert tuple(row) == ("waiting", True)
    assert (await bina.get(wait["url"])).json()["state"] == "offered"


async def test_an_address_may_have_letters_that_are_not_encoded(app: Litestar, environment: Environment) -> None:
    """As curl sends what somebody typed."""
    sent = await ask(app, "GET", "/find", [(b"host", b"test")], query_string="need=आत्महत्या&x=\xff".encode())
    assert sent[0]["status"] == 200
    assert "14416" in b"".join(part["body"] for part in sent[1:]).split(b"</main>")[0].decode()


# Bodies.

BODIES: tuple[tuple[str, str, Callable[[Environment], Headers], Headers], ...] = (
    ("POST", f"/api/v1/providers/{PROVIDER}/holds", bearer, []),
    ("DELETE", f"/api/v1/providers/{PROVIDER}/holds/{UUID(int=7)}", bearer, []),
    ("POST", "/api/v1/webhooks/payments", bearer, []),
    ("POST", "/verify", cookie, [FORM]),
    ("POST", f"/doctor/{PROVIDER}/dr-1/1", cookie, [FORM]),
    ("POST", f"/doctor/{PROVIDER}/dr-1/1", cookie, [MULTIPART]),
)


async def test_a_body_that_does_not_arrive_ends(
    app: Litestar, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "BODY_SECONDS_MAX", 0.05)
    for method, path, who, headers in BODIES:
        for received in ((), (body(b"a=", more=True),)):
            async with asyncio.timeout(10):
                sent = await ask(app, method, path, [*who(environment), *headers], *received)
            assert sent[0]["status"] == 408, (path, received)
            assert (b"connection", b"close") in sent[0]["headers"], path
        # One that is too long, and is never ended.
        async with asyncio.timeout(10):
            sent = await ask(app, method, path, [*who(environment), *headers], body(b"x" * 300_000, more=True))
        assert sent[0]["status"] in (400, 401, 403, 404, 405, 413), path


async def test_nothing_is_done_for_a_client_that_hangs_up_while_it_sends(
    app: Litestar, environment: Environment
) -> None:
    counts = await environment.counts()
    for method, path, who, headers in BODIES:
        assert await ask(app, method, path, [*who(environment), *headers], body(b"a=", more=True), GONE) == []
    assert await environment.counts() == counts


@pytest.mark.parametrize("path", [*(path for _, path, who, _ in BODIES if who is cookie), "/busy", "/verify/code"])
async def test_a_form_that_is_no_text_is_refused(app: Litestar, environment: Environment, path: str) -> None:
    def part(content: bytes, name: bytes = b'"start"', kind: bytes = b"") -> bytes:
        head = b"Content-Disposition: form-data; name=" + name + b"\r\n" + kind
        return b"--x\r\n" + head + b"\r\n" + content + b"\r\n--x--\r\n"

    for content in (
        part(b"\xff\xfe"),
        part(b"\xed\xa0\x80"),
        part(b"a", b'"\xff\xfe"'),
        part(b"a", b"\xff"),
        part(b"\x80", kind=b"Content-Type: text/plain; charset=nothing\r\n"),
        part(b"\x80", kind=b"Content-Type: text/plain; charset=utf-7\r\n"),
        part(b"a", kind=b"Content-Type: text/plain; charset=hex\r\n"),
        part(b"a", kind=b"Content-Type: text/plain; charset=\xff\r\n"),
    ):
        sent = await ask(app, "POST", path, [*cookie(environment), MULTIPART], body(content))
        assert sent[0]["status"] < 500, content
    for boundary in (b"", b'""', b"\xff", b"x" * 5000):
        kind = (b"content-type", b"multipart/form-data; boundary=" + boundary)
        sent = await ask(app, "POST", path, [*cookie(environment), kind], body(part(b"a")))
        assert sent[0]["status"] < 500, boundary
    chart = f"/doctor/{PROVIDER}/dr-1/1"
    bad = await ask(app, "POST", chart, [*cookie(environment), MULTIPART], body(part(b"\xff\xfe")))
    assert bad[0]["status"] == 400
