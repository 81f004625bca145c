"""Booking for somebody else, as people do it in a browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.pages.states.people import family, held
from tests.pages.window import NARROW, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_parent_books_for_a_child_they_add_on_the_way(
    product: Product, browser: Browser, scripts: bool
) -> None:
    async with BrowserWindow.open(product, browser, scripts=scripts) as window:
        patient = await window.patient()
        path = await held(window, patient)
        await window.go(path)
        page = window.page
        # What is asked of whom it is not for is out of the way, also of the keyboard.
        await expect(page.locator("#other")).to_be_hidden()
        await page.get_by_label("Someone else").check()
        await page.get_by_label("Patient’s name").fill("Tara Rao")
        await page.get_by_label("Year of birth").fill("15")
        await page.get_by_label("Sex").select_option("Female")
        await page.get_by_role("button", name="Pay").click()
        await expect(page.locator("#birth_year-error")).to_contain_text("Write the year of birth in four digits")
        await expect(page.get_by_label("Year of birth")).to_be_focused()
        await expect(page.get_by_label("Patient’s name")).to_have_value("Tara Rao")
        await expect(page.get_by_label("Sex")).to_have_value("female")
        await page.get_by_label("Year of birth").fill("2015")
        await page.get_by_role("button", name="Pay").click()
        await expect(page.locator("main")).to_contain_text("Tara Rao")
        await window.go("/appointments")
        await expect(page.locator("main")).to_contain_text("Tara Rao")
        await page.get_by_role("link", name="People you book for").click()
        await expect(page.get_by_role("link", name="Tara Rao")).to_be_visible()
        assert window.faults == []


async def test_nothing_moves_when_another_is_chosen_but_what_is_asked_of_them(window: BrowserWindow) -> None:
    patient = await family(window, 2)
    await window.go(await held(window, patient))
    before = await window.page.get_by_label("Someone else").bounding_box()
    for name in ("Tara Rao", "Someone else", "Me (Asha Rao)"):
        await window.page.get_by_role("radio", name=name, exact=True).check()
        assert await window.page.get_by_label("Someone else").bounding_box() == before
    assert window.page.viewport_size == {"width": NARROW, "height": 780}
