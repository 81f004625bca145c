"""Earlier times on pages and in the API: asking for them, ending it, and where the message about one leads."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from litestar import Litestar

from healthplus.notices.earlier import EarlierTimes
from healthplus.notices.texts import link_code
from healthplus.web.languages import ENGLISH
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.problem import problem
from tests.web.test_appointments_pages import words
from tests.web.test_holds import hold_body

ASK = "Tell me of earlier times"
STOP = "Stop telling me"


async def booked(environment: Environment, who: Client, hour: int) -> str:
    """Book an appointment at an hour; return what follows /appointments in the address of its page."""
    held = await who.post(f"providers/{PROVIDER}/holds", hold_body(environment, hour, AT_CLINIC))
    paid = await who.post(f"{held.json()['url']}/payment", {"method": "card"})
    assert paid.json()["state"] == "booked", paid.text
    return f"{PROVIDER}/{paid.json()['id']}"


async def booked_before(environment: Environment, who: Client, hour: int) -> str:
    """Book as `booked` does, half a day ago: who has just chosen a time is not asked for another."""
    one = await booked(environment, who, hour)
    await environment.pass_time(hours=13)
    return one


async def test_who_has_just_chosen_a_later_time_is_not_offered_an_earlier_one(
    environment: Environment, asha: Client, app: Litestar
) -> None:
    browser = Browser(app, environment.tokens["asha"])
    provider_id, booking_id = (await booked(environment, asha, 15)).split("/")
    assert "#earlier" not in (await browser.get(f"/doctor/{provider_id}/hold/{booking_id}")).text
    path = f"/appointments/{provider_id}/{booking_id}"
    page = (await browser.get(path)).text
    assert "You have just chosen this time" in page
    assert ASK not in page
    await environment.pass_time(hours=13)
    page = (await browser.get(path)).text
    assert "You have just chosen this time" not in page
    assert ASK in page
    moved = await browser.post(f"{path}/move", {"start": environment.at(15, 30)})
    assert moved.status_code == 303
    assert ASK not in (await browser.get(f"{path}?moved=1")).text


async def test_who_has_booked_the_first_free_time_is_told_that_they_can_ask(
    environment: Environment, asha: Client, app: Litestar
) -> None:
    browser = Browser(app, environment.tokens["asha"])
    await environment.pass_until(environment.instant(9))  # nothing is free there before 13:00
    provider_id, booking_id = (await booked(environment, asha, 13)).split("/")
    page = (await browser.get(f"/doctor/{provider_id}/hold/{booking_id}")).text
    assert f'href="/appointments/{provider_id}/{booking_id}#earlier"' in page
    assert ASK in (await browser.get(f"/appointments/{provider_id}/{booking_id}")).text


async def test_asked_for_and_ended_on_the_appointments_page(
    environment: Environment, asha: Client, app: Litestar
) -> None:
    browser = Browser(app, environment.tokens["asha"])
    path = f"/appointments/{await booked_before(environment, asha, 15)}"
    shown = (await browser.get(path)).text
    assert ASK in shown
    assert "Free now, before your time" in shown
    for _ in range(2):  # a second click changes nothing
        asked = await browser.post(f"{path}/earlier", {"tell": "yes"})
        assert (asked.status_code, asked.headers["location"]) == (303, f"{path}#earlier")
    shown = (await browser.get(path)).text
    assert STOP in shown
    assert ASK not in shown
    assert "We will tell you, between 8 am and 8 pm" in words(shown)  # there is no number to text to
    await environment.db.execute(
        "UPDATE accounts.patient SET phone = '+919876547777' WHERE patient_id = $1", environment.ids["asha"]
    )
    assert "We will text ••• 7777 , between 8 am and 8 pm" in words((await browser.get(path)).text)
    assert path in (await browser.get("/notifications")).text
    for _ in range(2):
        assert (await browser.post(f"{path}/earlier", {"tell": "no"})).status_code == 303
    assert ASK in (await browser.get(path)).text
    assert "On the page of each appointment" in (await browser.get("/notifications")).text


async def test_others_can_do_neither(environment: Environment, asha: Client, bina: Client, app: Litestar) -> None:
    one = await booked(environment, asha, 15)
    bina_browser = Browser(app, environment.tokens["bina"])
    for tell in ("yes", "no", ""):
        assert (await bina_browser.post(f"/appointments/{one}/earlier", {"tell": tell})).status_code == 404
        assert (
            await bina_browser.post(f"/appointments/{PROVIDER}/{uuid4()}/earlier", {"tell": tell})
        ).status_code == 404
    provider, booking = one.split("/")
    api = f"providers/{provider}/appointments/{booking}/earlier"
    for wanted in (True, False):
        problem(await bina.ask("PUT", api, {"earlier": wanted}), 404)
    nobody = await Browser(app).post(f"/appointments/{one}/earlier", {"tell": "yes"})
    assert nobody.status_code == 303
    assert "/verify" in nobody.headers["location"]
    assert await environment.db.fetch_value("SELECT count(*) FROM notices.earlier_alert") == 0


async def test_the_api_asks_shows_and_ends_it(environment: Environment, asha: Client) -> None:
    provider, booking = (await booked(environment, asha, 15)).split("/")
    one = f"providers/{provider}/appointments/{booking}"
    assert (await asha.get(one)).json()["earlier"] is False
    for _ in range(2):
        assert (await asha.ask("PUT", f"{one}/earlier", {"earlier": True})).json() == {"earlier": True}
    assert (await asha.get(one)).json()["earlier"] is True
    assert [row["earlier"] for row in (await asha.get("appointments")).json()] == [True]
    for _ in range(2):
        assert (await asha.ask("PUT", f"{one}/earlier", {"earlier": False})).json() == {"earlier": False}
    assert (await asha.get(one)).json()["earlier"] is False
    await asha.delete(one)
    assert "earlier time" in problem(await asha.ask("PUT", f"{one}/earlier", {"earlier": True}), 409)["detail"]


async def told(environment: Environment, one: str) -> tuple[UUID, datetime]:
    """Have it come about that an hour before an appointment came free; return the message's id and the time."""
    provider, booking = one.split("/")
    row = await environment.db.fetch_row(
        """INSERT INTO notices.earlier_told (provider_id, booking_id, free_at, told_at, patient_id, clinic_id)
        SELECT provider_id, booking_id, lower(during) - interval '1 hour', public.app_now(), patient_id, clinic_id
        FROM booking.booking WHERE provider_id = $1 AND booking_id = $2 RETURNING told_id, free_at""",
        int(provider),
        UUID(booking),
    )
    assert row is not None
    return row["told_id"], row["free_at"]


async def test_the_message_leads_to_its_time_chosen_already(
    environment: Environment, asha: Client, app: Litestar
) -> None:
    one = await booked(environment, asha, 15)
    told_id, free_at = await told(environment, one)
    link = f"/e/{link_code(told_id)}"
    to_sign_in = await Browser(app).get(link)
    assert to_sign_in.status_code == 303
    assert "/verify" in to_sign_in.headers["location"]
    assert one not in to_sign_in.headers["location"]
    other = await Browser(app, environment.tokens["bina"]).get(link)
    assert (other.status_code, other.headers["location"]) == (303, "/appointments")
    browser = Browser(app, environment.tokens["asha"])
    for code in ("x", "a" * 22, link_code(uuid4()), "%00", "a" * 300):
        assert (await browser.get(f"/e/{code}")).headers.get("location") in ("/appointments", None)
    led = await browser.get(link)
    assert led.headers["location"].startswith(f"/appointments/{one}/move?start=")
    page = (await browser.get(led.headers["location"])).text
    (chosen,) = re.findall(r'value="([^"]+)"[^>]* checked', page)
    assert datetime.fromisoformat(chosen) == free_at
    moved = await browser.post(f"/appointments/{one}/move", {"start": chosen, "key": "k" * 20})
    assert moved.headers["location"] == f"/appointments/{one}?moved=1"
    # Tapped again, it leads to the appointment, which is at that time now.
    again = await browser.get((await browser.get(link)).headers["location"])
    assert (again.status_code, again.headers["location"]) == (303, f"/appointments/{one}")


async def test_a_free_time_is_one_link(environment: Environment, asha: Client, app: Litestar) -> None:
    """The time and its zone are one text in it, or each would have a line below it of its own."""
    browser = Browser(app, environment.tokens["asha"])
    page = (await browser.get(f"/appointments/{await booked_before(environment, asha, 15)}")).text
    (link,) = re.findall(r'<a class="alone" href="[^"]*/move[?]start=[^"]*#t\d+">(.*?)</a>', page)
    assert re.match(r"<span>Free now, before your time: .*</span><svg", link)


async def test_moving_ends_it_and_says_so(environment: Environment, asha: Client, app: Litestar) -> None:
    browser = Browser(app, environment.tokens["asha"])
    path = f"/appointments/{await booked(environment, asha, 15)}"
    off = "We no longer tell you of earlier times"
    await browser.post(f"{path}/earlier", {"tell": "yes"})
    moved = await browser.post(f"{path}/move", {"start": environment.at(14), "key": "k" * 20})
    assert moved.headers["location"] == f"{path}?moved=1&told=off"
    shown = (await browser.get(moved.headers["location"])).text
    assert off in shown
    assert ASK in shown
    await browser.post(f"{path}/earlier", {"tell": "yes"})
    assert off not in (await browser.get(moved.headers["location"])).text
    assert off not in (await browser.get(f"{path}?told=off")).text


async def test_why_nobody_can_be_told_is_said(environment: Environment, asha: Client, app: Litestar) -> None:
    browser = Browser(app, environment.tokens["asha"])
    path = f"/appointments/{await booked_before(environment, asha, 15)}"
    await environment.db.execute(
        "CREATE OR REPLACE FUNCTION notices.earlier_known_max() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0'"
    )
    many = words((await browser.get(path)).text)
    await environment.db.execute(
        "CREATE OR REPLACE FUNCTION notices.earlier_known_max() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 200'"
    )
    assert re.search(r"So many earlier times are free now \([1-9]\d*\)", many)
    await environment.pass_until(environment.instant(14))
    page = (await browser.get(path)).text
    assert "It begins too soon for us to tell you of earlier times." in page
    assert ASK not in page


async def test_the_bar_says_from_when_to_when(environment: Environment, asha: Client, app: Litestar) -> None:
    browser = Browser(app, environment.tokens["asha"])
    path = f"/appointments/{await booked(environment, asha, 15)}/move"
    shown = words((await browser.get(f"{path}?{urlencode({'start': environment.at(14)})}")).text)
    day = ENGLISH.day(environment.day.astimezone(ZoneInfo("Asia/Kolkata")))
    assert f"{day}, 3:00 pm → {day}, 2:00 pm" in shown
    shown = words((await browser.get(path)).text)
    assert f"Now: {day}, 3:00 pm" in shown
    assert re.search(r"Afternoon [1-9] free", shown)


async def test_who_comes_too_late_is_told_so_and_keeps_the_appointment(
    environment: Environment, asha: Client, bina: Client, app: Litestar
) -> None:
    one = await booked(environment, asha, 15)
    told_id, _ = await told(environment, one)
    browser = Browser(app, environment.tokens["asha"])
    move = (await browser.get(f"/e/{link_code(told_id)}")).headers["location"]
    page = (await browser.get(move)).text
    (chosen,) = re.findall(r'value="([^"]+)"[^>]* checked', page)
    await booked(environment, bina, 14)
    # Both had the page open: the slower one is told by the form,
    late = await browser.post(f"/appointments/{one}/move", {"start": chosen, "key": "k" * 20})
    assert late.status_code == 409
    assert "Someone just booked 2:00 pm. Your appointment is unchanged" in late.text
    # and, who taps only now, by the page.
    page = (await browser.get(move)).text
    assert "2:00 pm is taken by now. Your appointment is unchanged." in page
    assert "checked" not in page
    assert await environment.db.fetch_value(
        "SELECT lower(during) = $2 FROM booking.booking WHERE booking_id = $1",
        UUID(one.split("/")[1]),
        environment.instant(15),
    )


@pytest.mark.parametrize("start", ["x", "2026-02-30T10:00+05:30", "0001-01-01T00:00+00:00", "%00", "9" * 60])
async def test_an_odd_time_in_the_address_chooses_nothing(
    environment: Environment, asha: Client, app: Litestar, start: str
) -> None:
    one = await booked(environment, asha, 15)
    answer = await Browser(app, environment.tokens["asha"]).get(f"/appointments/{one}/move?start={start}")
    assert answer.status_code in (200, 400, 422)
    assert "checked" not in answer.text


async def test_stop_by_sms_ends_it(environment: Environment, asha: Client) -> None:
    provider, booking = (await booked(environment, asha, 15)).split("/")
    patient = environment.ids["asha"]
    earlier = EarlierTimes(environment.db)
    assert await earlier.ask(int(provider), UUID(booking), patient) == "on"
    await environment.db.execute("UPDATE accounts.patient SET phone = '+919876543210' WHERE patient_id = $1", patient)
    assert await environment.db.fetch_value("SELECT notices.take_reply('+919876543210', 'stop')") == "stopped"
    assert await earlier.of(patient) == []
