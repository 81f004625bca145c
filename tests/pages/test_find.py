"""Finding somebody as people do it, in a browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.dates
async def test_from_the_start_to_a_time_by_keyboard(window: BrowserWindow) -> None:
    page = window.page
    await window.go("/")
    need = page.get_by_role("combobox", name="Speciality, symptom or name")
    await need.press_sequentially("cardio")
    await page.get_by_role("option").first.wait_for()
    await expect(need).to_have_attribute("aria-expanded", "true")
    await page.keyboard.press("ArrowDown")
    option = page.get_by_role("option", selected=True)
    await expect(option).to_have_text("Cardiology")
    await expect(need).to_have_attribute("aria-activedescendant", str(await option.get_attribute("id")))
    await page.keyboard.press("Enter")
    await expect(need).to_have_value("Cardiology")
    await expect(page.get_by_role("listbox")).to_be_hidden()
    await page.keyboard.press("Tab")
    await page.keyboard.type("Pune")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/in/pune/cardiology")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Cardiology")
    await page.get_by_text("Filters", exact=True).first.click()
    await page.get_by_label("Free on").select_option("week")
    await window.press("Show results")
    await page.wait_for_url("**/in/pune/cardiology?day=week")
    time = page.locator(".time").first
    href = str(await time.get_attribute("href"))
    await time.click()
    await page.wait_for_url(f"**{href}")
    assert window.faults == []


async def test_a_name_leads_to_whom_it_names(window: BrowserWindow) -> None:
    page = window.page
    name = await window.product.database.fetch_value(
        "SELECT name FROM directory.provider WHERE provider_id = $1", window.product.data.two_clinics_doctor_id
    )
    await window.go("/hi/")
    await page.locator("#need").press_sequentially(name)
    await page.get_by_role("option").filter(has_text=name).first.click()
    await page.wait_for_url("**/hi/doctor/*/*")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Dr")
    assert window.faults == []


async def test_without_javascript(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, language="hi", scripts=False) as window:
        page = window.page
        await window.go("/")
        await expect(page.locator("#near-me")).to_be_hidden()
        await page.fill("#need", "हृदय रोग")
        await page.fill("#place", "पुणे")
        await window.press("Search")
        assert page.url.endswith("/hi/in/pune/cardiology")
        await page.locator(".filters > summary").click()
        await page.select_option("#gender", "female")
        await window.press("Show results")
        assert page.url.endswith("/hi/in/pune/cardiology?gender=female")
        await page.locator(".chip").click()
        await page.wait_for_url("**/hi/in/pune/cardiology")
        await expect(page.locator(".time").first).to_be_visible()


async def test_near_me(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser) as window:
        page = window.page
        await window.go("/")
        await page.fill("#place", "Mumbai")
        await window.press("Near me")  # refused
        await expect(page.locator("#near-said")).to_contain_text("Type an area or PIN code")
        await expect(page.locator("#place")).to_be_focused()
        await window.context.grant_permissions(["geolocation"])
        await window.context.set_geolocation({"latitude": 18.5204303, "longitude": 73.8567437})
        await page.get_by_role("button", name="Near me").click()
        await page.wait_for_url("**/find?*near=18.520%2C73.857*")
        await expect(page.locator(".chip")).to_contain_text("Within 10 km of you")
        await expect(page.locator(".card.provider").first).to_contain_text(" km")
        assert window.faults == []
