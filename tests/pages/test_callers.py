"""Phone bookings by keyboard alone, with the keys counted (docs/desk.md)."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.pages.states.callers import a_family
from tests.pages.states.day import NAMES, a_day
from tests.pages.states.staff import go
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]


class Typist:
    """Presses keys, and counts them."""

    def __init__(self, window: BrowserWindow) -> None:
        self._page = window.page
        self.keys = 0

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self._page.keyboard.press(key)
            self.keys += 1

    async def go(self, key: str, url: str) -> None:
        """Press a key that leads to another page."""
        async with self._page.expect_navigation(url=url):
            await self.press(key)


async def test_a_known_caller_costs_15_keys(window: BrowserWindow) -> None:
    day = await a_day(window)
    number = await a_family(window, day)
    await go(window, day.path)
    await window.page.locator(f"#visit-{day.bookings[NAMES[4]]}").focus()
    typist = Typist(window)
    await typist.go("n", f"**/book?provider={day.provider_id}")
    await expect(window.page.locator("#q")).to_be_focused()
    await typist.press(*number)
    await typist.go("Enter", f"**/book?*q={number}")
    await typist.go("2", "**/book?*person=*")
    await expect(window.page.locator("[name=start]").first).to_be_focused()
    await typist.press("3")
    await expect(window.page.locator("[data-digit='3']")).to_be_checked()
    await typist.go("Enter", "**?done=book&about=*")
    about = window.page.url.rpartition("=")[2]
    await expect(window.page.locator(f"#visit-{about}")).to_contain_text("Lata Jadhav")
    assert typist.keys <= 15
    # And back, as the caller changes her mind.
    await typist.go("u", "**?done=undo&about=*")
    assert not await window.page.locator(f"#visit-{about}").count()


async def test_a_new_caller_costs_35_keys(window: BrowserWindow) -> None:
    day = await a_day(window)
    number = "9765412345"
    await go(window, day.path)
    # With this doctor, as others may be on the sheet, too.
    await window.page.locator(f"#visit-{day.bookings[NAMES[0]]}").focus()
    typist = Typist(window)
    await typist.go("n", "**/book*")
    await expect(window.page.locator("#q")).to_be_focused()
    await typist.press(*number)
    await typist.go("Enter", f"**/book?*q={number}")
    await expect(window.page.locator("#name")).to_be_focused()
    await typist.press(*"Meera Kale", "Tab", "f", "Tab", "3", "4", "Tab", "Space")
    await typist.go("Enter", "**/book?*person=*")
    await expect(window.page.locator("[name=start]").first).to_be_focused()
    await typist.press("2")
    await typist.go("Enter", "**?done=book&about=*")
    await expect(window.page.locator(f"#visit-{window.page.url.rpartition('=')[2]}")).to_contain_text("Meera Kale")
    assert typist.keys <= 35
    row = await window.product.database.fetch_row(
        "SELECT patient.name, sex FROM accounts.patient JOIN accounts.person USING (patient_id) WHERE phone = $1",
        f"+91{number}",
    )
    assert row is not None
    assert tuple(row) == ("Meera Kale", "female")
