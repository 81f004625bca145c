"""The office's pages as forms that need no script: what each changes, what it refuses, and what is in the way."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.sessions import hash_token
from healthplus.database import Database
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.staff import PASSWORD, cheap_hashes, make_staff
from tests.web.client import Browser

OFFICE = f"/office/{ONLINE}"
WEEK = f"{OFFICE}/week/{PROVIDER}"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


async def log_in(
    app: Litestar, db: Database, role: Any = "ward", clinic_id: int | None = ONLINE, log_on: str = "meera"
) -> Browser:
    await make_staff(db, log_on, role, clinic_id, secret=app.state.services.secret)
    browser = Browser(app)
    answer = await browser.post("/desk/log-in", {"log_on": log_on, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser


@pytest.fixture
async def ward(app: Litestar, db: Database, environment: Environment) -> Browser:
    return await log_in(app, db)


@pytest.fixture
async def administrator(app: Litestar, db: Database, environment: Environment) -> Browser:
    return await log_in(app, db, "administrator", None, "nair")


def goes_to(answer: httpx.Response) -> str:
    assert answer.status_code == 303, re.sub(r"(?s)<(head|style).*?</\1>|<[^>]+>|\s+", " ", answer.text)[:1500]
    return answer.headers["location"]


async def test_pages(ward: Browser) -> None:
    for path in (
        "/office",
        OFFICE,
        WEEK,
        f"{WEEK}/copy",
        f"{WEEK}/shift/1",
        f"{OFFICE}/leave",
        f"{OFFICE}/services",
        f"{OFFICE}/terms",
        f"{OFFICE}/clinic",
        f"{OFFICE}/provider/new",
        f"{OFFICE}/provider/{PROVIDER}",
    ):
        answer = await ward.get(path)
        assert answer.status_code == 200, (path, answer.text[:500])
        answer = await ward.get(f"/hi{path}")
        assert answer.status_code == 200, path
