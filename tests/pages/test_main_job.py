"""The brief's section 8, in browsers that compete: from the search to the visit, and every way a wait can end."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Browser, expect

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.ops.demo_guide import demo_guide, demo_text
from tests.fixtures.clock import look_again
from tests.pages.states.queue import FullMorning
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Person:
    """Somebody in a window of their own, with scripts or without: then they look again where others see it."""

    def __init__(self, window: BrowserWindow, morning: FullMorning, *, scripts: bool) -> None:
        self.window = window
        self.page = window.page
        self._morning = morning
        self._scripts = scripts

    async def find(self, name: str) -> None:
        """Search for a doctor by name, and go to their slots (steps 1 to 3)."""
        await self.window.go("/")
        await self.page.fill("#need", name)
        await self.page.fill("#place", "Pune")
        await self.page.keyboard.press("Escape")
        await self.window.press("Search")
        await self.page.get_by_role("heading", level=2).get_by_role("link", name=name).first.click()
        # One clinic: straight to the chart. The doctor is there on one day only.
        await self.page.wait_for_url(f"**/doctor/{self._morning.provider_id}/**")
        await self.page.goto(f"{self.page.url}?day={self._morning.starts_at.date()}")

    async def hold(self) -> None:
        """Choose the one slot, and hold it (steps 4 to 6)."""
        await self.page.locator(".slot.free input").check()
        await self.page.locator(".bar button").click()
        await self.page.wait_for_url("**/hold/*")

    async def join(self) -> None:
        """See that all is held, and wait for it (step 7's last)."""
        await expect(self.page.locator(".slot")).to_have_class("slot held")
        await self.page.get_by_role("link", name="Join the queue").first.click()
        await self.window.press("Join the queue")
        await self.page.wait_for_url("**/wait/*")

    async def sees(self, heading: str) -> None:
        if not self._scripts:
            await self.page.reload()
        await expect(self.page.get_by_role("heading", level=1)).to_contain_text(
            heading,
            timeout=20_000,  # a poll that a busy machine refuses comes again after 10 s at most
        )

    async def pay(self) -> None:
        await self.page.locator("form .button").first.click()
        await expect(self.page.get_by_role("heading", level=1)).to_contain_text("Booked")


@contextlib.asynccontextmanager
async def people(
    product: Product, browser: Browser, *, scripts: bool
) -> AsyncIterator[tuple[FullMorning, list[Person]]]:
    """Return a doctor with one free slot, and four who want it."""
    async with contextlib.AsyncExitStack() as windows:
        found = []
        for name in ("Asha", "Bina", "Chand", "Devi"):
            window = await windows.enter_async_context(BrowserWindow.open(product, browser, scripts=scripts))
            await window.patient(name)
            found.append(window)
        morning = await FullMorning.make(found[0])
        await morning.release()
        yield morning, [Person(window, morning, scripts=scripts) for window in found]


def chart_of(morning: FullMorning) -> str:
    return morning.line.replace("/line", "")


async def lapse(morning: FullMorning) -> None:
    """Have the hold or offer of this moment run out."""
    await morning.window.product.database.execute(
        "UPDATE booking.booking SET deadline = public.app_now() WHERE provider_id = $1 AND state = 'reserved'",
        morning.provider_id,
    )
    await look_again(morning.window.product.database)
    await morning.book.advance(morning.provider_id)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scripts", [True, False])
async def test_four_want_one_slot(product: Product, browser: Browser, scripts: bool) -> None:
    async with people(product, browser, scripts=scripts) as (morning, (asha, bina, chand, devi)):
        for one in (asha, bina):
            await one.page.goto(chart_of(morning))
        # Both see it free; the first to ask has it, and the other sees that.
        await asha.hold()
        if not scripts:
            await bina.page.locator(".slot.free input").check()
            await bina.page.locator(".bar button").click()
            await expect(bina.page.locator("#error")).to_contain_text("on hold: you can join the queue")
        await bina.join()
        await bina.sees("You are number 1 in the queue")
        for number, one in ((2, chand), (3, devi)):
            await one.page.goto(chart_of(morning))
            await one.join()
            await one.sees(f"You are number {number} in the queue")
        # The holder's time runs out; who has waited longest is offered it, nobody else.
        await lapse(morning)
        await asha.sees("Your 5 minutes are over")
        await bina.sees("It’s your turn")
        # What needs a script is there with one alone; until when, always.
        await expect(bina.page.locator(".minute")).to_contain_text("until ")
        for needs_script in (".minute figure", "[data-shown=actions]"):
            await expect(bina.page.locator(needs_script)).to_be_visible(visible=scripts)
        await chand.sees("You are number 1 in the queue")
        # They do not take it: it goes on to the next, whose turn it is now.
        await lapse(morning)
        await bina.sees("Your turn is over")
        await chand.sees("It’s your turn")
        await devi.sees("You are number 1 in the queue")
        await chand.page.get_by_role("button", name="Take 10:20 am").click()
        await chand.page.wait_for_url("**/hold/*")
        await devi.sees("You are number 1 in the queue")
        await chand.pay()
        # All is booked: who still waits sees that at once.
        await devi.sees("All these times are booked")
        # It is given back: everybody may have it again.
        await chand.page.get_by_role("link", name="See the appointment").click()
        await chand.page.get_by_role("link", name="Cancel").click()
        await chand.page.locator("form .button, form .danger").first.click()
        await chand.page.wait_for_url(lambda url: not url.endswith("/cancel"))
        await chand.sees("cancelled")
        await asha.page.goto(chart_of(morning))
        await asha.hold()
        await asha.pay()
        for one in (asha, bina, chand, devi):
            assert one.window.faults == []


@pytest.mark.dates
async def test_a_search_leads_to_the_slots(product: Product, browser: Browser) -> None:
    async with people(product, browser, scripts=True) as (morning, (asha, bina, *_)):
        await product.database.execute(
            "UPDATE directory.provider SET name = 'Dr Zubeida Quraishi-Onkelinx' WHERE provider_id = $1",
            morning.provider_id,
        )
        await asha.find("Dr Zubeida Quraishi-Onkelinx")
        await asha.hold()
        await bina.find("Dr Zubeida Quraishi-Onkelinx")
        await bina.join()
        # Leaving the line leads on to other doctors.
        await bina.page.get_by_role("button", name="Leave the queue").click()
        await bina.sees("You left the queue")
        await bina.page.get_by_role("link", name="Other doctors").click()
        await expect(bina.page.locator(".doc").first).to_be_visible()


@pytest.mark.timeout(120)
async def test_the_server_ends_and_begins_again_while_they_wait(product: Product, browser: Browser) -> None:
    async with people(product, browser, scripts=True) as (morning, (asha, bina, chand, _)):
        for one in (asha, bina, chand):
            await one.page.goto(chart_of(morning))
            await (one.hold() if one is asha else one.join())
        chart = await asha.window.context.new_page()
        await chart.goto(chart_of(morning))
        await product.stop()
        await expect(bina.page.locator("#connection")).to_contain_text("Your number is kept", timeout=15_000)
        await product.start()
        await expect(bina.page.locator("#connection")).to_be_empty(timeout=20_000)
        await bina.sees("You are number 1 in the queue")
        await chand.sees("You are number 2 in the queue")
        await lapse(morning)
        await bina.sees("It’s your turn")
        await asha.sees("Your 5 minutes are over")
        await bina.page.get_by_role("button", name="Take 10:20 am").click()
        await bina.page.wait_for_url("**/hold/*")
        await bina.pay()
        await chand.sees("All these times are booked")
        # A chart that was open all the while shows it, too.
        await chart.bring_to_front()
        await expect(chart.locator(".slot")).to_contain_text("booked", timeout=20_000)


@pytest.mark.timeout(120)
@pytest.mark.dates
async def test_the_waiting_room_alone_as_the_demo_says(product: Product, browser: Browser) -> None:
    facts = await demo_guide(product.database, product.data, product.url)
    guide = await demo_text(product.database, product.data, facts, product.url)
    address = re.search(r"http://\S+/doctor/\S+", guide)
    assert address
    async with BrowserWindow.open(product, browser) as first, BrowserWindow.open(product, browser) as second:
        for phone in (first, second):
            await product.database.execute("DELETE FROM accounts.challenge")
            await phone.go("/verify")
            await phone.page.fill("#phone", phone.number())
            await phone.press("Agree and send code")
            await phone.page.fill("#code", await product.code())
            await phone.press("Confirm")
            await phone.page.wait_for_url(lambda url: "/verify" not in url)  # or the next page cuts the sign-in off
            await phone.page.goto(address[0])
            if phone is first:
                left = await phone.page.locator(".slot.free").count()
                assert f"one of the {left} free times" in guide or ("the one free time" in guide and left == 1)
                # What the second is not to find free, others hold.
                await hold_the_rest(product, phone.page.url, left - 1)
                await phone.page.reload()
                await phone.page.locator(".slot.free input").check()
                await phone.page.locator(".bar button").click()
                await phone.page.wait_for_url("**/hold/*")
        await second.page.get_by_role("link", name="Join the queue").first.click()
        await second.press("Join the queue")
        await expect(second.page.get_by_role("heading", level=1)).to_have_text("You are number 1 in the queue")
        await first.press("Cancel hold")
        await expect(second.page.get_by_role("heading", level=1)).to_contain_text("It’s your turn", timeout=8000)


async def hold_the_rest(product: Product, url: str, count: int) -> None:
    """Have others hold so many of a day's free slots, the first ones."""
    provider_id, clinic_id, day = re.search(r"/doctor/(\d+)/[^/]+/(\d+)\?day=(\S+)", url).groups()  # type: ignore[union-attr]
    begins = datetime.fromisoformat(f"{day}T00:00:00+05:30")
    book = Book(product.database)
    chart = await book.chart(int(provider_id), int(clinic_id), begins, begins + timedelta(days=1), 1, None)
    for slot in [slot for slot in chart if slot["fits"]][:count]:
        patient_id, _ = await add_patient(product.database, "Somebody")
        held = await book.hold(int(provider_id), int(clinic_id), slot["starts_at"], 1, patient_id, Patient(patient_id))
        assert held.code == "reserved"
