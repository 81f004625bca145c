from __future__ import annotations

import asyncio
from uuid import UUID

import httpx

from tests.fixtures.environment import AT_CLINIC, FREE, PROVIDER, Environment
from tests.web.client import Client
from tests.web.phone import CONSENT, NUMBER, Phone, sign_in
from tests.web.problem import problem

HOLDS = f"providers/{PROVIDER}/holds"
WAITS = f"providers/{PROVIDER}/waits"


async def book(client: Client, start: str, clinic_id: int = AT_CLINIC) -> str:
    held = (await client.post(HOLDS, {"clinic_id": clinic_id, "start": start})).json()
    booked = await client.post(f"{held['url']}/payment", {"method": "sandbox-ok"})
    url: str = booked.json()["url"]
    return url


async def test_a_name_is_given_afterwards(me: Client, environment: Environment) -> None:
    assert (await me.get("me")).json() == {"name": "", "phone": NUMBER, "email": None, "email_verified": False}
    changed = await me.ask("PATCH", "me", {"name": " Asha Rao ", "email": "asha@mail.example"}, key="a")
    given = {"name": "Asha Rao", "phone": NUMBER, "email": "asha@mail.example", "email_verified": False}
    assert changed.json() == given
    assert (await me.ask("PATCH", "me", {"email": None})).json()["email"] is None
    # A repeat of the first does not bring the address back.
    again = await me.ask("PATCH", "me", {"name": "Asha Rao", "email": "asha@mail.example"}, key="a")
    assert (again.status_code, again.json()["email"]) == (200, None)
    problem(await me.ask("PATCH", "me", {"name": "Bina"}, key="a"), 422, "key_reused")
    assert (await me.get("me")).json()["name"] == "Asha Rao"
    await environment.pass_time(hours=25)
    assert (await me.ask("PATCH", "me", {"name": "Bina"}, key="a")).json()["name"] == "Bina"


async def test_repeats_at_once_are_one(me: Client) -> None:
    answers = await asyncio.gather(
        *(me.ask("PATCH", "me", {"name": name}, key="a") for name in ("Asha", "Asha", "Asha", "Bina", "Bina"))
    )
    assert {answer.status_code for answer in answers} == {200, 422}
    assert len({answer.json()["name"] for answer in answers if answer.status_code == 200}) == 1


async def test_wrong_changes(me: Client) -> None:
    for body in (
        {},
        {"name": None},
        {"name": 1},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "\u3164"},
        {"name": "\u2800"},
        {"name": "\u200d"},
        {"name": "\x00"},
        {"name": "a\ue000b"},
        {"phone": "+919876543211"},
        {"email": ""},
        {"email": "asha"},
        {"email": "a@b@c"},
        {"email": "foo@bar"},
        {"email": "foo@bar."},
        {"email": "a b@c"},
        {"email": "a@b\nBcc: c@d"},
        {"email": "\x00@b"},
        {"email": "x" * 250 + "@b.example"},
        {"email": "x" * 2000},
    ):
        problem(await me.ask("PATCH", "me", body), 422)
    problem(await me.ask("PATCH", "me"), 400)
    problem(await me.ask("PATCH", "me", content=b'{"name": "\\ud800"}'), 400)
    assert (await me.get("me")).json() == {"name": "", "phone": NUMBER, "email": None, "email_verified": False}


ROUTES = [
    ("GET", "me"),
    ("PATCH", "me"),
    ("DELETE", "me"),
    ("GET", "me/sessions"),
    ("DELETE", "me/sessions"),
    ("DELETE", f"me/sessions/{UUID(int=7)}"),
    ("DELETE", "me/session"),
    ("GET", "me/consents"),
    ("DELETE", "me/consents"),
    ("GET", "me/export"),
    ("POST", "me/email/verify"),
]


async def test_nobody_gets_in_without_a_token_or_changes_without_a_key(
    http: httpx.AsyncClient, anyone: Client, asha: Client, environment: Environment
) -> None:
    for method, path in ROUTES:
        body = {"PATCH": {"name": "X"}, "POST": {"token": "x"}}.get(method)
        problem(await anyone.ask(method, path, body), 401)
        problem(await Client(http, "x").ask(method, path, body), 401)
        problem(await anyone.ask(method, path, body, headers={"Authorization": "Basic eA=="}), 401)
        if method != "GET":
            headers = {"Authorization": f"Bearer {environment.tokens['asha']}"}
            problem(await http.request(method, f"/api/v1/{path}", json=body, headers=headers), 400)
    assert (await asha.get("me")).json()["name"] == "asha"


async def test_sessions_are_listed_and_ended(
    http: httpx.AsyncClient, anyone: Client, phone: Phone, environment: Environment
) -> None:
    first = Client(http, await sign_in(anyone, phone, agent="Mozilla/5.0 (Android 15; Mobile) Firefox/140.0"))
    await environment.pass_time(minutes=2)
    second = Client(http, await sign_in(anyone, phone))
    shown = (await second.get("me/sessions")).json()
    assert [(one["agent"], one["is_this"]) for one in shown] == [("", True), ("Firefox on Android", False)]
    assert shown[0].keys() == {"id", "agent", "created_at", "last_used_on", "expires_at", "is_this"}
    first_id, second_id = shown[1]["id"], shown[0]["id"]
    assert (await second.delete(f"me/sessions/{first_id}", key="a")).status_code == 204
    problem(await first.get("me"), 401)
    assert (await second.delete(f"me/sessions/{first_id}", key="a")).status_code == 204
    problem(await second.delete(f"me/sessions/{second_id}", key="a"), 422, "key_reused")
    assert len((await second.get("me/sessions")).json()) == 1
    assert (await second.delete("me/session")).status_code == 204
    problem(await second.delete("me/session"), 401)


async def test_signing_out_everywhere(
    http: httpx.AsyncClient, anyone: Client, phone: Phone, environment: Environment
) -> None:
    clients = []
    for _ in range(2):
        clients.append(Client(http, await sign_in(anyone, phone)))
        await environment.pass_time(minutes=2)
    assert (await clients[0].delete("me/sessions")).status_code == 204
    for client in clients:
        problem(await client.get("me"), 401)


async def test_somebody_elses_session_is_not_there(asha: Client, bina: Client) -> None:
    theirs = (await bina.get("me/sessions")).json()[0]["id"]
    for one in (theirs, UUID(int=7), "x", "%00"):
        problem(await asha.delete(f"me/sessions/{one}"), 404)
    assert (await bina.get("me")).status_code == 200


async def test_consent_is_withdrawn_as_easily_as_given(
    me: Client, anyone: Client, http: httpx.AsyncClient, phone: Phone, environment: Environment
) -> None:
    appointment = await book(me, environment.at(13))
    held = (await me.post(HOLDS, {"clinic_id": AT_CLINIC, "start": environment.at(24 + 14)})).json()
    assert [one["withdrawn_at"] for one in (await me.get("me/consents")).json()] == [None]
    withdrawn = (await me.delete("me/consents")).json()
    assert (withdrawn["released"], withdrawn["appointments"]) == (held["url"], [appointment])
    problem(await me.get("me"), 401)
    await environment.pass_time(minutes=2)
    again = Client(http, await sign_in(anyone, phone))
    given = (await again.get("me/consents")).json()
    assert [(one["version"], one["withdrawn_at"] is None) for one in given] == [(CONSENT, True), (CONSENT, False)]
    assert (await again.get(held["url"])).json()["state"] == "released"
    assert (await again.get(appointment)).json()["state"] == "booked"
    assert (await again.delete("me/consents")).json()["released"] is None


async def test_withdrawing_leaves_the_queue(me: Client, asha: Client, bina: Client, environment: Environment) -> None:
    held = (await asha.post(HOLDS, {"clinic_id": FREE, "start": environment.at(18)})).json()
    evening = {"clinic_id": FREE, "from": environment.at(17), "to": environment.at(19)}
    mine, next_one = (await me.post(WAITS, evening)).json(), (await bina.post(WAITS, evening)).json()
    assert (await me.delete("me/consents")).json()["released"] == mine["url"]
    await asha.delete(held["url"])
    assert (await bina.get(next_one["url"])).json()["state"] == "offered"


async def test_signing_in_twice_is_one_consent(
    me: Client, anyone: Client, phone: Phone, environment: Environment
) -> None:
    await environment.pass_time(minutes=2)
    await sign_in(anyone, phone)
    assert len((await me.get("me/consents")).json()) == 1
