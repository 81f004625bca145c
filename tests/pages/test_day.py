"""A day at the desk by keyboard alone, and without script."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.pages.states.callers import a_family
from tests.pages.states.changes import Tomorrow, tomorrow
from tests.pages.states.day import NAMES, Day, a_day, record
from tests.pages.states.staff import go
from tests.pages.test_callers import Typist
from tests.pages.window import BrowserWindow

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.dates]

_IS_FOCUSED = "document.activeElement !== null && document.activeElement !== document.body"
_SAYS = "one => [one.localName, one.name, one.value, one.getAttribute('href'), one.textContent].join()"
_PRESSABLE = f"""() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")]
    .filter(one => one.checkVisibility({{visibilityProperty: true}})).map({_SAYS})"""
_FOCUSED = f"() => ({_SAYS})(document.activeElement)"


class Keyboard(Typist):
    """Presses keys, after each of which something has focus."""

    def __init__(self, window: BrowserWindow) -> None:
        super().__init__(window)
        self.page = window.page

    async def press(self, *keys: str) -> None:
        for key in keys:
            await super().press(key)
            assert await self.page.evaluate(_IS_FOCUSED), key

    async def go(self, key: str, url: str) -> None:
        async with self.page.expect_navigation(url=url):
            await self.page.keyboard.press(key)
        await self.page.wait_for_function(_IS_FOCUSED, timeout=10_000)

    async def until(self, key: str, selector: str, most: int = 100) -> None:
        """Press a key until what it is to lead to has focus."""
        for _ in range(most):
            await self.press(key)
            if await self.page.evaluate("one => document.activeElement.matches(one)", selector):
                return
        raise AssertionError(selector)


async def test_a_day_by_keyboard_alone(window: BrowserWindow) -> None:
    day = await a_day(window)
    await go(window, day.path)
    page = window.page
    first = page.locator(f"#visit-{day.bookings[NAMES[4]]}")
    second = page.locator(f"#visit-{day.bookings[NAMES[5]]}")

    async def press(key: str, act: str) -> None:
        async with page.expect_navigation(url=f"**?done={act}&about=*"):
            await page.keyboard.press(key)

    # An arrival: the name's beginning, Enter, and the first button.
    await page.keyboard.press("/")
    await page.keyboard.type("kab")
    await page.keyboard.press("Enter")
    await expect(first).to_be_focused()
    await expect(second).to_be_hidden()
    await press("Enter", "arrive")
    await expect(first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(second).to_be_focused()
    await page.keyboard.press("ArrowUp")
    # With nobody focused, and two doctors who have somebody next, no key calls.
    await page.evaluate(
        """() => {
            const other = document.querySelector(".columns section:has(.next)").cloneNode(true);
            for (const one of other.querySelectorAll("[id]")) one.removeAttribute("id");
            document.querySelector(".columns").append(other);
            document.activeElement.blur();
        }"""
    )
    await page.keyboard.press("c")
    await expect(page.locator("#which")).to_be_visible()
    await page.reload()
    await expect(first).to_be_focused()
    for key, act, stands in (("c", "call", "called"), ("i", "enter", "in_room"), ("d", "finish", "done")):
        await press(key, act)
        assert stands in (await first.get_attribute("class") or "")
    await press("u", "undo")
    assert "in_room" in (await first.get_attribute("class") or "")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_have_attribute("open", "")
    await expect(page.locator("#keys summary")).to_be_focused()
    await page.keyboard.press("?")
    await expect(first).to_be_focused()
    # A word that is typed on a row is no press of its letters: the first alone is one, and that has no key.
    await page.keyboard.type("gh")
    # Nobody is found: it says so, and where else to look.
    await page.keyboard.press("/")
    await page.keyboard.type("nobody")
    await expect(page.locator("#nobody")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#nobody")).to_be_hidden()
    async with page.expect_navigation():
        await page.keyboard.press("ArrowRight")
    assert day.path not in page.url


async def all_is_reached(keys: Keyboard) -> None:
    """Go by Tab from the page's first link to all that is there."""
    await keys.until("Shift+Tab", ".skip")
    wanted = set(await keys.page.evaluate(_PRESSABLE))
    reached = {await keys.page.evaluate(_FOCUSED)}
    for _ in range(len(wanted) + 40):
        if wanted <= reached:
            break
        await keys.page.keyboard.press("Tab")  # from the last, focus leaves the page
        reached.add(await keys.page.evaluate(_FOCUSED))
    assert not wanted - reached


async def others_record(window: BrowserWindow, keys: Keyboard, day: Day) -> None:
    """Have others record: it takes the focus from nothing, neither from a link nor when the focused row goes."""
    doctor = f'[href="/desk/{day.clinic_id}/order/{day.provider_id}"]'
    await keys.press("/", "Escape")
    await keys.until("Shift+Tab", doctor)
    await record(window, day, NAMES[5], "arrive")
    await expect(keys.page.locator(f"#visit-{day.bookings[NAMES[5]]}")).to_have_class(re.compile("here"))
    await expect(keys.page.locator(doctor)).to_be_focused()
    gone = f"#visit-{day.bookings[NAMES[6]]}"
    await keys.until("ArrowDown", gone)
    await window.product.database.execute(
        "UPDATE booking.booking SET state = 'cancelled' WHERE booking_id = $1", day.bookings[NAMES[6]]
    )
    await record(window, day, NAMES[2], "arrive")
    await expect(keys.page.locator(gone)).to_have_count(0)
    await expect(keys.page.locator(".day-row:focus")).to_have_count(1)


async def a_visit(keys: Keyboard, row: str) -> None:
    """Arrive, be called after who is before them by the rule, come in, be done."""
    await keys.press("/", *"kab", "Enter")
    await expect(keys.page.locator(row)).to_be_focused()
    await keys.go("Enter", "**?done=arrive&about=*")
    for _ in range(2):
        await keys.go("c", "**?done=call&about=*")
    for key, act in (("i", "enter"), ("d", "finish"), ("u", "undo")):
        await keys.go(key, f"**?done={act}&about=*")


async def a_call_and_a_walk_in(keys: Keyboard, day: Day, number: str) -> None:
    await keys.go("n", f"**/book?provider={day.provider_id}")
    await keys.press(*number)
    await keys.go("Enter", f"**/book?*q={number}")
    await keys.go("2", "**/book?person=*")
    await keys.press("3")
    await keys.go("Enter", "**?done=book&about=*")
    await keys.go("u", "**?done=undo&about=*")
    await keys.go("w", "**/walk-in*")
    await keys.press(*number[-6:])
    await keys.go("Enter", "**/walk-in?*q=*")
    await keys.go("1", "**/walk-in?person=*")
    await keys.go("Enter", "**/token/*")
    await keys.go("Enter", f"**/desk/{day.clinic_id}/*?about=*")
    await expect(keys.page.locator(".day-row:focus")).to_contain_text(re.compile("[A-Z]-[0-9]{3}"))


async def a_move(keys: Keyboard, later: Tomorrow) -> None:
    """Move what is tomorrow, move it back, and see what became of it."""
    await keys.go("ArrowRight", f"**{later.path}")
    await keys.until("ArrowDown", f"#visit-{later.booking}")
    await keys.go("m", "**?do=move")
    await keys.press("ArrowDown")
    await keys.go("Enter", "**?changed=move&about=*")
    await keys.go("u", "**?done=undo&about=*")
    await keys.go("h", "**/history")
    await keys.go("Escape", f"**{later.path}?about=*")


async def on_paper(keys: Keyboard) -> None:
    await keys.page.evaluate("window.print = () => { document.title = 'printed'; }")
    await keys.press("p")
    await expect(keys.page).to_have_title("printed")
    await keys.page.wait_for_timeout(400)  # a letter that comes at once after another is none of the keys
    async with keys.page.expect_download() as download:
        await keys.press("v")
    assert (await download.value).suggested_filename.endswith(".csv")
    await keys.press("?", "?")


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_a_whole_day_without_a_mouse(window: BrowserWindow) -> None:
    """Whatever is pressed, something has focus after it; and all that can be pressed is reached by Tab."""
    day = await a_day(window)
    later = await tomorrow(window, day)
    await window.product.database.execute(
        "UPDATE directory.clinic SET walk_in_cap = 12 WHERE clinic_id = $1", day.clinic_id
    )
    number = await a_family(window, day)
    keys, sheet = Keyboard(window), f"/desk/{day.clinic_id}"
    await go(window, "/desk")
    await keys.until("Tab", f'[href="{sheet}/day"]')
    await keys.go("Enter", f"**{day.path}")
    await all_is_reached(keys)
    await others_record(window, keys, day)
    await a_visit(keys, f"#visit-{day.bookings[NAMES[4]]}")
    await a_call_and_a_walk_in(keys, day, number)
    await a_move(keys, later)
    await keys.go("t", f"**{day.path}")
    await on_paper(keys)
    await keys.until("Shift+Tab", f'[href="{sheet}/order/{day.provider_id}"]', most=300)
    await keys.go("Enter", f"**{sheet}/order/{day.provider_id}")
    await keys.go("d", "**?done=finish&about=*")
    await keys.go("u", "**?done=undo&about=*")
    await keys.go("t", f"**{day.path}")
    await keys.go("q", f"**{sheet}/queue")
    await keys.go("t", f"**{day.path}")


async def test_what_others_record_is_seen_within_seconds_and_takes_no_focus(window: BrowserWindow) -> None:
    day = await a_day(window)
    await go(window, day.path)
    row = window.page.locator(f"#visit-{day.bookings[NAMES[5]]}")
    await row.focus()
    await record(window, day, NAMES[5], "arrive")
    await expect(row).to_have_class(re.compile("here"))
    await expect(row).to_be_focused()


async def test_an_appointment_is_moved_and_moved_back_by_keys(window: BrowserWindow) -> None:
    """`m`, arrows and Enter; then `u`: seven keys at most for one that waits for nobody."""
    day = await tomorrow(window)
    await go(window, day.path)
    page = window.page
    row = page.locator(f"#visit-{day.booking}")
    await row.focus()
    async with page.expect_navigation(url="**?do=move"):
        await page.keyboard.press("m")
    chosen = page.locator('input[name="start"]:checked')
    await expect(chosen).to_be_focused()
    await page.keyboard.press("ArrowUp")  # to the last, as the first may begin too soon to be taken back
    async with page.expect_navigation(url="**?changed=move&about=*"):
        await page.keyboard.press("Enter")
    await expect(page.locator(".changed")).to_contain_text("Moved")
    async with page.expect_navigation(url="**?done=undo&about=*"):
        await page.keyboard.press("u")
    await expect(row).to_be_focused()
    for key, address in (("k", "**?do=cancel"), ("Escape", f"**{day.path}?about=*"), ("h", "**/history")):
        async with page.expect_navigation(url=address):
            await page.keyboard.press(key)
