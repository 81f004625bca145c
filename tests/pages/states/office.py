from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator

from healthplus.directory.pictures import encode
from tests.fixtures.pictures import picture
from tests.pages.states import state
from tests.pages.states.staff import be, go
from tests.pages.window import BrowserWindow


async def office(window: BrowserWindow, log_on: str = "demo-ward") -> tuple[str, int]:
    """Have the ward administrator be logged in; return the path of their office, and a provider there."""
    await be(window, log_on)
    row = await window.product.database.fetch_row(
        "SELECT membership.clinic_id, min(provider_clinic.provider_id) AS provider_id "
        "FROM staff.membership JOIN staff.account USING (staff_id) JOIN directory.provider_clinic USING (clinic_id) "
        "WHERE log_on = 'demo-ward' GROUP BY membership.clinic_id"
    )
    assert row is not None
    return f"/office/{row['clinic_id']}", row["provider_id"]


@state("office")
async def overview(window: BrowserWindow) -> None:
    path, _ = await office(window)
    await go(window, path)


@state("office-week")
async def week(window: BrowserWindow) -> None:
    path, provider_id = await office(window)
    await go(window, f"{path}/week/{provider_id}")


@state("office-shift-changed")
async def changed(window: BrowserWindow) -> None:
    """Another has changed the shift since it was looked at."""
    path, provider_id = await office(window)
    await go(window, f"{path}/week/{provider_id}")
    shift = re.search(r"/shift/\d+", await window.page.content())
    assert shift
    await go(window, f"{path}/week/{provider_id}{shift[0]}")
    await window.page.locator('form input[name="was"]').first.evaluate("field => { field.value = 'another'; }")
    await window.press("Save")


@state("office-leave-wrong")
async def leave(window: BrowserWindow) -> None:
    path, _ = await office(window)
    await go(window, f"{path}/leave")
    await window.page.fill("#from_day", "2020-01-01")
    await window.press("Add leave")


@state("office-money")
async def money(window: BrowserWindow) -> None:
    await window.product.database.execute(
        """INSERT INTO payments.money_case (
            account, kind, name, provider_id, booking_id, clinic_id, amount_minor, currency, ours, theirs,
            found_at, seen_at)
        SELECT 'apollo', kind, 'pay_Qk29dkX81bJ3aZ' || kind, provider_id, booking_id, clinic_id, 70000, 'INR', ours,
            theirs, now, now
        FROM public.app_now() AS now, (SELECT * FROM booking.booking WHERE state = 'booked' LIMIT 1) AS booking,
            (VALUES ('unknown_here', 'nothing', 'captured'), ('refund', 'INR 30000 40000', 'INR 0'),
                ('settled_sum', 'INR 4820000', 'INR 4750000'), ('settled_missing', 'INR 70000', 'nothing')) AS one (
                kind, ours, theirs)
        ON CONFLICT DO NOTHING"""
    )
    await office(window, "demo-admin")
    await go(window, "/office/money")


@state("office-provider")
async def provider(window: BrowserWindow) -> None:
    path, provider_id = await office(window, "demo-admin")
    await go(window, f"{path}/provider/{provider_id}")


@state("office-terms")
async def terms(window: BrowserWindow) -> None:
    path, _ = await office(window)
    await go(window, f"{path}/terms")


@contextlib.asynccontextmanager
async def pictured(window: BrowserWindow, clinic_id: int) -> AsyncIterator[None]:
    """Have a clinic have pictures while the block runs."""
    database = window.product.database
    for text, colour in (("The entrance, with a ramp", "teal"), ("Reception", "peru"), ("A consulting room", "plum")):
        one = encode(picture("PNG", (800, 600), colour))
        await database.execute(
            "SELECT directory.add_clinic_picture($1, $2, $3, $4, $5)",
            clinic_id,
            one.hash,
            list(one.webp),
            list(one.webp.values()),
            text,
        )
    yield
    await window.page.wait_for_load_state("networkidle")
    await database.execute("DELETE FROM directory.clinic_picture WHERE clinic_id = $1", clinic_id)


@state("office-clinic")
async def clinic(window: BrowserWindow) -> None:
    path, _ = await office(window)
    async with pictured(window, int(path.rpartition("/")[2])):
        await go(window, f"{path}/clinic")


@state("clinic-pictures")
async def pictures(window: BrowserWindow) -> None:
    """Look at them as patients do."""
    clinic_id = await window.product.database.fetch_value("SELECT max(clinic_id) FROM directory.clinic")
    async with pictured(window, clinic_id):
        await go(window, f"/clinic/{clinic_id}")


@state("office-closing")
async def closing(window: BrowserWindow) -> None:
    """Close a doctor after tomorrow who has appointments later."""
    path, _ = await office(window)
    provider_id = await window.product.database.fetch_value(
        "SELECT provider_id FROM booking.booking WHERE clinic_id = $1 AND state = 'booked' "
        "AND lower(during) > public.app_now() + interval '2 days' ORDER BY during LIMIT 1",
        int(path.rpartition("/")[2]),
    )
    await go(window, f"{path}/provider/{provider_id}")
    tomorrow = await window.product.database.fetch_value(
        "SELECT (public.app_now() AT TIME ZONE 'Asia/Kolkata')::date + 1"
    )
    await window.page.fill("#last_day", str(tomorrow))
    await window.press("Close them here")
