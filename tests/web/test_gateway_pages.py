"""The pages around a gateway's own: going on there by a form, coming back, and what the pay page says before."""

from __future__ import annotations

import html
import re

import pytest
from litestar import Litestar

from healthplus.payments.accounts import SANDBOX
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.payments.orders import PAGES, Orders
from tests.web.client import Browser
from tests.web.test_booking_pages import hold

FORM = {"who": "me", "method": "card"}


@pytest.fixture
def gateway(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> Orders:
    gateway = Orders()
    monkeypatch.setitem(app.state.services.payments.gateways._known, SANDBOX, gateway)
    return gateway


@pytest.fixture
def asha(app: Litestar, environment: Environment, gateway: Orders) -> Browser:
    return Browser(app, environment.tokens["asha"])


async def test_a_form_leads_to_the_gateway_and_nothing_of_it_is_ours(asha: Browser, environment: Environment) -> None:
    path = await hold(asha, environment)
    led = await asha.post(path, FORM)
    assert led.status_code == 200
    assert f"form-action 'self' {PAGES};" in led.headers["content-security-policy"]
    form = led.text[led.text.index('<form method="post" id="going-on"') :].partition("</form>")[0]
    assert f'action="{PAGES}/checkout"' in form
    fields = {
        html.unescape(name): html.unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    }
    assert fields["order_id"] == "order-1"
    assert fields["callback_url"].endswith(f"{path}?bank=later")
    assert fields['na"me'] == "<Dr & Co>"
    assert re.findall(r"<input (?!type=.hidden)", form) == []
    assert form.count('<button class="button">Go on to pay ₹500') == 1
    assert "<script>" not in led.text


async def test_who_comes_back_sees_at_once_what_the_gateway_knows(
    asha: Browser, app: Litestar, gateway: Orders, environment: Environment
) -> None:
    path = await hold(asha, environment)
    await asha.post(path, FORM)
    begun = (await asha.get(path)).text  # in another tab: nothing has been paid
    assert "You have begun to pay" in begun
    assert "Pay ₹500" in begun
    gateway.pay("order-1")
    await environment.db.execute("UPDATE payments.intent SET check_at = app_now() + interval '1 day'")
    app.state.services.payments._looked.clear()
    assert "Booked for" in (await asha.get(f"{path}?bank=later")).text


async def test_who_waits_for_the_bank_is_told_so_and_may_leave(
    asha: Browser, gateway: Orders, environment: Environment
) -> None:
    path = await hold(asha, environment)
    await asha.post(path, FORM)
    waiting = (await asha.get(f"{path}?bank=later")).text
    assert "We are waiting for your bank" in waiting
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in waiting
    given_up = (await asha.get(f"{path}?bank=cancelled")).text
    assert "You have not paid yet" in given_up
    assert given_up.count('<button class="button"') == 1
    again = await asha.post(path, FORM | {"method": "upi"})
    assert 'value="order-2"' in again.text


@pytest.mark.parametrize("is_taken", [False, True])
async def test_paid_after_the_hold(
    is_taken: bool, asha: Browser, app: Litestar, gateway: Orders, environment: Environment
) -> None:
    path = await hold(asha, environment)
    await asha.post(path, FORM | {"method": "upi"})
    await environment.pass_time(minutes=6)
    if is_taken:
        await hold(Browser(app, environment.tokens["bina"]), environment)
    gateway.pay("order-1", is_captured=True)
    page = (await asha.get(f"{path}?bank=later")).text
    if is_taken:
        assert "Refund started: ₹500 goes back" in page
        assert "Someone has it now." in page
    else:
        assert "It is booked after all" in page


async def test_each_method_says_what_becomes_of_the_money(
    asha: Browser, gateway: Orders, environment: Environment
) -> None:
    page = (await asha.get(await hold(asha, environment))).text
    assert re.search(r'value="upi" data-kind="upi" data-at-once', page)
    assert re.search(r'value="card" data-kind="card">', page)
    assert 'class="if-blocked">We block ₹500 now. You are charged only when your appointment is confirmed.</b>' in page
    assert 'class="if-at-once">You pay ₹500 now; all of it comes back if the time cannot be kept.</b>' in page
    assert 'href="/help#money"' in page
    assert "Test mode" not in page


async def test_without_a_gateway_the_page_says_what_to_do(
    asha: Browser, gateway: Orders, environment: Environment
) -> None:
    gateway.methods = ()
    page = (await asha.get(await hold(asha, environment))).text
    assert "Online payment does not work here just now." in page


async def test_at_the_clinic_is_offered_only_where_the_hold_is_paid_there(
    asha: Browser, gateway: Orders, environment: Environment
) -> None:
    path = await hold(asha, environment)
    assert "You pay at the desk." not in (await asha.get(path)).text
    assert (await asha.post(path, {"who": "me", "method": "clinic"})).status_code == 422
    await asha.post(f"{path}/release")
    path = await hold(asha, environment, 14, f"/doctor/{PROVIDER}/dr-1/{AT_CLINIC}")
    page = (await asha.get(path)).text
    assert "You pay at the desk. Nothing is paid now." in page
    assert 'name="method"' not in page
