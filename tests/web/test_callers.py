"""Callers at the desk: whom it finds, whom it does not see, who is added, and what is booked for them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.actors import Patient
from healthplus.accounts.consent import CURRENT
from healthplus.booking.numbers import number_of
from healthplus.database import Database
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.notices.sending import Recorder, notices, sweep_all
from tests.web.client import Browser, Client
from tests.web.phone import Phone, sign_in
from tests.web.staff import audit_entries, goes_to, log_in, words

pytestmark = pytest.mark.dates

NUMBER, NOBODYS = "+919812345678", "98765 43210"
PEOPLE, BOOK = f"/desk/{AT_CLINIC}/people", f"/desk/{AT_CLINIC}/book"
NEW = {"to": "book", "phone": NOBODYS, "name": "Meera Kale", "sex": "female", "born": "34", "consent": CURRENT.version}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def known(environment: Environment, db: Database) -> UUID:
    """Asha, who has an appointment at the clinic tomorrow; the person."""
    await db.execute("UPDATE accounts.patient SET phone = $2 WHERE patient_id = $1", environment.ids["asha"], NUMBER)
    held = await environment.hold(environment.instant(13), AT_CLINIC)
    assert held.booking_id
    await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor("asha"))
    return await holder(db, environment.ids["asha"])


@pytest.fixture
async def desk(app: Litestar, db: Database, known: UUID) -> Browser:
    return await log_in(app, db, "desk", AT_CLINIC)


async def holder(db: Database, patient_id: int) -> UUID:
    found: UUID = await db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1 AND is_holder", patient_id
    )
    return found


def picked(page: httpx.Response) -> list[UUID]:
    """Return the persons that a page offers, in order."""
    return [UUID(one) for one in re.findall(r'class="pick" href="[^"]*\?person=([0-9a-f-]{36})', page.text)]


def times(page: httpx.Response) -> list[datetime]:
    return [datetime.fromisoformat(one) for one in re.findall(r'name="start" value="([^"]+)" data-digit', page.text)]


def field(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, name
    return found[1]


async def form_for(desk: Browser, person: UUID | str, place: int = 0, **query: str) -> dict[str, str]:
    """Return the form of a phone booking, with one of its times chosen."""
    page = await desk.get(f"{BOOK}?{httpx.QueryParams({'person': str(person), **query})}")
    assert page.status_code == 200
    names = ("person", "provider", "services", "key", "from", "day")
    return {**{name: field(page, name) for name in names}, "start": times(page)[place].isoformat()}


async def test_a_caller_is_found_and_booked(desk: Browser, known: UUID, environment: Environment, db: Database) -> None:
    booking = await db.fetch_value("SELECT booking_id FROM booking.booking")
    for text in (
        "5678",
        "345678",
        NUMBER[3:],
        NUMBER,
        "ash",
        "आशा",
        number_of(booking),
        number_of(booking)[3:].lower(),
    ):
        page = await desk.get(f"{BOOK}?{httpx.QueryParams({'q': text})}")
        assert picked(page) == [known], text
    page = await desk.get(f"{BOOK}?person={known}")
    assert "Dr 1" in words(page)
    assert len(times(page)) == 5
    assert "₹300, paid at the clinic" in words(page)
    # The day that one came from is looked at from step to step.
    day = environment.instant(48 + 13).date()
    assert f'name="day" value="{day}"' in (await desk.get(f"{BOOK}?day={day}")).text
    page = await desk.get(f"{BOOK}?person={known}&day={day}")
    assert min(times(page)).date() >= day
    assert f"day={day}" in page.text.partition("/queue?")[2].partition('"')[0]
    # Asha has an appointment with this doctor on one of these days.
    form = await form_for(desk, known, start=environment.instant(24 + 13).isoformat())
    booked = await desk.post(BOOK, form)
    found = re.fullmatch(rf"/desk/{AT_CLINIC}/(\S+)\?done=book&about=(\S+)", goes_to(booked))
    assert found, goes_to(booked)
    row = await db.fetch_row("SELECT * FROM booking.booking WHERE booking_id = $1", UUID(found[2]))
    assert row is not None
    assert (row["state"], row["funding"], row["person_id"], row["patient_name"]) == ("booked", "clinic", known, "asha")
    # The same form again, as after a lost answer, is the same booking.
    assert goes_to(await desk.post(BOOK, form)) == goes_to(booked)
    assert await db.fetch_value("SELECT count(*) FROM booking.booking") == 2
    # Who was shown is noted once a session; each booking once.
    assert [one["patient_id"] for one in await audit_entries(db, "see_patient")] == [environment.ids["asha"]]
    assert [one["booking_id"] for one in await audit_entries(db, "book")] == [UUID(found[2])] * 2
    sheet = await desk.get(goes_to(booked))
    assert "Booked." in words(sheet)
    assert f"undo {found[2]}" in sheet.text


async def test_numbers_of_the_demo_are_numbers_there_alone(
    app: Litestar, desk: Browser, known: UUID, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute("UPDATE accounts.patient SET phone = '+910900000012' WHERE phone = $1", NUMBER)
    assert "no whole phone number" in words(await desk.get(f"{BOOK}?q=0900000012"))
    monkeypatch.setattr(app.state, "settings", replace(app.state.settings, demo_guide="{}"))
    page = await desk.get(f"{BOOK}?q=0900000012")
    assert picked(page) == [known]


async def test_a_token_finds_who_has_it_as_everybody_says_it(
    app: Litestar, known: UUID, environment: Environment, db: Database
) -> None:
    await environment.pass_until(environment.instant(12, 55))
    desk = await log_in(app, db, "desk", AT_CLINIC)
    code = await db.fetch_value(
        "SELECT code FROM reception.record($1, (SELECT booking_id FROM booking.booking), $2, 'arrive', 'staff:1')",
        PROVIDER,
        AT_CLINIC,
    )
    assert code == "recorded"
    for step in ("people", "book", "walk-in"):
        for text, found in (("A-001", [known]), ("a1", [known]), ("A-01", [known]), ("1", [known]), ("B-001", [])):
            page = await desk.get(f"/desk/{AT_CLINIC}/{step}?q={text}")
            assert picked(page) == found, (step, text)
            assert ("here today, token A-001" in words(page)) == bool(found)


async def test_of_a_number_nobody_of_whom_was_here_no_name_is_shown(
    desk: Browser, environment: Environment, db: Database
) -> None:
    bina = environment.ids["bina"]
    await db.execute(
        "UPDATE accounts.patient SET phone = '+919876543210', name = 'Bina Joshi' WHERE patient_id = $1", bina
    )
    person = await holder(db, bina)
    for text in (NOBODYS, "3210", "Bina"):
        page = await desk.get(f"{BOOK}?{httpx.QueryParams({'q': text})}")
        assert picked(page) == []
        assert "Joshi" not in page.text
    assert "nobody of it was here yet" in words(await desk.get(f"{BOOK}?{httpx.QueryParams({'q': NOBODYS})}"))
    assert (await desk.get(f"{BOOK}?person={person}")).status_code == 404
    form = await form_for(
        desk, await holder(db, environment.ids["asha"]), start=environment.instant(24 + 13).isoformat()
    )
    assert (await desk.post(BOOK, {**form, "person": str(person)})).status_code == 404
    # The same name, however it is written, is the one who is there already; another is not.
    linked = await desk.post(PEOPLE, {**NEW, "name": "bina  JOSHI"})
    assert goes_to(linked) == f"{BOOK}?person={person}"
    other = await desk.post(PEOPLE, {**NEW, "name": "Bina Joshi", "born": "1950"})
    assert goes_to(other) == f"{BOOK}?person={person}"  # hers is not known
    await db.execute("UPDATE accounts.person SET birth_year = 1990 WHERE person_id = $1", person)
    other = await desk.post(PEOPLE, {**NEW, "name": "Bina Joshi", "born": "1950"})
    assert goes_to(other) != f"{BOOK}?person={person}"
    assert await db.fetch_value("SELECT count(*) FROM accounts.person WHERE patient_id = $1", bina) == 2
    assert len(picked(await desk.get(f"{BOOK}?{httpx.QueryParams({'q': NOBODYS})}"))) == 2


async def test_of_whom_the_desk_only_typed_a_clinic_is_shown_no_more_until_they_come(
    desk: Browser, environment: Environment, db: Database
) -> None:
    bina = environment.ids["bina"]
    await db.execute(
        "UPDATE accounts.patient SET phone = '+919876543210', name = 'Bina Joshi' WHERE patient_id = $1", bina
    )
    person = await holder(db, bina)
    await db.execute("UPDATE accounts.person SET birth_year = 1990, sex = 'other' WHERE person_id = $1", person)

    async def shown() -> list[tuple[str, int | None, str | None]]:
        """Return what the clinic is shown of her: among its people, and on its day sheets."""
        rows = await db.fetch(
            """SELECT one ->> 'name' AS name, (one ->> 'birth_year')::integer AS born, one ->> 'sex' AS sex
            FROM (
                SELECT reception.people_of($1, ARRAY[$2::uuid], public.app_now())
                UNION ALL SELECT reception.day_of($3, $1, tstzrange(lower(during), upper(during)), public.app_now())
                FROM booking.booking WHERE person_id = $2
            ) AS found (rows), jsonb_array_elements(rows) AS one WHERE one ->> 'name' = 'Bina Joshi'""",
            *(AT_CLINIC, person, PROVIDER),
        )
        return [tuple(row) for row in rows]

    typed = {**NEW, "name": "Bina Joshi", "born": ""}
    assert goes_to(await desk.post(PEOPLE, typed)) == f"{BOOK}?person={person}"
    booked = await desk.post(BOOK, await form_for(desk, person, start=environment.instant(24 + 13).isoformat()))
    assert "done=book" in goes_to(booked)
    assert await shown() == [("Bina Joshi", None, None)] * 2
    found = await desk.get(f"{BOOK}?{httpx.QueryParams({'q': NOBODYS})}")
    assert picked(found) == [person]
    number = number_of(await db.fetch_value("SELECT booking_id FROM booking.booking WHERE person_id = $1", person))
    assert "1990" not in (await desk.get(f"/desk/{AT_CLINIC}/ask?number={number}")).text
    # Somebody whom the clinic knew before is not hidden by being typed again.
    known = await holder(db, environment.ids["asha"])
    await db.execute("UPDATE accounts.person SET birth_year = 1980 WHERE person_id = $1", known)
    await desk.post(PEOPLE, {**typed, "phone": NUMBER, "name": "asha"})
    years = "SELECT reception.people_of($1, ARRAY[$2::uuid], public.app_now()) -> 0 ->> 'birth_year'"
    assert await db.fetch_value(years, AT_CLINIC, known) == "1980"
    # Who says the year knows it; and who came has told it.
    await db.execute("UPDATE booking.booking SET state = 'arrived' WHERE person_id = $1", person)
    assert await shown() == [("Bina Joshi", 1990, "other")] * 2
    await db.execute("UPDATE booking.booking SET state = 'booked' WHERE person_id = $1", person)
    assert await shown() == [("Bina Joshi", None, None)] * 2
    await desk.post(PEOPLE, {**typed, "born": "1990"})
    assert await shown() == [("Bina Joshi", 1990, "other")] * 2


async def test_somebody_new_is_added_and_has_the_account_when_they_sign_in(
    desk: Browser, db: Database, environment: Environment, http: httpx.AsyncClient, anyone: Client, phone: Phone
) -> None:
    page = await desk.get(f"{BOOK}?{httpx.QueryParams({'q': NOBODYS})}")
    assert "Nobody has this number yet" in words(page)
    assert '<details class="card" id="new" open>' in page.text
    # Two presses are one person.
    answers = await asyncio.gather(*(desk.post(PEOPLE, {**NEW, "provider": str(PROVIDER)}) for _ in range(2)))
    (to,) = {goes_to(answer) for answer in answers}
    row = await db.fetch_row(
        "SELECT patient_id, phone, takes_sms, patient.name, birth_year, sex, person_id FROM accounts.patient "
        "JOIN accounts.person USING (patient_id) WHERE phone = '+919876543210'"
    )
    assert row is not None
    year = (await environment.now()).year - 34
    assert tuple(row)[2:6] == (True, "Meera Kale", year, "female")
    assert to == f"{BOOK}?person={row['person_id']}&provider={PROVIDER}"
    consent = await db.fetch_row("SELECT * FROM accounts.consent WHERE patient_id = $1", row["patient_id"])
    assert consent is not None
    assert (consent["version"], consent["recorded_by"][:6]) == (CURRENT.version, "staff:")
    assert {one["patient_id"] for one in await audit_entries(db, "add_patient")} == {row["patient_id"]}
    booked = await desk.post(BOOK, await form_for(desk, row["person_id"]))
    assert "done=book" in goes_to(booked)
    kinds = await db.fetch("SELECT kind FROM notices.notice WHERE patient_id = $1", row["patient_id"])
    assert "booked" in {one["kind"] for one in kinds}
    # They are told once, of the appointment; and of who is added and not booked.
    await desk.post(PEOPLE, {**NEW, "phone": NUMBER, "name": "Ravi Kale"})
    # What the holder books meanwhile says nothing of that.
    own = await environment.hold(environment.instant(24 + 14), AT_CLINIC, "asha")
    assert own.booking_id is not None
    await environment.book.confirm(PROVIDER, own.booking_id, None, environment.actor("asha"))
    await environment.pass_time(minutes=11)
    texts = Recorder()
    await sweep_all(notices(db, texts))
    assert sorted((one.to, one.template_id) for one in texts.sent) == [
        (NUMBER, "booked"), (NUMBER, "booked"), (NUMBER, "person_added"), ("+919876543210", "booked_by_clinic"),
    ]  # fmt: skip
    assert "Ravi" not in "".join(one.text for one in texts.sent)
    me = Client(http, await sign_in(anyone, phone, "+919876543210"))
    export = (await me.get("me/export")).json()
    assert [one["name"] for one in export["persons"]] == ["Meera Kale"]
    assert [one["given_at_the_desk"] for one in export["consents"]] == [True]
    assert [one["clinic_id"] for one in export["known_to_clinics"]] == [AT_CLINIC]
    assert len(export["bookings"]) == 1


async def test_what_is_wrong_with_somebody_new_is_said_and_nothing_typed_is_lost(
    desk: Browser, db: Database, environment: Environment
) -> None:
    for wrong, said in (
        ({"consent": ""}, "without it nothing is kept"),
        ({"born": "1066"}, "An age in years, such as 42"),
        ({"born": "x"}, "An age in years, such as 42"),
        ({"name": " "}, "This is needed"),
        ({"phone": "12"}, "This is no whole phone number"),
        ({"sex": "x"}, "Choose one of these"),
    ):
        answer = await desk.post(PEOPLE, {**NEW, **wrong})
        assert answer.status_code == 422, wrong
        assert said in words(answer), wrong
        if "name" not in wrong and "phone" not in wrong:
            assert 'value="Meera Kale"' in answer.text
    assert await db.fetch_value("SELECT count(*) FROM accounts.patient WHERE phone IS NOT NULL") == 1
    assert (await desk.post(PEOPLE, {**NEW, "to": "x"})).status_code == 404
    # A number of six people, one that had another account, and one of a child.
    for name in range(1, 6):
        await desk.post(PEOPLE, {**NEW, "phone": NUMBER, "name": f"Asha {name}"})
    assert "Six people have this number" in words(await desk.post(PEOPLE, {**NEW, "phone": NUMBER, "name": "Seventh"}))
    await desk.post(PEOPLE, {**NEW, "born": "6"})
    rows = await db.fetch(
        "SELECT person.name, is_holder FROM accounts.person JOIN accounts.patient USING (patient_id) "
        "WHERE phone = '+919876543210' ORDER BY is_holder"
    )
    assert [tuple(row) for row in rows] == [("Meera Kale", False), ("", True)]


async def test_the_desk_passes_nobody(
    desk: Browser, known: UUID, environment: Environment, db: Database, app: Litestar
) -> None:
    """Not who holds a time, not who waits for it; a refusal keeps what was chosen, and leaves nothing held."""
    start = environment.instant(24 + 13)
    form = await form_for(desk, known, start=start.isoformat())
    held = await environment.hold(start, AT_CLINIC, "bina")
    assert held.booking_id
    refused = await desk.post(BOOK, form)
    assert refused.status_code == 409
    assert "Nobody passes them" in words(refused)
    assert len(times(refused)) == 5
    assert start not in times(refused)
    chand = environment.ids["chand"]
    joined = await environment.book.join_queue(
        PROVIDER, AT_CLINIC, start, start + timedelta(minutes=30), 1, chand, Patient(chand)
    )
    assert joined.ticket_id
    await environment.book.release(PROVIDER, held.booking_id, environment.actor("bina"))
    assert (await desk.post(BOOK, form)).status_code == 409
    assert await db.fetch_value("SELECT count(*) FROM booking.booking WHERE person_id = $1", known) == 1
    # Of two desks that book one time, one wins.
    other = await log_in(app, db, "desk", AT_CLINIC, "desk.two")
    later = environment.instant(48 + 13).isoformat()
    forms = [{**form, "start": later, "key": key} for key in "ab"]
    forms[1]["person"] = goes_to(await desk.post(PEOPLE, NEW)).rpartition("=")[2]
    answers = await asyncio.gather(desk.post(BOOK, forms[0]), other.post(BOOK, forms[1]))
    assert sorted(answer.status_code for answer in answers) == [303, 409]


async def test_beyond_what_somebody_may_have_ahead_a_reason_is_asked_for(
    desk: Browser, known: UUID, environment: Environment, db: Database
) -> None:
    form = await form_for(desk, known, start=environment.instant(14).isoformat())
    refused = await desk.post(BOOK, form)
    assert refused.status_code == 409
    assert "Choose another day, or say why" in words(refused)
    assert 'name="reason"' in refused.text
    booked = await desk.post(BOOK, {**form, "reason": "Dressing in the afternoon"})
    assert "done=book" in goes_to(booked)
    event = await db.fetch_value(
        "SELECT reason FROM booking.event_log WHERE kind = 'reserved' AND actor LIKE 'staff:%'"
    )
    assert event == "beyond"  # the text is the audit's: events are kept for good
    assert [one["detail"] for one in await audit_entries(db, "book")][-1] == "booked: Dressing in the afternoon"
    # No reason puts somebody at two places at once.
    at_once = {**form, "provider": "2", "reason": "x"}
    assert "another appointment at this time" in words(await desk.post(BOOK, at_once))


async def test_what_the_desk_books_is_paid_at_the_clinic_and_bounded(
    app: Litestar, db: Database, known: UUID, environment: Environment
) -> None:
    desk = await log_in(app, db, "desk", ONLINE)
    book = BOOK.replace(str(AT_CLINIC), str(ONLINE))
    person = goes_to(await desk.post(f"/desk/{ONLINE}/people", NEW)).rpartition("=")[2]
    codes = []
    for day in range(1, 5):
        page = await desk.get(
            f"{book}?{httpx.QueryParams({'person': person, 'start': environment.instant(day * 24 + 9).isoformat()})}"
        )
        form = {name: field(page, name) for name in ("person", "provider", "services", "key")}
        codes.append((await desk.post(book, {**form, "start": times(page)[0].isoformat()})).status_code)
    assert codes == [303, 303, 303, 409]
    rows = await db.fetch("SELECT DISTINCT state, funding FROM booking.booking WHERE person_id = $1", UUID(person))
    assert [tuple(row) for row in rows] == [("booked", "clinic")]


async def test_who_booked_can_undo_it_for_three_minutes(
    desk: Browser, known: UUID, environment: Environment, db: Database, app: Litestar
) -> None:
    start = environment.instant(24 + 13)
    form = await form_for(desk, known, start=start.isoformat())
    sheet, about = goes_to(await desk.post(BOOK, form)).split("?done=book&about=")
    press = {"provider": str(PROVIDER), "do": f"undo {about}"}
    other = await log_in(app, db, "ward", AT_CLINIC, "ward.two")
    assert f"undo {about}" not in (await other.get(sheet)).text
    assert (await other.post(sheet, press)).status_code == 409
    # What it frees is for who waits.
    assert (await environment.hold(start + timedelta(minutes=30), AT_CLINIC, "bina")).booking_id
    chand = environment.ids["chand"]
    joined = await environment.book.join_queue(
        PROVIDER, AT_CLINIC, start, start + timedelta(minutes=60), 1, chand, Patient(chand)
    )
    assert joined.ticket_id
    assert "done=undo" in goes_to(await desk.post(sheet, press))
    assert await db.fetch_value("SELECT state FROM booking.booking WHERE booking_id = $1", UUID(about)) == "cancelled"
    assert await db.fetch_value("SELECT state FROM booking.ticket") == "offered"
    assert (await desk.post(sheet, press)).status_code == 409
    assert "taken back or cancelled since" in words(await desk.post(BOOK, form))
    again = goes_to(await desk.post(BOOK, await form_for(desk, known, start=environment.instant(48 + 13).isoformat())))
    sheet, about = again.split("?done=book&about=")
    await environment.pass_time(minutes=3)
    assert f"undo {about}" not in (await desk.get(sheet)).text
    assert (await desk.post(sheet, {**press, "do": f"undo {about}"})).status_code == 409


async def test_odd_input_is_refused(desk: Browser, known: UUID) -> None:
    form = await form_for(desk, known)
    for change, status in (
        ({"person": "x"}, 404),
        ({"person": str(uuid4())}, 404),
        ({"provider": "0"}, 404),
        ({"provider": "999999"}, 409),
        ({"start": "x"}, 422),
        ({"start": "2001-01-01T10:00:00+00:00"}, 409),
        ({"services": "1,2,zz,99999999999999999999"}, 409),
        ({"reason": "x" * 501}, 422),
    ):
        assert (await desk.post(BOOK, {**form, **change})).status_code == status, change
    for query in ({"to": "x"}, {"person": "x"}):
        assert (await desk.get(f"{PEOPLE if 'to' in query else BOOK}?{httpx.QueryParams(query)}")).status_code == 404
    for text in ("0", "999999", "+", "((((", "%", "\\", "'", "&|!:*", "a" * 5000, "HP-2222-2222", "12345678", "९८१२"):
        answer = await desk.get(f"{PEOPLE}?{httpx.QueryParams({'q': text})}")
        assert answer.status_code in (200, 422), text
    for day in ("9999-12-31", "0001-01-01", "x"):
        assert (await desk.get(f"{BOOK}?{httpx.QueryParams({'person': str(known), 'day': day})}")).status_code == 200
    assert (await desk.get(f"/desk/{FREE}/people?q=asha")).status_code == 403
