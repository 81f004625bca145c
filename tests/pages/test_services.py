"""What one books, in a browser, with scripts and without: tests of a laboratory, a doctor's service, a queue for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from healthplus.booking.book import Book
from tests.pages.offered import a_dentist, a_laboratory
from tests.pages.states.appointments import money_is
from tests.pages.states.services import full
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")

WITH_AND_WITHOUT = pytest.mark.parametrize("scripts", [True, False])


@contextlib.asynccontextmanager
async def somebody(product: Product, browser: Browser, *, scripts: bool) -> AsyncIterator[BrowserWindow]:
    async with BrowserWindow.open(product, browser, scripts=scripts) as window:
        await window.patient("Asha Rao")
        yield window
        assert window.faults == []


async def hold_first(page: Page) -> None:
    await page.locator(".slot.free input").first.check()
    await page.locator(".bar button").click()
    await page.wait_for_url("**/hold/*")


async def sees(page: Page, *texts: str) -> None:
    for text in texts:
        await expect(page.locator("main")).to_contain_text(text)


@pytest.mark.timeout(120)
@WITH_AND_WITHOUT
async def test_two_tests_are_summed_booked_and_on_the_receipt(
    product: Product, browser: Browser, scripts: bool
) -> None:
    async with somebody(product, browser, scripts=scripts) as window:
        laboratory, page = await a_laboratory(window), window.page
        await window.go(f"/doctor/{laboratory.provider_id}")
        if scripts:
            await page.get_by_label("Find a test").fill("brain")
            await expect(page.locator(".tests li:visible")).to_have_count(1)
        else:
            await expect(page.get_by_label("Find a test")).to_be_hidden()
        await page.get_by_label("MRI Brain").check()
        if scripts:
            await page.get_by_label("Find a test").fill("")
            await page.get_by_label("HbA1c").check()
            await expect(page.locator("#sum")).to_have_text("2 tests · ₹9,360")
            await page.get_by_label("HbA1c").uncheck()
            # What the laboratory asks is not known here, and not nothing.
            await page.get_by_label("Histopathology").check()
            await expect(page.locator("#sum")).to_have_text("2 tests · ₹8,880 and what the clinic asks")
            await page.get_by_label("MRI Brain").uncheck()
            await expect(page.locator("#sum")).to_have_text("Histopathology of a small biopsy · Ask the clinic")
            await page.get_by_label("Histopathology").uncheck()
            await page.get_by_label("MRI Brain").check()
        await page.get_by_label("CBC").check()
        if scripts:
            await expect(page.locator("#sum")).to_have_text("2 tests · ₹9,140")
        else:  # nothing would keep it right
            await expect(page.locator("#sum")).to_be_hidden()
        await window.press("See times")
        await sees(page, "2 tests, 30 min")
        # They stay chosen from day to day.
        await page.locator(".week a.count").nth(3).click()
        await page.wait_for_url("**day=*")
        await hold_first(page)
        await sees(page, "MRI Brain ₹8,880", "₹9,140")
        await window.press("Pay ₹9,140")
        await sees(page, ", 9:00 am", "9:00 to 9:30 am", "Paid: ₹9,140")
        booking_id = await product.database.fetch_value(
            "SELECT booking_id FROM booking.booking WHERE provider_id = $1 AND state = 'booked'",
            laboratory.provider_id,
        )
        await money_is(window, booking_id, "captured")
        await page.get_by_role("link", name="See the appointment").click()
        await page.get_by_role("link", name="Receipt", exact=True).click()
        receipt = page.locator(".receipt")
        await expect(receipt.locator(".priced")).to_contain_text("MRI Brain ₹8,880")
        await expect(receipt.locator(".priced li")).to_have_count(4)
        await expect(receipt.locator(".sum strong")).to_have_text("₹9,140")


@pytest.mark.timeout(120)
@WITH_AND_WITHOUT
async def test_a_service_of_a_doctor(product: Product, browser: Browser, scripts: bool) -> None:
    async with somebody(product, browser, scripts=scripts) as window:
        dentist, page = await a_dentist(window), window.page
        await window.go(f"/doctor/{dentist.provider_id}")
        await page.locator(".choice-of summary").click()
        await page.get_by_role("link", name="Root canal treatment").click()
        # Its times begin every half hour, where there is an hour left.
        await page.locator(".week a.count").nth(3).click()
        await page.wait_for_url("**service=*")
        await expect(page.locator(".slot")).to_have_count(6)
        await expect(page.locator(".slot.free")).to_have_count(5)
        if scripts:
            await page.locator(".slot.free input").first.check()
            await expect(page.locator("#chosen")).to_have_text("9:00 to 10:00 am")
        await hold_first(page)
        # A price that changes now is another's; and another time keeps what is held.
        await dentist.reprice("root-canal", 500_000)
        await page.get_by_role("link", name="Change the time").click()
        await page.locator(".slot.free input").first.check()
        await page.locator(".bar button").click()
        await page.wait_for_url("**/hold/*")
        await sees(page, "10:00 to 11:00 am", "Root canal treatment, single sitting ₹4,500")
        await window.press("Pay ₹4,500")
        await sees(page, ", 10:00 am", "Paid: ₹4,500")


@pytest.mark.timeout(120)
@WITH_AND_WITHOUT
async def test_a_queue_for_a_service(product: Product, browser: Browser, scripts: bool) -> None:
    async with somebody(product, browser, scripts=scripts) as window:
        dentist, page = await a_dentist(window), window.page
        holders = await full(dentist)
        await window.go(dentist.path("scaling", day=dentist.day))
        await page.get_by_role("link", name="Join the queue").first.click()
        await sees(page, "Scaling and polishing · ₹1,200")
        await window.press("Join the queue")
        await page.wait_for_url("**/wait/*")
        await sees(page, "You are number 1 in the queue", "Scaling and polishing · ₹1,200")
        book = Book(product.database)
        booking_id, actor = holders[1]
        assert (await book.release(dentist.provider_id, booking_id, actor)).code == "released"
        if not scripts:
            await page.reload()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("It’s your turn", timeout=20_000)
        await sees(page, "Scaling and polishing")
        await window.press("Take 9:30 am and pay ₹1,200")
        await page.wait_for_url("**/hold/*")
        await window.press("Pay ₹1,200")
        await sees(page, "9:30 to 10:00 am", "Paid: ₹1,200")
