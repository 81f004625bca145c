"""Waiting as people do it, in a browser."""

from __future__ import annotations

import asyncio
import re

import pytest
from click.testing import CliRunner
from playwright.async_api import Browser, Page, Request, expect

from healthplus.accounts.actors import Patient, Staff
from healthplus.cli import main
from tests.pages.states.queue import FullMorning, Waiting, call, offer, wait
from tests.pages.window import NARROW, WIDE, BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


def polls(page: Page) -> list[str]:
    """Every question for news that a page asks from now on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/news" in request.url:
            asked.append(request.url)

    page.on("request", note)
    return asked


@pytest.mark.dates
async def test_an_offer_comes_to_the_page_as_it_is_and_is_taken(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=1)
    page = window.page
    await page.evaluate("window.same = true")
    [(other, ticket)] = await window.product.database.fetch(
        "SELECT patient_id, ticket_id FROM booking.ticket WHERE provider_id = $1 AND state = 'waiting' ORDER BY number "
        "LIMIT 1",
        waiting.morning.provider_id,
    )
    await page.get_by_role("button", name="Alert me").click()
    alert = page.get_by_role("button", name="Alerts are on")
    await alert.scroll_into_view_if_needed()
    scrolled = await page.evaluate("scrollY")
    await waiting.morning.book.leave_queue(waiting.morning.provider_id, ticket, Patient(other))
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are number 1 in the queue")
    await expect(page.locator("dd[data-part=ahead]")).to_have_text("0")
    await expect(alert).to_be_focused()
    assert await page.evaluate("scrollY") == scrolled
    await page.evaluate("document.getElementById('say').textContent = 'You are number 1 in the queue.'")
    await waiting.morning.release()
    await expect(page.get_by_role("alert")).to_contain_text("It’s your turn: 10:20 am is held for you")
    await expect(page.locator("#say")).to_be_empty()  # the number is read no more
    await expect(alert).to_be_focused()
    await expect(page.get_by_role("timer")).to_contain_text("0:5")
    assert (await page.title()).startswith("Your turn 0:5")
    assert await page.evaluate("window.same")
    assert await page.locator("section[data-shown=place]").is_hidden()
    await window.press("Take 10:20 am and pay ₹500")
    offer_id = await window.product.database.fetch_value(
        "SELECT offer_id FROM booking.ticket WHERE ticket_id = $1", waiting.ticket_id
    )
    assert page.url.endswith(f"/doctor/{waiting.morning.provider_id}/hold/{offer_id}")
    assert window.faults == []


async def test_two_tabs_ask_as_one_in_two_languages(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=0)
    second = await window.context.new_page()
    asked = polls(second)
    await second.goto(f"/hi{waiting.path}")
    await second.wait_for_timeout(700)
    assert asked == []
    await waiting.morning.release()
    await expect(window.page.get_by_role("alert")).to_contain_text("10:20")
    await expect(second.get_by_role("alert")).to_contain_text("आपकी बारी है")
    assert len(asked) == 1  # in its own language
    # The tab that asked is closed: the other goes on.
    await window.page.close()
    await waiting.morning.book.leave_queue(waiting.morning.provider_id, waiting.ticket_id, Staff(1))
    await expect(second.get_by_role("heading", level=1)).to_have_text("आपने सुबह 10:20 का समय लौटा दिया")


HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
    Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => hidden ? 'hidden' : 'visible'});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


async def test_a_hidden_page_has_seen_nothing_until_it_is_looked_at(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=0)
    page, database = window.page, window.product.database
    fetched = "SELECT fetched_offer_id FROM booking.presence WHERE ticket_id = $1"
    asked = polls(page)
    await page.evaluate(HIDE, True)
    await waiting.morning.release()
    await expect(page.get_by_role("alert")).to_contain_text("10:20")  # shown, to nobody
    await page.wait_for_timeout(500)
    assert "seen=false" in asked[-1]
    assert await database.fetch_value(fetched, waiting.ticket_id) is None
    await page.evaluate(HIDE, False)
    await page.wait_for_timeout(500)
    assert "seen=false" not in asked[-1]
    offer_id = await database.fetch_value("SELECT offer_id FROM booking.ticket WHERE ticket_id = $1", waiting.ticket_id)
    assert await database.fetch_value(fetched, waiting.ticket_id) == offer_id


async def test_what_a_visible_tab_shows_is_seen_though_a_hidden_one_asks(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=0)
    asked = polls(window.page)
    second = await window.context.new_page()
    await second.goto(waiting.path)
    await window.page.evaluate(HIDE, True)
    await waiting.morning.release()
    await expect(second.get_by_role("alert")).to_contain_text("10:20")
    await second.wait_for_timeout(500)
    assert "seen=false" not in asked[-1]


async def test_a_call_is_answered_as_people_do_it(window: BrowserWindow) -> None:
    waiting = await call(window)
    page = window.page
    await expect(page.get_by_role("alert")).to_contain_text("A time has come free. Will you take it?")
    assert re.match(r"Take it\? (1:00|0:5\d)", await page.title())  # at once, on a quick machine
    await window.press("Yes, I’ll take it")
    await expect(page.get_by_role("heading", level=1)).to_have_text("You said yes to 10:20 am")
    await page.evaluate("window.same = true")
    [(other, ticket)] = await window.product.database.fetch(
        "SELECT patient_id, ticket_id FROM booking.ticket WHERE provider_id = $1 AND state = 'called' "
        "AND answered_at IS NULL",
        waiting.morning.provider_id,
    )
    await waiting.morning.book.leave_queue(waiting.morning.provider_id, ticket, Patient(other))
    await expect(page.get_by_role("heading", level=1)).to_have_text("You took 10:20 am")
    assert await page.evaluate("window.same")
    await page.locator("#wait").get_by_role("link", name="Continue").click()
    await expect(page).to_have_url(re.compile("/hold/"))
    assert window.faults == []


async def test_a_tab_that_sleeps_does_not_keep_another_from_asking(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=0)
    await window.go("/help")
    await window.page.evaluate(
        "ticket => { navigator.locks.request(`ticket-${ticket}`, () => new Promise(() => {})) }", str(waiting.ticket_id)
    )
    second = await window.context.new_page()
    asked = polls(second)
    await second.goto(waiting.path)
    await second.wait_for_timeout(300)
    assert asked == []
    await second.evaluate(
        "() => { const now = Date.now; Date.now = () => now() + 40000; "
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )
    await waiting.morning.release()
    await expect(second.get_by_role("alert")).to_contain_text("10:20")
    assert asked


async def test_a_lost_network_keeps_the_number_and_says_so_once(window: BrowserWindow) -> None:
    waiting = await wait(window)
    page = window.page
    said = page.locator("#connection")
    await window.context.set_offline(True)
    await expect(said).to_contain_text("Connection lost. Your number is kept")
    await page.evaluate(
        "window.told = 0; new MutationObserver(() => window.told++)"
        ".observe(document.getElementById('connection'), {childList: true, characterData: true, subtree: true})"
    )
    await page.wait_for_timeout(1500)
    assert await page.evaluate("window.told") == 0
    await waiting.morning.release()  # to the first in line
    await window.context.set_offline(False)
    await expect(said).to_be_empty()
    await expect(page.locator("#say")).to_have_text("Connected again. Your number is unchanged.")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("You are number 2")
    assert await window.product.database.fetch_value(
        "SELECT number = 3 AND state = 'waiting' FROM booking.ticket WHERE ticket_id = $1", waiting.ticket_id
    )


async def test_without_javascript(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, scripts=False) as window:
        morning = await FullMorning.make(window)
        patient = await window.patient()
        page = window.page
        await window.go(morning.line)
        await window.press("Join the queue")
        await expect(page.get_by_role("heading", level=1)).to_have_text("You are number 1 in the queue")
        assert await page.locator("meta[http-equiv=refresh]").get_attribute("content") == "10"
        await expect(page.get_by_role("button", name="Alert me")).to_be_hidden()
        await page.get_by_role("link", name="Stop refreshing").click()
        await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)
        await morning.release()
        await page.reload()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("It’s your turn")
        await window.press("Let this time go and leave the queue")
        await expect(page.get_by_role("heading", level=1)).to_have_text("You gave 10:20 am back")
        ticket_id = await product.database.fetch_value(
            "SELECT ticket_id FROM booking.ticket WHERE patient_id = $1", patient.patient_id
        )
        assert page.url.endswith(Waiting(morning, patient, ticket_id).path)


async def test_who_was_away_is_told_what_went_by(window: BrowserWindow) -> None:
    waiting = await wait(window, ahead=0, got=None)
    await window.context.set_offline(True)
    await expect(window.page.locator("#connection")).to_contain_text("Connection lost")
    await waiting.pass_over()
    await window.context.set_offline(False)
    await expect(window.page.locator("[data-part=passed]")).to_contain_text("Your number is unchanged")
    await expect(window.page.get_by_role("heading", level=1)).to_have_text("You are number 1 in the queue")
    kinds = await window.product.database.fetch(
        "SELECT kind FROM booking.queue_entry WHERE provider_id = $1 ORDER BY entry", waiting.morning.provider_id
    )
    assert [row["kind"] for row in kinds] == ["joined", "passed_over", "resumed"]


async def test_anyone_can_check_a_queue_from_outside(window: BrowserWindow) -> None:
    waiting = await wait(window)
    database, provider_id = window.product.database, waiting.morning.provider_id
    await window.go(f"/doctor/{provider_id}/queue/3")
    command = await window.page.locator("details code").text_content() or ""
    assert command.startswith(f"healthplus verify-queue {window.product.url}/doctor/{provider_id}/queue/3 --seen 3:")

    async def check_in_browser() -> str:
        await window.press("Check all lines in this browser")
        await expect(window.page.locator("#checked")).to_have_text(re.compile(r"\d"))
        return await window.page.locator("#checked").inner_text()

    async def run(*arguments: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["verify-queue", *arguments])
        return result.exit_code, result.output

    _, _, address, *seen = command.split()
    code, said = await run(address, *seen)
    assert (code, said.startswith("In order: 3 entries, the last with hash ")) == (0, True)
    assert await check_in_browser() == "Your browser has worked out the seals of all 3 lines: they fit."
    assert (await run(address.replace("/queue/3", "/queue/4")))[0] == 1
    assert (await run(f"{window.product.url}/help"))[0] == 1
    assert (await run("ftp://x/y"))[0] == 1
    assert (await run(address, "--seen", "3"))[0] == 1
    code, said = await run(address, "--seen", f"2:{seen[1][2:]}")
    assert (code, "not the one that was noted" in said) == (1, True)
    code, said = await run(address, "--seen", f"4:{seen[1][2:]}")
    assert (code, "is not there" in said) == (1, True)
    # Only the owner can change the chain, and only so.
    await database.execute("ALTER TABLE booking.queue_entry DISABLE TRIGGER append_only")
    for tampering in (
        "UPDATE booking.queue_entry SET at = at + interval '1 s' WHERE provider_id = $1 AND entry = 2",
        "DELETE FROM booking.queue_entry WHERE provider_id = $1 AND entry = 1",
        "DELETE FROM booking.queue_entry WHERE provider_id = $1 AND entry = 3",  # the last
    ):
        kept = await database.fetch("SELECT * FROM booking.queue_entry WHERE provider_id = $1", provider_id)
        await database.execute(tampering, provider_id)
        ticket = "2" if "entry = 3" in tampering else "3"
        code, said = await run(address.replace("/queue/3", f"/queue/{ticket}"))
        assert (code, "NOT IN ORDER" in said) == (1, True)
        if "entry = 3" not in tampering:
            assert " does not fit its seal" in await check_in_browser()
        await database.execute("DELETE FROM booking.queue_entry WHERE provider_id = $1", provider_id)
        await database.execute_many(
            "INSERT INTO booking.queue_entry VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            [tuple(row) for row in kept],
        )
    await database.execute(
        "UPDATE booking.queue_entry SET entry = CASE entry WHEN 1 THEN -2 ELSE -1 END "
        "WHERE provider_id = $1 AND entry < 3",
        provider_id,
    )
    await database.execute(
        "UPDATE booking.queue_entry SET entry = -entry WHERE provider_id = $1 AND entry < 0", provider_id
    )
    assert (await run(address))[0] == 1
    await database.execute("ALTER TABLE booking.queue_entry ENABLE TRIGGER append_only")


@pytest.mark.parametrize("width", [NARROW, WIDE])
async def test_nothing_moves_while_one_waits(product: Product, browser: Browser, width: int) -> None:
    async with BrowserWindow.open(product, browser, width=width) as window:
        waiting = await wait(window)
        heading = window.page.get_by_role("heading", level=1)
        await expect(heading).to_have_text("You are number 3 in the queue")
        await window.watch_shifts()
        for row in await product.database.fetch(
            "SELECT patient_id, ticket_id FROM booking.ticket WHERE provider_id = $1 AND state = 'waiting' "
            "ORDER BY number LIMIT 2",
            waiting.morning.provider_id,
        ):
            await waiting.morning.book.leave_queue(
                waiting.morning.provider_id, row["ticket_id"], Patient(row["patient_id"])
            )
        await expect(heading).to_have_text("You are number 1 in the queue")
        assert await window.shifts() == []


async def test_a_wide_window_is_used(product: Product, browser: Browser) -> None:
    """A second column stands beside the first, within the first screen."""
    async with BrowserWindow.open(product, browser, width=WIDE) as window:
        await wait(window)
        first, second = (
            window.page.locator("#wait > .sides > div").first,
            window.page.locator("#wait > .sides > div").last,
        )
        left, right = await first.bounding_box(), await second.bounding_box()
        assert left is not None
        assert right is not None
        assert left["y"] == right["y"] < 400
        assert right["x"] > left["x"] + left["width"]
        assert right["x"] + right["width"] > 0.85 * WIDE


async def test_an_offer_on_the_colour_of_what_is_yours_closes_its_ring(window: BrowserWindow) -> None:
    await offer(window)
    ring = window.page.locator("#turn .left-of-it")
    before = float((await ring.get_attribute("stroke-dasharray") or "").split()[0])
    await window.page.wait_for_timeout(2500)
    after = float((await ring.get_attribute("stroke-dasharray") or "").split()[0])
    assert 60 >= before > after > 50
    colour = await window.page.locator("#turn").evaluate("one => getComputedStyle(one).backgroundColor")
    assert colour == "rgb(255, 185, 56)"


async def test_who_joins_sees_who_is_free_instead(window: BrowserWindow) -> None:
    morning = await FullMorning.make(window)
    await window.go(morning.line)
    other = window.page.locator("section", has_text="Rather not wait?").locator("a.row").first
    name = await other.locator("b[lang=en]").inner_text()
    await other.click()
    await window.page.wait_for_url("**start=**")
    await expect(window.page.locator("main")).to_contain_text(name)
    await expect(window.page.locator("input[name=start]:checked")).to_have_count(1)
