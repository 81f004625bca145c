"""Members of the staff in browsers, for tests of the office's pages."""

from __future__ import annotations

import re

import httpx
from litestar import Litestar

from healthplus.database import Database
from healthplus.staff.rights import Role
from tests.fixtures.staff import PASSWORD, make_staff
from tests.web.client import Browser


async def log_in(
    app: Litestar, db: Database, role: Role, clinic_id: int | None = 1, log_on: str | None = None
) -> Browser:
    """Add a member of the staff, who logs in."""
    log_on = log_on or f"{role}-{clinic_id or 'all'}"
    await make_staff(db, log_on, role, clinic_id, secret=app.state.services.secret)
    browser = Browser(app)
    answer = await browser.post("/desk/log-in", {"log_on": log_on, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser


def goes_to(answer: httpx.Response) -> str:
    assert answer.status_code == 303, words(answer)[:1500]
    return answer.headers["location"]


def words(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    text = re.sub(r"(?s)<head.*?</head>|<[^>]+>", " ", answer.text)
    return re.sub(r"\s+", " ", text)


async def shows(browser: Browser, path: str) -> str:
    """Return what a page says that is there."""
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("location"), words(answer)[:800])
    return words(answer)


async def audited(db: Database, action: str) -> list[dict[str, object]]:
    """Return the entries of an action, the first first."""
    rows = await db.fetch("SELECT * FROM staff.audit_entry WHERE action = $1 ORDER BY entry_id", action)
    return [dict(row) for row in rows]
