"""Signing in as people do it, in a browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.pages.states.sign_in import make_codes_cost, wait, wrong
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_by_keyboard_from_a_page_and_back_to_it(window: BrowserWindow) -> None:
    page = window.page
    await window.product.database.execute("DELETE FROM accounts.challenge")
    await window.go("/privacy/withdraw")
    assert page.url.endswith("/verify?next=%2Fprivacy%2Fwithdraw")
    await page.focus("#phone")
    await page.keyboard.type("98765 43210")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/verify/code?next=*")
    await expect(page.locator("main")).to_contain_text("+91 98765 43210")
    again = page.locator("button[data-from]")
    await expect(again).to_have_attribute("aria-disabled", "true")
    await expect(again).to_contain_text("Send again in 0:")
    code = await window.product.code()
    await page.focus("#code")
    await page.evaluate("code => navigator.clipboard?.writeText(code).catch(() => {})", code)
    await page.keyboard.insert_text(f"{code[:3]} {code[3:]}")  # as a paste comes
    assert await page.input_value("#code") == code
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/privacy/withdraw")
    [session] = [cookie for cookie in await window.context.cookies() if cookie["name"] == "session"]
    assert (session["httpOnly"], session["sameSite"], session["secure"]) == (True, "Lax", False)
    # Back to the form that was sent: who is in need not sign in.
    await window.go("/verify?next=/help")
    assert page.url.endswith("/help")
    await window.press("Sign out")
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    await window.go("/privacy/withdraw")
    assert "/verify" in page.url
    assert window.faults == []


async def test_a_fault_of_a_field_is_said_there_and_takes_focus(window: BrowserWindow) -> None:
    await window.product.database.execute("DELETE FROM accounts.challenge")
    await wrong(window)
    await expect(window.page.locator("#code")).to_be_focused()
    assert (await window.page.title()).startswith("Error: ")
    await expect(window.page.locator("#code-error")).to_contain_text("This is not the code")


async def test_without_javascript(product: Product, browser: Browser) -> None:
    await product.database.execute("DELETE FROM accounts.challenge")
    async with BrowserWindow.open(product, browser, language="hi", scripts=False) as window:
        await window.go("/verify?next=/privacy")
        await window.page.fill("#phone", window.number())
        await window.press("Agree and send code")
        await window.press("Send a new code")  # too soon
        await expect(window.page.locator("#error")).to_contain_text("IST के बाद")
        await window.page.fill("#code", await product.code())
        await window.press("Confirm")
        await window.page.wait_for_url("**/hi/privacy")
        await expect(window.page.locator("footer")).to_contain_text("साइन आउट")


async def test_a_price_is_paid_by_a_worker_without_anybody_noticing(window: BrowserWindow) -> None:
    await make_codes_cost(window, 30)
    number = window.number()
    await window.go("/verify?next=/privacy/withdraw")
    await window.page.fill("#phone", number)
    await window.press("Agree and send code")
    await window.page.wait_for_url("**/verify/code?next=*")
    await expect(window.page.locator("main")).to_contain_text(number[-4:])
    await window.page.fill("#code", await window.product.code())
    await window.press("Confirm")
    await window.page.wait_for_url("**/privacy/withdraw")
    assert await window.product.database.fetch_value("SELECT count(*) FROM accounts.spent_proof") >= 1
    assert window.faults == []
    # From now on this device is known, and pays nothing, though no cookie but its own is left.
    await window.context.clear_cookies(name="session")
    await window.go("/verify")
    await window.page.fill("#phone", number)
    await window.press("Agree and send code")
    await window.page.wait_for_url("**/verify/code")
    assert await window.product.database.fetch_value(
        "SELECT is_known FROM accounts.challenge ORDER BY created_at DESC, serial DESC LIMIT 1"
    )
    await window.product.database.execute("DELETE FROM accounts.challenge")


async def test_without_webcrypto_the_form_waits_for_its_time(window: BrowserWindow) -> None:
    await wait(window)
    button = window.page.locator("#work button")
    await expect(button).to_have_attribute("aria-disabled", "true")
    await expect(button).to_contain_text("Send code in 1:")
    await expect(window.page.locator("#working")).to_be_hidden()
    assert window.faults == []


async def test_without_javascript_a_code_is_waited_for(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, scripts=False) as window:
        await make_codes_cost(window, 30)
        number = window.number()
        await window.go("/verify?next=/help")
        await window.page.fill("#phone", number)
        await window.press("Agree and send code")
        await expect(window.page.locator("main")).to_contain_text(number[-4:])
        # It loads again by itself when its time has come; who is too early loses nothing.
        assert 80 < int(await window.page.locator("meta[http-equiv=refresh]").get_attribute("content") or 0) <= 90
        await window.press("Send code")
        await window.page.wait_for_url(lambda url: "/verify/wait?next=" in url)
        async with product.time_passed(seconds=90):
            await window.page.reload()
            await expect(window.page.locator("main")).to_contain_text("You can send the code now.")
            assert await window.page.locator("meta[http-equiv=refresh]").count() == 0
            await window.press("Send code")
            await window.page.wait_for_url(lambda url: "/verify/code?next=" in url)
            await window.page.fill("#code", await product.code())
            await window.press("Confirm")
            await window.page.wait_for_url("**/help")
        await product.database.execute("DELETE FROM accounts.challenge")


@pytest.mark.dates
async def test_a_hold_shows_on_every_page_and_its_time_runs_out(window: BrowserWindow) -> None:
    patient = await window.patient()
    held = await window.hold(patient)
    await window.go("/help")
    bar = window.page.locator("aside.live")
    await expect(bar).to_contain_text("Held for you · until")
    await expect(bar.get_by_role("timer")).to_contain_text("4:5")
    href = await bar.get_by_role("link").get_attribute("href")
    assert href == f"/doctor/{window.product.data.two_clinics_doctor_id}/hold/{held.booking_id}"
    # The device slept for six minutes.
    await window.page.evaluate(
        "() => { const now = Date.now; Date.now = () => now() + 360000; "
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )
    await expect(bar.get_by_text("is over")).to_be_visible()
    await expect(bar.get_by_role("timer")).to_be_hidden()


async def test_a_lost_network_is_told(window: BrowserWindow) -> None:
    await window.go("/help")
    await window.context.set_offline(True)
    await expect(window.page.locator("#connection")).to_contain_text("You are offline")
    await window.context.set_offline(False)
    await expect(window.page.locator("#connection")).to_be_empty()


async def test_first_views_are_light(window: BrowserWindow) -> None:
    """At most 60 KB and 8 requests besides photos, all from here; HTML 14, CSS 9.5, scripts 15 KB compressed."""
    sent: dict[str, tuple[str, int]] = {}  # by address: a busy Chromium asks twice for the icons, once from its cache
    session = await window.context.new_cdp_session(window.page)
    await session.send("Network.enable")
    kinds: dict[str, tuple[str, str]] = {}
    session.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: (e["response"]["url"], e["type"])}))
    session.on(
        "Network.loadingFinished",
        lambda e: sent.update({kinds[e["requestId"]][0]: (kinds[e["requestId"]][1], int(e["encodedDataLength"]))}),
    )
    await window.page.route("**/photo/*", lambda route: route.abort())
    for path in ("/", "/verify", "/in/pune?view=map", f"/doctor/{window.product.data.two_clinics_doctor_id}"):
        await session.send("Network.clearBrowserCache")
        sent.clear()
        await window.go(path)
        await window.page.wait_for_load_state("networkidle")
        by_kind = {kind: sum(size for one, size in sent.values() if one == kind) for kind, _ in sent.values()}
        assert 0 < len(sent) <= 8, (path, sent)
        assert sum(by_kind.values()) <= 60_000
        assert 0 < by_kind["Document"] <= 14_000
    assert window.faults == []
