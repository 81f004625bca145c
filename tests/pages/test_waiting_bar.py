"""The bar that says on any page how one's wait goes."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from healthplus.accounts.actors import Patient
from tests.pages.states.queue import wait
from tests.pages.test_waiting import HIDE, polls
from tests.pages.window import NARROW, WIDE, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


BAR = "aside.live"


@pytest.mark.parametrize("width", [320, NARROW, WIDE])
async def test_the_bar_of_any_page_turns_to_the_offer_and_takes_it(
    product: Product, browser: Browser, width: int
) -> None:
    async with BrowserWindow.open(product, browser, width=width, language="hi" if width == NARROW else "en") as window:
        waiting = await wait(window, ahead=1)
        page, book = window.page, waiting.morning.book
        [(other, ticket)] = await product.database.fetch(
            "SELECT patient_id, ticket_id FROM booking.ticket WHERE provider_id = $1 AND state = 'waiting' "
            "ORDER BY number LIMIT 1",
            waiting.morning.provider_id,
        )
        await window.go("/help")
        asked = polls(page)
        bar = page.locator(BAR)
        await expect(bar).to_contain_text(window.said("Number %(num)s in the queue") % {"num": 2})
        await page.wait_for_timeout(500)
        await window.watch_shifts()
        await book.leave_queue(waiting.morning.provider_id, ticket, Patient(other))
        await expect(bar).to_contain_text(window.said("Number %(num)s in the queue") % {"num": 1})
        await waiting.morning.release()
        await expect(bar).to_contain_text(window.said("It’s your turn"))
        await expect(bar.get_by_role("status")).to_contain_text("10:20")
        assert await bar.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 185, 56)"
        assert re.search(r"1:00|0:5\d", await page.title())  # at once, on a quick machine
        assert await window.shifts() == []
        assert await window.overflow() == 0
        assert all("bar=true" in one for one in asked)
        await window.press("Take it")
        await page.wait_for_url("**/hold/*")
        assert window.faults == []


async def test_a_page_with_a_poll_of_its_own_asks_for_the_bar_in_it(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=0)
    page = window.page
    asked = polls(page)
    doctor = window.product.data.two_clinics_doctor_id
    clinic = await window.product.database.fetch_value(
        "SELECT min(clinic_id) FROM directory.provider_clinic WHERE provider_id = $1", doctor
    )
    await window.go(f"/doctor/{doctor}/x/{clinic}")
    await page.wait_for_timeout(1500)
    assert "waits=" in asked[-1]
    assert not [one for one in asked[1:] if "/wait/" in one]  # the first is of the page before
    await waiting.morning.release()
    await expect(page.locator(BAR)).to_contain_text("It’s your turn")
    # A hidden chart asks for nothing: then the bar does.
    await page.evaluate(HIDE, True)
    await page.wait_for_timeout(500)
    assert "bar=true" in asked[-1]
    assert "seen=false" in asked[-1]
    await page.evaluate(HIDE, False)
    await page.wait_for_timeout(1500)
    assert "waits=" in asked[-1]


async def test_without_javascript_the_bar_is_right_at_each_load(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, scripts=False) as window:
        waiting = await wait(window, ahead=0)
        await window.go("/")
        await expect(window.page.locator(BAR)).to_contain_text("Number 1 in the queue")
        await waiting.morning.release()
        await window.go("/")
        await expect(window.page.locator(BAR)).to_contain_text("It’s your turn · until ")
        await window.press("Take it")
        await window.page.wait_for_url("**/hold/*")
