"""The day sheet: what the desk sees of a day, records and takes back; what two desks do at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import date
from html import unescape
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.web import book_watchers
from healthplus.web.kept_days import Found, KeptDays
from healthplus_bench.desk import buttons_of
from tests.fixtures.clock import freeze_clock
from tests.fixtures.environment import AT_CLINIC, FREE, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.staff import audit_entries, goes_to, log_in, words

pytestmark = pytest.mark.dates


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def bookings(environment: Environment, db: Database) -> dict[str, UUID]:
    """Appointments at one, half past one and two, to be paid at the clinic; it is a quarter to one."""
    found = {}
    for name, (hour, minute) in {"asha": (13, 0), "bina": (13, 30), "chand": (14, 0)}.items():
        held = await environment.hold(environment.instant(hour, minute), AT_CLINIC, name)
        assert held.booking_id
        booked = await environment.book.confirm(PROVIDER, held.booking_id, None, environment.actor(name))
        assert booked.code == "booked"
        found[name] = held.booking_id
    await db.execute("UPDATE accounts.patient SET phone = '+919812345678' WHERE name = 'bina'")
    await environment.pass_until(environment.instant(12, 45))
    return found


@pytest.fixture
async def desk(app: Litestar, db: Database, bookings: dict[str, UUID]) -> Browser:
    return await log_in(app, db, "desk", AT_CLINIC)


@pytest.fixture
def sheet(environment: Environment) -> str:
    return f"/desk/{AT_CLINIC}/{environment.instant(13).date()}"


async def record(browser: Browser, sheet: str, act: str, booking: UUID) -> httpx.Response:
    return await browser.post(sheet, {"provider": str(PROVIDER), "do": f"{act} {booking}"})


def stands(page: httpx.Response) -> list[str]:
    """Return where each patient of a day sheet stands, in order of their times."""
    return re.findall(r'class="day-row (\w+)[^"]*" id="visit-[0-9a-f-]{36}"', page.text)


async def test_a_visit_from_arrival_to_the_end(
    desk: Browser, sheet: str, bookings: dict[str, UUID], db: Database, environment: Environment
) -> None:
    today = goes_to(await desk.get(f"/desk/{AT_CLINIC}/day"))
    assert re.fullmatch(rf"/desk/{AT_CLINIC}/\d{{4}}-\d\d-\d\d", today)
    page = await desk.get(sheet)
    assert stands(page) == ["expected"] * 3
    assert "₹300 to pay" in words(page)
    assert 'value="call ' not in page.text
    for act, state in (("arrive", "here"), ("call", "called"), ("enter", "in_room"), ("finish", "done")):
        assert goes_to(await record(desk, sheet, act, bookings["bina"])).startswith(f"{sheet}?done={act}")
        assert stands(await desk.get(sheet)) == ["expected", state, "expected"]
    noted = await audit_entries(db, "record_attendance")
    assert [row["detail"] for row in noted] == ["arrive", "call", "enter", "finish"]
    assert {row["booking_id"] for row in noted} == {bookings["bina"]}
    # Whom the sheet shows is noted once a session, however often it is opened.
    seen = await audit_entries(db, "see_booking")
    assert sorted(str(row["booking_id"]) for row in seen) == sorted(map(str, bookings.values()))
    # Nothing is told as long as it can be undone: then the visit can be rated.
    rate = "SELECT code, state FROM reviews.rate($1, $2, $3, 4::smallint)"
    patient = environment.ids["bina"]
    for minutes, answer in ((0, ("not_fulfilled", "arrived")), (3, ("rated", "fulfilled"))):
        await environment.pass_time(minutes=minutes)
        row = await db.fetch_row(rate, PROVIDER, bookings["bina"], patient)
        assert row is not None
        assert tuple(row) == answer


async def test_the_desks_of_the_bench_press_what_a_sheet_has(desk: Browser, sheet: str) -> None:
    for act in ("arrive", "call", "enter", "finish"):
        button = next(one for one in buttons_of((await desk.get(sheet)).text) if one.act == act)
        answer = await desk.post(sheet, {"provider": str(PROVIDER), "do": button.value})
        assert goes_to(answer).startswith(f"{sheet}?done={act}&about={button.booking}")


async def test_a_page_that_is_old_undoes_nothing_that_came_after_it(
    desk: Browser, sheet: str, bookings: dict[str, UUID], environment: Environment, db: Database, app: Litestar
) -> None:
    asha, other = bookings["asha"], await log_in(app, db, "desk", AT_CLINIC, "desk.two")

    async def press(old: httpx.Response) -> httpx.Response:
        pressed = re.search(rf'value="(undo {asha} [^"]+)"', old.text)
        assert pressed
        return await desk.post(sheet, {"provider": str(PROVIDER), "do": pressed[1]})

    await record(desk, sheet, "arrive", asha)
    old = await desk.get(sheet)
    for browser, act, becomes in ((desk, "call", "called"), (other, "enter", "in_room")):
        await environment.pass_time(seconds=1)
        await record(browser, sheet, act, asha)
        refused = await press(old)
        assert refused.status_code == 409
        assert "something else was recorded or changed since the page was shown" in words(refused)
        assert stands(refused)[0] == becomes
    assert "done=undo" in goes_to(await record(other, sheet, "undo", asha))
    await record(desk, sheet, "finish", asha)
    assert "done=undo" in goes_to(await press(await desk.get(sheet)))


async def test_what_one_recorded_one_can_undo_for_three_minutes(
    desk: Browser, sheet: str, bookings: dict[str, UUID], environment: Environment, db: Database, app: Litestar
) -> None:
    asha, bina = bookings["asha"], bookings["bina"]
    for act in ("arrive", "call", "finish"):
        await record(desk, sheet, act, asha)
    assert goes_to(await record(desk, sheet, "undo", asha)) == f"{sheet}?done=undo&about={asha}#visit-{asha}"
    assert stands(await desk.get(sheet))[0] == "called"
    # Once: what was before is not the last that one did any more.
    refused = await record(desk, sheet, "undo", asha)
    assert refused.status_code == 409
    assert "three minutes are over, or somebody recorded more" in words(refused)
    await record(desk, sheet, "arrive", bina)
    other = await log_in(app, db, "ward", AT_CLINIC, "ward.two")
    assert "undo " not in (await other.get(sheet)).text
    assert (await record(other, sheet, "undo", bina)).status_code == 409
    await environment.pass_time(minutes=3)
    assert "undo " not in (await desk.get(sheet)).text
    assert (await record(desk, sheet, "undo", bina)).status_code == 409
    kinds = await db.fetch("SELECT kind FROM booking.event WHERE booking_id = $1 ORDER BY seq", asha)
    assert [row["kind"] for row in kinds][2:] == ["arrived", "called_in", "fulfilled", "attendance_undone", "arrived"]


async def test_nobody_is_called_but_the_next_by_the_rule(
    desk: Browser, sheet: str, bookings: dict[str, UUID], environment: Environment, db: Database
) -> None:
    for name in ("chand", "bina"):
        await record(desk, sheet, "arrive", bookings[name])
    page = await desk.get(sheet)
    assert f"call {bookings['bina']}" in page.text
    assert f"call {bookings['chand']}" not in page.text
    refused = await record(desk, sheet, "call", bookings["chand"])
    assert refused.status_code == 409
    assert "by the rule somebody else is next" in words(refused)
    # Half an hour after her time, Asha stands behind those who came in time.
    await environment.pass_time(minutes=45)
    await stay_logged_in(db)
    await record(desk, sheet, "arrive", bookings["asha"])
    assert "by token" in words(await desk.get(sheet))
    await record(desk, sheet, "call", bookings["bina"])
    again = await record(desk, sheet, "call", bookings["bina"])
    assert goes_to(again).startswith(sheet)  # the same press, sent twice
    await environment.pass_time(seconds=30)
    assert "less than two minutes ago" in words(await record(desk, sheet, "call", bookings["bina"]))


async def test_nobody_is_missed_before_the_session_is_over(
    desk: Browser, sheet: str, bookings: dict[str, UUID], environment: Environment, db: Database
) -> None:
    asha = bookings["asha"]
    assert "before the doctor’s session is over" in words(await record(desk, sheet, "miss", asha))
    await environment.pass_until(environment.instant(15, 59))
    await stay_logged_in(db)
    assert f"miss {asha}" not in (await desk.get(sheet)).text
    await environment.pass_until(environment.instant(16))
    await stay_logged_in(db)
    assert f"miss {asha}" in (await desk.get(sheet)).text
    await record(desk, sheet, "miss", asha)
    assert stands(await desk.get(sheet))[0] == "no_show"
    await record(desk, sheet, "undo", asha)
    assert stands(await desk.get(sheet))[0] == "expected"


async def stay_logged_in(db: Database) -> None:
    """Have sessions live on though the clock was moved over hours."""
    await db.execute("UPDATE staff.session SET seen_at = public.app_now(), created_at = public.app_now()")


async def test_of_two_desks_one_wins_and_the_other_is_told(
    app: Litestar, desk: Browser, sheet: str, bookings: dict[str, UUID], db: Database
) -> None:
    other = await log_in(app, db, "desk", AT_CLINIC, "desk.two")
    answers = await asyncio.gather(*(record(one, sheet, "arrive", bookings["asha"]) for one in (desk, other)))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    told = next(answer for answer in answers if answer.status_code == 409)
    assert "somebody else recorded something meanwhile" in words(told)
    assert stands(told)[0] == "here"
    assert await db.fetch_value("SELECT array_agg(token) FROM reception.attendance") == [1]


async def test_a_press_on_what_is_not_so_any_more_is_refused(
    app: Litestar, desk: Browser, sheet: str, bookings: dict[str, UUID], db: Database
) -> None:
    asha = bookings["asha"]
    await record(desk, sheet, "arrive", asha)
    seen = re.findall(f'value="(leave {asha}[^"]*)"', (await desk.get(sheet)).text)
    assert seen == [f"leave {asha} here"]
    other = await log_in(app, db, "desk", AT_CLINIC, "desk.two")
    await record(other, sheet, "call", asha)
    refused = await desk.post(sheet, {"provider": str(PROVIDER), "do": seen[0]})
    assert refused.status_code == 409
    assert "somebody else recorded something meanwhile" in words(refused)
    assert stands(refused)[0] == "called"
    assert goes_to(await desk.post(sheet, {"provider": str(PROVIDER), "do": f"leave {asha} called"}))


async def test_a_page_without_script_asks_again_and_keeps_no_screen_unlocked(
    desk: Browser, sheet: str, db: Database
) -> None:
    for page in (sheet, f"/desk/{AT_CLINIC}/queue", f"/desk/{AT_CLINIC}/order/{PROVIDER}"):
        (again,) = re.findall(r'http-equiv="refresh" content="20; url=([^"]+)"', (await desk.get(page)).text)
        seen_at = await db.fetch_value(
            "UPDATE staff.session SET seen_at = seen_at - interval '1 minute' RETURNING seen_at"
        )
        assert (await desk.get(unescape(again))).status_code == 200
        assert await db.fetch_value("SELECT seen_at FROM staff.session") == seen_at
    await desk.get(sheet)
    assert await db.fetch_value("SELECT seen_at FROM staff.session") > seen_at


async def test_what_is_not_of_this_clinic_is_not_there(
    desk: Browser, sheet: str, bookings: dict[str, UUID], environment: Environment
) -> None:
    tomorrow = await environment.hold(environment.instant(24 + 18), FREE)
    elsewhere = tomorrow.booking_id
    assert elsewhere
    for provider, what in (
        (PROVIDER, f"arrive {elsewhere}"),
        (PROVIDER, f"arrive {uuid4()}"),
        (PROVIDER + 1, f"arrive {bookings['asha']}"),
        (PROVIDER, "arrive"),
        (PROVIDER, f"dance {bookings['asha']}"),
        ("", f"arrive {bookings['asha']}"),
        (PROVIDER, ""),
    ):
        answer = await desk.post(sheet, {"provider": str(provider), "do": what})
        assert answer.status_code == 404, what
    assert stands(await desk.get(sheet)) == ["expected"] * 3
    assert (await desk.get(f"/desk/{FREE}/{environment.instant(13).date()}")).status_code == 403
    for day in ("9999-12-31", "0001-01-01", "2026-13-01", "x"):
        assert (await desk.get(f"/desk/{AT_CLINIC}/{day}")).status_code == 404, day


async def test_what_others_do_is_asked_for_and_keeps_no_screen_unlocked(
    app: Litestar,
    desk: Browser,
    sheet: str,
    bookings: dict[str, UUID],
    db: Database,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = re.search(r'data-version="(\w+)"', (await desk.get(sheet)).text)
    assert version
    await environment.pass_time(seconds=20)
    version = re.search(r'data-version="(\w+)"', (await desk.get(f"{sheet}/news?after=")).text)
    assert version
    with monkeypatch.context() as patch:
        patch.setattr(book_watchers, "WAIT_SECONDS_MAX", 0.2)
        assert (await desk.get(f"{sheet}/news?after={version[1]}")).status_code == 204
    other = await log_in(app, db, "ward", AT_CLINIC, "ward.two")
    waiting = asyncio.create_task(desk.get(f"{sheet}/news?after={version[1]}"))
    await record(other, sheet, "arrive", bookings["asha"])
    async with asyncio.timeout(10):
        news = await waiting
    assert news.status_code == 200
    assert "<html" not in news.text
    assert stands(news) == ["here", "expected", "expected"]
    # A page that asks by itself for ten minutes is one at which nobody does anything.
    for _ in range(3):
        await environment.pass_time(minutes=4)
        answer = await desk.get(f"{sheet}/news?after=")
    assert goes_to(answer).startswith("/desk/locked")


async def test_a_day_is_read_once_for_all_desks_and_noted_of_each(
    app: Litestar, desk: Browser, sheet: str, bookings: dict[str, UUID], db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = KeptDays.sheet

    async def note(
        days: KeptDays,
        clinic_id: int,
        day: date,
        ask_database: Callable[[str | None], Awaitable[Found]],
        *,
        at_once: bool,
    ) -> Found:
        async def ask_and_note(kept: str | None) -> Found:
            found = await ask_database(kept)
            asked.append("read" if found["providers"] else "kept")
            return found

        return await ask(days, clinic_id, day, ask_and_note, at_once=at_once)

    monkeypatch.setattr(KeptDays, "sheet", note)
    await freeze_clock(db)
    await record(desk, sheet, "arrive", bookings["asha"])
    others = [await log_in(app, db, "desk", AT_CLINIC, f"desk.{number}") for number in range(2, 5)]
    pages = await asyncio.gather(*(one.get(f"{sheet}/news?after=") for one in (desk, *others)))
    assert sorted(asked) == ["kept"] * 3 + ["read"]
    assert [stands(page) for page in pages] == [["here", "expected", "expected"]] * 4
    # What one can undo is offered to nobody else, though the rest of the row is the same.
    assert [f"undo {bookings['asha']}" in page.text for page in pages] == [True, False, False, False]
    assert len(await audit_entries(db, "see_booking")) == 4 * len(bookings)
    await record(others[0], sheet, "arrive", bookings["bina"])
    assert stands(await desk.get(sheet)) == ["here", "here", "expected"]
    assert asked[4:] == ["read"]


async def test_somebody_is_found_by_name_by_the_phone_s_end_and_by_token(
    desk: Browser, sheet: str, bookings: dict[str, UUID]
) -> None:
    await record(desk, sheet, "arrive", bookings["chand"])
    for looked_for, found in (("BIN", "bina"), ("5678", "bina"), ("1", "chand")):
        text = (await desk.get(f"{sheet}?q={looked_for}")).text
        assert [name for name, booking in bookings.items() if f'"visit-{booking}"' in text] == [found], looked_for
    assert "Nobody like this here" in words(await desk.get(f"{sheet}?q=zz"))


async def test_the_day_as_a_table(desk: Browser, sheet: str, db: Database, bookings: dict[str, UUID]) -> None:
    await db.execute("UPDATE booking.booking SET patient_name = '=1+1' WHERE booking_id = $1", bookings["asha"])
    answer = await desk.get(f"{sheet}/csv")
    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/csv")
    assert lines[0].startswith("doctor,time,end,token,name")
    assert lines[1].startswith("Dr 1,13:00,13:30,,'=1+1,,,")
    assert len([line for line in lines if ",Expected," in line and line.endswith(",300.00")]) == 3
    assert ",5678,Expected," in lines[2]
    # Each free time has its own line.
    free = re.findall(r"^Dr 1,([\d:]+),.*,Free times,", answer.text, re.MULTILINE)
    assert len(free) == len(set(free)) > 1
