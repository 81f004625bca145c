from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from healthplus.demo import DemoGuide, GatewayClinic, WaitingRoom, read_demo_guide
from healthplus.notices.sender import Email, Sms
from healthplus.settings import Settings
from healthplus.web.app import create_routes, furnish
from tests.web.client import connect

HERE = {"Host": "127.0.0.1:8000"}


@functools.cache
def routes(*, sandbox_notices: bool) -> Litestar:
    return create_routes(Settings(None, Path(), sandbox_notices=sandbox_notices))


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    app = furnish(copy.copy(routes(sandbox_notices=settings.sandbox_notices)), settings)
    async with app.lifespan(), connect(app) as http:
        yield http, app.state.services.code_messages.sender


async def test_the_demo_page_shows_what_would_have_been_sent(dsn: str, tmp_path: Path) -> None:
    async with running(Settings(dsn, tmp_path, sandbox_notices=True)) as (http, sandbox):
        empty = await http.get("/demo", headers=HERE)
        assert "There are none yet" in empty.text
        await sandbox.send(Sms("+919876543210", "First: 111111 & <b>bold</b>", "code"))
        await sandbox.send(Email("asha@mail.example", "Booked", "Second\n\nline"))
        page = await http.get("/demo", headers=HERE)
        assert "/demo" not in (await http.get("/api/v1/openapi.json")).text
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert (page.headers["cache-control"], page.headers["x-robots-tag"]) == ("no-store", "noindex")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.text.index("Second") < page.text.index("First")
    assert "First: 111111 &amp; &lt;b&gt;bold&lt;/b&gt;" in page.text
    assert "••• 3210" in page.text
    assert not any(secret in page.text for secret in ("76543", "asha", "<style", "style="))


async def test_the_demo_page_says_whom_to_be_and_what_to_try(dsn: str, tmp_path: Path) -> None:
    guide = DemoGuide(
        WaitingRoom("/doctor/7/-/3?day=2026-12-01", 1), "Asha Rao", "+919876543210",
        {"demo-desk": "desk", "demo-admin": "administrator"}, "s3cret", "http://localhost:8000/desk",
        [GatewayClinic("Stripe", "Patil Hospital", "/doctor/4/demo/2")],
    )  # fmt: skip
    async with running(Settings(dsn, tmp_path, sandbox_notices=True, demo_guide=guide.as_setting())) as (http, _):
        page = (await http.get("/demo", headers=HERE)).text
        hindi = (await http.get("/hi/demo", headers=HERE)).text
        assert (await http.get("/demo", headers={"Host": "evil.example"})).status_code == 404
    for said in (
        "Asha Rao", "+919876543210", "demo-desk", "demo-admin", "s3cret", 'href="http://localhost:8000/desk"',
        'href="/doctor/7/-/3?day=2026-12-01"', 'href="/appointments"', "There are none yet",
    ):  # fmt: skip
        assert said in page, said
    assert 'href="/hi/doctor/7/-/3?day=2026-12-01"' in hindi
    assert 'href="/doctor/4/demo/2">Stripe, at Patil Hospital' in page
    assert 'href="/hi/doctor/4/demo/2"' in hindi
    assert "मरीज़ के रूप में" in hindi
    with pytest.raises(ValueError, match="is set by `healthplus demo` alone"):
        read_demo_guide("{}")


async def test_there_is_no_demo_page_where_messages_are_sent(dsn: str, tmp_path: Path) -> None:
    async with running(Settings(dsn, tmp_path)) as (http, _):
        answer = await http.get("/demo", headers=HERE)
    assert answer.status_code == 404


async def test_the_demo_page_is_read_under_this_machines_own_address_only(dsn: str, tmp_path: Path) -> None:
    """A site whose name was made to lead here (DNS rebinding) must not read the codes; nor must another subdomain."""
    settings = Settings(dsn, tmp_path, sandbox_notices=True, public_url="https://trial.example")
    async with running(settings) as (http, sandbox):
        await sandbox.send(Sms("+919876543210", "Code 111111", "code"))
        for host, shown in {
            "127.0.0.1:8000": True,
            "[::1]:8000": True,
            "localhost": True,
            "192.0.2.7": True,  # an address is nobody's name
            "trial.example": True,
            "evil.example": False,
            "127.0.0.1.evil.example": False,
            "localhost.evil.example": False,
            "evil.trial.example": False,
            "trial.example@evil.example": False,
        }.items():
            answer = await http.get("/demo", headers={"Host": host})
            assert (answer.status_code, "111111" in answer.text) == ((200, True) if shown else (404, False)), host
