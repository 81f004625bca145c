from __future__ import annotations

import pytest

from tests.fixtures.environment import PROVIDER, Environment
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_holds import PAY, hold, hold_body

pytestmark = pytest.mark.dates


async def book(client: Client, environment: Environment, hour: int = 9) -> str:
    """Book a slot; return the appointment's address."""
    held = await hold(client, hold_body(environment, hour))
    url: str = (await client.post(f"{held['url']}/payment", PAY)).json()["url"]
    return url


async def test_my_appointments_are_listed(asha: Client, bina: Client, anyone: Client, environment: Environment) -> None:
    url = await book(asha, environment)
    held = await hold(asha, hold_body(environment, 34))
    listed = (await asha.get("appointments")).json()
    assert [(one["url"], one["state"]) for one in listed] == [(held["url"], "reserved"), (url, "booked")]
    assert (await asha.get(url)).json()["needs_rebooking"] is False
    assert (await bina.get("appointments")).json() == []
    problem(await anyone.get("appointments"), 401)


async def test_a_hold_is_no_appointment(asha: Client, environment: Environment) -> None:
    held = await hold(asha, hold_body(environment))
    problem(await asha.get(f"providers/{PROVIDER}/appointments/{held['id']}"), 404)
    problem(await asha.delete(f"providers/{PROVIDER}/appointments/{held['id']}"), 409, "wrong_state")


async def test_cancelling_gives_the_slot_and_the_money_back(
    asha: Client, bina: Client, environment: Environment
) -> None:
    url = await book(asha, environment)
    response = await asha.delete(url, key="cancel")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert response.json()["money"] in ("void_due", "voided", "refund_due", "refunded")
    assert (await asha.delete(url, key="cancel")).json()["state"] == "cancelled"
    problem(await asha.delete(url), 409, "wrong_state")
    row = await environment.db.fetch_row("SELECT state::text, due::text FROM ledger.payment")
    assert row is not None
    assert tuple(row) in {("authorised", "void"), ("captured", "refund"), ("voided", None), ("refunded", None)}
    await book(bina, environment)


async def test_an_appointment_that_began_cannot_be_cancelled(asha: Client, environment: Environment) -> None:
    url = await book(asha, environment)
    await environment.pass_until(environment.instant(9, 1))
    problem(await asha.delete(url), 409, "too_late")
    problem(await asha.post(f"{url}/move", {"start": environment.at(11)}), 409, "too_late")


async def test_moving_an_appointment(asha: Client, bina: Client, environment: Environment) -> None:
    url = await book(asha, environment)
    moved = (await asha.post(f"{url}/move", {"start": environment.at(11)})).json()
    assert (moved["url"], moved["state"]) == (url, "booked")
    await book(bina, environment, 9)
    refused = problem(await asha.post(f"{url}/move", {"start": environment.at(9)}), 409, "slot_full")
    assert refused["status_text"] == "Appointment Failed – Slot Full"


async def test_somebody_elses_appointment_is_not_there(asha: Client, bina: Client, environment: Environment) -> None:
    url = await book(asha, environment)
    counts = await environment.counts()
    problem(await bina.get(url), 404)
    problem(await bina.delete(url), 404)
    problem(await bina.post(f"{url}/move", {"start": environment.at(11)}), 404)
    assert await environment.counts() == counts
