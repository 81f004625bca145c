"""What people type at each entrance, as it comes out of keyboards, chats and files: the same is kept and found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import pyotp
import pytest
from litestar import Litestar

from healthplus.accounts.keys import add_key, list_keys
from healthplus.accounts.patients import add_patient
from healthplus.booking.numbers import find_by_number, number_of
from healthplus.database import Database
from healthplus.errors import BadInput
from healthplus.staff.apps import new_app_secret, step_of_code
from tests.fixtures.environment import PROVIDER, Environment
from tests.fixtures.staff import PASSWORD
from tests.web.client import Browser, Client
from tests.web.phone import CONSENT, NUMBER, Phone
from tests.web.staff import CLINIC, DOCTOR, OFFICE, book, goes_to, hidden, words

NAME = "Asha O'Rao"
NAMES = (
    "\u202aAsha\xa0O\u2019Rao\u202c",
    "\ufeffAs\u200bha\u2009O\xb4Rao\u2060",
    "\uff21\uff53\uff48\uff41\u3000O'Ra\xado\t",
    "\u2800Asha\u2800O\u02bcRao\u200d",
)
NO_NAMES = ("\u2800", "\u200d", " \u3164\u202e", "\u0301")
"""What shows nothing."""
PHONES = ("\u202a+91\xa098765\u201143210\u202c", "\uff0b91 98765 43210", "९८७६५ ४३२१०", "\u200e98765\u201343210\ufeff")
POSTAL_CODE = "411038"
POSTAL_CODES = ("411 038", "PIN 411038", "411-038", "\u200e411\xa0038", "४११०३८", "Pin code: 411\u2011038")


def digits_of(code: str) -> list[str]:
    """Return ways in which a code of digits is typed, or pasted."""
    devanagari = code.translate({ord("0") + digit: 0x966 + digit for digit in range(10)})
    wide = code.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    return [devanagari, wide, f"\u2068{code[:3]}\u202f{code[3:]}\u2069", f"{code[:3]}\u2013{code[3:]}\u200b"]


class Entrances(NamedTuple):
    """Everybody who types something."""

    app: Litestar
    db: Database
    environment: Environment
    asha: Client
    key: str
    page: Browser
    office: Browser


@pytest.fixture
async def entrances(app: Litestar, environment: Environment, asha: Client, administrator: Browser) -> Entrances:
    page = Browser(app, environment.tokens["asha"])
    _, key = await add_key(environment.db, "tests", ["search"], 10_000, 10_000)
    return Entrances(app, environment.db, environment, asha, key, page, administrator)


async def _account(at: Entrances, typed: str) -> str:
    answer = await at.asha.ask("PATCH", "me", {"name": typed})
    return str(answer.json()["name"]) if answer.status_code == 200 else ""


async def _person(at: Entrances, typed: str) -> str:
    answer = await at.asha.post("me/persons", {"name": typed, "birth_year": 2015})
    if answer.status_code != 201:
        return ""
    await at.asha.delete(answer.json()["url"])
    return str(answer.json()["name"])


async def _people_page(at: Entrances, typed: str) -> str:
    before = await at.db.fetch("SELECT person_id FROM accounts.person")
    answer = await at.page.post("/people", {"name": typed, "birth_year": "\u0968\u0966\u0967\u096b", "sex": "female"})
    if answer.status_code != 303:
        return ""
    person = await at.db.fetch_row(
        "SELECT person_id, name FROM accounts.person WHERE person_id <> ALL ($1)", [row["person_id"] for row in before]
    )
    assert person is not None
    await at.page.post(f"/people/{person['person_id']}/remove")
    return str(person["name"])


async def _desk(at: Entrances, typed: str) -> str:
    form = {"to": "book", "phone": PHONES[0], "name": typed, "born": "\u0669", "sex": "female", "consent": CONSENT}
    answer = await at.office.post(f"/desk/{CLINIC}/people", form)
    if answer.status_code != 303:
        return ""
    person_id = UUID(answer.headers["location"].rpartition("=")[2])
    return str(await at.db.fetch_value("SELECT name FROM accounts.person WHERE person_id = $1", person_id))


async def _doctor(at: Entrances, typed: str) -> str:
    page = await at.office.get(f"{OFFICE}/provider/1")
    form = {**DOCTOR, "name": typed, "fee": "\u096b\u0966\u0966", "version": hidden(page, "version")}
    answer = await at.office.post(f"{OFFICE}/provider/1", form)
    if answer.status_code != 303:
        return ""
    return str(await at.db.fetch_value("SELECT name FROM directory.provider WHERE provider_id = 1"))


async def _staff(at: Entrances, typed: str) -> str:
    number = await at.db.fetch_value("SELECT count(*) FROM staff.account")
    form = {"name": typed, "log_on": f"\u200b New.{number}\xa0", "role": "desk", "clinic": str(CLINIC)}
    answer = await at.office.post("/office/staff/new", form)
    if answer.status_code != 303:
        return ""
    return str(await at.db.fetch_value("SELECT name FROM staff.account WHERE log_on = $1", f"new.{number}"))


async def _token(at: Entrances, typed: str) -> str:
    try:
        patient_id, _ = await add_patient(at.db, typed)
    except BadInput:
        return ""
    return str(await at.db.fetch_value("SELECT name FROM accounts.patient WHERE patient_id = $1", patient_id))


async def _key(at: Entrances, typed: str) -> str:
    try:
        key_id, _ = await add_key(at.db, typed, ["search"])
    except BadInput:
        return ""
    return next(str(row["name"]) for row in await list_keys(at.db) if row["key_id"] == key_id)


Entrance = Callable[[Entrances, str], Awaitable[str]]

TAKES_NAMES: tuple[Entrance, ...] = (_account, _person, _people_page, _desk, _doctor, _staff, _token, _key)


async def test_a_name_is_one_however_it_is_typed_and_shows_something(entrances: Entrances) -> None:
    joined = "\u0915\u094d\u200d\u0937"
    for entrance in TAKES_NAMES:
        for typed in NAMES:
            assert await entrance(entrances, typed) == NAME, (entrance.__name__, ascii(typed))
        for typed in NO_NAMES:
            assert await entrance(entrances, typed) == "", (entrance.__name__, ascii(typed))
        assert await entrance(entrances, joined) == joined, entrance.__name__


async def test_free_text_loses_its_invisible_marks_alone(entrances: Entrances, city: Environment) -> None:
    booking_id = await book(city, city.instant(13), "asha")
    url = f"providers/{PROVIDER}/appointments/{booking_id}"
    for typed in ("\u202eH\u2082O \u2013 \xad\u201cgood\u201d\x00", "H\u2082O\xa0\u2013\n\ufeff\u201cgood\u201d"):
        said = await entrances.asha.ask("PUT", f"{url}/reason", {"reason": typed})
        assert said.json()["reason"] == "H\u2082O \u2013 \u201cgood\u201d", said.text
    assert (await entrances.asha.ask("PUT", f"{url}/reason", {"reason": "\u200b\xa0"})).json()["reason"] is None


async def test_numbers_and_codes_sign_in_however_they_are_typed(
    app: Litestar, anyone: Client, phone: Phone, environment: Environment
) -> None:
    page = Browser(app)
    assert goes_to(await page.post("/verify", {"phone": PHONES[0], "consent": CONSENT})).startswith("/verify/code")
    assert goes_to(await page.post("/verify/code", {"code": digits_of(await phone.code())[0]})) == "/"
    for at, number in enumerate(PHONES):
        await environment.pass_time(hours=25)
        sent = await anyone.post("codes", {"phone": number, "consent": CONSENT})
        assert sent.status_code == 202, sent.text
        typed = digits_of(await phone.code(at + 2))[at]
        assert phone.messages[-1].to == NUMBER
        signed_in = await anyone.post(f"codes/{sent.json()['id']}/verify", {"code": typed})
        assert signed_in.status_code == 201, ascii(typed)
    shown = await app.state.services.codes.issue_at_desk(NUMBER, environment.actor("asha"))
    dashed = shown.code.lower().replace("-", "\u2013\u200b")
    page = Browser(app)
    assert goes_to(await page.post("/verify/desk", {"code": dashed, "consent": CONSENT})) == "/"


async def test_staff_are_known_however_they_type(entrances: Entrances, environment: Environment) -> None:
    booking_id = await book(environment, environment.instant(13), "asha")
    number = number_of(booking_id)
    wide = "".join(chr(ord(sign) + 0xFEE0) for sign in number.lower())
    for typed in (number.lower(), wide, number.replace("-", "\u2011"), f"\u2066{number.replace('-', chr(0xA0))}\u2069"):
        assert [row["booking_id"] for row in await find_by_number(entrances.db, typed)] == [booking_id], ascii(typed)
    now = await entrances.db.fetch_value("SELECT public.app_now()")
    secret = new_app_secret()
    code = pyotp.TOTP(secret).at(int(now.timestamp()))
    assert all(
        step_of_code(secret, typed, now) == step_of_code(secret, code, now) for typed in (code, *digits_of(code))
    )
    assert goes_to(
        await Browser(entrances.app).post("/desk/log-in", {"log_on": "\u200eNair\xa0", "password": PASSWORD})
    )


async def _by_parameter(at: Entrances, typed: str) -> str:
    return await _codes_of(at, {"postal_code": typed})


async def _by_keyword(at: Entrances, typed: str) -> str:
    return await _codes_of(at, {"keyword": f"dentistry {typed}"})


async def _codes_of(at: Entrances, query: dict[str, str]) -> str:
    answer = await at.asha.get("doctors", params={**query, "api_dev_key": at.key})
    assert answer.status_code == 200, answer.text
    return " ".join({str(one["postal_code"]) for one in answer.json()})


async def _by_place(at: Entrances, typed: str) -> str:
    found = await at.page.http.get("/find", params={"need": "dentistry", "place": typed}, follow_redirects=True)
    return POSTAL_CODE if "Smile Clinic" in found.text and "Baner Care" not in found.text else words(found)


async def _of_clinic(at: Entrances, typed: str) -> str:
    page = await at.office.get(f"{OFFICE}/clinic")
    form = {"name": "Clinic", "address": "Karve Road", "postal_code": typed, "version": hidden(page, "version")}
    assert goes_to(await at.office.post(f"{OFFICE}/clinic", form))
    return str(await at.db.fetch_value("SELECT postal_code FROM directory.clinic WHERE clinic_id = $1", CLINIC))


TAKES_POSTAL_CODES: tuple[Entrance, ...] = (_by_parameter, _by_keyword, _by_place, _of_clinic)


async def test_a_postal_code_is_one_however_it_is_typed(city: Environment, entrances: Entrances) -> None:
    for entrance in TAKES_POSTAL_CODES:
        for typed in (POSTAL_CODE, *POSTAL_CODES):
            assert await entrance(entrances, typed) == POSTAL_CODE, (entrance.__name__, ascii(typed))
