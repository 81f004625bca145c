"""A time chosen before signing in is held with the code; and what happens where it is gone, or chosen no more."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from healthplus.errors import DiskFull
from tests.fixtures.environment import OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser, forget_shared_reads
from tests.web.phone import CONSENT, NUMBER, Phone
from tests.web.test_booking_pages import CHART

BOOKINGS = "SELECT state::text, lower(during) AS start, patient_id FROM booking.booking"


@pytest.fixture
def nobody(app: Litestar) -> Browser:
    return Browser(app)


def address(environment: Environment) -> str:
    return f"{CHART}?day={(environment.day + timedelta(hours=6)).date()}"


async def chosen(nobody: Browser, environment: Environment, hour: int = 10) -> str:
    """Choose a time; return where one signs in."""
    asked = await nobody.post(address(environment), {"start": environment.at(hour)})
    assert asked.headers["location"].startswith("/verify?next=")
    return str(asked.headers["location"])


async def code_page(nobody: Browser, phone: Phone, verify: str, number: str = NUMBER) -> str:
    sent = await nobody.post(verify, {"phone": number, "consent": CONSENT})
    assert sent.status_code == 303, sent.text
    await phone.code(len(phone.messages) or 1)
    return str(sent.headers["location"])


async def test_it_is_held_once_however_often_the_code_is_sent(
    nobody: Browser, phone: Phone, environment: Environment
) -> None:
    page = await code_page(nobody, phone, await chosen(nobody, environment))
    form = {"code": await phone.code(), "key": "once"}
    before = dict(nobody.http.cookies)
    first = await nobody.post(page, form)
    assert f"/doctor/{PROVIDER}/hold/" in first.headers["location"]
    # A second click was sent with the cookies of before.
    nobody.http.cookies = httpx.Cookies(before)
    second = await nobody.post(page, form)
    assert second.headers["location"] == first.headers["location"]
    [held] = await environment.db.fetch(BOOKINGS)
    assert (held["state"], held["start"]) == ("reserved", environment.instant(10))
    assert "10:00 am is held for you" in (await nobody.get(second.headers["location"])).text
    # Nothing is left of it: who signs in again holds nothing by that.
    assert any(one.startswith('chosen=""') and "Max-Age=0" in one for one in first.headers.get_list("set-cookie"))


async def test_what_was_chosen_is_in_sight_until_the_code_is_typed(
    nobody: Browser, phone: Phone, environment: Environment
) -> None:
    verify = await chosen(nobody, environment)
    code = await code_page(nobody, phone, verify)
    for page in (verify, code):
        text = re.sub(r"<[^>]+>", "", (await nobody.get(page)).text)
        assert [one in text for one in ("Dr 1", "10:00 am", "₹500")] == [True, True, True]
    # Who goes back, and asks for a code for the same number at once, is led to where the code they have is typed.
    again = await nobody.post(verify, {"phone": NUMBER, "consent": CONSENT})
    assert again.status_code == 429
    assert f'href="{html.escape(code)}">Enter the code we sent</a>' in again.text
    assert ("No new code yet" in again.text, "Please fix this" in again.text) == (True, False)
    other = await nobody.post(verify, {"phone": "98765", "consent": CONSENT})
    assert "Enter the code we sent" not in other.text


async def test_what_is_gone_meanwhile_is_said_with_what_is_free(
    nobody: Browser, phone: Phone, environment: Environment, app: Litestar
) -> None:
    page = await code_page(nobody, phone, await chosen(nobody, environment))
    await environment.hold(environment.instant(10), name="bina")
    signed_in = await nobody.post(page, {"code": await phone.code()})
    assert signed_in.headers["location"].startswith(CHART)
    forget_shared_reads(app)
    chart = await nobody.get(signed_in.headers["location"])
    assert chart.status_code == 200
    assert "10:00 am has just been taken. These times are free:" in chart.text
    near = chart.text[chart.text.index('id="error"') : chart.text.index('class="chart"')]
    assert [time in near for time in ("9:30 am", "10:30 am", "11:30 am")] == [True, True, False]


async def test_a_claim_elsewhere_is_in_the_way(nobody: Browser, phone: Phone, environment: Environment) -> None:
    await environment.db.execute("UPDATE accounts.patient SET phone = $1 WHERE name = 'asha'", NUMBER)
    await environment.hold(environment.instant(9), name="asha", provider_id=OTHER_PROVIDER)
    page = await code_page(nobody, phone, await chosen(nobody, environment))
    signed_in = await nobody.post(page, {"code": await phone.code()})
    assert signed_in.headers["location"].startswith("/busy?for=hold")
    assert "You already hold 9:00 am" in (await nobody.get(signed_in.headers["location"])).text


async def test_what_was_given_up_is_not_held(nobody: Browser, phone: Phone, environment: Environment) -> None:
    await chosen(nobody, environment)
    page = await code_page(nobody, phone, "/verify?next=/help")
    assert (await nobody.post(page, {"code": await phone.code()})).headers["location"] == "/help"
    assert await environment.db.fetch(BOOKINGS) == []


async def test_no_other_address_holds_anything(nobody: Browser, phone: Phone, environment: Environment) -> None:
    """What is to be held comes from us, sealed: an address that somebody else made leads to a chart at most."""
    chart = f"{address(environment)}&{urlencode({'start': environment.at(10)})}"
    page = await code_page(nobody, phone, f"/verify?{urlencode({'next': chart})}")
    nobody.http.cookies.set("chosen", "e30.forged")
    assert (await nobody.post(page, {"code": await phone.code()})).headers["location"] == chart
    assert await environment.db.fetch(BOOKINGS) == []


async def test_who_cannot_hold_now_is_signed_in_all_the_same(
    nobody: Browser, phone: Phone, environment: Environment, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their code is used up by then, and what they have booked is behind it."""
    page = await code_page(nobody, phone, await chosen(nobody, environment))

    def no_room() -> None:
        raise DiskFull(reason="bookings")

    monkeypatch.setattr(app.state.services.database.space, "require_for_bookings", no_room)
    signed_in = await nobody.post(page, {"code": await phone.code()})
    assert signed_in.headers["location"].startswith(CHART)
    assert (await nobody.get("/appointments")).status_code == 200
    assert await environment.db.fetch(BOOKINGS) == []
