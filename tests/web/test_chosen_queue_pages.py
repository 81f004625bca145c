"""A queue chosen before signing in is joined with the code; and what happens where it cannot be."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from healthplus.errors import DiskFull
from tests.fixtures.environment import FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser
from tests.web.phone import NUMBER, Phone
from tests.web.test_chosen_time_pages import code_page

QUEUE = f"/doctor/{PROVIDER}/dr-1/{FREE}/line"
OTHER_NUMBER = "+919876500000"
TICKETS = "SELECT state::text, number, patient_id, ticket_id FROM booking.ticket ORDER BY number"


@pytest.fixture
def nobody(app: Litestar) -> Browser:
    return Browser(app)


@pytest.fixture
async def queue(environment: Environment) -> str:
    """The address of the queue for the evening, whose one time somebody holds."""
    await environment.hold(environment.instant(18), name="asha", clinic_id=FREE)
    return f"{QUEUE}?day={environment.at(12)[:10]}&part=evening"


async def chosen(nobody: Browser, queue: str, **form: str) -> str:
    """Press "Join the queue"; return where one signs in."""
    asked = await nobody.post(queue, {"what": "part", **form})
    assert asked.headers["location"].startswith("/verify?next=")
    return str(asked.headers["location"])


async def test_who_signs_in_is_in_the_queue_once_however_often_the_code_is_sent(
    nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    verify = await chosen(nobody, queue)
    asked = re.sub("<[^>]+>", "", (await nobody.get(verify)).text)
    assert "Sign in to join the queue for Dr 1. You are not in it yet" in asked
    hindi = re.sub("<[^>]+>", "", (await nobody.get(f"/hi{verify}")).text)
    assert "Dr 1 की कतार में लगने के लिए साइन इन करें।" in hindi
    page = await code_page(nobody, phone, verify)
    assert "With the code you join the queue. You are not in it yet." in (await nobody.get(page)).text
    assert await environment.db.fetch(TICKETS) == []
    form = {"code": await phone.code(), "key": "once"}
    before = dict(nobody.http.cookies)
    first = await nobody.post(page, form)
    assert f"/doctor/{PROVIDER}/wait/" in first.headers["location"]
    # Nothing is left of it: who signs in again joins nothing by that.
    assert any(one.startswith('chosen-queue=""') and "Max-Age=0" in one for one in first.headers.get_list("set-cookie"))
    assert "You are number 1 in the queue" in (await nobody.get(first.headers["location"])).text
    # A second click was sent with the cookies of before.
    nobody.http.cookies = httpx.Cookies(before)
    second = await nobody.post(page, form)
    assert second.headers["location"] == first.headers["location"]
    [ticket] = await environment.db.fetch(TICKETS)
    assert (ticket["state"], str(ticket["ticket_id"])) == ("waiting", first.headers["location"].rpartition("/")[2])


async def test_a_kept_cookie_joins_no_second_time(
    nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    """The key of the form is used up: who has left is not put into the queue again by an old cookie and a new code."""
    verify = await chosen(nobody, queue)
    kept = dict(nobody.http.cookies)
    page = await code_page(nobody, phone, verify)
    ticket = (await nobody.post(page, {"code": await phone.code()})).headers["location"]
    await nobody.post(ticket, {"action": "leave"})
    await environment.pass_time(minutes=2)
    nobody.http.cookies = httpx.Cookies(kept)
    page = await code_page(nobody, phone, verify)
    assert (await nobody.post(page, {"code": await phone.code(2)})).headers["location"] == ticket
    assert [row["state"] for row in await environment.db.fetch(TICKETS)] == ["left"]
    assert "You left the queue" in (await nobody.get(ticket)).text


async def test_somebody_elses_cookie_is_useless(
    app: Litestar, nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    verify = await chosen(nobody, queue)
    taken = dict(nobody.http.cookies)
    page = await code_page(nobody, phone, verify)
    own = (await nobody.post(page, {"code": await phone.code()})).headers["location"]
    # With it one joins at most for oneself, with a code of one's own, and sees nothing of the other's.
    thief = Browser(app)
    thief.http.cookies = httpx.Cookies(taken)
    page = await code_page(thief, phone, verify, OTHER_NUMBER)
    joined = (await thief.post(page, {"code": await phone.code(2)})).headers["location"]
    assert joined != own
    assert (await thief.get(own)).status_code == 404
    assert "You are number 2 in the queue" in (await thief.get(joined)).text
    assert "You are number 1 in the queue" in (await nobody.get(own)).text


async def test_no_forged_cookie_and_no_other_address_joins_anything(
    nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    await chosen(nobody, queue)  # and given up: they go elsewhere
    page = await code_page(nobody, phone, "/verify?next=/help")
    assert (await nobody.post(page, {"code": await phone.code()})).headers["location"] == "/help"
    await nobody.post("/sign-out")
    nobody.http.cookies.set("chosen-queue", "e30.forged")
    await environment.pass_time(minutes=2)
    page = await code_page(nobody, phone, f"/verify?{urlencode({'next': queue})}")
    assert (await nobody.post(page, {"code": await phone.code(2)})).headers["location"] == queue
    assert await environment.db.fetch(TICKETS) == []


async def test_a_queue_that_is_full_by_then_says_so_once_with_what_is_there(
    nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    page = await code_page(nobody, phone, await chosen(nobody, queue))
    [hold] = await environment.db.fetch("SELECT booking_id FROM booking.booking")
    booked = await environment.book.confirm(PROVIDER, hold["booking_id"], None, environment.actor("asha"))
    assert booked.code == "booked"
    back = (await nobody.post(page, {"code": await phone.code()})).headers["location"]
    assert back.startswith(QUEUE)
    shown = await nobody.get(back)
    assert shown.status_code == 200
    for said in (
        "All these times are booked, so there is nothing to wait for.",
        "You are signed in, and not in the queue.",
        "All times and other days",
    ):
        assert said in shown.text
    assert "All these times are booked" not in (await nobody.get(back)).text
    # The chart of that day says how to come by it all the same.
    chart = (await nobody.get(f"{QUEUE.removesuffix('/line')}?day={environment.at(12)[:10]}")).text
    assert "This day is full" in chart
    assert "Want this day? Book the next free day" in chart
    assert await environment.db.fetch(TICKETS) == []


async def test_a_time_that_is_free_again_by_then_is_offered_at_once(
    nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    page = await code_page(nobody, phone, await chosen(nobody, queue))
    [hold] = await environment.db.fetch("SELECT booking_id FROM booking.booking")
    await environment.book.release(PROVIDER, hold["booking_id"], environment.actor("asha"))
    ticket = (await nobody.post(page, {"code": await phone.code()})).headers["location"]
    shown = re.sub("<[^>]+>", "", (await nobody.get(ticket)).text)
    assert "It’s your turn: 6:00 pm is held for you" in shown


async def test_a_claim_elsewhere_is_in_the_way(
    nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    await environment.db.execute("UPDATE accounts.patient SET phone = $1 WHERE name = 'bina'", NUMBER)
    await environment.hold(environment.instant(9), name="bina", provider_id=OTHER_PROVIDER)
    page = await code_page(nobody, phone, await chosen(nobody, queue, anywhere="1"))
    busy = (await nobody.post(page, {"code": await phone.code()})).headers["location"]
    assert busy.startswith("/busy?for=line")
    assert "You already hold 9:00 am" in (await nobody.get(busy)).text
    assert await environment.db.fetch(TICKETS) == []


async def test_an_appointment_on_that_day_is_said_to_be_in_the_way(
    nobody: Browser, phone: Phone, environment: Environment, queue: str
) -> None:
    await environment.db.execute("UPDATE accounts.patient SET phone = $1 WHERE name = 'bina'", NUMBER)
    hold = await environment.hold(environment.instant(10), name="bina")
    assert hold.booking_id is not None
    booked = await environment.book.confirm(PROVIDER, hold.booking_id, "paid", environment.actor("bina"))
    assert booked.code == "booked"
    page = await code_page(nobody, phone, await chosen(nobody, queue))
    back = (await nobody.post(page, {"code": await phone.code()})).headers["location"]
    assert "has an appointment here on that day already" in (await nobody.get(back)).text
    assert await environment.db.fetch(TICKETS) == []


async def test_who_cannot_be_put_into_it_now_is_signed_in_and_told(
    nobody: Browser, phone: Phone, environment: Environment, queue: str, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await code_page(nobody, phone, await chosen(nobody, queue))

    def no_room() -> None:
        raise DiskFull(reason="bookings")

    monkeypatch.setattr(app.state.services.database.space, "require_for_bookings", no_room)
    back = (await nobody.post(page, {"code": await phone.code()})).headers["location"]
    assert "You are signed in, but we could not put you into the queue just now." in (await nobody.get(back)).text
    assert (await nobody.get("/appointments")).status_code == 200
    assert await environment.db.fetch(TICKETS) == []


async def test_only_a_chart_is_a_time_that_was_chosen(nobody: Browser, environment: Environment) -> None:
    """Who signs in again to see their ticket or hold is not told that they have nothing."""
    said = {
        f"/doctor/{PROVIDER}/dr-1/{ONLINE}?day=2026-11-27": True,
        f"/doctor/{PROVIDER}/dr-1/{ONLINE}/line?day=2026-11-27": False,
        f"/doctor/{PROVIDER}/wait/0c5bd5d1-5f3c-4b7e-9a65-4a4c6cf0ea2c": False,
        f"/doctor/{PROVIDER}/hold/0c5bd5d1-5f3c-4b7e-9a65-4a4c6cf0ea2c": False,
    }
    for back_to, is_said in said.items():
        page = (await nobody.get(f"/verify?{urlencode({'next': back_to})}")).text
        assert ("It isn’t held yet." in page) == is_said, back_to
