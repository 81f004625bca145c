"""How patients choose to be told things, where reminders lead, and what answers do."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.notices.preferences import Preferences, answer_of
from healthplus.notices.push import DEVICES_MAX, WebPushSender
from healthplus.notices.sender import NoSender
from healthplus.notices.senders import Senders
from healthplus.notices.texts import link_code
from healthplus.notices.web_push import new_private_key
from healthplus.settings import Settings
from healthplus.signatures import sign
from tests.fixtures.clock import move_clock, move_clock_to
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.notices.sending import Recorder
from tests.notices.test_push import AUTH, BROWSER_PUBLIC
from tests.web.client import Browser, Client
from tests.web.phone import Phone
from tests.web.problem import problem
from tests.web.test_holds import hold_body

SECRET = "a secret that the relay and we alone know"
PHONE = "+919876543210"


@pytest.fixture
def push_settings(app: Litestar) -> Settings:
    settings: Settings = app.state.settings
    return replace(settings, push_key=new_private_key())


@pytest.fixture
async def browser(app: Litestar, environment: Environment, push_settings: Settings) -> Browser:
    """Asha's browser, where WhatsApp, web push and replies are set up."""
    database: Database = app.state.services.database
    sender = Recorder()
    senders = Senders(sender, sender, sender, WebPushSender(database, push_settings))
    preferences = Preferences(database, senders, SECRET)
    app.state.services = replace(app.state.services, preferences=preferences)
    await environment.db.execute("UPDATE accounts.patient SET phone = $1 WHERE name = 'asha'", PHONE)
    return Browser(app, environment.tokens["asha"])


async def book(environment: Environment, asha: Client) -> str:
    """Book an appointment of Asha's; return the address of its page."""
    held = await asha.post(f"providers/{PROVIDER}/holds", hold_body(environment, 13, 2))
    booked = await asha.post(f"{held.json()['url']}/payment", {"method": "card"})
    assert booked.json()["state"] == "booked", booked.text
    return f"/appointments/{PROVIDER}/{booked.json()['id']}"


async def remind(environment: Environment) -> str:
    """Have a day pass until the reminder; return the path of its link."""
    starts = await environment.db.fetch_value("SELECT lower(during) FROM booking.booking WHERE state = 'booked'")
    await environment.db.execute("UPDATE directory.clinic SET reminder_hours = '{24}'")
    await environment.db.execute("UPDATE booking.booking SET created_at = created_at - interval '1 day'")
    if starts - await environment.db.fetch_value("SELECT public.app_now()") > timedelta(hours=24):
        await move_clock_to(environment.db, starts - timedelta(hours=24))
        await environment.db.fetch_value("SELECT notices.add_reminders(10)")
    found: UUID | None = await environment.db.fetch_value("SELECT reminder_id FROM notices.reminder")
    if found is None:  # the environment's appointment is too near
        found = await environment.db.fetch_value(
            """INSERT INTO notices.reminder (provider_id, booking_id, starts_at, due_at, patient_id)
            SELECT provider_id, booking_id, lower(during), public.app_now(), patient_id
            FROM booking.booking WHERE state = 'booked' RETURNING reminder_id"""
        )
    assert found
    return f"/a/{link_code(found)}"


async def test_what_is_chosen_is_kept_and_shown(browser: Browser, asha: Client, environment: Environment) -> None:
    before = (await asha.get("me/notifications")).json()
    assert before == {
        "language": "en",
        "text_by": "sms",
        "reminds_by_text": True,
        "reminds_by_email": True,
        "reminds_by_push": True,
    }
    by_email = '<input type="checkbox" name="reminds_by" value="email"'
    choice = {"language": "hi", "text_by": "whatsapp", "reminds_by": "push"}
    # Without an address it cannot be ticked, and stays chosen for when there is one.
    assert f"{by_email} disabled>" in (await browser.get("/notifications")).text
    await browser.post("/notifications", choice)
    assert (await asha.get("me/notifications")).json()["reminds_by_email"] is True
    for change in ("email = 'a@example.org'", "email_verified_at = public.app_now()"):
        await environment.db.execute(f"UPDATE accounts.patient SET {change} WHERE name = 'asha'")
    assert f"{by_email} checked>" in (await browser.get("/notifications")).text
    saved = await browser.post("/notifications", choice)
    assert (saved.status_code, saved.headers["location"]) == (303, "/notifications?saved=1")
    shown = (await browser.get("/notifications?saved=1")).text
    assert "Saved." in shown
    assert 'value="whatsapp" checked' in shown
    assert 'value="push" checked' in shown
    assert 'value="text" checked' not in shown
    after = (await asha.get("me/notifications")).json()
    assert after == {
        "language": "hi",
        "text_by": "whatsapp",
        "reminds_by_text": False,
        "reminds_by_email": False,
        "reminds_by_push": True,
    }
    assert (await asha.ask("PUT", "me/notifications", before)).json() == before
    problem(await asha.ask("PUT", "me/notifications", before | {"language": "de"}), 422)


async def test_what_is_not_set_up_is_not_offered(app: Litestar, environment: Environment, asha: Client) -> None:
    nobody = Senders(NoSender("SMS"), NoSender("E-mail"))
    preferences = Preferences(app.state.services.database, nobody, None)
    app.state.services = replace(app.state.services, preferences=preferences)
    browser = Browser(app, environment.tokens["asha"])
    shown = (await browser.get("/notifications")).text
    assert "WhatsApp" not in shown
    assert "this device" not in shown
    assert "notifications.js" not in shown
    assert (await browser.post("/notifications/push", {"endpoint": "https://push.example.com/x"})).status_code == 404
    chosen = {"language": "hi", "text_by": "whatsapp", "reminds_by_text": True, "reminds_by_email": True}
    problem(await asha.ask("PUT", "me/notifications", chosen | {"reminds_by_push": True}), 422)
    assert (await browser.post("/notifications", {"language": "hi", "text_by": "whatsapp"})).status_code == 303
    kept = (await asha.get("me/notifications")).json()
    assert (kept["text_by"], kept["reminds_by_push"]) == ("sms", True)  # not asked, so as it was


async def test_the_pages_are_for_those_who_are_signed_in(app: Litestar, http: httpx.AsyncClient) -> None:
    nobody = Browser(app, None)
    for path in ("/notifications", "/a/abcdefghijklmnopqrstuv"):
        answer = await nobody.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/verify?next={path.replace('/', '%2F')}")
    assert (await nobody.post("/notifications/push", {})).status_code == 303
    assert (await nobody.post(f"/appointments/{PROVIDER}/{UUID(int=1)}/coming", {})).status_code == 303


async def test_a_reminders_link_leads_its_patient_to_the_appointment(
    app: Litestar, browser: Browser, environment: Environment, asha: Client
) -> None:
    page = await book(environment, asha)
    link = await remind(environment)
    assert (await browser.get(link)).headers["location"] == page
    assert (await browser.get(f"/hi{link}")).headers["location"] == f"/hi{page}"
    other = Browser(app, environment.tokens["bina"])
    for foreign in (link, "/a/x", "/a/" + "A" * 22, "/a/" + "%00" * 3):
        assert (await other.get(foreign)).headers["location"] == "/appointments"


async def test_a_messages_link_leads_to_what_it_is_about(
    app: Litestar, browser: Browser, environment: Environment, asha: Client
) -> None:
    """To an appointment, also a cancelled one; of what was never booked, to the page that says why."""
    page = await book(environment, asha)
    link = f"/a/{link_code(UUID(page.rpartition('/')[2]))}"
    await browser.post(f"{page}/cancel", {})
    assert (await browser.get(link)).headers["location"] == page
    held = (await asha.post(f"providers/{PROVIDER}/holds", hold_body(environment, 13, 2))).json()
    await environment.pass_time(minutes=6)
    link = f"/a/{link_code(UUID(held['id']))}"
    answer = await browser.get(link)
    assert answer.headers["location"] == f"/doctor/{PROVIDER}/hold/{held['id']}"
    assert "Your 5 minutes are over" in (await browser.get(answer.headers["location"])).text
    assert (await Browser(app, environment.tokens["bina"]).get(link)).headers["location"] == "/appointments"
    await environment.db.execute("UPDATE booking.booking SET offer = true, ticket_id = $1", UUID(int=5))
    assert (await browser.get(link)).headers["location"] == f"/doctor/{PROVIDER}/wait/{UUID(int=5)}"
    await environment.db.execute("UPDATE booking.booking SET offer = false, ticket_id = NULL")


async def test_who_is_coming_says_so_on_the_page(browser: Browser, environment: Environment, asha: Client) -> None:
    page = await book(environment, asha)
    await remind(environment)
    url = f"providers/{page.removeprefix('/appointments/').replace('/', '/appointments/')}"
    assert (await asha.get(url)).json()["coming"] is False
    assert "I am coming" in (await browser.get(page)).text
    assert (await browser.post(f"{page}/coming", {})).headers["location"] == page
    assert "You said that you are coming." in (await browser.get(page)).text
    assert (await asha.get(url)).json()["coming"] is True
    assert [one["coming"] for one in (await asha.get("appointments")).json()] == [True]
    assert (await asha.ask("PUT", f"{url}/coming")).json() == {"coming": True}
    await asha.delete(url)
    problem(await asha.ask("PUT", f"{url}/coming"), 404)
    assert (await asha.get(url)).json()["coming"] is False


async def reply(http: httpx.AsyncClient, body: dict[str, Any] | bytes, secret: str = SECRET, ago: float = 0) -> int:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = sign(secret, content, time.time() - ago)  # noqa: TID251 - the relay's own clock
    answer = await http.post("/api/v1/webhooks/sms", content=content, headers={"Signature": signature})
    return answer.status_code


async def test_a_reply_by_sms_is_taken_from_the_relay_alone(
    http: httpx.AsyncClient, browser: Browser, environment: Environment, asha: Client
) -> None:
    page = await book(environment, asha)
    await remind(environment)
    yes = {"from": PHONE, "text": " Yes. "}
    assert await reply(http, yes, "another secret, of the right length though") == 403
    assert await reply(http, yes, ago=301) == 403
    assert (await http.post("/api/v1/webhooks/sms", content=json.dumps(yes).encode())).status_code == 403
    assert "I am coming" in (await browser.get(page)).text
    assert await reply(http, yes) == 200
    assert "You said that you are coming." in (await browser.get(page)).text
    for nothing in (b"", b"[]", b'{"from": 7}', {"from": "nobody", "text": "yes"}, {"from": PHONE, "text": "Hello?"}):
        assert await reply(http, nothing) == 200
    assert "You said that you are coming." in (await browser.get(page)).text
    assert await reply(http, {"from": PHONE, "text": "रद्द"}) == 200
    shown = (await browser.get(page)).text
    assert "Your appointment is booked" in shown
    assert "I am coming" in shown
    kinds = await environment.db.fetch("SELECT kind::text FROM notices.notice ORDER BY created_at")
    assert [row["kind"] for row in kinds][-1] == "not_cancelled"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("YES", "yes"),
        ("yes!", "yes"),
        ("हाँ", "yes"),
        ("जी हाँ।", "yes"),
        ("No", "no"),
        ("cancel", "no"),
        ("नहीं", "no"),
        ("Stop", "stop"),
        ("", None),
        ("yes, but later", None),
        ("not coming", None),
    ],
)
def test_what_a_reply_says(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


async def test_messages_are_in_the_language_of_the_pages_until_one_is_chosen(
    app: Litestar, phone: Phone, environment: Environment
) -> None:
    language = "SELECT language FROM notices.preference"
    browser = Browser(app, None)
    await sign_in(browser, phone, "/hi")
    assert "कोड" in phone.messages[-1].text
    assert phone.messages[-1].registered_name == "code.hi"
    assert await environment.db.fetch_value(language) == "hi"
    await browser.post("/sign-out", {})
    await move_clock(environment.db, minutes=1)
    await sign_in(browser, phone, "")
    assert await environment.db.fetch_value(language) == "en"
    await move_clock(environment.db, minutes=1)
    await browser.post("/notifications", {"language": "hi"})
    await browser.post("/sign-out", {})
    await sign_in(browser, phone, "")
    assert await environment.db.fetch_value(language) == "hi"


async def test_booking_writes_no_language_where_one_was_chosen(
    app: Litestar, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages in Hindi are noted with the first booking; not with each one once messages are to be in English."""
    noted: list[str] = []
    note = Preferences.note_language

    async def count(preferences: Preferences, patient_id: int, language: str) -> None:
        noted.append(language)
        await note(preferences, patient_id, language)

    monkeypatch.setattr(Preferences, "note_language", count)
    browser = Browser(app, environment.tokens["asha"])

    async def book(hour: int) -> None:
        held = await browser.post(f"/hi/doctor/{PROVIDER}/dr-1/{AT_CLINIC}", {"start": environment.at(hour)})
        booked = await browser.post(held.headers["location"], {"who": "me", "name": "Asha"})
        assert booked.status_code == 303, booked.text

    await book(13)
    assert noted == ["hi"]
    await browser.post("/notifications", {"language": "en"})
    await book(24 + 13)
    assert noted == ["hi"]
    assert await environment.db.fetch_value("SELECT language FROM notices.preference") == "en"


async def sign_in(browser: Browser, phone: Phone, prefix: str) -> None:
    from healthplus.accounts.consent import CURRENT  # noqa: PLC0415

    sent = len(phone.messages)
    await browser.post(f"{prefix}/verify", {"phone": "98765 43210", "consent": CURRENT.version, "key": f"k{sent}"})
    code = await phone.code(sent + 1)
    answer = await browser.post(f"{prefix}/verify/code", {"code": code, "key": f"c{sent}"})
    assert answer.status_code == 303, answer.text


FIELDS = {"endpoint": "https://push.example.com/abc", "p256dh": BROWSER_PUBLIC, "auth": AUTH}


async def test_a_device_is_added_and_removed(browser: Browser, environment: Environment, asha: Client) -> None:
    count = "SELECT count(*) FROM notices.push_subscription"
    assert 'data-known=""' in (await browser.get("/notifications")).text
    for _ in range(2):  # a browser that subscribes again has the same address
        assert (await browser.post("/notifications/push", FIELDS)).status_code == 204
    assert await environment.db.fetch_value(count) == 1
    assert FIELDS["endpoint"] in (await browser.get("/notifications")).text
    for wrong in ({}, FIELDS | {"endpoint": "https://10.0.0.1/x"}, FIELDS | {"p256dh": "x"}, FIELDS | {"auth": ""}):
        assert (await browser.post("/notifications/push", wrong)).status_code == 422
    for number in range(DEVICES_MAX + 3):
        fields = FIELDS | {"endpoint": f"https://push.example.com/{number}"}
        await browser.post("/notifications/push", fields)
    assert await environment.db.fetch_value(count) <= DEVICES_MAX + 1
    kept = (await asha.get("me/export")).json()["notified_devices"]
    assert "client_secret" not in kept[0]
    last = {"endpoint": f"https://push.example.com/{DEVICES_MAX + 2}"}
    before = await environment.db.fetch_value(count)
    assert (await browser.post("/notifications/push/off", last)).status_code == 204
    assert await environment.db.fetch_value(count) == before - 1


async def test_the_service_worker_is_there_for_all_pages(http: httpx.AsyncClient) -> None:
    answer = await http.get("/push.js")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert "showNotification" in answer.text


async def test_what_was_chosen_goes_with_the_account(browser: Browser, environment: Environment, asha: Client) -> None:
    page = await book(environment, asha)
    await remind(environment)
    await browser.post(f"{page}/coming", {})
    await browser.post("/notifications", {"language": "hi"})
    await browser.post("/notifications/push", FIELDS)
    kept = (await asha.get("me/export")).json()
    assert kept["notification_settings"]["language"] == "hi"
    assert [len(kept[name]) for name in ("notified_devices", "reminders", "coming_to")] == [1, 1, 1]
    await asha.delete(f"providers/{page.removeprefix('/appointments/').replace('/', '/appointments/')}")
    assert (await asha.delete("me")).status_code == 200
    for table in ("notice", "preference", "push_subscription", "reminder", "coming"):
        assert await environment.db.fetch_value(f"SELECT count(*) FROM notices.{table}") == 0, table
