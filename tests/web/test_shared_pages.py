"""Pages that many viewers share look as if each had been made for the one who asks, and are a second old at most."""

from __future__ import annotations

import asyncio
import gzip
import re
from dataclasses import replace
from typing import Any

import httpx
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, Request, Response

from healthplus.database import Database
from healthplus.errors import DatabaseUnreachable, Overloaded
from healthplus.web.admission import Admission, Traffic
from healthplus.web.assets import ASSETS, asset_url
from healthplus.web.pages import chart, directory, find, home, shared_pages
from healthplus.web.pages.rendering import page
from healthplus.web.pages.session import session_of
from healthplus.web.pages.shared_pages import SharedPage
from healthplus.web.services import AnyRequest
from healthplus.web.shared_reads import KEEP_SECONDS, SharedReads
from tests.fixtures.clock import StoppedClock
from tests.fixtures.environment import FREE, IST, ONLINE, PROVIDER, Environment
from tests.web.client import Browser, connect, forget_shared_reads

CHART = f"/doctor/{PROVIDER}/dr-1/{ONLINE}"


@pytest.fixture
def clock(app: Litestar) -> StoppedClock:
    """The clock by which the app's shared reads grow old; it stands still."""
    clock = StoppedClock()
    app.state.services = replace(app.state.services, reads=SharedReads(clock))
    return clock


@pytest.fixture
def viewers(app: Litestar, environment: Environment) -> dict[str, Browser]:
    return {"nobody": Browser(app)} | {name: Browser(app, token) for name, token in environment.tokens.items()}


def without_what_always_differs(text: str) -> str:
    return re.sub(r'data-now="[^"]+"|name="key" value="[^"]+"|<b>\d:\d\d</b>', "", text)


async def test_each_viewer_sees_what_would_have_been_made_for_them_alone(
    app: Litestar, environment: Environment, viewers: dict[str, Browser], clock: StoppedClock
) -> None:
    """Asha has an appointment and a hold, Bina waits in the line, Chand has nothing, and somebody is not signed in."""
    day = f"{environment.day + IST:%Y-%m-%d}"
    asha, bina = environment.actor("asha"), environment.actor("bina")
    booking_id = await environment.held(hour=9)
    await environment.book.confirm(PROVIDER, booking_id, "paid", asha)
    await environment.hold(environment.instant(18), FREE, provider_id=2)
    window = environment.instant(18), environment.instant(19)
    await environment.book.join_queue(2, FREE, *window, 1, environment.ids["bina"], bina)
    paths = ["/", "/hi/", "/hi/in/pune", f"/doctor/{PROVIDER}/dr-1", f"/hi/clinic/{ONLINE}/clinic-1"]
    paths += [f"{CHART}?day={day}", f"/hi{CHART}?day={day}", f"{CHART}/line?day={day}&what=day", "/doctor/2/queue/1"]
    for number, path in enumerate(paths):
        alone = {}
        for name, viewer in viewers.items():
            forget_shared_reads(app)
            alone[name] = await viewer.get(path)
        app.state.services = replace(app.state.services, reads=SharedReads(clock))
        first = number % len(viewers)
        for name in ([*viewers] * 2)[first : first + len(viewers)]:
            shared = await viewers[name].get(path)
            assert shared.status_code == 200, path
            assert without_what_always_differs(shared.text) == without_what_always_differs(alone[name].text), path
            always_differs = {"content-length": "", "x-request-id": "", "set-cookie": ""}  # a city is remembered once
            assert {**shared.headers, **always_differs} == {**alone[name].headers, **always_differs}
        assert len({without_what_always_differs(one.text) for one in alone.values()}) >= 3, path
    assert "Your next appointment" in (await viewers["asha"].get("/")).text
    assert 'class="slot mine"' in (await viewers["asha"].get(f"{CHART}?day={day}")).text
    assert "Number 1 in the queue" in (await viewers["bina"].get("/")).text


async def test_each_form_has_a_key_of_its_own_and_each_page_its_time(
    viewers: dict[str, Browser], environment: Environment, clock: StoppedClock
) -> None:
    shown = [(await viewers[name].get(f"{CHART}?day={environment.day + IST:%Y-%m-%d}")).text for name in [*viewers] * 2]
    for what in (r'name="key" value="([\w-]{22})"', r'data-now="([^"]+)"'):
        assert len({match for text in shown for match in re.findall(what, text)}) == len(shown)


async def what_the_maker_sees(http: httpx.AsyncClient, token: str, monkeypatch: pytest.MonkeyPatch) -> str:
    async def make(request: AnyRequest, _: object = None) -> Response[str]:
        response = page(request, "information/help.html")
        seen = session_of(request), dict(request.cookies), sorted(request.headers.items()), request.client
        return Response(f"{response.content}{seen}", headers=response.headers, status_code=200)

    monkeypatch.setattr(home, "_home", make)
    headers = {"Cookie": f"session={token}", "Host": "evil.example", "X-Forwarded-For": "192.0.2.1"}
    return (await http.get("/", headers=headers)).text


async def test_who_makes_a_page_for_all_sees_nobody(
    app: Litestar, http: httpx.AsyncClient, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = environment.tokens["asha"]
    text = await what_the_maker_sees(http, token, monkeypatch)
    assert text.endswith("(None, {}, [('host', 'localhost')], None)")
    # Were it made for the request that came, it would be of the one who sent that.
    forget_shared_reads(app)
    monkeypatch.setattr(shared_pages, "_from_nobody", lambda request: request)
    text = await what_the_maker_sees(http, token, monkeypatch)
    assert "asha" in text
    assert "evil.example" in text


async def test_a_page_for_all_cannot_show_who_asks_by_mistake(
    app: Litestar, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make(request: AnyRequest, _: object = None) -> Response[str]:
        return page(request, "personal/nav.html")

    monkeypatch.setattr(home, "_home", make)
    with pytest.raises(jinja2.UndefinedError, match="'session' is undefined"):
        await make(_for_nobody(app))
    assert (await http.get("/")).status_code == 500


def _for_nobody(app: Litestar) -> AnyRequest:
    scope: Any = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")],
        "scheme": "http", "server": None, "client": None, "root_path": "", "app": app, "litestar_app": app, "state": {},
    }  # fmt: skip
    request: AnyRequest = shared_pages._from_nobody(Request(scope))
    return request


def count_calls(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[int]:
    """Count the calls of a function from now on, in the list's only item."""
    really = getattr(module, name)
    calls = [0]

    async def call(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        await asyncio.sleep(0.05)
        return await really(*args, **options)

    monkeypatch.setattr(module, name, call)
    return calls


async def test_all_who_ask_at_once_cost_one_search(
    app: Litestar, viewers: dict[str, Browser], clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch, find, "find_matching")
    pages = await asyncio.gather(*(viewers[name].get("/in/pune") for name in [*viewers] * 5))
    assert [page.status_code for page in pages] == [200] * len(pages)
    assert calls == [1]
    # Whatever else an address says makes another page.
    for path in ("/hi/in/pune", "/in/pune?sort=rating", "/in/pune?fee=100", "/in/pune/doctor", "/in/pune?x"):
        before = calls[0]
        await asyncio.gather(*(viewers["nobody"].get(path) for _ in range(3)))
        assert calls[0] == before + 1, path
    clock.seconds += KEEP_SECONDS
    before = calls[0]
    await viewers["nobody"].get("/in/pune")
    assert calls[0] == before + 1


async def test_what_others_did_is_seen_within_a_second(
    environment: Environment, viewers: dict[str, Browser], clock: StoppedClock
) -> None:
    day = f"{environment.day + IST:%Y-%m-%d}"
    viewer = viewers["nobody"]

    async def is_free() -> bool:
        return (await viewer.get(f"{CHART}?day={day}")).text.count('<li class="slot free">') == 6

    assert await is_free()
    version = re.findall(r'data-version="(\w+)"', (await viewer.get(f"{CHART}?day={day}")).text)
    await environment.held(hour=9, name="bina")
    clock.seconds += KEEP_SECONDS - 0.001
    assert await is_free()
    # A page that is open gets its updates of what is so now, also one that was a second old when it came.
    update = (await viewer.get(f"{CHART}/news?day={day}&after={version[0]}")).json()
    assert update["cells"].count("held") == 1
    clock.seconds += 0.001
    assert not await is_free()


async def held_by_form(app: Litestar, environment: Environment, clock: StoppedClock) -> tuple[bool, bool]:
    """Have Asha hold a time, and return whether her next pages know it: of this process, and of another one."""
    here, elsewhere = SharedReads(clock), SharedReads(clock)

    def ask_of(reads: SharedReads) -> None:
        app.state.services = replace(app.state.services, reads=reads)

    about = f"/doctor/{PROVIDER}/dr-1"
    asha = Browser(app, environment.tokens["asha"])
    for reads in (here, elsewhere):
        ask_of(reads)
        first = re.findall(rf'class="time" href="({CHART}\?[^"]+)', (await asha.get(about)).text)[0]
    ask_of(here)
    start = re.findall(r"start=([^&]+)", first.replace("&amp;", "&"))[0].replace("%3A", ":").replace("%2B", "+")
    answer = await asha.fill(first.replace("&amp;", "&"), start=start)
    assert f"/doctor/{PROVIDER}/hold/" in answer.headers["location"]
    knows = []
    for reads in (here, elsewhere):
        ask_of(reads)
        knows.append(f'href="{first}"' not in (await asha.get(about)).text)
    return knows[0], knows[1]


async def test_what_the_viewer_did_is_seen_at_once_whichever_process_answers(
    app: Litestar, environment: Environment, clock: StoppedClock
) -> None:
    assert await held_by_form(app, environment, clock) == (True, True)


async def test_without_the_cookie_the_viewer_would_see_what_was_before(
    app: Litestar, environment: Environment, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_pages, "has_just_changed", lambda _: False)
    assert await held_by_form(app, environment, clock) == (False, False)


async def test_errors_are_not_kept_and_the_start_is_read_once_for_all_who_come(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, clock: StoppedClock
) -> None:
    reads = 0

    async def read(database: Database) -> object:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0.05)
        if reads == 1:
            raise DatabaseUnreachable
        return await really_read(database)

    really_read = home._names
    monkeypatch.setattr(home, "_names", read)
    failed = await asyncio.gather(*(http.get("/") for _ in range(5)))
    assert [page.status_code for page in failed] == [503] * 5
    shown = await asyncio.gather(*(http.get("/") for _ in range(5)))
    assert [page.status_code for page in shown] == [200] * 5
    assert reads == 2
    clock.seconds += KEEP_SECONDS
    await http.get("/")
    assert reads == 2  # the names are kept for a minute
    assert [(await http.get("/doctor/999/x")).status_code for _ in range(2)] == [404] * 2


async def test_who_is_not_let_in_gets_no_shared_page_either(
    app: Litestar, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Traffic] = []

    def let_in(_: Admission, traffic: Traffic) -> None:
        asked.append(traffic)
        raise Overloaded(retry_after=5)

    assert (await http.get("/in/pune")).status_code == 200
    monkeypatch.setattr(Admission, "let_in", let_in)
    assert (await http.get("/in/pune")).status_code == 503
    assert asked == [Traffic.SEARCH]


async def test_the_first_who_asks_may_hang_up(
    viewers: dict[str, Browser], clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch, directory, "next_times")
    asking = [asyncio.create_task(viewers["nobody"].get(f"/clinic/{ONLINE}/clinic-1")) for _ in range(3)]
    while not calls[0]:
        await asyncio.sleep(0.001)
    asking[0].cancel()
    assert [one.status_code for one in await asyncio.gather(*asking[1:])] == [200] * 2
    assert calls == [1]


async def test_a_patient_with_nothing_there_shares_the_chart(
    viewers: dict[str, Browser], environment: Environment, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{CHART}?day={environment.day + IST:%Y-%m-%d}"
    await environment.held(hour=9, name="asha")
    calls = count_calls(monkeypatch, chart, "_page")
    for name in ("nobody", "bina", "chand"):
        assert 'class="slot mine"' not in (await viewers[name].get(path)).text
    assert calls == [1]
    for _ in range(2):
        assert 'class="slot mine"' in (await viewers["asha"].get(path)).text
    assert calls == [3]


async def test_a_shared_page_is_sent_compressed_or_as_it_is(app: Litestar, clock: StoppedClock) -> None:
    async with connect(app) as client:
        path = "/in/pune"
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert plain.headers["vary"] == packed.headers["vary"] == "Cookie, Accept-Encoding"
        assert without_what_always_differs(packed.text) == without_what_always_differs(plain.text)
        assert int(packed.headers["content-length"]) < len(plain.content) / 3
        head = await client.head(path, headers={"Accept-Encoding": "gzip"})
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("accepted", "is_gzipped"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.8, *;q=0.1", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("br, gzip ; q=0.000 ", False),
        ("gzip;q=x", False),
        ("gzipped", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", ["/in/pune", asset_url(next(name for name in ASSETS if name.endswith(".css")))])
async def test_only_who_takes_gzip_gets_it(app: Litestar, path: str, accepted: str, is_gzipped: bool) -> None:
    async with connect(app) as client:
        answer = await client.get(path, headers={"Accept-Encoding": accepted})
        assert ("content-encoding" in answer.headers) == is_gzipped
        assert "Accept-Encoding" in answer.headers["vary"]


@settings(max_examples=40)
@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=5),
    st.lists(st.binary(max_size=70), min_size=4, max_size=4),
    st.sampled_from([0, 1, 1000]),
)
def test_what_fills_a_hole_is_in_the_compressed_page_as_in_the_plain_one(
    texts: list[str], fillings: list[bytes], times: int
) -> None:
    holes = [hole * times for hole in fillings[: len(texts) - 1]]
    encoded = [text.encode() * 50 for text in texts]
    page = SharedPage(200, {}, encoded, shared_pages._deflated(encoded), [""] * len(holes))
    plain = b"".join(part for pair in zip(encoded, [*holes, b""], strict=True) for part in pair)
    assert page.plain(holes) == plain
    assert gzip.decompress(page.gzipped(holes)) == plain
