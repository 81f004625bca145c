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
    await page.get_by_label("Available on").select_option("week")
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
        await page.wait_for_url("**/hi/in/pune/cardiology")
        await page.locator(".filters > summary").click()
        await page.select_option("#gender", "female")
        await window.press("Show results")
        await page.wait_for_url(lambda url: url.endswith("/hi/in/pune/cardiology?gender=female"))
        await page.locator(".chip.on").click()
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
        await expect(page.locator(".chip.on")).to_contain_text("Within 10 km of you")
        await expect(page.locator(".card.doc").first).to_contain_text(" km")
        assert window.faults == []


@pytest.mark.parametrize("width", [320, 360, 1280])
async def test_long_names_push_down_what_is_below(product: Product, browser: Browser, width: int) -> None:
    """A name, degrees and a clinic of three lines: no line of a card lies on another."""
    async with BrowserWindow.open(product, browser, width=width) as window:
        await window.go("/in/pune")
        overlaps = await window.page.evaluate(
            """() => {
                const card = document.querySelector(".doc");
                const name = "Dr Ayesha Siddiqui-Deshmukh Venkatanarasimharajuvaripeta";
                for (const line of card.querySelectorAll("h2 a, .person p, .hint a"))
                    line.textContent = `${name} ${name}`;
                const lines = [...card.querySelectorAll("h2, .person p, .figures, .times")];
                const boxes = lines.map(line => line.getBoundingClientRect());
                return boxes.flatMap((one, at) => boxes.slice(at + 1).filter(two =>
                    Math.min(one.right, two.right) - Math.max(one.left, two.left) > 1 &&
                    Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top) > 1)).length;
            }"""
        )
        assert overlaps == 0
        assert await window.overflow() == 0


async def test_a_pin_of_the_map_leads_to_its_card(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, scripts=False) as window:
        page = window.page
        await window.go("/in/pune")
        await page.get_by_role("link", name="Map", exact=True).click()
        await page.wait_for_url("**/in/pune?view=map")
        name = await page.locator("#result-3 h2 a").inner_text()
        await page.get_by_role("link", name=f"3: {name}").click()
        await page.wait_for_url("**#result-3")
        await page.get_by_role("link", name="List", exact=True).click()
        await page.wait_for_url("**/in/pune")
        assert window.faults == []


@pytest.mark.parametrize("search", ["/in/mumbai", "/find?need=skin+doctor&place=Mumbai"])
async def test_the_city_is_remembered(window: BrowserWindow, search: str) -> None:
    await window.go(search)
    await window.go("/")
    await expect(window.page.locator("#place")).to_have_value("Mumbai")
    await window.page.get_by_role("link", name="Skin").click()
    await window.page.wait_for_url("**/in/mumbai/dermatology")


async def test_the_ring_is_round_who_is_on_the_home_page(window: BrowserWindow) -> None:
    # Styles of other pages have turned it out of its picture.
    await window.go("/")
    ring, scene = [await window.page.locator(one).bounding_box() for one in (".scene .ring", ".scene")]
    assert ring
    assert scene
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in (ring, scene)]
    assert middles[0] == pytest.approx(middles[1], abs=10)


@pytest.mark.parametrize("language", ["en", "hi"])
async def test_times_of_the_first_result_are_in_sight(product: Product, browser: Browser, language: str) -> None:
    async with BrowserWindow.open(product, browser, language=language) as window:
        await window.go("/find?need=skin+doctor&place=Pune")
        box = await window.page.locator(".times .time").first.bounding_box()
        assert box
        assert box["y"] + box["height"] <= 520
        # Two of them can be compared on a phone.
        await window.page.set_viewport_size({"width": 360, "height": 800})
        second = await window.page.locator("#result-2").bounding_box()
        assert second
        assert second["y"] + second["height"] <= 800
        await window.page.locator('.skip[href="#result-1"]').focus()
        await window.page.keyboard.press("Enter")
        await window.page.keyboard.press("Tab")
        assert await window.page.evaluate("document.activeElement.closest('#result-1') !== null")
