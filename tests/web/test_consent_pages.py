"""Agreeing again, once what patients agree to has a new text: in one tap, where they are, and nothing is lost."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import pytest
from litestar import Litestar

from healthplus.accounts.consent import CONSENTS, CURRENT
from healthplus.accounts.patients import Patients
from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import KnownTokens, queries
from healthplus.database import Database
from tests.fixtures.clock import until
from tests.fixtures.environment import Environment
from tests.web.client import Browser
from tests.web.test_booking_pages import CHART, hold

ASKS = "What you agree to has a clearer text"
OLD = CONSENTS[0]
SECRET = Secret("s" * 32)
WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"
GIVEN = "SELECT version, withdrawn_at IS NULL AS lives FROM accounts.consent WHERE patient_id = $1 ORDER BY version"


@pytest.fixture
async def asha(app: Litestar, environment: Environment) -> Browser:
    """Somebody who agreed to the first text."""
    await agree_to(environment, OLD.version)
    return Browser(app, environment.tokens["asha"])


async def agree_to(environment: Environment, version: str) -> None:
    await environment.db.execute(
        "INSERT INTO accounts.consent (patient_id, purpose, version, given_at) VALUES ($1, $2, $3, public.app_now())",
        environment.ids["asha"],
        CURRENT.purpose,
        version,
    )


async def given(environment: Environment) -> list[tuple[str, bool]]:
    rows = await environment.db.fetch(GIVEN, environment.ids["asha"])
    return [(row["version"], row["lives"]) for row in rows]


def test_texts_speak_of_appointments_and_the_old_ones_stay() -> None:
    assert "appointment" in CURRENT.text
    assert "visit" not in CURRENT.text
    assert [one.version for one in CONSENTS] == sorted({one.version for one in CONSENTS})
    assert len(CONSENTS) > 1


async def test_one_tap_where_one_is(asha: Browser, environment: Environment) -> None:
    held = await hold(asha, environment)
    for path in ("/help", "/", CHART):
        assert ASKS not in (await asha.get(path)).text, "a time that is held comes first"
    assert ASKS not in (await asha.get(held)).text
    await asha.post(f"{held}/release", {})
    for path in ("/help", "/", f"{CHART}?n=2", "/privacy", "/appointments"):
        page = (await asha.get(path)).text
        assert ASKS in page
        assert "its staff see them" in page
    form = {"consent": CURRENT.version, "next": f"{CHART}?n=2"}
    agreed = await asha.post("/hi/privacy/agree", form)
    assert (agreed.status_code, agreed.headers["location"]) == (303, f"/hi{CHART}?n=2")
    assert await given(environment) == [(OLD.version, True), (CURRENT.version, True)]
    await asha.post("/privacy/agree", form)
    assert len(await given(environment)) == 2
    for path in ("/help", f"{CHART}?n=2"):
        assert ASKS not in (await asha.get(path)).text
    privacy = (await asha.get("/privacy")).text
    assert "this visit" in privacy, "what was agreed to before stays to be read"
    assert (await asha.get(held)).status_code == 200


async def test_one_may_book_before_one_agrees_again(asha: Browser, environment: Environment) -> None:
    held = await hold(asha, environment)
    assert (await asha.post(held, {"method": "sandbox-ok", "who": "me", "name": "Asha"})).status_code == 303
    assert "Booked for" in (await asha.get(held)).text


async def test_who_agreed_to_nothing_is_not_asked(app: Litestar, environment: Environment) -> None:
    """As those who were added by a clinic, or signed in at a time when they agreed to the present text."""
    browser = Browser(app, environment.tokens["asha"])
    assert ASKS not in (await browser.get("/help")).text
    await browser.post("/privacy/agree", {"consent": CURRENT.version})
    assert await given(environment) == []
    await agree_to(environment, CURRENT.version)
    assert ASKS not in (await browser.get("/help")).text


async def test_only_what_was_read_is_agreed_to(asha: Browser, app: Litestar, environment: Environment) -> None:
    for form in ({}, {"consent": OLD.version}, {"consent": "2999-01-01"}):
        assert (await asha.post("/privacy/agree", form)).headers["location"] == "/privacy"
    evil = await asha.post("/privacy/agree", {"next": "//evil.example"})
    assert evil.headers["location"] == "/privacy"
    cross = await asha.post("/privacy/agree", {"consent": CURRENT.version}, {"sec-fetch-site": "cross-site"})
    assert cross.status_code == 403
    nobody = await Browser(app).post("/privacy/agree", {"consent": CURRENT.version})
    assert nobody.headers["location"] == f"/verify?{urlencode({'next': '/privacy'})}"
    assert await given(environment) == [(OLD.version, True)]


async def test_withdrawing_meanwhile_leaves_no_consent(db: Database, environment: Environment) -> None:
    patient_id = environment.ids["asha"]
    patients = Patients(db, SECRET, KnownTokens(db))

    async def agree_unguarded() -> None:
        await db.execute(queries.agree, patient_id, CURRENT.purpose, CURRENT.version)

    async def agree() -> None:
        await patients.agree(patient_id, CURRENT)

    for deed, left in ((agree_unguarded, [CURRENT.version]), (agree, [])):
        await db.execute("DELETE FROM accounts.consent")
        await agree_to(environment, OLD.version)
        async with db.transaction() as withdrawing:
            await withdrawing.execute(queries.lock_patient, patient_id)
            await withdrawing.execute(queries.withdraw_consents, patient_id)
            agreeing = asyncio.create_task(deed())
            await until(lambda: db.fetch_value(WAITS), 10)
        await agreeing
        assert [version for version, lives in await given(environment) if lives] == left
