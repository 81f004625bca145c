"""An e-mail address is used for nothing before its owner has shown that it is theirs."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.secret import Secret
from healthplus.database import Database
from tests.fixtures.environment import PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.phone import Phone
from tests.web.problem import problem
from tests.web.test_holds import hold_body

ADDRESS = "asha@mail.example"


def token_of(link: str) -> str:
    path, _, token = link.partition("?token=")
    assert path == "/email"
    return token


async def verified(client: Client) -> bool:
    found: bool = (await client.get("me")).json()["email_verified"]
    return found


async def notices(environment: Environment, client: Client, hour: int) -> list[str]:
    """Book and cancel; return on which channels that is told."""
    await environment.db.execute("DELETE FROM notices.notice")
    held = await client.post(f"providers/{PROVIDER}/holds", hold_body(environment, hour, 2))
    booked = await client.post(f"{held.json()['url']}/payment", {"method": "card"})
    assert booked.json()["state"] == "booked", booked.text
    await client.delete(booked.json()["url"])
    return [
        row[0] for row in await environment.db.fetch("SELECT DISTINCT channel::text FROM notices.notice ORDER BY 1")
    ]


async def test_only_a_verified_address_gets_notices(
    app: Litestar, asha: Client, phone: Phone, environment: Environment
) -> None:
    await environment.db.execute("UPDATE accounts.patient SET phone = '+919876543210' WHERE name = 'asha'")
    changed = await asha.ask("PATCH", "me", {"email": ADDRESS}, key="a")
    assert changed.json()["email_verified"] is False
    link = await phone.link()
    assert (phone.mails[0].to, phone.mails[0].subject) == (ADDRESS, "HealthPlus: Confirm your e-mail address")
    assert ADDRESS not in link
    assert await notices(environment, asha, 13) == ["sms"]
    await asha.ask("PATCH", "me", {"email": ADDRESS}, key="a")  # a repeat sends nothing
    # The link leads to a page, which does nothing until its button is pressed.
    browser = Browser(app, environment.tokens["asha"])
    assert "This is my address" in (await browser.get(link)).text
    for cut_off in ("/email", "/email?token="):
        for answer in (await browser.get(cut_off), await browser.post(cut_off)):
            assert (answer.status_code, "This link is incomplete." in answer.text) == (400, True)
            assert "This is my address" not in answer.text
    assert not await verified(asha)
    done = await browser.post(link)
    assert (done.status_code, done.headers["location"]) == (303, "/email/verified")
    assert "confirmed" in (await browser.get("/email/verified")).text
    assert await verified(asha)
    assert await notices(environment, asha, 14) == ["email", "sms"]
    # The same address again stays verified, another one is not.
    assert (await asha.ask("PATCH", "me", {"email": ADDRESS})).json()["email_verified"] is True
    assert (await asha.ask("PATCH", "me", {"email": "b@mail.example"})).json()["email_verified"] is False
    await phone.link(2)
    assert await notices(environment, asha, 15) == ["sms"]
    problem(await asha.post("me/email/verify", {"token": token_of(link)}), 410, "link_over")


async def test_a_link_is_bound_to_its_account_and_address_and_ends(
    app: Litestar, asha: Client, bina: Client, phone: Phone, environment: Environment
) -> None:
    await asha.ask("PATCH", "me", {"email": ADDRESS})
    token = token_of(await phone.link())
    await bina.ask("PATCH", "me", {"email": ADDRESS})
    await phone.link(2)
    problem(await bina.post("me/email/verify", {"token": token}), 410, "link_over")
    nobody = await Browser(app).get(f"/email?token={token}")
    assert nobody.headers["location"].startswith("/verify?next=%2Femail%3Ftoken%3D")
    elsewhere = await Browser(app, environment.tokens["bina"]).post(f"/email?token={token}")
    assert elsewhere.status_code == 410
    assert "another account" in elsewhere.text
    forged = Secret("another secret key, which is long enough").seal(
        "e-mail", b'{"patient_id":1,"address":"","until":1e9}'
    )
    for wrong in ("", ".", "x", forged, token[:-1], f"x{token}", token.replace(".", ""), "\x00", "é.é", "x" * 900):
        problem(await asha.post("me/email/verify", {"token": wrong}), 410, "link_over")
    await environment.pass_time(hours=24)
    problem(await asha.post("me/email/verify", {"token": token}), 410, "link_over")
    await asha.ask("PATCH", "me", {"email": ADDRESS})
    again = token_of(await phone.link(3))
    for _ in range(2):
        assert (await asha.post("me/email/verify", {"token": again})).json()["email_verified"] is True
    assert [await verified(one) for one in (asha, bina)] == [True, False]


async def test_nobodys_mailbox_is_filled(asha: Client, phone: Phone, environment: Environment) -> None:
    for n in range(5):
        assert (await asha.ask("PATCH", "me", {"email": f"victim+{n}@mail.example"})).status_code == 200
    refused = await asha.ask("PATCH", "me", {"name": "Asha", "email": "victim@mail.example"})
    assert "tomorrow" in problem(refused, 429, "too_many_emails")["detail"]
    profile = (await asha.get("me")).json()
    assert (profile["name"], profile["email"]) == ("asha", "victim+4@mail.example")
    await phone.link(5)
    await environment.pass_time(days=1)
    assert (await asha.ask("PATCH", "me", {"email": "victim@mail.example"})).status_code == 200
    await phone.link(6)


async def test_an_older_process_leaves_no_mark_on_a_new_address(db: Database, environment: Environment) -> None:
    patient = environment.ids["asha"]
    await db.execute("UPDATE accounts.patient SET email = $2 WHERE patient_id = $1", patient, ADDRESS)
    await db.execute("UPDATE accounts.patient SET email_verified_at = public.app_now() WHERE patient_id = $1", patient)
    mark = "SELECT email_verified_at IS NOT NULL FROM accounts.patient WHERE patient_id = $1"
    for name in ("Asha", "Asha Rao"):
        await db.execute("UPDATE accounts.patient SET name = $2, email = email WHERE patient_id = $1", patient, name)
        assert await db.fetch_value(mark, patient)
    await db.execute("UPDATE accounts.patient SET email = NULL WHERE patient_id = $1", patient)
    assert not await db.fetch_value(mark, patient)


async def test_a_mail_that_cannot_be_sent_names_nobody_in_the_log(
    app: Litestar, asha: Client, phone: Phone, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    phone.fault = RuntimeError(f"cannot send to {ADDRESS}")
    assert (await asha.ask("PATCH", "me", {"email": ADDRESS})).status_code == 200
    await app.state.services.code_messages.drain()
    assert "a link to verify an e-mail address could not be sent: RuntimeError" in caplog.text
    assert ADDRESS not in caplog.text


async def test_an_address_is_added_confirmed_changed_and_removed_on_the_page(
    app: Litestar, asha: Client, bina: Client, phone: Phone, environment: Environment
) -> None:
    # That somebody else has the address, and has confirmed it, makes no difference.
    await bina.ask("PATCH", "me", {"email": ADDRESS})
    await bina.post("me/email/verify", {"token": token_of(await phone.link())})
    browser = Browser(app, environment.tokens["asha"])
    assert "Your e-mail address" in (await browser.get("/notifications")).text
    for wrong in ("", "asha", "a@b@c", "a b@c.example", f"{'x' * 250}@mail.example"):
        refused = await browser.post("/notifications", {"key": "w", "email": wrong})
        assert (refused.status_code, "Write an e-mail address like" in refused.text) == (422, True), wrong
        assert f'value="{wrong}"' in refused.text
    assert (await asha.get("me")).json()["email"] is None
    for _ in range(2):  # a second click sends nothing
        sent = await browser.post("/hi/notifications", {"key": "k", "email": f" {ADDRESS} "})
        assert (sent.status_code, sent.headers["location"]) == (303, "/hi/notifications?email=sent#email")
    shown = (await browser.get("/notifications?email=sent")).text
    assert "Not confirmed yet" in shown
    assert "We sent a link to this address." in shown
    link = await phone.link(2)
    assert link.startswith("/hi/email?token=")
    assert (await browser.post(link)).headers["location"] == "/hi/email/verified"
    shown = (await browser.get("/notifications?email=sent")).text
    assert ("Confirmed" in shown, "We sent a link" in shown) == (True, False)
    assert '<input type="checkbox" name="reminds_by" value="email" checked>' in shown

    await browser.post("/notifications", {"key": "k", "email": "b@mail.example"})
    await phone.link(3)
    profile = (await asha.get("me")).json()
    assert (profile["email"], profile["email_verified"]) == ("b@mail.example", False)
    assert await notices(environment, asha, 13) == []
    removed = await browser.post("/notifications", {"key": "k", "email": "", "action": "remove"})
    assert removed.headers["location"] == "/notifications?email=removed#email"
    assert "We send no more e-mail." in (await browser.get("/notifications?email=removed")).text
    assert (await asha.get("me")).json()["email"] is None
    assert (await browser.post(link)).status_code == 410  # a link ends with its address

    for n in range(3):
        assert (await browser.post("/notifications", {"email": f"v{n}@mail.example"})).status_code == 303
    refused = await browser.post("/notifications", {"email": "v9@mail.example"})
    assert (refused.status_code, "Try again tomorrow." in refused.text) == (429, True)
    assert 'value="v9@mail.example"' in refused.text
    await phone.link(6)
