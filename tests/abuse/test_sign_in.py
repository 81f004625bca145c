"""Attacks that used to close sign-in for others: the patient they are aimed at still signs in, and attackers pay."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from litestar import Litestar

from healthplus.accounts import proofs
from healthplus.accounts.phone_numbers import phone_number
from healthplus.database import Database
from healthplus.web.http.client_address import TrustedProxies
from tests.fixtures.clock import move_clock
from tests.fixtures.codes import solve
from tests.web.client import Client
from tests.web.phone import CONSENT, NUMBER, Phone
from tests.web.problem import problem

VICTIM = NUMBER
HOME = "198.51.100.7"
TRIES_OF_A_STEP = 250
"""What proofs.py has: here, work is counted and not done."""


@pytest.fixture(autouse=True)
def behind_a_proxy(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests come from where they say; what is asked for as work is looked at, and takes no time."""
    app.state.services = replace(app.state.services, proxies=TrustedProxies("127.0.0.1"))
    assert proofs._TRIES_OF_A_STEP == TRIES_OF_A_STEP
    monkeypatch.setattr(proofs, "_ITERATIONS", 1)
    monkeypatch.setattr(proofs, "_TRIES_OF_A_STEP", 1)


@dataclass
class Person:
    """Somebody at an address, with a device that may be known. `tries` is what their work would have taken."""

    app: Litestar
    client: Client
    phone: Phone
    address: str = HOME
    device: str | None = None
    answers: Counter[int] = field(default_factory=Counter)
    tries: int = 0

    def other(self, address: str = HOME) -> Person:
        """Return somebody else, whose device nobody knows."""
        return Person(self.app, self.client, self.phone, address)

    async def last_code(self) -> str:
        """Return the code that was sent last, to anybody."""
        await self.app.state.services.code_messages.drain()
        return self.phone.messages[-1].text[:6]

    async def ask(self, number: str, *, proof: str | None = None) -> dict[str, Any]:
        """Ask for a code; return the answer with its status."""
        body = {"phone": number, "consent": CONSENT, "device": self.device, "proof": proof}
        answer = await self.client.post("codes", body, headers={"X-Forwarded-For": self.address})
        self.answers[answer.status_code] += 1
        return {**answer.json(), "status": answer.status_code}

    async def ask_and_work(self, number: str) -> dict[str, Any]:
        """Ask for a code, and work for it as often as is asked for."""
        answer = await self.ask(number)
        while answer["status"] == 428:
            self.tries += 2 ** answer["challenge"]["parameters"]["data"]["steps"] * TRIES_OF_A_STEP // 2
            answer = await self.ask(number, proof=solve(answer["challenge"]))
        return answer

    async def sign_in_with(self, asked: dict[str, Any]) -> None:
        """Type the code that was sent last."""
        assert asked["status"] == 202, asked
        code = await self.last_code()
        verified = await self.client.post(f"codes/{asked['id']}/verify", {"code": code, "device": self.device})
        assert verified.status_code == 201, verified.text
        self.device = verified.json()["device"]


@pytest.fixture
async def at_home(app: Litestar, anyone: Client, phone: Phone, db: Database) -> Person:
    """The victim, on a device that signed in the day before."""
    person = Person(app, anyone, phone)
    await person.sign_in_with(await person.ask(VICTIM))
    await move_clock(db, days=1)
    return person


async def messages(db: Database) -> int:
    found: int = await db.fetch_value(
        "SELECT count(*) FROM accounts.challenge WHERE created_at > public.app_now() - '1 day'::interval"
    )
    return found


def mobile(serial: int) -> str:
    return phone_number(f"+9198{serial:04}3210")


async def signs_in_on_a_new_device(person: Person, number: str, *, pays: bool) -> None:
    """Sign in as a stranger, at once but for the work; whether there is a price is known."""
    stranger = person.other(person.address)
    await stranger.sign_in_with(await stranger.ask_and_work(number))
    assert bool(stranger.tries) is pays
    assert stranger.tries * 0.0005 <= 64  # seconds of a server's core: the highest price


async def test_five_hundred_requests_from_one_network(at_home: Person, db: Database) -> None:
    """They closed sign-in for everybody for an hour; now each pays more than the one before."""
    attacker = at_home.other()
    for n in range(500):
        attacker.address = f"2001:db8:7:{n % 250:x}::1"
        await attacker.ask(mobile(n))
    assert attacker.answers[202] == 60
    assert attacker.answers[428] == 440
    # To everybody else, in the next network, nothing has happened; at home a known device signs in at once.
    await signs_in_on_a_new_device(at_home.other("2001:db8:8::1"), mobile(900), pays=False)
    await at_home.sign_in_with(await at_home.ask(VICTIM))
    assert at_home.answers == {202: 2}
    # Who works gets some: 500 codes would take two hours, and the price for others rises with what is left.
    for n in range(100):
        attacker.address = f"2001:db8:7:{n:x}::2"
        await attacker.ask_and_work(mobile(n + 1000))
    assert attacker.tries * 0.0005 > 600  # seconds for a hundred, and 16 for each further one
    await signs_in_on_a_new_device(at_home.other("2001:db8:8::1"), mobile(901), pays=True)
    assert await messages(db) <= 2000


async def test_twenty_requests_for_one_range_of_numbers(at_home: Person, db: Database) -> None:
    """They closed a range of 10,000 numbers for an hour."""
    attacker = at_home.other()
    for n in range(40):
        attacker.address = f"203.{n}.113.9"
        await attacker.ask(f"{VICTIM[:-4]}{n:04}")
    assert attacker.answers == {202: 20, 428: 20}
    await signs_in_on_a_new_device(at_home, f"{VICTIM[:-4]}5555", pays=True)
    await at_home.sign_in_with(await at_home.ask(VICTIM))


async def test_thirty_requests_from_the_address_of_a_mobile_carrier(at_home: Person, db: Database) -> None:
    """They closed sign-in for all its customers for an hour."""
    carrier = "203.0.113.9"
    attacker = at_home.other(carrier)
    for n in range(60):
        await attacker.ask(mobile(n))
    assert attacker.answers == {202: 30, 428: 30}
    at_home.address = carrier
    await at_home.sign_in_with(await at_home.ask(VICTIM))
    customer = at_home.other(carrier)
    await signs_in_on_a_new_device(customer, mobile(900), pays=True)
    # Who cannot work waits for 90 seconds.
    asked = await customer.ask(mobile(901))
    assert asked["retry_after"] == 90
    await move_clock(db, seconds=asked["retry_after"])
    await customer.sign_in_with(await customer.ask(mobile(901), proof=asked["wait_token"]))


async def test_a_hundred_guesses_at_one_number(at_home: Person, db: Database) -> None:
    """They locked the victim out for 28 days, on every device."""
    attacker = at_home.other()
    compared = codes = 0
    while compared < 100:
        attacker.address = f"203.{codes}.113.9"
        asked = await attacker.ask_and_work(VICTIM)
        if asked["status"] == 429:
            # Nobody is bombed with messages: the next one is some time away.
            assert asked["reason"] == "number"
            await move_clock(db, seconds=asked["retry_after"])
            continue
        codes += 1
        wrong = {"code": f"{(int(await at_home.last_code()) + 1) % 10**6:06}"}
        while (await attacker.client.post(f"codes/{asked['id']}/verify", wrong)).status_code == 422:
            compared += 1
    assert codes == 44  # four of five tries, then two each
    # At home nothing has happened: not when a code is asked for, nor when it is typed among more guesses.
    assert (await attacker.ask_and_work(VICTIM))["status"] == 429
    asked = await at_home.ask(VICTIM)
    await at_home.sign_in_with(asked)
    # On a new device it takes work, and at most three hours where the attacker has just had a code.
    stranger = at_home.other("192.0.2.200")
    problem_now = await stranger.ask(VICTIM)
    assert problem_now["retry_after"] <= 3 * 3600
    await move_clock(db, seconds=problem_now["retry_after"])
    await signs_in_on_a_new_device(stranger, VICTIM, pays=True)
    assert await messages(db) <= 16 + 1


async def test_guesses_at_a_code_that_somebody_else_asked_for(at_home: Person, db: Database) -> None:
    """The id of a code is known to the device that asked for it alone; another's code is nothing to guess at."""
    asked = await at_home.ask(VICTIM)
    own = await at_home.last_code()
    attacker = at_home.other("203.0.113.9")
    theirs = await attacker.ask(VICTIM)
    assert theirs["status"] == 202
    other = await at_home.last_code()
    if own != other:
        problem(await attacker.client.post(f"codes/{theirs['id']}/verify", {"code": own}), 422, "wrong_code")
    for n in range(4):
        wrong = f"{(int(other) + 1 + n) % 10**6:06}"
        if wrong != other:
            await attacker.client.post(f"codes/{theirs['id']}/verify", {"code": wrong})
    verified = await at_home.client.post(f"codes/{asked['id']}/verify", {"code": own})
    assert verified.status_code == 201
