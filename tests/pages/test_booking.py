"""From a doctor's slots to a booked visit, as people do it in a browser, with others wanting the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Browser, Page, expect

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from tests.pages.charts import Chart, a_chart, clear, take, touch
from tests.pages.states.hold import held, lapse
from tests.pages.window import WIDE, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPTLY = 4000
"""Two seconds, in milliseconds, and as many again for the other tests that run on the machine."""


async def hold_by_other(window: BrowserWindow, chart: Chart, start: str) -> None:
    """Have somebody else, elsewhere, hold a start."""
    database = window.product.database
    patient_id, _ = await add_patient(database, "Bina Shah")
    outcome = await Book(database).hold(
        chart.provider_id,
        chart.clinic_id,
        datetime.fromisoformat(start).astimezone(UTC),
        1,
        patient_id,
        Patient(patient_id),
    )
    assert outcome.code == "reserved"
    await database.execute("SELECT pg_notify('healthplus_book', $1)", str(chart.provider_id))


async def starts(page: Page) -> list[str]:
    """Return the starts that can be chosen."""
    found: list[str] = await page.locator(".slot.free input").evaluate_all("all => all.map(one => one.value)")
    return found


def slot(page: Page, start: str) -> str:
    return f".slot:has([value='{start}'])"


@pytest.mark.dates
async def test_what_others_do_shows_at_once_and_nothing_moves(window: BrowserWindow) -> None:
    chart = await a_chart(window, days_ahead=20, offset=8)
    await clear(window, chart)
    page = window.page
    await window.go(chart.path())
    first, second, *_ = await starts(page)
    slots = await page.locator(".slot").count()
    free = int((await page.locator("[data-of-part]").first.inner_text()).split()[0])
    await page.locator(f"[value='{second}']").focus()
    await page.keyboard.press("Space")
    await expect(page.locator(".bar")).to_contain_text("not held yet")
    await window.watch_shifts()
    await hold_by_other(window, chart, first)
    await expect(page.locator(slot(page, first))).to_contain_text("held, 5 min", timeout=PROMPTLY)
    await expect(page.locator("[data-of-part]").first).to_have_text(f"{free - 1} free")
    assert await page.evaluate("document.activeElement.value") == second
    assert await page.locator(".slot").count() == slots
    # The chosen one goes, too: it stays chosen, and says what happened.
    await hold_by_other(window, chart, second)
    await expect(page.locator(slot(page, second))).to_contain_text("just taken", timeout=PROMPTLY)
    await expect(page.locator("#chosen")).to_contain_text("was just taken")
    await expect(page.locator("#told")).to_contain_text("was just taken")
    assert await page.locator(f"[value='{second}']").is_checked()
    assert await page.evaluate("document.activeElement.value") == second
    assert await window.shifts() == []
    # Who is too slow sees that, and what can be had instead.
    await window.patient()
    await page.locator(".bar button").click()
    await expect(page.locator("#error")).to_be_focused()
    await expect(page.locator("#error")).to_contain_text("has just been taken. These times are free:")
    await page.locator("#error a").first.click()
    await expect(page.locator("#chosen")).not_to_have_text("Choose a time")
    assert window.faults == []


async def test_updates_are_requested_in_no_hurry_and_shown_where_they_belong(window: BrowserWindow) -> None:
    chart = await a_chart(window, days_ahead=20, offset=11)
    await clear(window, chart)
    database, page = window.product.database, window.page
    noon = datetime.combine(chart.day, time(12), ZoneInfo("Asia/Kolkata"))
    leave = "INSERT INTO schedule.leave (provider_id, during) VALUES ($1, tstzrange($2, $3))"
    await database.execute(leave, chart.provider_id, noon - timedelta(hours=12), noon)
    await touch(window, chart)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/news" in request.url else None)
    await window.go(chart.path())
    assert await page.locator("[data-of-part]").count() == await page.locator("ol.slots").count()
    free = int((await page.locator("[data-of-part]").first.inner_text()).split()[0])
    await hold_by_other(window, chart, (await starts(page))[0])
    # Also of one who has no mornings.
    await expect(page.locator("[data-of-part]").first).to_have_text(f"{free - 1} free", timeout=PROMPTLY)
    # Other slots than before: said once, and no reason to ask again at once, and again.
    gone, *_, last = map(datetime.fromisoformat, await starts(page))
    await database.execute(leave, chart.provider_id, gone, gone + timedelta(minutes=1))
    await hold_by_other(window, chart, last.isoformat())
    await expect(page.locator("#changed")).to_be_visible(timeout=PROMPTLY)
    asked.clear()
    await page.wait_for_timeout(2000)
    assert len(asked) <= 2
    assert window.faults == []


async def test_paused_updates_wait(window: BrowserWindow) -> None:
    chart = await a_chart(window, days_ahead=20, offset=9)
    await clear(window, chart)
    await window.go(chart.path())
    first = (await starts(window.page))[0]
    await window.press("Pause live updates")
    await hold_by_other(window, chart, first)
    await window.page.wait_for_timeout(1500)
    await expect(window.page.locator(slot(window.page, first))).to_contain_text("free")
    await window.press("Resume live updates")
    await expect(window.page.locator(slot(window.page, first))).to_contain_text("held", timeout=PROMPTLY)


@pytest.mark.timeout(90)
async def test_from_the_start_to_an_appointment_by_keyboard_alone(window: BrowserWindow) -> None:
    await window.patient()
    page = window.page
    chart = await a_chart(window, offset=10)
    await window.go("/")
    await tab_to(page, "document.activeElement.id === 'need'")
    await page.keyboard.type(chart.name)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/find?*")
    # One of the next free times, at whichever clinic they are.
    await tab_to(page, f"/[/]doctor[/]{chart.provider_id}[/].*[/][0-9]+[?]/.test(document.activeElement.href ?? '')")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/doctor/*/*/*?*")
    await tab_to(page, "document.activeElement.name === 'start'")
    for _ in range(3):
        await page.keyboard.press("ArrowRight")
    await tab_to(page, "document.activeElement.matches('.bar button')")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/hold/*")
    await tab_to(page, "document.activeElement.matches('form .button')")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Booked")
    row = await window.product.database.fetch_row(
        "SELECT state::text AS state FROM booking.booking WHERE provider_id = $1 ORDER BY created_at DESC LIMIT 1",
        chart.provider_id,
    )
    assert row is not None
    assert row["state"] == "booked"


async def tab_to(page: Page, condition: str) -> None:
    """Press Tab until what has the focus meets a condition; nothing that has it on the way may be out of sight."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        hidden = await page.evaluate(
            """() => {
                const element = document.activeElement.closest('label, .slot') ?? document.activeElement;
                const box = element.getBoundingClientRect();
                const x = box.left + box.width / 2, y = box.top + box.height / 2;
                const top = document.elementFromPoint(x, y);
                return top === null || !(element.contains(top) || top.contains(element)) ? element.outerHTML : null;
            }"""
        )
        assert hidden is None
        if await page.evaluate(condition):
            return
    raise AssertionError(condition)


async def test_without_javascript(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, language="hi", scripts=False) as window:
        page = window.page
        chart = await a_chart(window, days_ahead=20, offset=11)
        await clear(window, chart)
        await product.database.execute("DELETE FROM accounts.challenge")
        await window.go(chart.path())
        await page.locator(".slot.free input").nth(1).check()
        await page.locator(".bar button").click()
        # Who wants to hold signs in, and has the time held at once.
        await page.fill("#phone", window.number())
        await window.press("Agree and send code")
        await page.fill("#code", await product.code())
        await window.press("Confirm")
        await page.wait_for_url("**/hi/doctor/*/hold/*")
        await page.locator("[name=who][value=other]").check()
        await page.locator("form .button").first.click()
        await expect(page.locator("#other-error")).to_contain_text("नाम")
        await expect(page.locator("#other")).to_be_focused()
        await page.fill("#other", "छोटू राव")
        await page.fill("#birth_year", "२०१५")
        await page.locator("form .button").first.click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("बुक हो गया")
        await expect(page.locator("main")).to_contain_text("छोटू राव")


async def test_twice_back_and_reload_do_no_harm(window: BrowserWindow) -> None:
    patient = await window.patient()
    page = window.page
    chart = await a_chart(window, days_ahead=20, offset=12)
    await clear(window, chart)
    await window.go(chart.path())
    start = (await starts(page))[0]
    await page.locator(f"[value='{start}']").check()
    await page.locator(".bar button").dblclick()
    await page.wait_for_url("**/hold/*")
    hold_url = page.url
    await page.reload()
    await expect(page.get_by_role("timer")).to_contain_text("4:5")
    # Going back shows one's own time as one's own, and not as taken.
    await page.go_back()
    await expect(page.locator(".slot.mine")).to_contain_text("yours")
    # Another time of the same chart: in one step, and the five minutes go on.
    other = (await starts(page))[3]
    await page.locator(f"[value='{other}']").check()
    await expect(page.locator(".bar button")).to_contain_text("Change to")
    await page.locator(".bar button").click()
    await page.wait_for_url("**/hold/*")
    assert page.url == hold_url
    held = await window.product.database.fetch(
        "SELECT state::text AS state, lower(during) AS start FROM booking.booking WHERE patient_id = $1",
        patient.patient_id,
    )
    assert [(row["state"], row["start"]) for row in held] == [("reserved", datetime.fromisoformat(other))]
    # Paid in one tab, it is booked in the other.
    second = await window.context.new_page()
    await second.goto(hold_url)
    await second.locator("form .button").first.dblclick()
    await expect(second.get_by_role("heading", level=1)).to_contain_text("Booked")
    await page.bring_to_front()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Booked")
    paid = await window.product.database.fetch(
        "SELECT hold_id FROM ledger.payment JOIN booking.booking USING (provider_id, booking_id) WHERE patient_id = $1",
        patient.patient_id,
    )
    assert len(paid) == 1
    assert window.faults == []


async def test_what_the_bank_says_is_said(window: BrowserWindow) -> None:
    path = await held(window)
    page = window.page
    await window.go(path)
    await page.locator("[value=sandbox-declined]").check()
    await page.locator("form .button").first.click()
    await expect(page.locator("#error")).to_contain_text("You were not charged.")
    await page.locator("[value=sandbox-unreachable]").check()
    await page.locator("form .button").first.click()
    await expect(page.locator("#error")).to_contain_text("you are charged once")
    # In sight while the bank is silent.
    await page.get_by_role("link", name="Pay another way").click()
    # A bank that asks on a page of its own, and leads back.
    await page.locator("[value=sandbox-later]").check()
    await page.locator("form .button").first.click()
    await expect(page.locator("body")).to_contain_text("This is the sandbox bank: a test")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Booked", timeout=15_000)
    assert window.faults == []


@pytest.mark.dates
async def test_how_much_time_is_left_is_said_rarely(window: BrowserWindow) -> None:
    """At 5:00, 2:00, 1:00 and 0:30, and at the end; the countdown itself is silent."""
    await window.go(await held(window))
    page = window.page
    await page.route("**/news?*", lambda route: route.abort())
    spoken = page.locator("#spoken")
    await expect(page.get_by_role("timer")).to_have_count(1)
    await expect(spoken).to_have_text("5:00 left to book.")
    for left, said in (
        (250, "5:00 left"),
        (119, "2:00 left"),
        (80, "2:00 left"),
        (59, "1:00 left"),
        (29, "0:30 left"),
        (0, "over"),
    ):
        await page.evaluate(
            """left => {
                window.now ??= Date.now;
                const until = Date.parse(document.querySelector("[data-countdown=hold]").dataset.until);
                const by = until - left * 1000 - window.now();
                Date.now = () => window.now() + by;
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            left,
        )
        await expect(spoken).to_contain_text(said)


@pytest.mark.dates
async def test_a_hold_that_ran_out_can_be_had_again(window: BrowserWindow) -> None:
    path = await held(window)
    page = window.page
    await window.go(path)
    await lapse(window, path)
    # The page shows it by itself.
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your 5 minutes are over", timeout=5000)
    await expect(page.locator("main")).to_contain_text("No money was taken.")
    await window.press("Hold again")
    await page.wait_for_url("**/hold/*")
    assert not page.url.endswith(path)
    await expect(page.get_by_role("timer")).to_contain_text("4:5")


async def test_one_at_a_time(window: BrowserWindow) -> None:
    first = await held(window)
    page = window.page
    chart = await a_chart(window, days_ahead=20, offset=13)
    await clear(window, chart)
    await window.go(chart.path())
    await page.locator(".slot.free input").nth(4).check()
    await page.locator(".bar button").click()
    await page.wait_for_url("**/busy?*")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("You already hold")
    await page.get_by_role("link", name=re.compile("Continue with")).click()
    await page.wait_for_url(lambda url: url.endswith(first))
    await page.go_back()
    await window.press("Cancel hold and hold this")
    await page.wait_for_url("**/hold/*")
    assert not page.url.endswith(first)
    await window.go(first)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("You cancelled the hold")


async def test_the_chart_at_four_times_its_size(product: Product, browser: Browser) -> None:
    """400 % zoom of a window 1280 wide is one 320 wide and 225 high: nothing sticks, and all can be used."""
    async with BrowserWindow.open(product, browser, width=WIDE // 4) as window:
        await window.patient()
        await window.page.set_viewport_size({"width": WIDE // 4, "height": 225})
        chart = await a_chart(window, days_ahead=20, offset=14)
        await clear(window, chart)
        await window.go(chart.path())
        assert await window.overflow() == 0
        await window.page.locator(".slot.free input").nth(1).check()
        assert await window.page.locator(".bar").evaluate("bar => getComputedStyle(bar).position") == "static"
        await window.page.locator(".bar button").click()
        await window.page.wait_for_url("**/hold/*")
        assert await window.overflow() == 0
        await window.page.locator("form .button").first.click()
        await expect(window.page.get_by_role("heading", level=1)).to_contain_text("Booked")


async def test_the_chart_of_three_branches(window: BrowserWindow) -> None:
    """The brief's three answers to who cannot hold: others are free; all is held; all is booked."""
    await window.patient()
    page = window.page
    chart = await a_chart(window, days_ahead=20, offset=15)
    for state, but, said in (
        ("booked", 3, "These times are free:"),
        ("reserved", 0, "on hold: you can join the queue"),
        ("booked", 0, "this day is full now"),
    ):
        await clear(window, chart)
        await window.go(chart.path())
        await page.route("**/news?*", lambda route: route.abort())
        await page.locator(".slot.free input").first.check()
        await take(window, chart, state, but=but)
        await page.locator(".bar button").click()
        await expect(page.locator("#error")).to_contain_text(said)
        assert (await page.get_by_role("link", name="Join the queue").count() > 0) == (state == "reserved")
