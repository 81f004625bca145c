"""Paying at the emulated gateways, as people do it in a browser, with and without script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.payment_keys import AccountKeys
from healthplus_emulators.emulator import Keys
from healthplus_emulators.running import Running, running_emulator
from tests.pages.states.hold import held, lapse
from tests.pages.window import BrowserWindow, Product, Scheme

# The product is started once more, beside two gateways.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

KEYS = {
    "stripe": Keys("sk_test_pages4f1e", "whsec_pages77ab"),
    "razorpay": Keys("razorpay-secret-3c1d", "razorpay-webhooks-9e2b", "rzp_test_pages"),
}
PAID_SECONDS = 40
"""How long a webhook, a look or a refund may take on a busy machine."""


class Shop(NamedTuple):
    """The product with one gateway. `account`: as the product calls its account there."""

    product: Product
    emulator: Running
    gateway: str

    @property
    def account(self) -> str:
        return f"{self.gateway}-pages"

    async def pay_there(self, order: str) -> None:
        """Pay for an order at the gateway, in a tab that is closed before it leads back."""
        await self.emulator.control("pay", order=order, method="card")


@pytest.fixture(scope="module")
def emulators(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("gateways")
        yield {
            gateway: stack.enter_context(running_emulator(gateway, folder, keys, webhooks(product, gateway)))
            for gateway, keys in KEYS.items()
        }


def webhooks(product: Product, gateway: str) -> str:
    return f"{product.url}/api/v1/webhooks/payments/{gateway}-pages"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateways(product: Product, emulators: dict[str, Running]) -> AsyncIterator[dict[str, Shop]]:
    """The product with an account at each gateway."""
    keys = {
        f"{gateway}-pages": AccountKeys(one.keys.secret, one.keys.webhook_secret, one.keys.key_id, one.url)
        for gateway, one in emulators.items()
    }
    for gateway in emulators:
        await product.database.execute(
            "INSERT INTO payments.account (account, gateway, owner) VALUES ($1, $2, 'Sahyadri Clinics')",
            f"{gateway}-pages",
            gateway,
        )
    await product.restart(payment_keys=json.dumps(msgspec.to_builtins(keys)))
    try:
        yield {gateway: Shop(product, one, gateway) for gateway, one in emulators.items()}
    finally:
        await product.database.execute("DELETE FROM payments.clinic_account")
        await product.restart(payment_keys="{}")


@pytest_asyncio.fixture(loop_scope="session")
async def shop(request: pytest.FixtureRequest, gateways: dict[str, Shop]) -> Shop:
    """The product with the clinic of the tests' doctor at one of the gateways."""
    shop = gateways[request.param]
    await shop.product.database.execute(
        """INSERT INTO payments.clinic_account (clinic_id, account)
        SELECT min(clinic_id), $2 FROM directory.provider_clinic WHERE provider_id = $1 AND funding = 'online'
        ON CONFLICT (clinic_id) DO UPDATE SET account = excluded.account""",
        shop.product.data.two_clinics_doctor_id,
        shop.account,
    )
    return shop


def each_gateway(*gateways: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("shop", gateways or KEYS, indirect=True)


@contextlib.asynccontextmanager
async def at_the_pay_page(shop: Shop, browser: Browser, *, scripts: bool) -> AsyncIterator[tuple[BrowserWindow, str]]:
    async with BrowserWindow.open(shop.product, browser, scripts=scripts) as window:
        path = await held(window)
        await window.go(path)
        yield window, path
        assert window.faults == []


async def choose(window: BrowserWindow, method: str) -> None:
    """Go on to the gateway's page to pay by a method, by the form between where script does not send it."""
    await window.page.locator(f"[name=method][value={method}]").check()
    async with window.page.expect_navigation():
        await window.page.locator("form .bar .button").click()
    if await window.page.locator("#going-on").count():
        with contextlib.suppress(Exception):  # with script it goes by itself, perhaps just now
            await window.page.locator("#going-on button").click(timeout=3000)
    await window.page.wait_for_url(re.compile(r"/(c/pay|checkout)/"))


async def answer(page: Page, choice: str) -> None:
    """Press what a patient chooses on the gateway's page."""
    async with page.expect_navigation():
        await page.locator(f"button[value={choice}]").click()


async def come_back(page: Page) -> None:
    """Press on where the gateway leads back by a form."""
    if await page.get_by_role("button", name="Continue", exact=True).count():
        await page.get_by_role("button", name="Continue", exact=True).click()
    await page.wait_for_url("**/hold/*")


def hold_of(path: str) -> UUID:
    return UUID(path.rsplit("/", 1)[-1])


async def order_of(shop: Shop, path: str) -> str:
    found = await shop.product.database.fetch_value(
        "SELECT order_name FROM payments.intent WHERE hold_id = $1", hold_of(path)
    )
    assert found
    return str(found)


async def money_becomes(shop: Shop, path: str, state: str) -> Any:
    """Wait until the money for a hold is in a state at the gateway, and return its payment."""
    hold_id = hold_of(path)
    async with asyncio.timeout(PAID_SECONDS):
        while True:
            row = await shop.product.database.fetch_row("SELECT * FROM ledger.payment WHERE hold_id = $1", hold_id)
            if row is not None and row["state"] == state:
                assert row["authorisation"].startswith(f"{shop.account}/")
                return row
            await asyncio.sleep(0.2)


async def is_booked(page: Page) -> None:
    await expect(page.locator("a[href$='visit.ics']")).to_be_visible()


SECOND = {"stripe": "second", "razorpay": "bank"}
DECLINED = {"stripe": "declined", "razorpay": "decline"}
GOOD = {"stripe": "good", "razorpay": "pay"}
APPROVED = {"stripe": "approve", "razorpay": "pay"}


async def declined_then_second_page(shop: Shop, browser: Browser, *, scripts: bool, is_captured: bool) -> None:
    """Pay by a declined card, then by one whose bank asks on a page of its own; cancel, so that all goes back."""
    async with at_the_pay_page(shop, browser, scripts=scripts) as (window, path):
        page = window.page
        await expect(page.locator(".if-blocked")).to_contain_text("You are charged only when")
        await choose(window, "card")
        await answer(page, DECLINED[shop.gateway])
        if shop.gateway == "razorpay":  # it leads back, and the page says so
            await come_back(page)
            await expect(page.locator("#error")).to_contain_text("Your bank declined")
            await choose(window, "card")
        await answer(page, SECOND[shop.gateway])
        await answer(page, APPROVED[shop.gateway])
        await come_back(page)
        await is_booked(page)
        if is_captured:
            await money_becomes(shop, path, "captured")
        await window.go(f"{path.replace('/doctor/', '/appointments/').replace('/hold/', '/')}/cancel")
        await page.locator("main form button.button").first.click()
        await page.wait_for_url("**/appointments/**")
        await money_becomes(shop, path, "refunded" if is_captured else "voided")


async def upi_by_qr(shop: Shop, browser: Browser, *, scripts: bool) -> None:
    async with at_the_pay_page(shop, browser, scripts=scripts) as (window, path):
        page = window.page
        await page.locator("[name=method][value=upi]").check()
        await expect(page.locator(".if-at-once")).to_contain_text("all of it comes back if the time cannot be kept")
        await choose(window, "upi")
        await expect(page.locator("svg")).to_be_visible()
        await answer(page, "pay")
        await come_back(page)
        await is_booked(page)
        await money_becomes(shop, path, "captured")


@each_gateway("stripe")
async def test_a_declined_card_then_a_good_one_and_no_charge(shop: Shop, browser: Browser) -> None:
    await declined_then_second_page(shop, browser, scripts=True, is_captured=False)


@each_gateway("razorpay")
async def test_upi_by_a_qr_code_without_script(shop: Shop, browser: Browser) -> None:
    await upi_by_qr(shop, browser, scripts=False)


@pytest.mark.long
@each_gateway("razorpay")
async def test_upi_by_a_qr_code_with_script(shop: Shop, browser: Browser) -> None:
    await upi_by_qr(shop, browser, scripts=True)


@pytest.mark.long
@pytest.mark.parametrize("scripts", [True, False])
@each_gateway()
async def test_cards(shop: Shop, browser: Browser, scripts: bool) -> None:
    await declined_then_second_page(shop, browser, scripts=scripts, is_captured=True)


@pytest.mark.long
@pytest.mark.parametrize("scripts", [True, False])
@each_gateway()
async def test_who_gives_up_can_try_again(shop: Shop, browser: Browser, scripts: bool) -> None:
    async with at_the_pay_page(shop, browser, scripts=scripts) as (window, path):
        await choose(window, "card")
        first = await order_of(shop, path)
        await window.page.get_by_role("link", name=re.compile("^(Go back|Cancel)$")).click()
        await window.page.wait_for_url("**bank=cancelled")
        await expect(window.page.locator(".notice").first).to_contain_text("You have not paid yet")
        await choose(window, "card")
        assert await order_of(shop, path) == first
        await answer(window.page, GOOD[shop.gateway])
        await come_back(window.page)
        await is_booked(window.page)


@pytest.mark.long
@pytest.mark.parametrize("scripts", [True, False])
@each_gateway()
async def test_a_tab_that_is_closed_and_a_webhook(shop: Shop, browser: Browser, scripts: bool) -> None:
    async with at_the_pay_page(shop, browser, scripts=scripts) as (window, path):
        await choose(window, "card")
        order = await order_of(shop, path)
        await window.page.close()
        other = await window.context.new_page()
        await other.goto(path)
        await expect(other.locator(".notice").first).to_contain_text("You have begun to pay")
        await shop.pay_there(order)
        if not scripts:
            await money_becomes(shop, path, "captured")
            await other.goto(path)
        await is_booked(other)  # with script, by itself


@pytest.mark.long
@pytest.mark.parametrize("is_taken", [False, True])
@pytest.mark.parametrize("scripts", [True, False])
@each_gateway()
async def test_paid_after_the_hold(shop: Shop, browser: Browser, scripts: bool, is_taken: bool) -> None:
    database = shop.product.database
    async with at_the_pay_page(shop, browser, scripts=scripts) as (window, path):
        await choose(window, "upi" if shop.gateway == "razorpay" else "card")
        await lapse(window, path)
        row = await database.fetch_row(
            "SELECT provider_id, clinic_id, lower(during) AS starts_at FROM booking.booking WHERE booking_id = $1",
            hold_of(path),
        )
        assert row is not None
        if is_taken:
            patient_id, _ = await add_patient(database, "Bina Shah")
            place = (row["provider_id"], row["clinic_id"], row["starts_at"])
            taken = await Book(database).hold(*place, 1, patient_id, Patient(patient_id))
            assert taken.code == "reserved"
        await answer(window.page, "pay" if shop.gateway == "razorpay" else "good")
        await come_back(window.page)
        if is_taken:
            await expect(window.page.locator("main")).to_contain_text(re.compile("Refund(ed:| started)"))
            await expect(window.page.locator("main")).to_contain_text("Someone has it now.")
            paid = await money_becomes(shop, path, "refunded" if shop.gateway == "razorpay" else "voided")
            gone_at = paid["refunded_at"] or paid["voided_at"]
            assert gone_at - paid["authorised_at"] < timedelta(seconds=60)
        else:
            await expect(window.page.locator("main")).to_contain_text("It is booked after all")
            await money_becomes(shop, path, "captured")


@pytest.mark.long
@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@each_gateway("razorpay")
async def test_the_page_between_is_for_everybody(shop: Shop, browser: Browser, scheme: Scheme, language: str) -> None:
    """Where the gateway's page does not come, the form that leads there stays, with its one button."""
    async with BrowserWindow.open(shop.product, browser, scheme=scheme, language=language) as window:
        await window.page.route("**/checkout/embedded", lambda route: route.fulfill(status=204))
        await window.go(await held(window))
        await window.page.locator("[name=method][value=card]").check()
        await window.page.locator("form .bar .button").click()
        await expect(window.page.locator("#going-on button")).to_be_visible()
        assert await window.violations() == []
        assert (await window.overflow(), await window.small_targets()) == (0, [])


@pytest.mark.long
@each_gateway()
async def test_no_key_is_in_a_row(shop: Shop) -> None:
    tables = await shop.product.database.fetch(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('payments', 'ledger')"
    )
    keys = KEYS[shop.gateway]
    for table in tables:
        found = await shop.product.database.fetch_value(
            f"SELECT count(*) FROM {table['name']} AS t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0",
            keys.secret,
            keys.webhook_secret,
        )
        assert found == 0, table["name"]
