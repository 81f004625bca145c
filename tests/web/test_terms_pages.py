"""What pages say goes back, before paying and before cancelling."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from litestar import Litestar

from tests.fixtures.environment import AT_CLINIC, ONLINE, PROVIDER, Environment
from tests.fixtures.terms import set_terms
from tests.web.client import Browser
from tests.web.test_service_pages import said

ALWAYS = 8784
"""Hours before the start: earlier than anything is booked."""
LADDER: dict[int, int | str] = {24: "25%", 4: "80%"}


@pytest.fixture
async def asha(app: Litestar, environment: Environment) -> Browser:
    await environment.db.execute("UPDATE accounts.patient SET name = 'Asha Rao' WHERE patient_id = $1", 1)
    return Browser(app, environment.tokens["asha"])


async def held(environment: Environment, clinic_id: int = ONLINE, hour: int = 9) -> tuple[str, str]:
    """Hold a time; return the paths of its page, and of the appointment it becomes."""
    booking_id = await environment.held(clinic_id, hour)
    return f"/doctor/{PROVIDER}/hold/{booking_id}", f"/appointments/{PROVIDER}/{booking_id}"


async def pay(asha: Browser, path: str) -> None:
    assert (await asha.fill(path, method="sandbox-ok", who="me")).status_code == 303


@pytest.mark.dates
async def test_steps_are_said_in_rupees_before_paying_and_cancelling(asha: Browser, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, LADDER)
    hold, appointment = await held(environment)
    page = said((await asha.get(hold)).text)
    day, before = environment.instant(9), environment.instant(9 - 24)
    first, second = (f"Until {at:%a} {at.day} {at:%b}" for at in (before, day))
    assert f"{first}, 9:00 am: cancel free, all of it is refunded." in page
    assert f"{second}, 5:00 am: cancel, and ₹375 of it is refunded." in page
    assert "After that: cancel, and ₹100 of it is refunded." in page
    assert "not refundable" not in page
    await pay(asha, hold)
    booked = said((await asha.get(hold)).text)
    assert "Paid: ₹500" in booked
    assert f"{first}, 9:00 am: cancel free, all of it is refunded." in booked
    before_pressing = said((await asha.get(appointment)).text).partition("If you cancel")[2]
    assert f"{first}, 9:00 am: cancel free, all of it is refunded." in before_pressing
    assert "After that: cancel, and ₹100 of it is refunded." in before_pressing
    cancel = said((await asha.get(f"{appointment}/cancel")).text)
    assert "The ₹500 that" in cancel
    assert f"After {first.removeprefix('Until ')}, 9:00 am IST , only ₹375 is refunded." in cancel
    await environment.pass_until(environment.instant(0))
    cancel = said((await asha.get(f"{appointment}/cancel")).text)
    assert "You paid ₹500. ₹125 of it is not refunded, as we said before you paid. ₹375 goes back" in cancel
    await asha.fill(f"{appointment}/cancel")
    after = said((await asha.get(appointment)).text)
    assert "If you cancel" not in after
    assert after.index("₹375") < after.index("Dr 1")  # the head says what becomes of the money
    terms = "₹125 is not refunded: these are the clinic’s terms, which you were shown before you paid."
    assert re.search(rf"(Refund started|Refunded): ₹375 .* {terms}", after)


@pytest.mark.dates
async def test_what_never_comes_back_is_said_before_paying(asha: Browser, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {ALWAYS: "20%", 4: "80%"})
    hold, _ = await held(environment)
    page = (await asha.get(hold)).text
    bar = page[page.index('<div class="bar">') :]
    assert bar.index("₹100 is not refundable") < bar.index("Pay ₹500")
    line = said(page[page.index('<ol class="money-line">') :])
    kept = "₹100 is not refundable : the clinic keeps it, however early you cancel."
    assert line.index(kept) < line.index("We block ₹500 now")


@pytest.mark.dates
async def test_what_moving_fixes_is_said_before_it(asha: Browser, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, LADDER)
    hold, appointment = await held(environment)
    await pay(asha, hold)
    sentence = "If you cancel after rescheduling, at least ₹125 is not refunded, as now."
    move = said((await asha.get(f"{appointment}/move")).text)
    assert ("Reschedule your appointment" in move, "is not refunded" in move) == (True, False)
    await environment.pass_until(environment.instant(0))
    assert sentence in said((await asha.get(f"{appointment}/move")).text)
    later = (environment.instant(9) + timedelta(days=9)).isoformat()
    await asha.post(f"{appointment}/move", {"start": later})
    # It stays so, however early it is now.
    assert sentence in said((await asha.get(f"{appointment}/move")).text)
    assert "₹125 of it is not refunded" in said((await asha.get(f"{appointment}/cancel")).text)


async def test_one_step_for_ever_is_one_sentence(asha: Browser, environment: Environment) -> None:
    for kept, text in (
        ("20%", "Until it begins: cancel, and ₹400 of it is refunded."),
        ("100%", "Until it begins: nothing is refunded if you cancel."),
    ):
        await set_terms(environment.db, ONLINE, {8784: kept})
        hold, _ = await held(environment)
        assert text in said((await asha.get(hold)).text)
        await asha.post(f"{hold}/release")
    await set_terms(environment.db, AT_CLINIC, LADDER)
    hold, appointment = await held(environment, AT_CLINIC, 13)
    page = said((await asha.get(hold)).text)
    assert "Nothing is paid now." in page
    assert "refunded" not in page
    await pay(asha, hold)
    assert "You have paid nothing here, so there is nothing to refund." in said(
        (await asha.get(f"{appointment}/cancel")).text
    )


async def test_a_visit_that_another_replaces_costs_what_its_terms_say(asha: Browser, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {8784: "20%"})
    hold, appointment = await held(environment)
    await pay(asha, hold)
    chart = f"/doctor/{PROVIDER}/dr-1/{AT_CLINIC}"
    start = environment.instant(13).isoformat()
    instead = await asha.post(
        chart, {"start": start, "instead_of": appointment.removeprefix("/appointments/"), "who": "me"}
    )
    page = said((await asha.get(instead.headers["location"])).text)
    assert "Of what you paid for it, ₹100 is not refunded." in page
