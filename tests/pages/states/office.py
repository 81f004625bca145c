from __future__ import annotations

import re

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


@state("office-provider")
async def provider(window: BrowserWindow) -> None:
    path, provider_id = await office(window, "demo-admin")
    await go(window, f"{path}/provider/{provider_id}")


@state("office-terms")
async def terms(window: BrowserWindow) -> None:
    path, _ = await office(window)
    await go(window, f"{path}/terms")
