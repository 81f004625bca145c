"""Notifications as people choose them in a browser. Its push service is a stand-in: a real one is not asked."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from healthplus.web.assets import ASSETS
from tests.notices.test_push import AUTH, BROWSER_PUBLIC
from tests.pages.states.notifications import soon
from tests.pages.window import BrowserWindow, Product

pytestmark = pytest.mark.asyncio(loop_scope="session")

BLOCKED = "Your browser blocks notifications from this site. Allow them in its settings, then reload this page."
ENDPOINT = "https://push.example.com/of-this-browser"
_PUSH_SERVICE = f"""(() => {{
    const found = {{
        endpoint: "{ENDPOINT}",
        toJSON: () => ({{endpoint: "{ENDPOINT}", keys: {{p256dh: "{BROWSER_PUBLIC}", auth: "{AUTH}"}}}}),
        unsubscribe: async () => {{ localStorage.removeItem("subscribed"); return true; }},
    }};
    Notification.requestPermission = async () => localStorage.getItem("answer") ?? "granted";
    PushManager.prototype.getSubscription = async () => localStorage.getItem("subscribed") ? found : null;
    PushManager.prototype.subscribe = async ({{userVisibleOnly, applicationServerKey}}) => {{
        if (!userVisibleOnly || applicationServerKey.length !== 65) throw new TypeError("no key");
        localStorage.setItem("subscribed", "1");
        return found;
    }};
}})()"""


async def endpoints(window: BrowserWindow, patient_id: int) -> list[str]:
    rows = await window.product.database.fetch(
        "SELECT endpoint FROM notices.push_subscription WHERE patient_id = $1", patient_id
    )
    return [row["endpoint"] for row in rows]


@pytest.mark.parametrize("language", ["en", "hi"])
async def test_a_device_is_switched_on_and_off(product: Product, browser: Browser, language: str) -> None:
    async with BrowserWindow.open(product, browser, language=language) as window:
        await window.context.add_init_script(_PUSH_SERVICE)
        patient = await window.patient()
        await window.go("/notifications")
        button, said = window.page.locator("#push"), window.page.locator("#push-said")
        await expect(button).to_have_attribute("aria-disabled", "false")
        await button.click()
        await expect(said).to_have_text(window.said("This device now shows your notifications."))
        await expect(button).to_have_text(window.said("Stop notifying this device"))
        assert await endpoints(window, patient.patient_id) == [ENDPOINT]
        await window.go("/notifications")
        await expect(button).to_have_text(window.said("Stop notifying this device"))
        await button.click()
        await expect(said).to_have_text(window.said("This device shows no notifications any more."))
        assert await endpoints(window, patient.patient_id) == []
        await window.page.evaluate("localStorage.setItem('answer', 'denied')")
        await button.click()
        await expect(said).to_have_text(window.said(BLOCKED))
        assert await endpoints(window, patient.patient_id) == []
        assert window.faults == []


async def test_nothing_moves_when_the_browser_is_asked(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser) as window:
        await window.context.add_init_script(_PUSH_SERVICE)
        await window.patient()
        await window.go("/notifications")
        link = window.page.get_by_role("main").get_by_role("link", name="My appointments")
        place = "element => element.getBoundingClientRect().top + scrollY"
        before = await link.evaluate(place)
        await expect(window.page.locator("#push")).to_have_attribute("aria-disabled", "false")
        assert await link.evaluate(place) == before
        await window.page.evaluate("localStorage.setItem('answer', 'denied')")
        await window.page.locator("#push").click()
        await expect(window.page.locator("#push-said")).to_have_text(BLOCKED)
        assert await link.evaluate(place) == before


async def test_without_scripts_there_is_all_but_the_device(product: Product, browser: Browser) -> None:
    async with BrowserWindow.open(product, browser, scripts=False) as window:
        await window.patient()
        await window.go("/notifications")
        page = window.page
        await expect(page.locator("#device")).to_be_hidden()
        await page.get_by_label("हिन्दी").check()
        await page.get_by_label("By WhatsApp instead of SMS").check()
        await page.get_by_label("By text message").uncheck()
        await window.press("Save")
        await expect(page.get_by_role("main").get_by_role("status").first).to_have_text("Saved.")
        await expect(page.get_by_label("हिन्दी")).to_be_checked()
        await expect(page.get_by_label("By WhatsApp instead of SMS")).to_be_checked()
        await expect(page.get_by_label("By text message")).not_to_be_checked()
        assert window.faults == []


@pytest.mark.parametrize("scripts", [True, False])
async def test_who_is_reminded_says_that_they_are_coming(product: Product, browser: Browser, scripts: bool) -> None:
    async with BrowserWindow.open(product, browser, scripts=scripts) as window:
        path = await soon(window)
        await window.go(path)
        await window.press("I am coming")
        await expect(window.page.locator("main")).to_contain_text("You said that you are coming.")
        await expect(window.page.get_by_role("button", name="I am coming")).to_have_count(0)


async def test_the_service_worker_shows_what_is_pushed_and_opens_its_page(product: Product, browser: Browser) -> None:
    """The script itself, on a page that lets it run, with a stand-in for the worker's own world."""
    async with BrowserWindow.open(product, browser) as window:
        shown = await window.page.evaluate(
            """source => {
                const heard = {}, done = [];
                const registration = {showNotification: async (title, options) => done.push([title, options])};
                const clients = {claim: async () => {}, openWindow: async path => done.push(path)};
                new Function("addEventListener", "registration", "clients", "skipWaiting", source)(
                    (kind, act) => { heard[kind] = act; }, registration, clients, () => {});
                const said = {text: "Your appointment is on Wed.", path: "/a/x", language: "en", tag: "ab12"};
                heard.push({data: {json: () => said}, waitUntil: () => {}});
                heard.notificationclick({
                    notification: {data: "/a/x", close: () => done.push("closed")}, waitUntil: () => {}});
                return done;
            }""",
            ASSETS["push.js"].body.decode(),
        )
    title, options = shown[0]
    assert (title, options["body"], options["tag"]) == ("HealthPlus", "Your appointment is on Wed.", "ab12")
    assert shown[1:] == ["closed", "/a/x"]
