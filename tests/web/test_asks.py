"""What the front desk asks, and a ward administrator confirms with one press: both stand in the audit."""

from __future__ import annotations

import asyncio
import json
import re
from uuid import UUID

import pytest
from litestar import Litestar

from healthplus.accounts.actors import Staff
from healthplus.booking.numbers import number_of
from healthplus.database import Database
from tests.fixtures.clock import move_clock
from tests.fixtures.environment import AT_CLINIC, ONLINE, PROVIDER, Environment
from tests.fixtures.staff import PASSWORD, cheap_hashes
from tests.web.client import Browser
from tests.web.staff import audit_entries, goes_to, log_in, shows, words

ASK, ASKS = "/desk/1/ask", "/office/1/asks"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def ward(app: Litestar, db: Database, environment: Environment) -> Browser:
    return await log_in(app, db, "ward")


@pytest.fixture
async def desk(app: Litestar, db: Database, ward: Browser) -> Browser:
    return await log_in(app, db, "desk")


@pytest.fixture
async def booking(environment: Environment) -> UUID:
    """An appointment of Asha's, at nine, paid online."""
    held = await environment.held(hour=9)
    assert (await environment.book.confirm(PROVIDER, held, "auth_1", environment.actor("asha"))).code == "booked"
    return held


async def ask(desk: Browser, booking: UUID, kind: str, **more: str) -> str:
    form = {
        "number": number_of(booking),
        "booking": str(booking),
        "kind": kind,
        "reason": "She called",
        **more,
    }
    return goes_to(await desk.post(ASK, form))


async def answer(ward: Browser, how: str = "confirm") -> str:
    """Answer the first ask."""
    found = re.search(rf'action="({ASKS}/[0-9a-f-]+)/{how}"', (await ward.get(ASKS)).text)
    assert found
    return goes_to(await ward.post(f"{found[1]}/{how}"))


async def state_of(db: Database, booking: UUID) -> tuple[str, float, str]:
    row = await db.fetch_row(
        "SELECT state::text, extract(epoch FROM lower(during))::float8, funding::text FROM booking.booking "
        "WHERE booking_id = $1",
        booking,
    )
    assert row is not None
    return tuple(row)


async def test_moving(
    app: Litestar, db: Database, environment: Environment, booking: UUID, desk: Browser, ward: Browser
) -> None:
    number = number_of(booking)
    page = await shows(desk, f"{ASK}?number={number}")
    assert "asha" in page
    assert "₹500 paid" in page
    (seen,) = await audit_entries(db, "see_booking")
    assert (seen["actor"], seen["patient_id"], seen["booking_id"], seen["clinic_id"]) == (
        "staff:2",
        environment.ids["asha"],
        booking,
        1,
    )
    start = environment.instant(10)
    assert await ask(desk, booking, "move", start=start.isoformat()) == f"{ASK}?done=asked"
    # One of a kind at a time; what was typed stays.
    again = {"number": number, "booking": str(booking), "kind": "move", "reason": "Again", "start": start.isoformat()}
    refused = await desk.post(ASK, again)
    assert refused.status_code == 422
    assert ">Again</textarea>" in refused.text
    assert await state_of(db, booking) == ("booked", environment.instant(9).timestamp(), "online")
    page = await shows(ward, ASKS)
    assert "asha" in page
    assert "“ She called ”" in page
    assert (await audit_entries(db, "see_ask"))[-1]["patient_id"] == environment.ids["asha"]
    assert await answer(ward) == f"{ASKS}?done=done"
    assert (await state_of(db, booking))[1] == start.timestamp()
    (done,) = await audit_entries(db, "confirm_ask")
    assert (done["actor"], done["staff_id"], done["booking_id"], done["is_refused"]) == ("staff:1", 2, booking, False)
    assert done["detail"] == "move: She called"
    assert await db.fetch_value("SELECT actor FROM booking.event WHERE kind = 'moved'") == "staff:1"
    assert "Confirmed by" in await shows(ward, ASKS)


async def test_cancelling_gives_all_back_and_little_money_needs_no_proof(
    db: Database, booking: UUID, desk: Browser, ward: Browser
) -> None:
    await ask(desk, booking, "cancel")
    await move_clock(db, minutes=6)
    amount = await db.fetch_value("SELECT pg_get_functiondef('staff.proof_amount_minor'::regproc)")
    assert await db.fetch_value("SELECT currency FROM directory.clinic WHERE clinic_id = 1") == "INR"
    await db.execute(amount.replace("'INR' THEN 1000", "'INR' THEN 499"))
    assert await answer(ward) == "/desk/prove?next=%2Foffice%2F1%2Fasks"
    await db.execute(amount)
    assert await answer(ward) == f"{ASKS}?done=done"
    assert (await state_of(db, booking))[0] == "cancelled"
    assert await db.fetch_value("SELECT kept_minor FROM ledger.payment") is None


async def test_how_much_needs_proof_goes_by_the_currency(db: Database) -> None:
    amounts = {"INR": 100_000, "USD": 1000, "JPY": 10, "KWD": 10_000}
    for currency, amount_minor in amounts.items():
        assert await db.fetch_value("SELECT staff.proof_amount_minor($1)", currency) == amount_minor


async def test_more_money_needs_proof(db: Database, environment: Environment, desk: Browser, ward: Browser) -> None:
    await db.execute("UPDATE directory.provider_clinic SET fee_minor = 150000 WHERE clinic_id = 1")
    held = await environment.held(hour=9)
    assert (await environment.book.confirm(PROVIDER, held, "auth_1", environment.actor("asha"))).code == "booked"
    await ask(desk, held, "cancel")
    await move_clock(db, minutes=6)
    assert await answer(ward) == "/desk/prove?next=%2Foffice%2F1%2Fasks"
    assert (await state_of(db, held))[0] == "booked"
    await ward.post("/desk/prove?next=/office/1/asks", {"password": PASSWORD})
    assert await answer(ward) == f"{ASKS}?done=done"


async def test_refusing(db: Database, booking: UUID, desk: Browser, ward: Browser) -> None:
    await ask(desk, booking, "cancel")
    assert await answer(ward, "refuse") == f"{ASKS}?done=refused"
    assert (await state_of(db, booking))[0] == "booked"
    (entry,) = await audit_entries(db, "refuse_ask")
    assert (entry["actor"], entry["staff_id"]) == ("staff:1", 2)
    assert "Refused by" in await shows(ward, ASKS)


async def test_it_is_over_when_the_appointment_changed(
    db: Database, environment: Environment, booking: UUID, desk: Browser, ward: Browser
) -> None:
    await ask(desk, booking, "cancel")
    found = re.search(rf'action="({ASKS}/[0-9a-f-]+/confirm)"', (await ward.get(ASKS)).text)
    assert found
    moved = await environment.book.reschedule(PROVIDER, booking, environment.instant(11), environment.actor("asha"))
    assert moved.code == "moved"
    assert goes_to(await ward.post(found[1])) == f"{ASKS}?done=over"
    assert (await state_of(db, booking))[0] == "booked"
    page = await shows(ward, f"{ASKS}?done=over")
    assert "Then: Booked," in page
    assert "9:00 am" in page
    assert "11:00 am" in page
    assert goes_to(await ward.post(found[1])) == f"{ASKS}?done=answered"
    # Also when it is only looked at.
    await ask(desk, booking, "cancel")
    assert (await environment.book.cancel(PROVIDER, booking, environment.actor("asha"))).code == "cancelled"
    assert "The desk asks for no change just now" in await shows(ward, ASKS)
    assert [one["action"] for one in await audit_entries(db, "ask_over")] == ["ask_over"] * 2


async def test_correcting_who_came_and_refunding(
    db: Database, environment: Environment, booking: UUID, desk: Browser, ward: Browser
) -> None:
    await environment.pass_until(environment.instant(9, 20))
    for browser, who in ((desk, "desk-1"), (ward, "ward-1")):  # they were logged out meanwhile
        await browser.post("/desk/log-in", {"log_on": who, "password": PASSWORD})
    assert (await environment.book.attend(PROVIDER, booking, "no_show", Staff(2))).code == "no_show"
    await ask(desk, booking, "correct", state="fulfilled")
    assert await answer(ward) == f"{ASKS}?done=done"
    assert (await state_of(db, booking))[0] == "fulfilled"
    kinds = await db.fetch("SELECT kind FROM booking.event WHERE booking_id = $1 ORDER BY seq", booking)
    assert [row["kind"] for row in kinds][-4:] == ["no_show", "attendance_undone", "arrived", "fulfilled"]
    await ask(desk, booking, "refund")
    assert await answer(ward) == f"{ASKS}?done=done"
    assert await state_of(db, booking) == ("fulfilled", environment.instant(9).timestamp(), "free")
    assert await db.fetch_value("SELECT due::text FROM ledger.payment") in ("void", "refund", None)
    # It is given back once.
    assert "Give money back" not in (await shows(desk, f"{ASK}?number={number_of(booking)}")).split("Why")[0]


async def test_an_attendance_is_taken_back(
    db: Database, environment: Environment, booking: UUID, desk: Browser, ward: Browser
) -> None:
    assert (await environment.book.attend(PROVIDER, booking, "arrived", Staff(2))).code == "arrived"
    await ask(desk, booking, "correct", state="booked")
    assert await answer(ward) == f"{ASKS}?done=done"
    assert (await state_of(db, booking))[0] == "booked"


async def test_correcting_the_patient(db: Database, booking: UUID, desk: Browser, ward: Browser) -> None:
    await ask(desk, booking, "edit_patient", name="Asha Joshi", birth_year="1990", sex="female")
    assert await answer(ward) == f"{ASKS}?done=done"
    row = await db.fetch_row(
        "SELECT patient_name, person.name, birth_year, sex::text, patient.name AS holder FROM booking.booking "
        "JOIN accounts.person USING (person_id) JOIN accounts.patient ON patient.patient_id = booking.patient_id"
    )
    assert row is not None
    assert tuple(row) == ("Asha Joshi", "Asha Joshi", 1990, "female", "Asha Joshi")


async def test_only_what_was_corrected_of_a_patient_changes(
    db: Database, booking: UUID, desk: Browser, ward: Browser
) -> None:
    await db.execute(
        "UPDATE accounts.person SET sex = 'male', birth_year = 1980 FROM booking.booking "
        "WHERE booking.person_id = person.person_id AND booking_id = $1",
        booking,
    )
    page = (await desk.get(f"{ASK}?number={number_of(booking)}")).text
    assert '<option value="male" selected>' in page
    assert 'value="1980"' in page
    # What the page had filled in, and no sex at all, as of a page from before.
    unchanged = {
        "number": number_of(booking),
        "booking": str(booking),
        "kind": "edit_patient",
        "reason": "Typed wrongly",
    }
    refused = await desk.post(ASK, {**unchanged, "name": "asha", "birth_year": "1980", "sex": "male"})
    assert refused.status_code == 422
    assert "This is what is recorded already." in words(refused)
    await ask(desk, booking, "edit_patient", name="Asha Joshi", birth_year="1980", sex="male")
    said = await shows(ward, ASKS)
    assert "Name: asha → Asha Joshi" in said
    assert "Sex:" not in said
    assert await answer(ward) == f"{ASKS}?done=done"
    await ask(desk, booking, "edit_patient", birth_year="1981")
    assert "Year of birth: 1980 → 1981" in await shows(ward, ASKS)
    assert await answer(ward) == f"{ASKS}?done=done"
    row = await db.fetch_row(
        "SELECT patient_name, birth_year, sex::text FROM booking.booking JOIN accounts.person USING (person_id)"
    )
    assert row is not None
    assert tuple(row) == ("Asha Joshi", 1981, "male")


async def test_what_cannot_be_done_stays_open(
    db: Database, environment: Environment, booking: UUID, desk: Browser, ward: Browser
) -> None:
    await ask(desk, booking, "move", start=environment.instant(10).isoformat())
    await environment.held(hour=10, name="bina")
    found = re.search(rf'action="({ASKS}/[0-9a-f-]+/confirm)"', (await ward.get(ASKS)).text)
    assert found
    refused = await ward.post(found[1])
    assert refused.status_code == 422
    assert "Somebody holds this time just now" in words(refused)
    entry = (await audit_entries(db, "confirm_ask"))[-1]
    assert (entry["is_refused"], entry["detail"]) == (True, "move slot_held: She called")


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "steal"},
        {"kind": "move"},
        {"kind": "move", "start": "soon"},
        {"kind": "correct", "state": "cancelled"},
        {"kind": "correct", "state": "arrived"},
        {"kind": "refund"},
        {"kind": "edit_patient"},
        {"kind": "edit_patient", "name": "A", "birth_year": "1"},
        {"kind": "cancel", "reason": ""},
        {"kind": "cancel", "reason": "x" * 501},
        {"kind": "cancel", "booking": "00000000-0000-0000-0000-000000000000"},
        {"kind": "cancel", "number": "HP-1"},
        {},
    ],
)
async def test_bad_asks(db: Database, booking: UUID, desk: Browser, form: dict[str, str]) -> None:
    whole = {"number": number_of(booking), "booking": str(booking), "reason": "Because", **form}
    assert (await desk.post(ASK, whole)).status_code == 422
    assert await db.fetch_value("SELECT count(*) FROM staff.ask") == 0


async def test_other_clinics_are_not_theirs(
    app: Litestar, db: Database, environment: Environment, booking: UUID, desk: Browser, ward: Browser
) -> None:
    other = await log_in(app, db, "desk", AT_CLINIC)
    number = number_of(booking)
    assert (await other.get(f"/desk/2/ask?number={number}")).status_code == 422
    form = {"number": number, "booking": str(booking), "kind": "cancel", "reason": "Because"}
    assert (await other.post("/desk/2/ask", form)).status_code == 422
    assert (await other.post("/desk/1/ask", form)).status_code == 403
    assert await audit_entries(db, "see_booking") == []
    await ask(desk, booking, "cancel")
    found = re.search(rf'action="{ASKS}/([0-9a-f-]+/confirm)"', (await ward.get(ASKS)).text)
    assert found
    other_ward = await log_in(app, db, "ward", AT_CLINIC)
    assert (await other_ward.post(f"/office/2/asks/{found[1]}")).status_code == 404
    assert (await other_ward.post(f"/office/1/asks/{found[1]}")).status_code == 403
    assert (await desk.post(f"{ASKS}/{found[1]}")).status_code == 403
    assert (await state_of(db, booking))[0] == "booked"
    assert ONLINE == 1


async def test_two_who_confirm_at_once_do_it_once(
    app: Litestar, db: Database, environment: Environment, booking: UUID, desk: Browser, ward: Browser
) -> None:
    other = await log_in(app, db, "ward", 1, "second.ward")
    await ask(desk, booking, "cancel")
    found = re.search(rf'action="({ASKS}/[0-9a-f-]+/confirm)"', (await ward.get(ASKS)).text)
    assert found
    answers = await asyncio.gather(*(browser.post(found[1]) for browser in (ward, other)))
    assert sorted(goes_to(one) for one in answers) == [f"{ASKS}?done=answered", f"{ASKS}?done=done"]
    assert await db.fetch_value("SELECT count(*) FROM booking.event WHERE kind = 'cancelled'") == 1
    assert len(await audit_entries(db, "confirm_ask")) == 1


@pytest.mark.parametrize(
    ("kind", "wish"),
    [
        ("move", "{}"),
        ("move", '{"starts_at": "abc"}'),
        ("move", '{"starts_at": 1e300}'),
        ("correct", '{"state": "gone"}'),
        ("edit_patient", "[]"),
        ("edit_patient", '{"name": 7, "sex": {}}'),
    ],
)
async def test_one_that_cannot_be_read_does_not_hide_the_others(
    db: Database, booking: UUID, desk: Browser, ward: Browser, kind: str, wish: str
) -> None:
    await ask(desk, booking, "cancel")
    await db.execute(
        "INSERT INTO staff.ask"
        " (clinic_id, provider_id, booking_id, patient_id, kind, wish, seen, reason, asked_by, asked_at)"
        " SELECT clinic_id, provider_id, booking_id, patient_id, $1, $2,"
        " staff.part_of_seen($1, booking.as_seen($3, $4)), 'odd',"
        " asked_by, asked_at - interval '1 minute' FROM staff.ask",
        kind,
        json.loads(wish),
        PROVIDER,
        booking,
    )
    page = await shows(ward, ASKS)
    assert "She called" in page
    assert "odd" in page
    assert "refuse it" in page
    await answer(ward, "refuse")
    assert [row["state"] for row in await db.fetch("SELECT state FROM staff.ask ORDER BY asked_at")] == [
        "refused",
        "open",
    ]
    assert "refuse it" in await shows(ward, ASKS) or kind == "edit_patient"
