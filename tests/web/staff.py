"""Members of the staff in browsers, and what tests of their pages read and send."""

from __future__ import annotations

import re
import zipfile
from datetime import datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar
from PIL import Image

from healthplus.database import Database
from healthplus.staff.rights import Role
from tests.fixtures.environment import AT_CLINIC, ONLINE, PROVIDER, Environment
from tests.fixtures.staff import PASSWORD, make_staff
from tests.web.client import Browser

CLINIC, OTHER_CLINIC = AT_CLINIC, ONLINE
OFFICE = f"/office/{CLINIC}"
WEEK = f"{OFFICE}/week/{PROVIDER}"
SHIFT = {"starts": "05:00", "ends": "08:00", "slot_minutes": "15", "seats": "", "slots_max": ""}
DOCTOR = {"name": "Dr Asha Rao", "fee": "500", "type": "doctor", "funding": "", "languages": "Hindi, Marathi"}


async def log_in(
    app: Litestar, db: Database, role: Role, clinic_id: int | None = 1, log_on: str | None = None
) -> Browser:
    """Add a member of the staff, who logs in."""
    log_on = log_on or f"{role}-{clinic_id or 'all'}"
    await make_staff(db, log_on, role, clinic_id, secret=app.state.services.secret)
    browser = Browser(app)
    assert goes_to(await browser.post("/desk/log-in", {"log_on": log_on, "password": PASSWORD}))
    return browser


def words(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(re.sub(r"(?s)<(head|script)\b.*?</\1>|<[^>]+>", " ", answer.text).split())


async def shows(browser: Browser, path: str) -> str:
    """Return what a page says that is there."""
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("location"), words(answer)[:800])
    return words(answer)


def goes_to(answer: httpx.Response) -> str:
    """Return where an answer leads, as that to a form does that was taken."""
    assert answer.status_code == 303, (answer.status_code, words(answer)[:1500])
    return answer.headers["location"]


def hidden(answer: httpx.Response, name: str) -> str:
    """Return what a form of a page has put in for a field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, words(answer)
    return found[1]


async def shift_of(db: Database, weekday: int) -> int:
    """Return the provider's shift at the clinic on a weekday."""
    shift_id: int = await db.fetch_value(
        "SELECT shift_id FROM schedule.shift WHERE provider_id = $1 AND clinic_id = $2 AND weekday = $3",
        PROVIDER,
        CLINIC,
        weekday,
    )
    return shift_id


async def book(environment: Environment, start: datetime, name: str = "asha") -> UUID:
    """Book a time that is paid for at the clinic."""
    held = await environment.hold(start, CLINIC, name)
    assert held.booking_id is not None, held
    outcome = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor(name))
    assert outcome.code == "booked", outcome
    return held.booking_id


async def events(db: Database, kind: str) -> int:
    count: int = await db.fetch_value("SELECT count(*) FROM booking.event WHERE kind = $1", kind)
    return count


async def audit_actions(db: Database) -> list[str]:
    """Return what people did since they logged in, in order."""
    rows = await db.fetch("SELECT action FROM staff.audit_entry WHERE session_id IS NOT NULL ORDER BY entry_id")
    return [row["action"] for row in rows if row["action"] not in ("log_in", "see_in_the_way")]


async def audit_entries(db: Database, action: str) -> list[dict[str, object]]:
    """Return the entries of an action, in order."""
    rows = await db.fetch("SELECT * FROM staff.audit_entry WHERE action = $1 ORDER BY entry_id", action)
    return [dict(row) for row in rows]


def picture(kind: str, size: tuple[int, int] = (400, 300), **options: Any) -> bytes:
    file = BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def zipped() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.html", "<p>")
    return file.getvalue()
