"""Ten tasks of patients, each within the taps that docs/pages.md allows it: at 360 pixels, as people do them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect

from healthplus.accounts.persons import PersonDetails, Persons
from tests.fixtures.codes import SECRET
from tests.fixtures.environment import attend
from tests.pages.states.appointments import begin, money_is, path_of
from tests.pages.states.queue import FullMorning, wait
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAPS_MAX = {
    task.strip(): int(taps)
    for task, taps in re.findall(
        r"^\| ([^|]+) \| (\d+) \|$", (Path(__file__).parents[2] / "docs/pages.md").read_text(), re.MULTILINE
    )
}
"""The table of docs/pages.md: task -> taps at most."""


class Hand:
    """What somebody presses, counted."""

    def __init__(self, window: BrowserWindow) -> None:
        self.window = window
        self.page = window.page
        self.taps = 0

    async def tap(self, what: Locator) -> None:
        self.taps += 1
        await what.click()

    async def link(self, name: str | re.Pattern[str]) -> None:
        await self.tap(self.page.get_by_role("link", name=name).first)

    async def button(self, name: str | re.Pattern[str]) -> None:
        await self.tap(self.page.get_by_role("button", name=name).first)

    async def write(self, selector: str, text: str) -> None:
        """Write in a field, after a tap into it where the page has not put the cursor there."""
        if not await self.page.locator(f"{selector}:focus").count():
            await self.tap(self.page.locator(selector))
        await self.page.keyboard.type(text)

    async def hold(self) -> None:
        """Hold the chart's chosen time, or the first free one."""
        chosen = self.page.locator(".slot.free input:checked")
        if not await chosen.count():
            await self.tap(self.page.locator(".slot.free").first)
        await self.tap(self.page.locator(".bar button"))
        await self.page.wait_for_url(re.compile("/hold/|/verify"))

    async def pay(self) -> None:
        await self.tap(self.page.locator(".bar button"))
        await expect(self.page.get_by_role("heading", level=1)).to_contain_text("Booked")


class Keyboard(Hand):
    """The same hand without a pointer: it goes to what it presses by Tab and by the arrows of a group."""

    async def tap(self, what: Locator) -> None:
        self.taps += 1
        control = await what.first.evaluate_handle(
            "one => one.matches('a, button, summary, input, textarea') ? one : "
            "one.control ?? one.querySelector('input, a, button')"
        )
        for _ in range(_TABS_MAX):
            reached = await control.evaluate(_REACHED)
            if reached:
                break
            await self.page.keyboard.press("Tab")
        else:
            raise AssertionError(f"no way by keyboard to {what}")
        for _ in range(_TABS_MAX):
            if reached != "group":
                break
            await self.page.keyboard.press("ArrowDown")
            reached = await control.evaluate(_REACHED)
        assert await control.evaluate(_SEEN), f"focus on {what} cannot be seen"
        if reached == "choice":
            await self.page.keyboard.press("Space")
        elif reached == "press":
            await self.page.keyboard.press("Enter")
            await self.page.wait_for_timeout(_LEAVES_AFTER_MS)  # unlike a click, a key does not wait for what it does
        await self.page.wait_for_load_state()


_LEAVES_AFTER_MS = 700
_TABS_MAX = 150
_REACHED = """one => {
    const at = document.activeElement;
    if (at === one && ['radio', 'checkbox'].includes(one.type)) return 'choice';
    if (at === one) return one.matches('textarea, input') ? 'field' : 'press';
    return one.type === 'radio' && at.type === 'radio' && at.name === one.name && at.form === one.form ? 'group' : '';
}"""
_SEEN = """one => {
    const box = (one.closest('.slot, .choice, label') ?? one).getBoundingClientRect();
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return box.bottom > 0 && box.top < innerHeight && !!top && !top.closest('.bar:not(:has(:focus))');
}"""

Do = Callable[[Hand], Awaitable[None]]
_TASKS: dict[str, Do] = {}


def task(name: str) -> Callable[[Do], Do]:
    def register(do: Do) -> Do:
        _TASKS[name] = do
        return do

    return register


async def seen_before(hand: Hand) -> str:
    """Have been to the doctor of two clinics once; return the path of that appointment."""
    window = hand.window
    patient = await window.patient()
    held = await window.hold(patient)
    await window.pay(patient, held)
    await money_is(window, held.booking_id, "captured")
    path = path_of(window, held)
    await begin(window, path)
    await attend(window.product.database, path)
    return path


@task("A new patient with no account books and pays for the next free time with a dentist in the city")
async def new_patient(hand: Hand) -> None:
    await hand.window.go("/")
    await hand.link("Pune")
    await hand.tap(hand.page.locator("summary", has_text="specialities"))
    await hand.tap(hand.page.locator("main").get_by_role("link", name=re.compile("^Dentist")).first)
    await hand.tap(hand.page.locator(".doc a.time").first)
    await hand.hold()
    await hand.write("#phone", hand.window.number())
    await hand.button("Agree and send code")
    await hand.write("#code", await hand.window.product.code())
    await hand.button("Confirm")
    await hand.page.wait_for_url("**/hold/*")
    await hand.write("#name", "Asha Rao")
    await hand.pay()


@task("Book again with the doctor of last time, and pay")
async def again(hand: Hand) -> None:
    await seen_before(hand)
    await hand.window.go("/")
    await hand.tap(hand.page.locator("section[aria-labelledby=again] .times a").first)
    await hand.hold()
    await hand.pay()


@task("Move my mother's appointment to Friday")
async def move(hand: Hand) -> None:
    window = hand.window
    patient = await window.patient()
    persons = Persons(window.product.database, SECRET)
    await persons.add(patient.patient_id, PersonDetails("Meera Rao", 1952, "female"), "mother")
    held = await window.hold(patient)
    await window.go(f"/doctor/{window.product.data.two_clinics_doctor_id}/hold/{held.booking_id}")
    await hand.page.get_by_label("Meera Rao").check()
    await hand.page.locator(".bar button").click()
    await expect(hand.page.get_by_role("heading", level=1)).to_contain_text("Booked")
    await window.go("/")
    hand.taps = 0
    await hand.link("Appointments")
    await hand.tap(hand.page.locator("a", has_text="Meera Rao").first)
    await hand.link("Reschedule")
    # Any other day that has free times stands for Friday.
    await hand.tap(hand.page.locator(".days a").last)
    await hand.tap(hand.page.locator(".slot.free").first)
    await hand.button("Reschedule")
    await expect(hand.page.locator("main")).to_contain_text("Your appointment has a new time")


@task("Cancel an appointment, knowing what is refunded")
async def cancel(hand: Hand) -> None:
    window = hand.window
    patient = await window.patient()
    held = await window.hold(patient)
    await window.pay(patient, held)
    await money_is(window, held.booking_id, "captured")
    await window.go("/")
    await hand.tap(hand.page.locator("section[aria-labelledby=next-appointment] a"))
    await hand.link("Cancel")
    await expect(hand.page.locator("main")).to_contain_text(re.compile("The ₹[0-9,]+ that you paid goes back"))
    await hand.button("Cancel appointment")
    await expect(hand.page.get_by_role("heading", level=1)).to_contain_text("cancelled")


@task("Book for a child who is saved in the household, from the doctor's chart")
async def child(hand: Hand) -> None:
    window = hand.window
    patient = await window.patient()
    await Persons(window.product.database, SECRET).add(
        patient.patient_id, PersonDetails("Tara Rao", 2015, "female"), "child"
    )
    provider_id = window.product.data.two_clinics_doctor_id
    [slot, *_] = await window.free_slots(provider_id)
    day = slot["starts_at"].date().isoformat()
    await window.go(f"/doctor/{provider_id}/x/{slot['clinic_id']}?day={day}")
    await hand.hold()
    await hand.tap(hand.page.get_by_label("Tara Rao"))
    await hand.pay()
    await expect(hand.page.locator("main")).to_contain_text("Tara Rao")


@task("Join the queue of a doctor whose times are all held, from the chart")
async def join(hand: Hand) -> None:
    morning = await FullMorning.make(hand.window)
    await hand.window.patient()
    await hand.window.go(morning.line.replace("/line", ""))
    await hand.link("Join the queue")
    await hand.button("Join the queue")
    await expect(hand.page.get_by_role("heading", level=1)).to_contain_text("You are number 1")


@task("Take the time that the queue offers, and pay, from the queue's page")
async def take(hand: Hand) -> None:
    waiting = await wait(hand.window, ahead=0)
    await waiting.morning.release()
    await expect(hand.page.get_by_role("alert")).to_contain_text("10:20")
    await hand.button(re.compile("^Take 10:20"))
    await hand.page.wait_for_url("**/hold/*")
    await hand.pay()


@task("Find the cheapest dermatologist who has a time on Saturday")
async def cheapest(hand: Hand) -> None:
    await hand.window.patient()
    await hand.window.go("/in/pune")  # the city is remembered
    await hand.window.go("/")
    await hand.link("Skin")
    await hand.link(re.compile("^Sat"))
    await hand.tap(hand.page.locator("summary", has_text="Sort by"))
    await hand.link("Lowest fee")
    await hand.page.wait_for_url("**sort=price**")
    fees = [
        int(re.sub(r"\D", "", fee.replace("Free", "0")))
        for fee in await hand.page.locator(".doc .figures").locator("text=/^(₹[0-9,]+|Free)$/").all_inner_texts()
    ]
    assert fees
    assert fees == sorted(fees)


@task("Book a blood test (CBC) at a laboratory, and pay")
async def blood_test(hand: Hand) -> None:
    await hand.window.patient()
    await hand.window.go("/in/pune")  # the city is remembered
    await hand.window.go("/")
    await hand.write("#need", "cbc")
    await hand.page.keyboard.press("Enter")
    hand.taps += 1
    await hand.tap(hand.page.locator(".doc a.time").first)
    await hand.hold()
    await hand.pay()


@task("Rate the last visit with stars and a sentence")
async def rate(hand: Hand) -> None:
    await seen_before(hand)
    await hand.window.go("/")
    await hand.link("Appointments")
    await hand.tap(hand.page.locator(".visits a").first)
    await hand.tap(hand.page.get_by_label(re.compile("^5")))
    await hand.tap(hand.page.locator("textarea"))
    await hand.page.keyboard.type("She listens.")
    await hand.tap(hand.page.locator("form button.button").last)
    await expect(hand.page.locator("main")).to_contain_text("She listens.")


async def test_every_task_has_its_limit() -> None:
    assert _TASKS.keys() == TAPS_MAX.keys()
    assert len(_TASKS) == 10


@pytest.mark.dates
@pytest.mark.parametrize("name", _TASKS)
async def test_a_task_takes_few_taps(product: Product, browser: Browser, name: str) -> None:
    async with BrowserWindow.open(product, browser) as window:
        await product.database.execute("DELETE FROM accounts.challenge")
        hand = Hand(window)
        await _TASKS[name](hand)
        assert hand.taps <= TAPS_MAX[name]
        assert window.faults == []


@pytest.mark.long
@pytest.mark.parametrize("name", _TASKS)
async def test_a_task_is_done_by_keyboard_alone(product: Product, browser: Browser, name: str) -> None:
    async with BrowserWindow.open(product, browser) as window:
        await product.database.execute("DELETE FROM accounts.challenge")
        await _TASKS[name](Keyboard(window))
        assert window.faults == []
