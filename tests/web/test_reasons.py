"""Why a patient comes: for the clinic alone, by its patient, until the appointment begins; gone a month after it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import healthplus
from healthplus.database import Database
from tests.fixtures.clock import forget_beside_the_app
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment, attend
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, hold_body

WHY = "Itching on both arms since Monday"
TEXTS = (
    "SELECT count(*) FROM booking.event WHERE event::text LIKE '%Itching%'",
    "SELECT count(*) FROM notices.notice WHERE notice::text LIKE '%Itching%'",
    "SELECT count(*) FROM booking.idempotency WHERE idempotency::text LIKE '%Itching%'",
)


async def say(client: Client, url: str, reason: str | None = WHY) -> str | None:
    answer = await client.ask("PUT", f"{url}/reason", {"reason": reason})
    assert answer.status_code == 200, answer.text
    said: str | None = answer.json()["reason"]
    return said


async def test_a_reason_stays_with_the_booking(
    asha: Client, environment: Environment, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    held = await hold(asha, hold_body(environment))
    assert (await asha.get(held["url"])).json()["reason"] is None
    assert await say(asha, held["url"], f"  {WHY}\n ") == WHY
    assert await say(asha, held["url"], "Fever") == "Fever"
    url = (await asha.post(f"{held['url']}/payment", PAY)).json()["url"]
    assert (await asha.get(url)).json()["reason"] == "Fever"
    assert await say(asha, url) == WHY
    assert "reason" not in (await asha.get("appointments")).json()[0]
    assert [one["text"] for one in (await asha.get("me/export")).json()["reasons"]] == [WHY]
    assert await say(asha, url, None) is None
    assert await say(asha, url) == WHY
    assert [await db.fetch_value(sql) for sql in TEXTS] == [0, 0, 0]
    assert "Itching" not in caplog.text


async def test_what_is_no_reason_is_refused(asha: Client, environment: Environment) -> None:
    url = (await hold(asha, hold_body(environment)))["url"]
    for text in ("x" * 201, "fever\ue000", "\u200d"):
        problem(await asha.ask("PUT", f"{url}/reason", {"reason": text}), 422, "bad_input")
    assert await say(asha, url, "x" * 200) == "x" * 200
    assert await say(asha, url, " \u200b\u202e ") is None
    problem(await asha.ask("PUT", f"{url}/reason", {"why": "fever"}), 422)


async def test_only_its_patient_says_why_and_only_before_it_begins(
    asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment))
    for client, status in ((bina, 404), (anyone, 401)):
        problem(await client.ask("PUT", f"{held['url']}/reason", {"reason": WHY}), status)
    url = (await asha.post(f"{held['url']}/payment", PAY)).json()["url"]
    await say(asha, url)
    problem(await bina.ask("PUT", f"{url}/reason", {"reason": WHY}), 404)
    await environment.pass_until(environment.instant(10))
    problem(await asha.ask("PUT", f"{url}/reason", {"reason": "late"}), 409, "too_late")
    await attend(environment.db, url)
    problem(await asha.ask("PUT", f"{url}/reason", {"reason": "late"}), 409, "wrong_state")
    assert (await asha.get(url)).json()["reason"] == WHY


async def test_not_for_what_is_over(asha: Client, environment: Environment) -> None:
    lapsed = await hold(asha, hold_body(environment))
    await environment.pass_time(seconds=306)
    problem(await asha.ask("PUT", f"{lapsed['url']}/reason", {"reason": WHY}), 410, "expired")
    released = await hold(asha, hold_body(environment, 10))
    await asha.delete(released["url"])
    problem(await asha.ask("PUT", f"{released['url']}/reason", {"reason": WHY}), 409, "wrong_state")


async def test_it_goes_with_the_patient(asha: Client, environment: Environment, db: Database) -> None:
    await say(asha, (await hold(asha, hold_body(environment)))["url"])
    assert (await asha.delete("me")).status_code == 200
    assert await db.fetch_value("SELECT count(*) FROM booking.reason") == 0


async def test_it_goes_a_month_after_the_appointment(asha: Client, environment: Environment, db: Database) -> None:
    url = (await hold(asha, hold_body(environment)))["url"]
    await say(asha, url)
    await asha.post(f"{url}/payment", PAY)
    lapsing = await environment.held(AT_CLINIC, 13, "bina")
    await db.fetch_value("SELECT booking.give_reason($1, $2, $3, 'cough')", PROVIDER, lapsing, environment.ids["bina"])
    left = []
    for days in (29, 4):
        await environment.pass_time(days=days)
        await forget_beside_the_app(db)
        left.append(await db.fetch_value("SELECT count(*) FROM booking.reason"))
    assert left == [2, 0]


def test_no_message_knows_of_it() -> None:
    for area in ("notices", "payments", "monitoring"):
        files = [one for one in (Path(healthplus.__file__).parent / area).rglob("*") if one.suffix in (".py", ".sql")]
        assert files
        for path in files:
            assert "booking.reason" not in path.read_text("utf-8"), path
