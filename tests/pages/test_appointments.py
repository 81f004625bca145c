"""Visits as patients keep them, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from icalendar import Calendar
from playwright.async_api import Browser, Page, expect

from tests.fixtures.environment import attend
from tests.pages.states import hold as hold_state
from tests.pages.states.appointments import path_of, receipt
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def calendar_entry(window: BrowserWindow, folder: Path, link: str = "Add to calendar") -> Any:
    """Add to the calendar; return what a calendar program reads."""
    async with window.page.expect_download() as coming:
        await window.page.get_by_role("link", name=link).click()
    file = await coming.value
    assert file.suggested_filename == "appointment.ics"
    await file.save_as(folder / "visit.ics")
    [event] = Calendar.from_ical((folder / "visit.ics").read_bytes()).walk("VEVENT")
    return event


@pytest.mark.dates
async def test_moving_and_cancelling_by_keyboard(window: BrowserWindow, tmp_path: Path) -> None:
    page = window.page
    patient = await window.patient()
    path = path_of(window, await window.book(patient))
    await window.go("/")
    await page.get_by_role("link", name="Appointments").click()
    await page.get_by_role("link", name="Dr ").click()
    await page.wait_for_url(lambda url: url.endswith(path))
    first = await calendar_entry(window, tmp_path)
    assert (first.sequence, first.status) == (0, "CONFIRMED")

    await page.get_by_role("link", name="Reschedule").click()
    chosen = page.get_by_role("radio").first
    await chosen.focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("ArrowRight")
    chosen = page.locator("input:checked")
    await expect(chosen).to_be_focused()
    said = await chosen.get_attribute("data-dial") or "no time"
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Reschedule")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**?moved=1")
    await expect(page.get_by_role("status").filter(has_text="has a new time")).to_be_visible()
    await expect(page.locator("dl")).to_contain_text(said)
    second = await calendar_entry(window, tmp_path)
    assert (second.uid, second.sequence) == (first.uid, 1)
    assert second.start != first.start

    await page.get_by_role("link", name="Cancel", exact=True).click()
    await window.press("Cancel appointment")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your appointment is cancelled")
    await page.go_back()
    await expect(page.locator("main")).to_contain_text("It is cancelled already")
    await page.get_by_role("link", name="Back to the appointment").click()
    assert (await calendar_entry(window, tmp_path, "Update my calendar")).status == "CANCELLED"
    await expect(page.get_by_role("link", name="Book again")).to_have_attribute(
        "href", f"/doctor/{await _again(window, path)}"
    )
    assert window.faults == []


async def _again(window: BrowserWindow, path: str) -> str:
    row = await window.product.database.fetch_row(
        "SELECT provider_id, clinic_id, lower(replace(name, ' ', '-')) AS slug "
        "FROM booking.booking JOIN directory.provider USING (provider_id) WHERE booking_id::text = $1",
        path.rpartition("/")[2],
    )
    assert row is not None
    return f"{row['provider_id']}/{row['slug']}/{row['clinic_id']}"


async def test_without_javascript(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, language="hi", scripts=False) as window:
        page = window.page
        patient = await window.patient()
        path = path_of(window, await window.book(patient))
        await page.set_viewport_size({"width": 320, "height": 780})
        await window.go(f"{path}/move")
        header = await page.locator("header").bounding_box()
        assert header is not None
        assert header["height"] < 64  # one row
        await page.get_by_role("navigation", name=window.said("Days")).get_by_role("link").nth(1).click()
        await page.wait_for_url(lambda url: "?day=" in url)
        await page.get_by_role("radio").nth(2).check()
        await window.press("Reschedule")
        await expect(page.get_by_role("status").last).to_contain_text("समय बदल गया है")
        await attend(product.database, path, "arrived", "fulfilled")
        await page.reload()
        await page.get_by_role("radio", name="4").check()
        await window.press("Send rating")
        await expect(page.locator("main")).to_contain_text("आपने 4 स्टार दिए")
        await expect(page.get_by_role("radio", name="4")).to_be_checked()

        other = path_of(window, await window.book(patient))
        await window.go(f"{other}/cancel")
        await window.press("Cancel appointment")
        await expect(page.get_by_role("heading", level=1)).to_have_text("आपकी अपॉइंटमेंट रद्द हो चुकी है")


async def test_a_receipt_is_printed_alone(window: BrowserWindow) -> None:
    await receipt(window)
    button = window.page.get_by_role("button", name="Print")
    await expect(button).to_be_visible()
    await window.page.evaluate("() => { window.print = () => { document.title = 'printed'; }; }")
    await button.click()
    assert await window.page.title() == "printed"
    await window.page.emulate_media(media="print", color_scheme="dark")
    for unwanted in ("header nav", "footer", "main .actions"):
        await expect(window.page.locator(unwanted).first).to_be_hidden()
    await expect(window.page.get_by_role("heading", name="Receipt")).to_be_visible()
    assert await window.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert window.faults == []


@pytest.mark.parametrize("language", ["en", "hi"])
async def test_the_bar_of_rescheduling_has_two_lines(product: Product, browser: Browser, language: str) -> None:
    async with BrowserWindow.open(product, browser, language=language) as window:
        patient = await window.patient()
        await window.go(f"{path_of(window, await window.book(patient)).removeprefix(window.prefix)}/move")
        box = await window.page.locator(".bar").bounding_box()
        assert box
        assert box["height"] <= 80


async def test_a_time_chosen_by_the_address_is_in_sight_at_360(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, width=360) as window:
        page = window.page
        path = path_of(window, await window.book(await window.patient()))
        await window.go(f"{path}/move")
        last = page.get_by_role("radio").last
        start, anchor = await last.get_attribute("value"), await last.get_attribute("id")
        said = await last.get_attribute("data-from")
        await window.go(f"{path}/move?{urlencode({'start': start})}#{anchor}")
        slot = page.locator(".slot:has(:checked)")
        await expect(slot).to_be_in_viewport(ratio=1)
        await expect(page.locator("#change")).to_contain_text(f", {said}")
        box, bar = await slot.bounding_box(), await page.locator(".bar").bounding_box()
        assert box
        assert bar
        assert box["y"] + box["height"] <= bar["y"]
        await page.get_by_role("radio").first.check()
        first = await page.get_by_role("radio").first.get_attribute("data-from")
        await expect(page.locator("#change")).to_contain_text(f"→ {await _day(page)}, {first}")
        assert window.faults == []


async def _day(page: Page) -> str:
    return (await page.locator("#move").get_attribute("data-change") or "").partition("→ ")[2].partition(", {")[0]


@pytest.mark.parametrize(("language", "span"), [("en", "10:00 to 10:05 am"), ("hi", "सुबह 10:00 से 10:05")])
async def test_long_times_stay_in_their_card_at_360(
    product: Product, browser: Browser, language: str, span: str
) -> None:
    """To readers elsewhere, who see the zone behind the time."""
    async with BrowserWindow.open(product, browser, width=360, language=language, zone="Europe/Berlin") as window:
        await window.go(await hold_state.held(window))
        await _stays_in(window.page, ".held-time", span)


async def _stays_in(page: Page, card: str, span: str) -> None:
    sticks_out = """([card, span]) => {
        document.documentElement.dataset.elsewhere = "";
        const box = [...document.querySelectorAll(card)].find((one) => one.checkVisibility());
        const time = [...box.querySelectorAll(".together")].find((one) => one.nextElementSibling?.matches(".zone"));
        time.textContent = span;
        const edge = box.getBoundingClientRect().right - parseFloat(getComputedStyle(box).paddingRight);
        const rights = [time, time.nextElementSibling].map((one) => one.getBoundingClientRect().right);
        return Math.max(...rights) - edge;
    }"""
    assert await page.evaluate(sticks_out, [card, span]) <= 0.5
