"""The page on which a patient pays online what was to be paid at the clinic, and what patient and desk see then."""

from __future__ import annotations

import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.errors import BadInput
from healthplus.payments.accounts import SANDBOX
from tests.fixtures.environment import AT_CLINIC, OTHER_PROVIDER, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.fixtures.till import pay_at_desk
from tests.payments.orders import PAGES, Orders
from tests.web.client import Browser
from tests.web.staff import book, goes_to, log_in, shows, words
from tests.web.test_desk_payments import takes_nothing_online

FORM = {"method": "sandbox-upi", "shown": "30000"}


@pytest.fixture
async def visit(environment: Environment) -> str:
    """An appointment of Asha's for 300 rupees, to be paid at the clinic."""
    return f"/appointments/{PROVIDER}/{await book(environment, environment.instant(13))}"


@pytest.fixture
def asha(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["asha"])


@pytest.fixture
def gateway(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> Orders:
    gateway = Orders()
    monkeypatch.setitem(app.state.services.payments.gateways._known, SANDBOX, gateway)
    return gateway


async def test_a_patient_pays_and_the_desk_sees_it(
    app: Litestar, asha: Browser, visit: str, environment: Environment, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    assert "Pay ₹300 online, or at the clinic’s desk" in await shows(asha, visit)
    page = await asha.get(f"{visit}/pay")
    assert "all of it comes back" in words(page)
    assert page.text.count('<button class="button"') == 1
    nothing = await asha.post(f"{visit}/pay", {"shown": "30000"})
    assert nothing.status_code == 422
    assert "Choose how to pay." in words(nothing)
    for shown in ("29900", "x", ""):
        changed = await asha.post(f"{visit}/pay", FORM | {"shown": shown})
        assert changed.status_code == 422
        assert "The fee has just changed." in words(changed)
    assert (
        goes_to(await asha.post(f"{visit}/pay", FORM | {"method": "sandbox-declined"})) == f"{visit}/pay?bank=declined"
    )
    assert "Your bank declined" in await shows(asha, f"{visit}/pay?bank=declined")
    for _ in range(2):  # and by going back
        assert goes_to(await asha.post(f"{visit}/pay", FORM)) == f"{visit}?paid=1"
    said = await shows(asha, f"{visit}?paid=1")
    assert "Nothing is to be paid at the clinic any more." in said
    assert "Pay ₹300 online" not in said
    assert goes_to(await asha.get(f"{visit}/pay")) == visit
    desk = await log_in(app, db, "desk", AT_CLINIC)
    sheet = f"/desk/{AT_CLINIC}/{environment.instant(13).date()}"
    said = await shows(desk, sheet)
    assert "paid online" in said
    assert "₹300 to pay" not in said
    at_desk = await shows(desk, f"{sheet}/visit/{visit.rpartition('/')[2]}/pay")
    assert "₹300 paid online" in at_desk
    assert "Record a payment" not in at_desk


async def test_who_pays_what_the_desk_has_is_told_that_it_goes_back(
    app: Litestar, asha: Browser, visit: str, gateway: Orders, db: Database
) -> None:
    """It was paid on the gateway's page, which sends back by a form; with the desk meanwhile."""
    form = FORM | {"method": "upi"}
    led = await asha.post(f"{visit}/pay", form)
    assert f'action="{PAGES}/checkout"' in led.text
    assert f"form-action 'self' {PAGES};" in led.headers["content-security-policy"]
    assert "You have begun to pay" in await shows(asha, f"{visit}/pay")
    assert "You have not paid yet" in await shows(asha, f"{visit}/pay?bank=cancelled")
    booking = await db.fetch_value("SELECT booking_id FROM booking.booking")
    assert await pay_at_desk(db, booking) == "recorded"
    gateway.pay("order-1")
    app.state.services.payments._looked.clear()
    assert goes_to(await asha.get(f"{visit}/pay?bank=later")) == visit
    await app.state.services.payments.reconciliation.look_for(PROVIDER, booking)
    said = await shows(asha, visit)
    assert "₹300 paid at the clinic" in said
    assert "refund" in said.lower()
    assert goes_to(await asha.post(f"{visit}/pay", form)) == f"{visit}?paid=0"
    said = await shows(asha, f"{visit}?paid=0")
    assert "This cannot be paid online any more" in said
    assert "What you paid online just now goes back." in said


async def test_who_had_paid_nothing_online_is_told_of_nothing_that_goes_back(
    asha: Browser, visit: str, db: Database
) -> None:
    """The desk was paid while the page was open."""
    assert await pay_at_desk(db, await db.fetch_value("SELECT booking_id FROM booking.booking")) == "recorded"
    assert goes_to(await asha.post(f"{visit}/pay", FORM)) == f"{visit}?paid=0"
    said = await shows(asha, f"{visit}?paid=0")
    assert "This cannot be paid online any more" in said
    assert "goes back" not in said


async def test_an_amount_that_the_gateway_has_not_is_said(
    asha: Browser, visit: str, gateway: Orders, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of three decimals where it has two."""

    async def refuse(*_: object) -> object:
        raise BadInput("no such amount")

    monkeypatch.setattr(gateway, "authorise", refuse)
    refused = await asha.post(f"{visit}/pay", FORM | {"method": "card"})
    assert refused.status_code == 422
    assert "Pay at the clinic instead." in words(refused)
    held = await environment.hold(environment.instant(10), provider_id=OTHER_PROVIDER)
    refused = await asha.post(f"/doctor/{OTHER_PROVIDER}/hold/{held.booking_id}", {"who": "me", "method": "card"})
    assert refused.status_code == 422
    assert "cannot take this amount. Call the clinic." in words(refused)


async def test_a_clinic_that_takes_nothing_online_offers_nothing(asha: Browser, visit: str, db: Database) -> None:
    await takes_nothing_online(db)
    assert "online, or at the clinic’s desk" not in await shows(asha, visit)
    assert goes_to(await asha.get(f"{visit}/pay")) == visit
