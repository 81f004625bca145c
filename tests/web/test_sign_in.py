from __future__ import annotations

import asyncio
import json
import logging
import random
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.web.http.client_address import TrustedProxies
from tests.fixtures.environment import FREE, ONLINE, PROVIDER, Environment
from tests.web.client import Client, connect
from tests.web.phone import CONSENT, NUMBER, Phone, sign_in
from tests.web.problem import problem

ASKED = {"phone": "098765 43210", "consent": CONSENT}


async def test_the_consent_is_read_before_it_is_given(anyone: Client) -> None:
    consent = (await anyone.get("consent")).json()
    assert consent["version"] == CONSENT
    assert "Data Protection Board" in consent["text"]


async def test_a_phone_signs_in(
    anyone: Client, http: httpx.AsyncClient, phone: Phone, environment: Environment
) -> None:
    sent = await anyone.post("codes", ASKED)
    assert sent.status_code == 202
    assert sent.headers["cache-control"] == "no-store"
    shown = sent.json()
    assert shown == {"id": shown["id"], "sent_to": "••• 3210", "expires_in": 300, "resend_in": 30}
    code = await phone.code()
    message = phone.messages[0]
    assert (message.to, message.template_id) == (NUMBER, "code")
    assert message.text == (
        f"{code} is your HealthPlus code. It works for 5 minutes. We never ask for it by phone."
        f"\n\n@healthplus.example #{code}"
    )
    signed_in = await anyone.post(f"codes/{shown['id']}/verify", {"code": f"{code[:3]} {code[3:]}"})
    assert signed_in.status_code == 201
    assert signed_in.headers["cache-control"] == "no-store"
    document = signed_in.json()
    assert document["patient"] == {"name": "", "phone": NUMBER, "email": None, "email_verified": False}
    me = Client(http, document["token"])
    assert (await me.get("me")).json() == document["patient"]
    held = await me.post("providers/1/holds", {"clinic_id": 3, "start": environment.at(18)})
    assert held.status_code == 201


async def test_repeats_send_no_second_message(anyone: Client, phone: Phone) -> None:
    answers = await asyncio.gather(*(anyone.post("codes", ASKED, key="a") for _ in range(3)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    problem(await anyone.post("codes", {**ASKED, "phone": "+919876543211"}, key="a"), 422, "key_reused")
    code = await phone.code()
    url = f"codes/{answers[0].json()['id']}/verify"
    signed_in = await asyncio.gather(*(anyone.post(url, {"code": code}, key="b") for _ in range(3)))
    assert [answer.status_code for answer in signed_in] == [201] * 3
    assert len({answer.json()["token"] for answer in signed_in}) == 1
    other = f"{(int(code) + 1) % 10**6:06}"
    problem(await anyone.post(url, {"code": other}, key="b"), 422, "key_reused")
    problem(await anyone.post(url, {"code": code}, key="c"), 410, "code_over")
    assert len(phone.messages) == 1


async def test_wrong_codes(anyone: Client, phone: Phone) -> None:
    url = f"codes/{(await anyone.post('codes', ASKED)).json()['id']}/verify"
    code = await phone.code()
    wrong = {"code": f"{(int(code) + 1) % 10**6:06}"}
    for left in (4, 3, 2, 1, 0):
        assert problem(await anyone.post(url, wrong), 422, "wrong_code")["tries_left"] == left
    assert "ask for a new one" in problem(await anyone.post(url, {"code": code}), 410, "code_over")["detail"]


async def test_it_is_said_when_to_try_again(anyone: Client, phone: Phone) -> None:
    await anyone.post("codes", ASKED)
    response = await anyone.post("codes", ASKED)
    refused = problem(response, 429, "too_many_codes")
    assert int(response.headers["retry-after"]) == refused["retry_after"] in (29, 30)
    assert f"in {refused['retry_after']} seconds" in refused["detail"]
    assert NUMBER[-4:] not in response.text
    assert len(phone.messages) == 1


WRONG_REQUESTS = [
    (b"", 400, "malformed"),
    (b"{", 400, "malformed"),
    (b"null", 422, "bad_input"),
    ({}, 422, "bad_input"),
    ({"phone": "+919876543210"}, 422, "bad_input"),
    ({"consent": CONSENT}, 422, "bad_input"),
    ({"phone": 919876543210, "consent": CONSENT}, 422, "bad_input"),
    ({"phone": None, "consent": CONSENT}, 422, "bad_input"),
    ({"phone": "+919876543210", "consent": True}, 422, "bad_input"),
    ({"phone": "+919876543210", "consent": CONSENT, "code": "123456"}, 422, "bad_input"),
    ({"phone": "9" * 101, "consent": CONSENT}, 422, "bad_input"),
    ({"phone": "", "consent": CONSENT}, 422, "phone_refused"),
    ({"phone": "\x00", "consent": CONSENT}, 422, "phone_refused"),
    ({"phone": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "consent": CONSENT}, 422, "phone_refused"),
    ({"phone": "020 2612 3456", "consent": CONSENT}, 422, "phone_refused"),
    ({"phone": "+919876543210", "consent": "2020-01-01"}, 409, "consent_outdated"),
    ({"phone": "+919876543210", "consent": "\x00"}, 409, "consent_outdated"),
    ({"phone": "+919876543210", "consent": CONSENT, "x": "x" * 20_000}, 413, None),
]


async def test_wrong_requests(http: httpx.AsyncClient, phone: Phone, db: Database) -> None:
    for body, status, code in WRONG_REQUESTS:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        problem(await http.post("/api/v1/codes", content=content, headers={"Idempotency-Key": "a"}), status, code)
    assert phone.messages == []
    assert await db.fetch_value("SELECT count(*) FROM accounts.challenge") == 0


async def test_wrong_verifications(anyone: Client, http: httpx.AsyncClient, phone: Phone, db: Database) -> None:
    url = f"/api/v1/codes/{(await anyone.post('codes', ASKED)).json()['id']}/verify"
    for wrong in (b"null", b'{"code": 123456}', b'{"code": ""}', b'{"code": "12345\\u0000"}', b'{"code": "1", "x": 1}'):
        problem(await http.post(url, content=wrong, headers={"Idempotency-Key": "a"}), 422, "bad_input")
    problem(await http.post(url, content=b"{", headers={"Idempotency-Key": "a"}), 400)
    for one in (UUID(int=7), "x", "0", "%00"):
        problem(await anyone.post(f"codes/{one}/verify", {"code": "123456"}), 404)
    for path, body in (("/api/v1/codes", ASKED), (url, {"code": "123456"})):
        assert "idempotency" in problem(await http.post(path, json=body), 400)["detail"].lower()
    assert await db.fetch_value("SELECT tries FROM accounts.challenge") == 0


async def test_without_a_sender_nobody_is_kept_waiting(anyone: Client, db: Database) -> None:
    assert "ask the operator" in problem(await anyone.post("codes", ASKED), 503, "sign_in_unavailable")["detail"]
    assert await db.fetch_value("SELECT count(*) FROM accounts.challenge") == 0


async def test_no_answer_waits_for_the_sender(app: Litestar, anyone: Client, phone: Phone) -> None:
    phone.slowness = 0.3
    started = time.monotonic()
    assert (await anyone.post("codes", ASKED)).status_code == 202
    assert time.monotonic() - started < 0.25
    assert phone.messages == []
    await app.state.services.code_messages.drain()
    assert len(phone.messages) == 1


async def test_what_cannot_be_sent_is_logged_without_number_and_code(
    app: Litestar, anyone: Client, phone: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    phone.fault = RuntimeError(f"cannot send to {NUMBER}")
    with caplog.at_level(logging.DEBUG):
        assert (await anyone.post("codes", ASKED)).status_code == 202
        await app.state.services.code_messages.drain()
    assert "could not be sent: RuntimeError" in caplog.text
    assert NUMBER[-10:] not in caplog.text
    assert "is your HealthPlus code" not in caplog.text


async def test_nothing_of_a_sign_in_is_logged(anyone: Client, phone: Phone, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        token = await sign_in(anyone, phone)
        await anyone.post("codes", ASKED)
    code = await phone.code()
    for secret in (NUMBER[-10:], code, token):
        assert secret not in caplog.text


def test_whose_address_counts() -> None:
    trusted = TrustedProxies("10.0.0.0/8, 2001:db8:1::/48")
    for peer, forwarded, client in (
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),  # written by the client itself
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.5", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("2001:db8:1::1", ["2001:db8:2:3:4:5:6:7"], "2001:db8:2:3::/64"),
        ("", ["198.51.100.1"], "None"),
    ):
        assert trusted.client(peer, forwarded) == client


async def test_addresses_are_counted_apart(app: Litestar, anyone: Client, phone: Phone) -> None:
    app.state.services = replace(app.state.services, proxies=TrustedProxies("127.0.0.1"))

    async def ask(number: int, address: str) -> int:
        body = {**ASKED, "phone": f"+9198{number:04}3210"}
        return (await anyone.post("codes", body, headers={"X-Forwarded-For": address})).status_code

    assert [await ask(n, "192.0.2.7") for n in range(31)] == [202] * 30 + [428]
    assert await ask(31, "192.0.2.8") == 202


async def test_known_and_unknown_numbers_are_answered_alike_and_as_fast(
    app: Litestar, anyone: Client, phone: Phone, db: Database
) -> None:
    """Other work on the machine only slows answers, so the quickest tenths are compared; it may spoil one round."""
    app.state.services = replace(app.state.services, proxies=TrustedProxies("127.0.0.1"))
    numbers = [f"+9198{n:04}3210" for n in range(450)]
    known = set(random.sample(numbers, 225))
    await db.execute("INSERT INTO accounts.patient (name, phone) SELECT 'X', unnest($1::text[])", list(known))
    for round_number in range(3):
        await db.execute("DELETE FROM accounts.sms_budget")
        samples = _Samples(anyone, phone)
        for number in numbers[150 * round_number : 150 * (round_number + 1)]:
            await samples.take(number, number in known)
        if samples.are_alike():
            return
    raise AssertionError(f"in three rounds: {samples.quickest()}")


@dataclass
class _Samples:
    client: Client
    phone: Phone
    seconds: dict[tuple[str, bool], list[float]] = field(default_factory=dict)
    guessed: set[str] = field(default_factory=set)

    async def take(self, number: str, known: bool) -> None:
        """Ask for a code, guess wrong, and ask again too soon."""
        asked, messages = {"phone": number, "consent": CONSENT}, len(self.phone.messages)
        sent = await self._ask("code", known, "codes", asked)
        challenge_id = sent.pop("id")
        assert sent == {"sent_to": "••• 3210", "expires_in": 300, "resend_in": 30}
        wrong = f"{(int(await self.phone.code(messages + 1)) + 1) % 10**6:06}"
        guessed = await self._ask("guess", known, f"codes/{challenge_id}/verify", {"code": wrong})
        assert (guessed["code"], guessed["tries_left"]) == ("wrong_code", 4)
        assert guessed.pop("request_id")
        self.guessed.add(json.dumps(guessed))
        again = await self._ask("again", known, "codes", asked)
        assert (again["status"], again["reason"], 29 <= again["retry_after"] <= 30) == (429, "number", True)

    async def _ask(self, what: str, known: bool, path: str, body: dict[str, str]) -> Any:
        headers = {"X-Forwarded-For": f"192.{len(self.phone.messages) % 250}.2.7"}
        started = time.perf_counter()
        response = await self.client.post(path, body, headers=headers)
        self.seconds.setdefault((what, known), []).append(time.perf_counter() - started)
        return response.json()

    def quickest(self) -> dict[tuple[str, bool], float]:
        return {what: statistics.quantiles(seconds, n=10)[0] for what, seconds in self.seconds.items()}

    def are_alike(self) -> bool:
        assert len(self.guessed) == 1
        quickest = self.quickest()
        pairs = [(quickest[what, True], quickest[what, False]) for what in ("code", "guess", "again")]
        return all(max(pair) / min(pair) < 1.25 for pair in pairs)


async def test_where_the_code_is_typed_stands_the_number_of_the_clinic_that_was_chosen(
    app: Litestar, phone: Phone, environment: Environment
) -> None:
    """Whom no text reaches can join the same queue by phone."""
    await environment.db.execute("UPDATE directory.clinic SET phone = '+9120' || (55501880 + clinic_id)")
    browser = connect(app)
    sent = await browser.post("/verify", data={"phone": NUMBER, "consent": CONSENT, "key": "k"})
    assert sent.headers["location"] == "/verify/code"
    chart = f"/doctor/{PROVIDER}/dr-1"
    for back_to, number in (
        (f"{chart}/{FREE}?day=2026-12-02", f"+9120{55501880 + FREE}"),
        (f"{chart}/{ONLINE}/line?what=day", f"+9120{55501880 + ONLINE}"),
        (f"{chart}/99", None),
        (f"{chart}/{'9' * 20}", None),
        (chart, None),
        ("/appointments", None),
    ):
        page = (await browser.get("/verify/code", params={"next": back_to})).text
        assert (f"tel:{number}" in page, "callers join the same queue" in page) == (bool(number), bool(number)), back_to
