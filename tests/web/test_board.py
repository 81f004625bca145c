"""The board, a doctor's order of today, a doctor's own day, and what patients are told of delays."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.reception.receipts import Entry, Verification
from tests.fixtures.clock import freeze_clock, until
from tests.fixtures.environment import AT_CLINIC, FREE, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser, forget_shared_reads
from tests.web.staff import audit_entries, goes_to, log_in, words

pytestmark = pytest.mark.dates
ORDER = f"/desk/{AT_CLINIC}/order/{PROVIDER}"
NAMES = ("asha", "bina", "chand")


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def bookings(environment: Environment) -> dict[str, UUID]:
    """Appointments at one, half past one and two; it is five to one."""
    found = {}
    for name, minute in zip(NAMES, (0, 30, 60), strict=True):
        held = await environment.hold(environment.instant(13, minute), AT_CLINIC, name)
        assert held.booking_id, held
        booked = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor(name))
        assert booked.code == "booked"
        found[name] = held.booking_id
    await environment.pass_until(environment.instant(12, 55))
    return found


@pytest.fixture
async def desk(app: Litestar, db: Database, bookings: dict[str, UUID]) -> Browser:
    return await log_in(app, db, "desk", AT_CLINIC)


async def press(browser: Browser, path: str, act: str, booking: UUID) -> httpx.Response:
    return await browser.post(path, {"do": f"{act} {booking}"})


async def board_address(app: Litestar, db: Database) -> str:
    """Have a ward administrator make the board's address, which their page shows once."""
    setup = f"/office/{AT_CLINIC}/board"
    ward = await log_in(
        app, db, "ward", AT_CLINIC, f"ward.{await db.fetch_value('SELECT count(*) FROM staff.account')}"
    )
    assert goes_to(await ward.post(setup)) == f"{setup}?done=renewed"
    shown = await ward.get(setup)
    address = re.search(r"(/board/\d+\?key=[\w-]{32})", shown.text)
    assert address
    assert address[1] not in (await ward.get(setup)).text
    return address[1]


def tokens_of(page: httpx.Response) -> list[str]:
    return re.findall(r"<strong>([^<]+)</strong>", page.text)


async def test_a_board_shows_tokens_to_whoever_has_its_key_and_names_to_nobody(
    app: Litestar, db: Database, desk: Browser, bookings: dict[str, UUID], environment: Environment
) -> None:
    address = await board_address(app, db)
    anybody = Browser(app)
    page = await anybody.get(address)
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert '<noscript><meta http-equiv="refresh"' in page.text
    for name in NAMES:
        await press(desk, ORDER, "arrive", bookings[name])
    await press(desk, ORDER, "call", bookings["asha"])
    await environment.pass_time(seconds=1)
    forget_shared_reads(app)
    page = await anybody.get(address)
    assert tokens_of(page) == ["A-001"]
    assert "Please come in" in page.text
    assert "अंदर आइए" in page.text
    assert re.findall(r"<b>(A-\d+)</b>", page.text) == ["A-002", "A-003"]
    assert not {"Asha", "asha", "Bina", "Chand"} & set(re.findall(r"\w+", words(page)))
    # Two minutes later she has missed the call, and is asked to the desk.
    await environment.pass_time(minutes=2)
    forget_shared_reads(app)
    page = await anybody.get(address)
    assert "Called and missed? Come to the desk: A-001" in words(page)
    assert re.findall(r"<b>(A-\d+)</b>", page.text) == ["A-002", "A-003", "A-001"]
    for wrong in ("", "x", "x" * 32, "%00", "é"):
        assert (await anybody.get(f"/board/{AT_CLINIC}?key={wrong}")).status_code == 404
        assert (await anybody.get(f"/board/{AT_CLINIC}/news?key={wrong}")).status_code == 404
    key = address.partition("?")[2]
    assert (await anybody.get(f"/board/{FREE}?{key}")).status_code == 404
    # A new key ends the old one, and neither is in the database.
    renewed = await board_address(app, db)
    forget_shared_reads(app)
    assert (await anybody.get(address)).status_code == 404
    assert (await anybody.get(renewed)).status_code == 200
    assert len(await audit_entries(db, "renew_board")) == 2
    assert await db.fetch_value("SELECT array_agg(length(key_hash)) FROM reception.board") == [32]


async def test_a_board_that_asked_hears_of_a_call(
    app: Litestar, db: Database, desk: Browser, bookings: dict[str, UUID]
) -> None:
    address = await board_address(app, db)
    await press(desk, ORDER, "arrive", bookings["asha"])
    page = await Browser(app).get(address)
    version = re.search(r'data-version="(\w+)"', page.text)
    assert version
    path, _, query = address.partition("?")
    asked = asyncio.create_task(Browser(app).get(f"{path}/news?{query}&after={version[1]}"))
    await until(lambda: asked.done() or PROVIDER in app.state.services.charts._watchers)
    await press(desk, ORDER, "call", bookings["asha"])
    news = await asked
    assert news.status_code == 200  # it is 204 where nothing woke it
    assert "<html" not in news.text
    assert tokens_of(news) == ["A-001"]


async def test_the_order_of_one_doctor_from_the_call_to_the_end(
    desk: Browser, bookings: dict[str, UUID], db: Database, environment: Environment
) -> None:
    page = await desk.get(ORDER)
    assert page.status_code == 200
    assert "Nobody is in the room now" in words(page)
    for name in NAMES:
        await press(desk, ORDER, "arrive", bookings[name])
    page = await desk.get(ORDER)
    assert re.findall(r'id="visit-([0-9a-f-]{36})"', page.text) == [str(bookings[name]) for name in NAMES]
    assert f'value="call {bookings["asha"]} here" data-page-key="c"' in page.text
    refused = await press(desk, ORDER, "call", bookings["bina"])
    assert refused.status_code == 409
    assert "by the rule somebody else is next" in words(refused)
    assert goes_to(await press(desk, ORDER, "call", bookings["asha"])).startswith(f"{ORDER}?done=call")
    page = await desk.get(ORDER)
    assert f'value="finish {bookings["asha"]} called" data-page-key="d"' in page.text
    assert f'value="call {bookings["bina"]} here" data-page-key="c"' in page.text
    # Two minutes later she is next again, which is a recall.
    await environment.pass_time(minutes=2)
    page = await desk.get(ORDER)
    assert f'value="call {bookings["asha"]} called" data-page-key="r"' in page.text
    for act in ("call", "enter", "finish"):
        assert goes_to(await press(desk, ORDER, act, bookings["asha"]))
    assert "Seen 1 of 3" in words(await desk.get(ORDER))
    assert re.search(rf'value="undo {bookings["asha"]} [^"]+Z" data-page-key="u"', (await desk.get(ORDER)).text)
    seen = await audit_entries(db, "see_booking")
    assert {row["booking_id"] for row in seen} == set(bookings.values())
    await freeze_clock(db)  # a minute that begins is news
    version = re.search(r'data-version="(\w+)"', (await desk.get(ORDER)).text)
    assert version
    assert (await desk.get(f"{ORDER}/news?after={version[1]}")).status_code == 204
    assert (await desk.get(f"{ORDER}/news?after=another")).status_code == 200
    assert (await desk.get(f"/desk/{AT_CLINIC}/order/{OTHER_PROVIDER}")).status_code == 200
    assert (await desk.get(f"/desk/{AT_CLINIC}/order/999")).status_code == 404


async def test_a_visit_that_nobody_marked_done_hides_no_later_session(
    db: Database, desk: Browser, bookings: dict[str, UUID], environment: Environment
) -> None:
    for act in ("arrive", "call", "enter"):
        await press(desk, ORDER, act, bookings["asha"])
    # As if it were of the session before the one that runs, and of hours ago.
    await environment.pass_until(environment.instant(13, 5))
    await db.execute(
        "UPDATE reception.session SET during = tstzrange(lower(during) - interval '4 hours', lower(during))"
    )
    await db.execute(
        "UPDATE reception.attendance SET calls = ARRAY[public.app_now() - interval '3 hours'],"
        " entered_at = public.app_now() - interval '3 hours'"
    )
    page = await desk.get(ORDER)
    assert "Of an earlier session, not marked done: A-001" in words(page)
    assert f"/day#visit-{bookings['asha']}" in page.text
    # While it goes on, it stays.
    await db.execute("UPDATE reception.attendance SET entered_at = public.app_now() - interval '1 minute'")
    page = await desk.get(ORDER)
    assert "Of an earlier session" not in words(page)


async def test_everybody_can_check_in_what_order_tokens_were_called(
    app: Litestar, desk: Browser, bookings: dict[str, UUID], db: Database, environment: Environment
) -> None:
    for name in NAMES:
        await press(desk, ORDER, "arrive", bookings[name])
    for act in ("call", "enter", "finish"):
        await press(desk, ORDER, act, bookings["asha"])
    await press(desk, ORDER, "call", bookings["bina"])
    session = await db.fetch_value("SELECT session_id FROM reception.session")
    path = f"/doctor/{PROVIDER}/calls/{session}"
    page = await Browser(app).get(path)
    assert "Each call was by the rule" in words(page)
    assert "A-002 called in" in words(page)
    chain = (await Browser(app).get(f"{path}/json")).json()
    entries = [Entry(**one) for one in chain["entries"]]
    assert [entry.kind for entry in entries] == ["arrived"] * 3 + ["called", "entered", "done", "called"]

    def faults(entries: list[Entry]) -> list[str]:
        verification = Verification(PROVIDER, str(session))
        verification.read(entries)
        return [fault.text for fault in verification.faults]

    assert faults(entries) == []
    assert faults(entries[1:])
    # An operator who calls somebody out of turn is found out, and so is one who changes what was written.
    await db.execute("ALTER TABLE reception.call_entry DISABLE TRIGGER append_only")
    await db.execute("UPDATE reception.call_entry SET token = 3 WHERE kind = 'called' AND token = 2")
    forget_shared_reads(app)
    said = words(await Browser(app).get(path))
    assert "Not in order" in said
    assert "by the rule token 2 was next" in said
    assert (await Browser(app).get(f"/doctor/{PROVIDER + 1}/calls/{session}")).status_code == 404


async def test_a_doctor_sees_and_records_their_own_day_alone(
    app: Litestar, db: Database, desk: Browser, bookings: dict[str, UUID], environment: Environment
) -> None:
    doctor = await log_in(app, db, "practitioner", AT_CLINIC)
    await db.execute(
        "UPDATE staff.account SET provider_id = $1 WHERE log_on = $2", PROVIDER, f"practitioner-{AT_CLINIC}"
    )
    today = goes_to(await doctor.get(f"/desk/own/{AT_CLINIC}"))
    assert re.fullmatch(rf"/desk/own/{AT_CLINIC}/\d{{4}}-\d\d-\d\d", today)
    day = f"/desk/own/{AT_CLINIC}/{environment.instant(13).date()}"
    assert "My day" in words(await doctor.get("/desk"))
    assert goes_to(await press(doctor, day, "arrive", bookings["asha"])).startswith(day)
    page = await doctor.get(day)
    assert "A-001" in page.text
    assert page.text.count("<section aria-labelledby") == 1
    refused = await press(doctor, day, "miss", bookings["bina"])
    assert refused.status_code == 409
    assert "before the doctor’s session is over" in words(refused)
    # A press on the desk's page comes back to the doctor's own.
    sheet = f"/desk/{AT_CLINIC}/{environment.instant(13).date()}"
    there = goes_to(await doctor.post(sheet, {"provider": str(PROVIDER), "do": f"miss {bookings['bina']}"}))
    assert there.startswith(f"/desk/own/{AT_CLINIC}?refused=too_early")
    assert "before the doctor’s session is over" in words(await doctor.get(goes_to(await doctor.get(there))))
    for path in (sheet, ORDER, f"/desk/own/{FREE}"):
        assert (await doctor.get(path)).status_code == 403, path
    assert (await desk.get(day)).status_code == 403
    assert {row["detail"] for row in await audit_entries(db, "see_booking")} == {"own day"}
    # Another doctor's patients are nobody's to record but theirs.
    await db.execute("UPDATE staff.account SET provider_id = 2 WHERE provider_id = $1", PROVIDER)
    assert (await press(doctor, day, "call", bookings["asha"])).status_code == 404
