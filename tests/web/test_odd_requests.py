"""Whatever a browser may send to whatever page: an answer that is no fault of ours, and nothing of it unescaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle, islice, product
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from tests.fixtures.environment import FREE, ONLINE, PROVIDER, Environment
from tests.web.client import Client, connect
from tests.web.phone import Phone
from tests.web.test_appointments import book
from tests.web.test_holds import hold, hold_body
from tests.web.test_waits import evening, join

MARK = "<i>'\"&"
ODD = (
    "", "\x00a", MARK, "x" * 3000, f"{1:020}{'9' * 40}", str(2**63), "nan,nan",
    "9999-12-31T23:59:59-14:00",    "//evil.example", "/\\evil.example", "\r\nX-Evil: y",
)  # fmt: skip
BAD_QUERIES = ("%ff%fe=%ff", "day=%ed%a0%80&n=%c0%80", "%zz&%", "day=1&day=2&n=1&n=2&page=1&page=2&after=1&after=2")
_FORM = "application/x-www-form-urlencoded"
NO_FORMS = (
    (_FORM, b"start=%ff%fe&who=%ed%a0%80&key=%ed%a0%80&has=%00"),
    (_FORM, b"start=\xff&who=\xff&&==&\x00"),
    (_FORM, b"&".join(b"a%d=" % number for number in range(1500))),
    ("multipart/form-data", b"--x\r\n"),
    ("multipart/form-data; boundary=x", b"--x\r\n"),
    ("multipart/form-data; boundary=x",
     b'--x\r\nContent-Disposition: form-data; name="start"; filename="a"\r\n\r\n\xff\r\n--x--\r\n'),
    ("application/json", b"[1]"),
    ("x", b""),
)  # fmt: skip
ODD_HEADERS = (
    {"Accept": "a;q=x, */;q=9, ,"},
    {"Accept-Encoding": "gzip;q=x"},
    {"Cookie": b"session=\xff; verify=\xff; =; ;;"},
    {"Cookie": f"session={'x' * 5000}; verify=bnVsbA"},
    {"Origin": "http://[", "Host": "evil.example"},
    {"Sec-Fetch-Site": b"\xff"},
)

_FILTERS = (
    "need", "place", "city", "near", "within", "day", "type", "fee", "gender", "language", "rating", "experience",
    "sort", "page",
)  # fmt: skip
QUERIES: dict[str, tuple[str, ...]] = {
    "/find": _FILTERS,
    "/in/{city}": _FILTERS,
    "/in/{city}/{need}/{locality}": ("day", "near", "language", "page"),
    "/doctor/{provider_id}/{slug}": ("about", "day"),
    "/doctor/{provider_id}/{name}/{clinic_id}": ("day", "n", "start"),
    "/doctor/{provider_id}/{name}/{clinic_id}/news": ("day", "n", "after", "waits"),
    "/doctor/{provider_id}/{slug}/{clinic_id}/line": ("day", "part", "n", "what", "anywhere"),
    "/doctor/{provider_id}/hold/{hold_id}": ("bank",),
    "/doctor/{provider_id}/hold/{hold_id}/news": ("after",),
    "/doctor/{provider_id}/wait/{ticket_id}": ("still",),
    "/doctor/{provider_id}/wait/{ticket_id}/news": ("after", "seen", "bar"),
    "/doctor/{provider_id}/queue/{ticket}": ("after",),
    "/clinic/{clinic_id}/{slug}": ("page",),
    "/busy": ("for", "provider", "clinic", "start", "from", "to", "n", "anywhere", "person"),
    "/people": ("done",),
    "/verify": ("next",),
    "/verify/code": ("next",),
    "/verify/desk": ("next",),
    "/email": ("token",),
    "/verify/wait": ("next",),
    "/appointments": ("page",),
    "/appointments/{provider_id}/{booking_id}": ("moved", "paid"),
    "/appointments/{provider_id}/{booking_id}/pay": ("bank",),
    "/appointments/{provider_id}/{booking_id}/move": ("day",),
    "/privacy/withdrawn": ("booked", "given_up"),
    "/privacy/erased": ("booked", "given_up"),
}
FORMS: dict[str, tuple[str, ...]] = {
    "/doctor/{provider_id}/{name}/{clinic_id}": ("start", "instead_of", "who", "other", "key"),
    "/doctor/{provider_id}/{slug}/{clinic_id}/line": ("what", "anywhere", "who", "other", "key"),
    "/doctor/{provider_id}/hold/{hold_id}": ("who", "name", "other", "birth_year", "sex", "method", "key"),
    "/doctor/{provider_id}/wait/{ticket_id}": ("action", "key"),
    "/appointments/{provider_id}/{booking_id}": ("stars", "key"),
    "/appointments/{provider_id}/{booking_id}/move": ("start", "key"),
    "/appointments/{provider_id}/{booking_id}/pay": ("method", "shown"),
    "/verify": ("phone", "consent", "key"),
    "/verify/code": ("code", "again", "key"),
    "/verify/desk": ("code", "consent", "key"),
    "/verify/wait": ("proof",),
    "/busy": ("has", "key"),
    "/privacy/agree": ("consent", "next"),
    "/people": ("name", "birth_year", "sex", "key"),
    "/people/{person_id}": ("name", "birth_year", "sex", "key"),
}


PARTS = 3
LAST = (
    "/people/{person_id}/remove",
    "/doctor/{provider_id}/hold/{hold_id}/release",
    "/sign-out",
    "/privacy/sign-out-everywhere",
    "/privacy/withdraw",
)
"""Forms that end what the others are about; erasing is refused to a patient who has a visit."""


class Pages:
    """The product's pages, in English, and where each is; what stands for a part of an address is in `ids`."""

    def __init__(self, app: Litestar, environment: Environment, ids: dict[str, str]) -> None:
        self._ids = ids
        person = {"who": "other", "other": "Tara", "name": "Tara", "birth_year": "2015", "sex": "female"}
        self._fields = {"start": environment.at(10), "what": "part", "method": "none", **person}
        self._asked = {
            "/busy": {"for": "hold", "provider": PROVIDER, "clinic": ONLINE, "start": environment.at(11), "n": 1}
        }
        routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
        self._routes = {
            method: sorted(
                (route.path_format for route in routes if method in route.methods and _is_page(route.path_format)),
                key=lambda path: path in LAST,
            )
            for method in ("GET", "POST")
        }

    def _at(self, route: str, **odd: str) -> str:
        return route.format(**{name: quote(value, safe="") for name, value in {**self._ids, **odd}.items()})

    def gets(self) -> Iterator[str]:
        """Every page; with every odd value of each part of its address, and of whatever it is asked."""
        for route in self._routes["GET"]:
            path = self._at(route)
            yield path
            parts = re.findall(r"{(\w+)}", route)
            yield from (self._at(route, **{name: odd}) for name, odd in product(parts, ODD) if odd)
            yield from (f"{path}?{query}" for query in BAD_QUERIES)
            for name, odd in product(QUERIES.get(route, ()), ODD):
                yield f"{path}?{urlencode({**self._asked.get(route, {}), name: odd})}"

    def posts(self) -> Iterator[tuple[str, bytes, str]]:
        """Every form, as an address, a body and its type: with every odd value of each field, and as no form at all."""
        for route in self._routes["POST"]:
            path = f"{self._at(route)}?{urlencode(self._asked.get(route, {}))}"
            for name, odd in product(FORMS.get(route, ()), ODD):
                yield path, urlencode({**self._fields, name: odd}).encode(), _FORM
            yield from ((path, body, kind) for kind, body in NO_FORMS)

    def plain(self) -> Iterator[str]:
        return map(self._at, self._routes["GET"])


def _is_page(path: str) -> bool:
    return not path.startswith(("/api", "/static", "/hi", "/demo"))


@pytest.fixture
async def pages(
    app: Litestar, environment: Environment, phone: Phone, asha: Client, bina: Client, chand: Client
) -> Pages:
    """Asha has a visit and a hold, Bina waits."""
    visit = await book(asha, environment, 11)
    held = await hold(asha, hold_body(environment, 24 + 9))
    await hold(chand, hold_body(environment, 18, FREE))
    wait = await join(bina, evening(environment))
    person = (await asha.post("me/persons", {"name": "Ravi", "birth_year": 1950})).json()
    return Pages(
        app,
        environment,
        {
            "provider_id": str(PROVIDER),
            "clinic_id": str(ONLINE),
            "name": "dr-1",
            "slug": "dr-1",
            "part": "providers-0.xml",
            "hold_id": held["id"],
            "booking_id": visit.rpartition("/")[2],
            "ticket_id": wait["id"],
            "ticket": str(wait["number"]),
            "review_id": held["id"],  # no review has it
            "code": "A" * 22,
            "session_id": held["id"],  # no session has it
            "passkey_id": held["id"],
            "leave_id": held["id"],
            "holiday_id": held["id"],
            "shift_id": "1",
            "staff_id": "1",
            "token_id": held["id"],
            "ask_id": held["id"],
            "refund_id": held["id"],
            "breach_id": "1",
            "case_id": "00000000-0000-4000-8000-000000000001",
            "key_id": held["id"],
            "service_id": "1",
            "person_id": person["id"],
            "account": "sandbox",
            "till_id": held["id"],
            "city": "pune",
            "need": "doctor",
            "locality": "baner",
            "picture": "x",
            "day": f"{environment.instant(9):%Y-%m-%d}",
        },
    )


def check(answer: httpx.Response, asked: object) -> None:
    assert answer.status_code < 500, (asked, answer.text)
    assert "x-evil" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff", asked
    assert answer.headers["cross-origin-resource-policy"] == "same-origin", asked
    assert "cache-control" in answer.headers, asked
    assert re.fullmatch(r"/(?!/)[!-~]*", answer.headers.get("location", "/")), (asked, answer.headers)
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert MARK not in answer.text, asked
        # Whatever was asked for, no page leads or sends anything to where a request said.
        assert not re.search(r'(href|action)="[^"/]*//+evil', answer.text), asked


# In parts, each of which asks all pages: of the odd values of each field it has every third, and of others others.
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, PARTS))])
async def test_nothing_odd_breaks_a_page(app: Litestar, environment: Environment, pages: Pages, part: int) -> None:
    async with connect(app) as http:

        async def ask(method: str, path: str, name: str | None, **options: Any) -> None:
            headers = {"Cookie": f"session={environment.tokens[name]}"} if name else {}
            answer = await http.request(method, path, **{**options, "headers": headers | options.get("headers", {})})
            check(answer, (method, path, name, options))

        for path in (
            "//evil.example",
            "/hi//evil.example",
            "/hi/%2Fevil.example/a",
            "/hi///evil.example?a=//evil.example",
        ):
            await ask("GET", f"http://healthplus.test{path}", None)
        for path, headers in zip(pages.plain(), cycle(ODD_HEADERS), strict=False):
            await ask("GET", path, None)
            await ask("GET", path, "asha", headers=headers)
        for path in islice(pages.gets(), part, None, PARTS):
            await ask("GET", path, "bina" if "/wait/" in path else "asha")
        for path, body, kind in islice(pages.posts(), part, None, PARTS):
            await ask(
                "POST", path, "bina" if "/wait/" in path else "asha", content=body, headers={"Content-Type": kind}
            )
