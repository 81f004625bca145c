"""Every changing route, from the list of routes, asked again and again with the same key: it has one effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.actors import Staff
from tests.fixtures.environment import FREE, ONLINE, PROVIDER, Environment, attend
from tests.web.client import Client
from tests.web.phone import CONSENT, NUMBER, Phone, sign_in
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, hold_body
from tests.web.test_waits import WAITS, evening, join

CHOSEN = {
    "language": "hi",
    "text_by": "sms",
    "reminds_by_text": True,
    "reminds_by_email": False,
    "reminds_by_push": False,
}
VARYING = ("expires_in", "resend_in", "version", "detail", "money", "money_text")
TABLES = (
    *("booking.booking", "booking.event", "booking.ticket", "booking.claim", "booking.idempotency"),
    *(
        "payments.intent",
        "ledger.payment",
        "notices.notice",
        "accounts.patient",
        "accounts.person",
        "accounts.session",
        "accounts.consent",
    ),
    *("accounts.challenge", "accounts.idempotency", "reviews.rating"),
    *(
        "booking.reason",
        "notices.coming",
        "notices.earlier_alert",
        "notices.preference",
        "reviews.review",
        "reviews.report",
    ),
)


@dataclass
class Clients:
    """Who acts, and on what."""

    app: Litestar
    environment: Environment
    phone: Phone
    asha: Client
    bina: Client
    anyone: Client

    def at(self, hour: int, minute: int = 0) -> dict[str, str]:
        return {"start": self.environment.at(hour, minute)}

    async def effects(self) -> dict[str, int]:
        """Everything a request can add, anywhere."""
        sql = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in TABLES)
        effects = {row["name"]: row["rows"] for row in await self.environment.db.fetch(sql)}
        sessions = "SELECT count(*) FROM accounts.session WHERE revoked_at IS NULL"
        effects["live sessions"] = await self.environment.db.fetch_value(sessions)
        effects["messages"] = len(self.phone.messages)
        return effects


@dataclass
class Request:
    """What is asked. `changed`: another body, to be refused under the same key; `then`: what a repeat is answered."""

    client: Client
    method: str
    path: str
    body: Any = None
    changed: Any = None
    then: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, body: Any = None) -> httpx.Response:
        return await self.client.ask(self.method, self.path, body or self.body, key="the key", headers=self.headers)


Prepare = Callable[[Clients], Awaitable[Request]]
PREPARE: dict[tuple[str, str], Prepare] = {}


def route(method: str, path: str) -> Callable[[Prepare], Prepare]:
    def add(prepare: Prepare) -> Prepare:
        PREPARE[method, f"/api/v1{path}"] = prepare
        return prepare

    return add


@route("POST", "/providers/{provider_id:int}/holds")
async def _(clients: Clients) -> Request:
    path, environment = f"providers/{PROVIDER}/holds", clients.environment
    return Request(clients.asha, "POST", path, hold_body(environment, 9, ONLINE), hold_body(environment, 10, ONLINE))


@route("DELETE", "/providers/{provider_id:int}/holds/{hold_id:uuid}")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "DELETE", (await hold(clients.asha, hold_body(clients.environment, 9, ONLINE)))["url"])


@route("POST", "/providers/{provider_id:int}/holds/{hold_id:uuid}/move")
async def _(clients: Clients) -> Request:
    path = (await hold(clients.asha, hold_body(clients.environment, 9, ONLINE)))["url"]
    return Request(clients.asha, "POST", f"{path}/move", clients.at(10), clients.at(10, 30))


@route("POST", "/providers/{provider_id:int}/holds/{hold_id:uuid}/payment")
async def _(clients: Clients) -> Request:
    path = (await hold(clients.asha, hold_body(clients.environment, 9, ONLINE)))["url"]
    return Request(clients.asha, "POST", f"{path}/payment", PAY, {"method": "sandbox-declined"})


async def booked(clients: Clients) -> str:
    held = await hold(clients.asha, hold_body(clients.environment, 9, ONLINE))
    url: str = (await clients.asha.post(f"{held['url']}/payment", PAY)).json()["url"]
    return url


@route("DELETE", "/providers/{provider_id:int}/appointments/{appointment_id:uuid}")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "DELETE", await booked(clients))


@route("POST", "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/move")
async def _(clients: Clients) -> Request:
    path = f"{await booked(clients)}/move"
    return Request(clients.asha, "POST", path, clients.at(10), clients.at(10, 30))


@route("PUT", "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/rating")
async def _(clients: Clients) -> Request:
    # It heeds no key: with another body it is another rating, which replaces the first.
    path = await booked(clients)
    await attend(clients.environment.db, path)
    return Request(clients.asha, "PUT", f"{path}/rating", {"stars": 4})


# What follows heeds no key: it is said again, and the last of it counts.
@route("PUT", "/providers/{provider_id:int}/holds/{hold_id:uuid}/reason")
async def _(clients: Clients) -> Request:
    path = (await hold(clients.asha, hold_body(clients.environment, 9, ONLINE)))["url"]
    return Request(clients.asha, "PUT", f"{path}/reason", {"reason": "A cough"})


@route("PUT", "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/reason")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "PUT", f"{await booked(clients)}/reason", {"reason": "A cough"})


@route("PUT", "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/coming")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "PUT", f"{await booked(clients)}/coming")


@route("PUT", "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/earlier")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "PUT", f"{await booked(clients)}/earlier", {"earlier": True})


@route("PUT", "/providers/{provider_id:int}/reviews/{review_id:uuid}/report")
async def _(clients: Clients) -> Request:
    path = await booked(clients)
    await attend(clients.environment.db, path)
    await clients.asha.ask("PUT", f"{path}/rating", {"stars": 5, "text": "Kind."})
    [review] = (await clients.anyone.get(f"providers/{PROVIDER}/reviews")).json()
    return Request(clients.bina, "PUT", f"providers/{PROVIDER}/reviews/{review['id']}/report")


@route("PUT", "/me/notifications")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "PUT", "me/notifications", CHOSEN)


@route("POST", "/providers/{provider_id:int}/waits")
async def _(clients: Clients) -> Request:
    await hold(clients.asha, hold_body(clients.environment, 18, FREE))
    later = evening(clients.environment) | {"to": clients.environment.at(19)}
    return Request(clients.bina, "POST", WAITS, evening(clients.environment), later)


@route("POST", "/providers/{provider_id:int}/waits/{wait_id:uuid}/accept")
async def _(clients: Clients) -> Request:
    wait = await join(clients.bina, evening(clients.environment))
    return Request(clients.bina, "POST", f"{wait['url']}/accept", {}, clients.at(9) | {"clinic_id": ONLINE})


@route("POST", "/providers/{provider_id:int}/waits/{wait_id:uuid}/answer")
async def _(clients: Clients) -> Request:
    held = await hold(clients.asha, hold_body(clients.environment, 18, FREE))
    chand = Client(clients.asha.http, clients.environment.tokens["chand"])
    waits = [await join(client, evening(clients.environment)) for client in (clients.bina, chand)]
    await clients.environment.let_turns_go()
    await clients.asha.delete(held["url"])
    return Request(clients.bina, "POST", f"{waits[0]['url']}/answer")


@route("DELETE", "/providers/{provider_id:int}/waits/{wait_id:uuid}")
async def _(clients: Clients) -> Request:
    await hold(clients.asha, hold_body(clients.environment, 18, FREE))
    return Request(clients.bina, "DELETE", (await join(clients.bina, evening(clients.environment)))["url"])


@route("POST", "/codes")
async def _(clients: Clients) -> Request:
    body = {"phone": NUMBER, "consent": CONSENT}
    return Request(clients.anyone, "POST", "codes", body, body | {"phone": "+919876500000"})


@route("POST", "/codes/{code_id:uuid}/verify")
async def _(clients: Clients) -> Request:
    sent = await clients.anyone.post("codes", {"phone": NUMBER, "consent": CONSENT})
    code = await clients.phone.code()
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    return Request(clients.anyone, "POST", f"codes/{sent.json()['id']}/verify", {"code": code}, {"code": wrong})


@route("POST", "/codes/desk/verify")
async def _(clients: Clients) -> Request:
    issued = await clients.app.state.services.codes.issue_at_desk(NUMBER, Staff(1))
    return Request(clients.anyone, "POST", "codes/desk/verify", {"code": issued.code, "consent": CONSENT})


@route("PATCH", "/me")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "PATCH", "me", {"name": "Asha Rao"}, {"name": "Asha Iyer"})


@route("POST", "/me/email/verify")
async def _(clients: Clients) -> Request:
    await clients.asha.ask("PATCH", "me", {"email": "asha@mail.example"})
    token = (await clients.phone.link()).partition("=")[2]
    return Request(clients.asha, "POST", "me/email/verify", {"token": token})


async def signed_in(clients: Clients) -> Client:
    return Client(clients.asha.http, await sign_in(clients.anyone, clients.phone))


async def person(clients: Clients) -> str:
    """Add a person to Asha's account; return their address."""
    return str((await clients.asha.post("me/persons", {"name": "Tara", "birth_year": 2015})).json()["url"])


@route("POST", "/me/persons")
async def _(clients: Clients) -> Request:
    body = {"name": "Tara", "birth_year": 2015}
    return Request(clients.asha, "POST", "me/persons", body, body | {"birth_year": 2014})


@route("PATCH", "/me/persons/{person_id:uuid}")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "PATCH", await person(clients), {"name": "Tara Rao"}, {"name": "Tara Iyer"})


@route("DELETE", "/me/persons/{person_id:uuid}")
async def _(clients: Clients) -> Request:
    return Request(clients.asha, "DELETE", await person(clients), then=404)


@route("PUT", "/providers/{provider_id:int}/holds/{hold_id:uuid}/person")
async def _(clients: Clients) -> Request:
    path = (await hold(clients.asha, hold_body(clients.environment, 9, ONLINE)))["url"]
    return Request(clients.asha, "PUT", f"{path}/person", {"person_id": (await person(clients))[-36:]})


@route("DELETE", "/me/sessions/{session_id:uuid}")
async def _(clients: Clients) -> Request:
    client = await signed_in(clients)
    other = await clients.environment.db.fetch_value(
        """INSERT INTO accounts.session (token_hash, patient_id)
        SELECT sha256('other'), patient_id FROM accounts.patient WHERE phone = $1 RETURNING session_id""",
        NUMBER,
    )
    return Request(client, "DELETE", f"me/sessions/{other}")


@route("DELETE", "/me/session")
async def _(clients: Clients) -> Request:
    return Request(await signed_in(clients), "DELETE", "me/session", then=401)


@route("DELETE", "/me/sessions")
async def _(clients: Clients) -> Request:
    return Request(await signed_in(clients), "DELETE", "me/sessions", then=401)


@route("DELETE", "/me/consents")
async def _(clients: Clients) -> Request:
    return Request(await signed_in(clients), "DELETE", "me/consents", then=401)


@route("DELETE", "/me")
async def _(clients: Clients) -> Request:
    return Request(await signed_in(clients), "DELETE", "me", then=401)


OF_THEIR_OWN = {("POST", f"/api/v1/webhooks/{path}") for path in ("payments", "payments/{account:str}", "sms")}
"""Known by the gateway's own event ids, and answered alike each time: see tests/payments, and test_notifications."""


def test_every_changing_route_is_tried(app: Litestar) -> None:
    changing = {
        (method, route.path)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if route.path.startswith("/api/") and method in ("POST", "PUT", "PATCH", "DELETE")
    }
    assert changing == PREPARE.keys() | OF_THEIR_OWN


@pytest.fixture
def clients(
    app: Litestar, environment: Environment, phone: Phone, asha: Client, bina: Client, anyone: Client
) -> Clients:
    return Clients(app, environment, phone, asha, bina, anyone)


def shown(response: httpx.Response) -> Any:
    """Return the answer without what goes on by itself: how much time is left, and what becomes of the money."""
    document = response.json() if response.content else None
    return {key: value for key, value in document.items() if key not in VARYING} if document else document


@pytest.mark.parametrize("name", PREPARE, ids=" ".join)
async def test_requests_at_once_and_repeats_have_one_effect(clients: Clients, name: tuple[str, str]) -> None:
    request = await PREPARE[name](clients)
    before = await clients.effects()
    answers = await asyncio.gather(*(request.send() for _ in range(3)))
    good = [answer for answer in answers if answer.is_success]
    # Each of them has the answer, or is asked to send it again, or (where the asking token ends) that it is done.
    assert good, [answer.text for answer in answers]
    assert {answer.status_code for answer in answers} <= {good[0].status_code, 409, 503, request.then}
    assert all(shown(answer) == shown(good[0]) for answer in good)
    await settled(clients)
    after = await clients.effects()
    added = {table: after[table] - before[table] for table in after}
    assert max(rows for table, rows in added.items() if table != "booking.event") <= 1, added
    assert added["booking.event"] <= 3  # an answer to a call is noted, is accepted, and ends the other's call
    for _ in range(2):
        repeat = await request.send()
        assert repeat.status_code == (request.then or good[0].status_code)
        assert request.then or shown(repeat) == shown(good[0])
    if request.changed is not None:
        problem(await request.send(request.changed), 422, "key_reused")
    await settled(clients)
    assert await clients.effects() == after


async def settled(clients: Clients) -> None:
    """Until what was asked for in passing, such as a message, has been done."""
    await asyncio.sleep(0.05)
