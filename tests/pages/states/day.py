from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import NamedTuple
from uuid import UUID

from healthplus.accounts.sessions import hash_token
from tests.fixtures.directory import DAILY, make_provider, make_shift
from tests.fixtures.patients import make_patients
from tests.pages.states import state
from tests.pages.states.office import office
from tests.pages.states.staff import go, staff_id_of
from tests.pages.window import BrowserWindow

NAMES = ("Vikram Shetty", "Sulochana Rao", "Imran Qureshi", "Lata Jadhav", "Kabir Rao", "Thomas Kurian", "Zoya Khan")
_DOCTOR = "Dr Sunita Kulkarni"
_BOOK = """
INSERT INTO booking.booking (
    provider_id, clinic_id, patient_id, patient_name, during, seat, slots_needed, state, fee_minor, funding, created_at)
SELECT $1, $2, $3, $4, tstzrange(starts_at, starts_at + interval '10 minutes'), 1, 1, 'booked', 50000, 'clinic',
    public.app_now()
FROM (
    -- Near to now, and all on one day.
    SELECT least(greatest(date_bin('10 minutes', public.app_now(), begins), begins + interval '40 minutes'),
        begins + interval '23 hours') + make_interval(mins => 10 * ($5::integer - 4)) AS starts_at
    FROM CAST(date_trunc('day', public.app_now(), 'Asia/Kolkata') AS timestamptz) AS begins
) AS at RETURNING booking_id
"""


class Day(NamedTuple):
    """Where the day sheet is, and who comes, by their names."""

    path: str
    provider_id: int
    clinic_id: int
    bookings: dict[str, UUID]


async def a_day(window: BrowserWindow) -> Day:
    """Have the ward administrator be logged in, and a doctor of their clinic expect seven patients around now."""
    clinic_id = int((await office(window))[0].rpartition("/")[2])
    db = window.product.database
    # Of another state's day, the doctor does not work any more.
    await db.execute(
        "DELETE FROM schedule.shift USING directory.provider WHERE provider.provider_id = shift.provider_id "
        "AND clinic_id = $1 AND name = $2",
        *(clinic_id, _DOCTOR),
    )
    provider_id = await make_provider(db, {clinic_id: (50_000, "clinic")}, name=_DOCTOR)
    await make_shift(db, provider_id, clinic_id, DAILY, time(0), time(23, 50), 10)
    # Until midnight, so that somebody can be seen at any time of the day.
    await db.execute("UPDATE schedule.shift SET ends = '24:00' WHERE provider_id = $1", provider_id)
    await db.execute("SELECT booking.advance($1)", provider_id)
    # Of another state's day, nobody of the same name is expected.
    await db.execute(
        "UPDATE booking.booking SET state = 'cancelled' WHERE clinic_id = $1 AND patient_name = ANY ($2)",
        *(clinic_id, list(NAMES)),
    )
    bookings = {}
    for place, (name, patient_id) in enumerate(zip(NAMES, await make_patients(db, len(NAMES)), strict=True)):
        bookings[name] = await db.fetch_value(_BOOK, provider_id, clinic_id, patient_id, name, place)
    today: date = await db.fetch_value("SELECT (public.app_now() AT TIME ZONE 'Asia/Kolkata')::date")
    return Day(f"/desk/{clinic_id}/{today}", provider_id, clinic_id, bookings)


async def record(window: BrowserWindow, day: Day, name: str, *acts: str) -> None:
    """Record acts of a patient, as the one who looks."""
    actor = f"staff:{await staff_id_of(window, 'demo-ward')}"
    for act in acts:
        code = await window.product.database.fetch_value(
            "SELECT code FROM reception.record($1, $2, $3, $4, $5)",
            *(day.provider_id, day.bookings[name], day.clinic_id, act, actor),
        )
        assert code == "recorded", (name, act, code)


@state("desk-day")
async def day_sheet(window: BrowserWindow) -> None:
    day = await a_busy_day(window)
    await window.product.database.execute(
        "UPDATE reception.attendance SET arrived_at = arrived_at - $2::interval WHERE booking_id = $1",
        day.bookings["Lata Jadhav"],
        timedelta(minutes=34),
    )
    await go(window, day.path)


@state("desk-day-refused")
async def refused(window: BrowserWindow) -> None:
    """Press what somebody else has recorded meanwhile."""
    day = await a_day(window)
    await window.page.route("**/news?*", lambda route: route.abort())  # it would take the button away
    await go(window, day.path)
    await record(window, day, "Thomas Kurian", "arrive")
    await window.product.database.execute("UPDATE reception.attendance SET actor = 'staff:999999'")
    await window.page.locator(f'button[value^="arrive {day.bookings["Thomas Kurian"]}"]').click()
    await window.page.locator(".notice.danger").wait_for()


@state("desk-day-nobody")
async def nobody(window: BrowserWindow) -> None:
    """Look at a day in ten years' time less a little, on which nobody works yet, as shifts are not given."""
    clinic_id = int((await office(window))[0].rpartition("/")[2])
    await window.product.database.execute(
        "UPDATE schedule.shift SET valid = valid * daterange(NULL, CURRENT_DATE + 3000) WHERE clinic_id = $1", clinic_id
    )
    far = await window.product.database.fetch_value("SELECT (CURRENT_DATE + 3100)::date")
    await go(window, f"/desk/{clinic_id}/{far}")


async def a_busy_day(window: BrowserWindow) -> Day:
    """Have somebody be in the room, one be called, and others wait."""
    day = await a_day(window)
    await record(window, day, "Vikram Shetty", "arrive", "call", "enter", "finish")
    await record(window, day, "Sulochana Rao", "arrive", "call", "enter")
    await record(window, day, "Imran Qureshi", "arrive", "call")
    for name in ("Lata Jadhav", "Kabir Rao"):
        await record(window, day, name, "arrive")
    return day


@state("desk-order")
async def order(window: BrowserWindow) -> None:
    day = await a_busy_day(window)
    await go(window, f"/desk/{day.clinic_id}/order/{day.provider_id}")


@state("board")
async def board(window: BrowserWindow) -> None:
    day = await a_busy_day(window)
    await go(window, await board_path(window, day))


async def board_path(window: BrowserWindow, day: Day) -> str:
    """Give the clinic's board a key; return its address."""
    await window.product.database.execute(
        "SELECT reception.set_board_key($1, $2, public.app_now())", day.clinic_id, hash_token("a key of tests")
    )
    return f"/board/{day.clinic_id}?key=a+key+of+tests"


@state("calls")
async def calls(window: BrowserWindow) -> None:
    """Look at the record of a session's calls, as everybody can."""
    day = await a_busy_day(window)
    session_id = await window.product.database.fetch_value(
        "SELECT session_id FROM reception.session WHERE provider_id = $1", day.provider_id
    )
    await window.go(f"/doctor/{day.provider_id}/calls/{session_id}")


@state("office-board")
async def board_setup(window: BrowserWindow) -> None:
    """Have the board's address be made, which is shown once."""
    day = await a_day(window)
    await go(window, f"/office/{day.clinic_id}/board")
    await window.page.get_by_role("button", name=re.compile("Make|बनाएँ")).click()
    await window.page.locator(".once").wait_for()


@state("desk-own-day")
async def own_day(window: BrowserWindow) -> None:
    """Be the doctor, and look at the own day."""
    day = await a_busy_day(window)
    database = window.product.database
    staff_id = await staff_id_of(window, "demo-ward")
    await database.execute("UPDATE staff.account SET provider_id = $2 WHERE staff_id = $1", staff_id, day.provider_id)
    await database.execute("UPDATE staff.membership SET role = 'practitioner' WHERE staff_id = $1", staff_id)
    try:
        await go(window, day.path.replace("/desk/", "/desk/own/"))
    finally:
        await database.execute("UPDATE staff.membership SET role = 'ward' WHERE staff_id = $1", staff_id)
