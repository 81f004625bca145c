"""The pages about the people a patient books for, and the name of each on what is booked for them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from icalendar import Calendar
from litestar import Litestar

from healthplus.accounts.actors import Patient
from healthplus.accounts.persons import Persons
from healthplus.booking.book import Book
from tests.fixtures.codes import SECRET
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, PROVIDER, Environment, attend
from tests.notices.sending import Recorder, notices, sweep_all
from tests.web.client import Browser, Client
from tests.web.test_appointments_pages import money_is, words
from tests.web.test_booking_pages import hold

TARA = {"name": "Tara", "birth_year": "2015", "sex": "female"}
OTHER = {"who": "other", "other": "Tara", "birth_year": "2015", "sex": "female"}


@pytest.fixture
def asha(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["asha"])


@pytest.fixture
def bina(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["bina"])


async def add(browser: Browser, environment: Environment, name: str = "asha") -> str:
    """Add a person to a patient's account by the page; return the address of theirs."""
    added = await browser.post("/people", TARA)
    assert added.headers["location"] == "/people?done=added", added.text
    person = (await Persons(environment.db, SECRET).of(environment.ids[name]))[-1]
    return f"/people/{person['person_id']}"


async def said(browser: Browser, path: str) -> str:
    """Return a page's words, as they are read."""
    answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    return words(answer.text)


async def test_people_are_listed_added_changed_and_removed(environment: Environment, asha: Browser) -> None:
    assert "People you book for" in await said(asha, "/privacy")
    assert "asha · you" in await said(asha, "/people")
    tara = await add(asha, environment)
    assert "Saved." in await said(asha, "/people?done=added")
    assert "Tara Born 2015 · Female" in await said(asha, "/people")
    page = (await asha.get(tara)).text
    for value in ('value="Tara"', 'value="2015"', '<option value="female" selected>'):
        assert value in page
    changed = await asha.post(tara, {"name": "Tara Rao", "birth_year": "2014", "sex": "unknown"})
    assert changed.headers["location"] == "/people?done=changed"
    assert "Tara Rao Born 2014 " in await said(asha, "/people")
    assert "Remove Tara Rao?" in await said(asha, f"{tara}/remove")
    assert (await asha.post(f"{tara}/remove")).headers["location"] == "/people?done=removed"
    assert "Removed." in await said(asha, "/people?done=removed")
    assert "Tara" not in await said(asha, "/people")
    assert (await asha.post(f"{tara}/remove")).status_code == 404


async def test_ones_own_details(environment: Environment, asha: Browser) -> None:
    me = f"/people/{(await Persons(environment.db, SECRET).of(environment.ids['asha']))[0]['person_id']}"
    assert "Remove" not in await said(asha, me)
    assert (await asha.post(me, {"name": "Asha Rao", "birth_year": "", "sex": "female"})).status_code == 303
    assert "Asha Rao · you Female" in await said(asha, "/people")
    assert (
        await environment.db.fetch_value(
            "SELECT name FROM accounts.patient WHERE patient_id = $1", environment.ids["asha"]
        )
        == "Asha Rao"
    )
    assert "This account is yours" in await said(asha, f"{me}/remove")
    refused = await asha.post(f"{me}/remove")
    assert (refused.status_code, "This account is yours" in refused.text) == (409, True)


async def test_what_is_wrong_is_said_and_nothing_typed_is_lost(environment: Environment, asha: Browser) -> None:
    tara = await add(asha, environment)
    for path in ("/people", tara):
        for change, text, field in (
            ({"name": " "}, "Enter the patient", "name"),
            ({"birth_year": "next year"}, "Write the year of birth", "birth_year"),
            ({"birth_year": "1850"}, "Write the year of birth", "birth_year"),
        ):
            form = TARA | {"name": "Ravi", "sex": "other"} | change
            refused = await asha.post(path, form)
            assert refused.status_code == 422
            assert f'<a href="#{field}">{text}' in refused.text
            for name in ("name", "birth_year"):
                assert re.search(rf'name="{name}"[^>]* value="{form[name]}"', refused.text)
            assert '<option value="other" selected>' in refused.text
    assert (await asha.post(tara, TARA | {"birth_year": ""})).status_code == 422
    # Sent again, by a second click: as the first time.
    for _ in range(2):
        assert (await asha.post("/people", TARA | {"name": "Ravi", "key": "once"})).status_code == 303
    for number in range(3):
        await asha.post("/people", TARA | {"name": f"Person {number}"})
    assert "There is no room for more" in await said(asha, "/people")
    refused = await asha.post("/people", TARA)
    assert (refused.status_code, "You already book for 6 people" in refused.text) == (422, True)
    # In the pages that choose one, a seventh is no choice, and one who was typed meanwhile is refused.
    path = await hold(asha, environment)
    assert 'value="other"' not in (await asha.get(path)).text
    refused = await asha.post(path, OTHER | {"method": "sandbox-ok"})
    assert (refused.status_code, "You already book for 6 people" in refused.text) == (422, True)


async def test_people_are_their_accounts_alone(
    environment: Environment, app: Litestar, asha: Browser, bina: Browser
) -> None:
    theirs = await add(bina, environment, "bina")
    for path in (theirs, f"{theirs}/remove", f"/people/{UUID(int=7)}", "/people/x"):
        assert (await asha.get(path)).status_code == 404
        assert (await asha.post(path, TARA)).status_code in (404, 405)
    nobody = Browser(app)
    for path in ("/people", theirs, f"{theirs}/remove"):
        assert (await nobody.get(path)).headers["location"].startswith("/verify?next=")
        assert (await nobody.post(path, TARA)).headers["location"].startswith("/verify?next=")
    path = await hold(asha, environment)
    refused = await asha.post(path, {"who": theirs[-36:], "method": "sandbox-ok"})
    assert (refused.status_code, "Choose who" in refused.text) == (422, True)
    assert "Tara" in await said(bina, "/people")


async def test_one_who_is_expected_is_not_removed_and_the_page_says_why(
    environment: Environment, asha: Browser
) -> None:
    await environment.db.execute("UPDATE accounts.patient SET email_verified_at = public.app_now() WHERE name = 'asha'")
    path = await hold(asha, environment, 14, f"/doctor/{PROVIDER}/dr-1/{AT_CLINIC}")
    await asha.post(path, OTHER)
    tara = f"/people/{(await Persons(environment.db, SECRET).of(environment.ids['asha']))[1]['person_id']}"
    for answer in (await asha.get(f"{tara}/remove"), await asha.post(f"{tara}/remove")):
        assert "Tara cannot be removed yet" in answer.text
        assert f'href="/appointments/{path.replace("/doctor/", "").replace("/hold", "")}"' in answer.text
        assert "<form" not in answer.text.partition("<main")[2].partition("</main>")[0]
    assert answer.status_code == 409
    await attend(environment.db, path)
    assert (await asha.post(f"{tara}/remove")).status_code == 303
    assert "Patient Tara" in await said(asha, f"/appointments/{path.replace('/doctor/', '').replace('/hold', '')}")


@pytest.mark.dates
async def test_a_queue_is_joined_for_somebody(
    app: Litestar, environment: Environment, asha: Browser, bina: Browser
) -> None:
    held = await hold(bina, environment, 18, f"/doctor/{PROVIDER}/dr-1/{FREE}")
    day = (environment.day + timedelta(hours=6)).date().isoformat()
    line = f"/doctor/{PROVIDER}/dr-1/{FREE}/line?day={day}&part=evening"
    assert "Who is the appointment for?" not in (await Browser(app).get(line)).text
    assert "Me (asha)" in (await asha.get(line)).text
    wrong = await asha.post(line, OTHER | {"what": "day", "birth_year": "15"})
    assert wrong.status_code == 422
    for kept in ('value="Tara"', 'value="15"', 'value="other" checked', 'id="what-day" value="day" checked'):
        assert kept in wrong.text, kept
    joined = await asha.post(line, OTHER | {"what": "part"})
    assert joined.status_code == 303, joined.text
    assert (
        await environment.db.fetch_value("SELECT name FROM booking.ticket JOIN accounts.person USING (person_id)")
        == "Tara"
    )
    await bina.post(f"{held}/release")
    taken = await asha.post(joined.headers["location"], {"action": "take"})
    page = (await asha.get(taken.headers["location"])).text
    assert re.search(r'name="who" value="[0-9a-f-]{36}" checked', page)
    await asha.post(taken.headers["location"], {"who": re.findall(r'value="([0-9a-f-]{36})" checked', page)[0]})
    assert "Patient Tara" in await said(asha, taken.headers["location"])


async def test_who_switches_takes_the_person_along(environment: Environment, asha: Browser, bina: Browser) -> None:
    tara = await add(asha, environment)
    await hold(bina, environment, 18, f"/doctor/{PROVIDER}/dr-1/{FREE}")
    await hold(asha, environment)
    day = (environment.day + timedelta(hours=6)).date().isoformat()
    line = f"/doctor/{PROVIDER}/dr-1/{FREE}/line?day={day}&part=evening"
    busy = await asha.post(line, {"who": tara[-36:]})
    assert busy.headers["location"].startswith("/busy?")
    joined = await asha.fill(busy.headers["location"])
    assert "/wait/" in joined.headers["location"], joined.text
    assert await environment.db.fetch_value("SELECT person_id FROM booking.ticket") == UUID(tara[-36:])


async def is_named_everywhere(environment: Environment, asha: Browser, api: Client, path: str, name: str) -> None:
    """Check every place that shows the patient of an appointment."""
    booked = path.replace("/doctor/", "/appointments/").replace("/hold", "")
    for page in (path, booked, f"{booked}/receipt"):
        assert re.search(f"(For|Patient) {name}", await said(asha, page)), page
    calendar = Calendar.from_ical((await asha.get(f"{booked}/visit.ics")).content)
    assert str(calendar.walk("VEVENT")[0]["description"]).startswith(f"For {name}\n")
    one = await api.get(f"providers/{PROVIDER}/appointments/{path[-36:]}")
    assert one.json()["patient_name"] == name
    listed = [item["patient_name"] for item in (await api.get("appointments")).json() if item["id"] == path[-36:]]
    assert listed == [name]
    [kept] = [item for item in (await api.get("me/export")).json()["bookings"] if item["booking_id"] == path[-36:]]
    assert kept["patient_name"] == name


@pytest.mark.dates
async def test_a_name_on_what_is_booked_stays(environment: Environment, asha: Browser) -> None:
    api = Client(asha.http, environment.tokens["asha"])
    own = await hold(asha, environment, 9)
    await asha.post(own, {"who": "me", "method": "sandbox-ok"})
    chart = f"/doctor/{PROVIDER}/dr-1/{ONLINE}?day={(environment.day + timedelta(hours=6)).date().isoformat()}"
    tara = (await asha.post(chart, OTHER | {"start": environment.at(11)})).headers["location"]
    await asha.post(
        tara,
        {
            "who": re.findall(r'name="who" value="([^"]+)" checked', (await asha.get(tara)).text)[0],
            "method": "sandbox-ok",
        },
    )
    for path in (own, tara):
        await money_is(environment, path, "captured")
    assert "For Tara" in await said(asha, "/appointments")
    assert "For asha" not in await said(asha, "/appointments")

    async def check() -> None:
        await is_named_everywhere(environment, asha, api, own, "asha")
        await is_named_everywhere(environment, asha, api, tara, "Tara")

    await check()
    people = await Persons(environment.db, SECRET).of(environment.ids["asha"])
    await api.ask("PATCH", "me", {"name": "Renamed One"})
    await check()
    await asha.post(f"/people/{people[0]['person_id']}", TARA | {"name": "Renamed Two"})
    await asha.post(f"/people/{people[1]['person_id']}", TARA | {"name": "Renamed Three"})
    await check()
    await api.ask("PATCH", f"me/persons/{people[1]['person_id']}", {"name": "Renamed Four"})
    # A move keeps it, too.
    await asha.post(
        f"{own.replace('/doctor/', '/appointments/').replace('/hold', '')}/move", {"start": environment.at(10)}
    )
    await check()
    await environment.pass_time(days=4)
    later = (environment.day + timedelta(days=5, hours=14)).isoformat()
    next_one = (await asha.post(f"/doctor/{PROVIDER}/dr-1/{AT_CLINIC}", {"start": later})).headers["location"]
    page = (await asha.get(next_one)).text
    assert "Me (Renamed Two)" in page
    assert "<span>Renamed Four</span>" in page
    await asha.post(next_one, {"who": str(people[1]["person_id"])})
    assert "Patient Renamed Four" in await said(asha, next_one)


async def test_notices_name_nobody(environment: Environment, asha: Browser) -> None:
    await environment.db.execute(
        "UPDATE accounts.patient SET phone = '+919800000000', email = 'a@mail.example' WHERE name = 'asha'"
    )
    await environment.db.execute("UPDATE accounts.patient SET email_verified_at = public.app_now() WHERE name = 'asha'")
    path = await hold(asha, environment, 14, f"/doctor/{PROVIDER}/dr-1/{AT_CLINIC}")
    await asha.post(path, OTHER)
    await asha.post(f"{path.replace('/doctor/', '/appointments/').replace('/hold', '')}/cancel")
    sms, email = Recorder(), Recorder()
    for channel in ("sms", "email"):
        await sweep_all(notices(environment.db, sms, email), channel)
    assert len(sms.sent) == len(email.sent) == 1  # what was cancelled is no longer booked
    for message in sms.sent + email.sent:
        assert "Tara" not in message.text
        assert "asha" not in message.text


async def booked_beside_a_chart(asha: Browser, environment: Environment) -> tuple[str, str]:
    """Book a time of the day; return the appointment's page, and the day's chart."""
    own = await hold(asha, environment, 9)
    await asha.post(own, {"who": "me", "method": "sandbox-ok"})
    day = (environment.day + timedelta(hours=6)).date().isoformat()
    return own.replace("/doctor/", "/appointments/").replace("/hold", ""), f"/doctor/{PROVIDER}/dr-1/{ONLINE}?day={day}"


@pytest.mark.dates
async def test_what_is_in_the_way_is_shown_and_may_be_replaced(environment: Environment, asha: Browser) -> None:
    own, chart = await booked_beside_a_chart(asha, environment)
    refused = await asha.post(chart, {"start": environment.at(11)})
    assert refused.status_code == 409
    page = words(refused.text)
    assert "asha has an appointment here on that day already." in page
    assert "For asha" in page
    assert f'href="{own}"' in refused.text
    assert "Is it for someone else?" in page
    assert 'name="who" value="me"' not in refused.text  # the one for whom it was refused
    form = dict(re.findall(r'type="hidden" name="(start|instead_of|who)" value="([^"]+)"', refused.text))
    assert form.keys() == {"start", "instead_of", "who"}
    held = await asha.post(chart, form)
    path = held.headers["location"]
    assert "/hold/" in path, held.text
    page = await said(asha, path)
    assert re.search(r"When this is booked, your appointment on .* IST ?with \S.* is cancelled\.", page), page
    assert "If you choose someone else, your other appointment stays." in page
    await asha.post(path, {"who": "me", "method": "sandbox-ok"})
    page = await said(asha, path)
    assert "Booked" in page
    assert re.search(r"Your appointment on .* IST ?is cancelled: this one replaces it\.", page), page
    # Another is asked for with what is no longer there to be replaced.
    await asha.post(f"{own}/cancel")
    stale = await asha.post(chart, form | {"start": environment.at(10)})
    assert (stale.status_code, "That appointment has just changed. Choose again." in stale.text) == (422, True)
    for odd in ("x", "1/x", f"1/{UUID(int=7)}", "0/", "/"):
        assert (await asha.post(chart, form | {"instead_of": odd})).status_code in (404, 409, 422), odd


@pytest.mark.dates
@pytest.mark.parametrize("code", ["not_found", "wrong_state"])
async def test_a_choice_that_is_refused_is_not_paid_for(
    environment: Environment, asha: Browser, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    await add(asha, environment)
    me, tara = [row["person_id"] for row in await Persons(environment.db, SECRET).of(environment.ids["asha"])]
    path = await hold(asha, environment, 9)
    choose = Book.choose_person

    async def choose_too_late(book: Book, provider_id: int, hold_id: UUID, person_id: UUID, actor: Patient) -> Any:
        """Do what another click does just before: remove the person, or release the hold."""
        if code == "not_found":
            await environment.db.execute(
                "UPDATE accounts.person SET removed_at = now() WHERE person_id = $1", person_id
            )
        else:
            await book.release(provider_id, hold_id, actor)
        return await choose(book, provider_id, hold_id, person_id, actor)

    monkeypatch.setattr(Book, "choose_person", choose_too_late)
    refused = await asha.post(path, {"who": str(tara), "method": "sandbox-ok"})
    page = words(refused.text)
    if code == "not_found":
        assert refused.status_code == 422
        assert "Choose again who the appointment is for." in page
        assert 'name="who" value="me" checked' in refused.text
        assert str(tara) not in refused.text
    else:
        assert "You cancelled the hold" in page
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'booked'") == 0
    assert await environment.db.fetch_value("SELECT person_id FROM booking.booking") in (me, None)


@pytest.mark.dates
async def test_what_cannot_be_replaced_any_more_is_said_on_paying(environment: Environment, asha: Browser) -> None:
    own, chart = await booked_beside_a_chart(asha, environment)
    refused = await asha.post(chart, {"start": environment.at(11)})
    form = dict(re.findall(r'type="hidden" name="(start|instead_of|who)" value="([^"]+)"', refused.text))
    path = (await asha.post(chart, form)).headers["location"]
    await attend(environment.db, own, "arrived")
    answer = await asha.post(path, {"who": "me", "method": "sandbox-ok"})
    assert answer.status_code == 422
    assert "asha has an appointment here on that day already." in words(answer.text)
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.booking WHERE state = 'booked'") == 0


@pytest.mark.dates
async def test_a_time_that_one_cannot_have_may_be_somebody_elses(environment: Environment, asha: Browser) -> None:
    own = await hold(asha, environment, 9)
    await asha.post(own, {"who": "me", "method": "sandbox-ok"})
    day = (environment.day + timedelta(hours=6)).date().isoformat()
    chart = f"/doctor/{PROVIDER}/dr-1/{ONLINE}?day={day}"
    refused = await asha.post(chart, {"start": environment.at(11)})
    assert 'name="who" value="other" checked' in refused.text  # there is nobody else yet
    start = {"start": environment.at(11)}
    wrong = await asha.post(chart, start | OTHER | {"birth_year": "15"})
    assert wrong.status_code == 422
    for kept in ('value="Tara"', 'value="15"', '<a href="#birth_year">Write the year', 'type="hidden" name="start"'):
        assert kept in wrong.text, kept
    held = await asha.post(chart, start | OTHER)
    tara = held.headers["location"]
    page = (await asha.get(tara)).text
    [chosen] = re.findall(r'name="who" value="([^"]+)" checked', page)
    # Back to whom it cannot be for: said, with what is in the way, and the hold goes on.
    refused = await asha.post(tara, {"who": "me", "method": "sandbox-ok"})
    assert (refused.status_code, "asha has an appointment here on that day already." in refused.text) == (422, True)
    assert f'href="{own.replace("/doctor/", "/appointments/").replace("/hold", "")}"' in refused.text
    await asha.post(tara, {"who": chosen, "method": "sandbox-ok"})
    assert "Patient Tara" in await said(asha, tara)


@pytest.mark.dates
async def test_a_queue_cannot_be_joined_for_who_is_elsewhere(
    environment: Environment, asha: Browser, bina: Browser
) -> None:
    own = await hold(asha, environment, 9)
    await asha.post(own, {"who": "me", "method": "sandbox-ok"})
    await hold(bina, environment, 18, f"/doctor/{PROVIDER}/dr-1/{FREE}")
    day = (environment.day + timedelta(hours=6)).date().isoformat()
    line = f"/doctor/{PROVIDER}/dr-1/{FREE}/line?day={day}&part=evening"
    refused = await asha.post(line, {"what": "part"})
    assert refused.status_code == 409
    assert '<a href="#who">asha has an appointment here on that day already.' in refused.text
    assert f'href="{own.replace("/doctor/", "/appointments/").replace("/hold", "")}"' in refused.text
    assert 'name="who" value="me" checked' in refused.text
    assert "/wait/" in (await asha.post(line, OTHER | {"what": "part"})).headers["location"]
