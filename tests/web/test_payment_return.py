"""Where Razorpay's page sends a patient back to: by a form from another site, without cookies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from litestar import Litestar

from healthplus.payments.gateways.razorpay import RazorpayGateway
from healthplus_emulators.running import Running, running_emulator
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.razorpay_account import ACCOUNT, KEYS, gateway_of, open_account
from tests.web.client import Browser
from tests.web.test_booking_pages import hold

FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://api.razorpay.com"}
BACK = f"/payments/{ACCOUNT}/return"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_emulator("razorpay", tmp_path_factory.mktemp("razorpay"), KEYS) as running:
        yield running


@pytest.fixture(autouse=True)
async def gateway(
    app: Litestar, environment: Environment, emulator: Running, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RazorpayGateway]:
    await open_account(environment)
    async with gateway_of(emulator.url) as client:
        monkeypatch.setitem(app.state.services.payments.gateways._known, ACCOUNT, client)
        yield client


async def begin(asha: Browser, environment: Environment) -> tuple[str, str]:
    """Hold a time and begin to pay; return the hold's page and the order."""
    path = await hold(asha, environment)
    assert (await asha.post(path, {"who": "me", "method": "upi"})).status_code == 200
    order: str = await environment.db.fetch_value("SELECT order_name FROM payments.intent")
    return path, order


@pytest.fixture
def asha(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["asha"])


async def state(environment: Environment) -> str:
    found: str = await environment.db.fetch_value("SELECT state::text FROM booking.booking")
    return found


@pytest.mark.parametrize("language", ["", "/hi"])
async def test_who_has_paid_finds_the_time_booked(
    asha: Browser, app: Litestar, environment: Environment, emulator: Running, language: str
) -> None:
    path, order = await begin(asha, environment)
    fields = await emulator.control("pay", order=order, method="upi")
    back = await Browser(app).post(language + BACK, fields, FROM_ELSEWHERE)
    assert (back.status_code, back.headers["location"]) == (303, f"{language}{path}?bank=later")
    assert await state(environment) == "booked", "at once"
    page = await asha.get(back.headers["location"])
    assert page.status_code == 200
    # Once more, as who goes back in the browser sends it, or by a link.
    for again in (
        await Browser(app).post(BACK, fields, FROM_ELSEWHERE),
        await Browser(app).get(f"{BACK}?{'&'.join(f'{name}={text}' for name, text in fields.items())}"),
    ):
        assert (again.status_code, again.headers["location"]) == (303, f"{path}?bank=later")
    assert await environment.db.fetch_value("SELECT count(*) FROM ledger.payment") == 1


async def test_who_was_declined_is_told_so_and_pays_in_another_way(
    asha: Browser, app: Litestar, environment: Environment, emulator: Running
) -> None:
    path, order = await begin(asha, environment)
    fields = await emulator.control("decline", order=order, method="card")
    back = await Browser(app).post(BACK, fields, FROM_ELSEWHERE)
    assert (back.status_code, back.headers["location"]) == (303, f"{path}?bank=declined")
    assert await state(environment) == "reserved"
    fields = await emulator.control("pay", order=order, method="card")
    await Browser(app).post(BACK, fields, FROM_ELSEWHERE)
    assert await state(environment) == "booked"


async def test_what_razorpay_did_not_sign_decides_nothing(
    asha: Browser, app: Litestar, environment: Environment, emulator: Running
) -> None:
    _, order = await begin(asha, environment)
    fields = await emulator.control("pay", order=order, method="upi")
    wrong = "0" if fields["razorpay_signature"][0] != "0" else "1"
    changed = fields | {"razorpay_signature": wrong + fields["razorpay_signature"][1:]}
    for sent in (changed, {}, {"error[code]": "x"}, {"error[code]": "x", "error[metadata]": '{"order_id": "\0"}'}):
        said = await Browser(app).post(BACK, sent, FROM_ELSEWHERE)
        assert said.status_code == 403
        assert "Do not pay again yet" in said.text
        assert said.headers["cache-control"] == "no-store"
    assert "अभी दोबारा भुगतान न करें" in (await Browser(app).post(f"/hi{BACK}", changed, FROM_ELSEWHERE)).text
    assert await state(environment) == "reserved"


async def test_an_order_or_account_that_is_not_known(
    asha: Browser, app: Litestar, environment: Environment, emulator: Running
) -> None:
    _, order = await begin(asha, environment)
    fields = await emulator.control("pay", order=order, method="upi")
    await environment.db.execute("DELETE FROM payments.intent")
    back = await Browser(app).post(BACK, fields, FROM_ELSEWHERE)
    assert (back.status_code, back.headers["location"]) == (303, "/appointments")
    for account in ("nobody", "sandbox", "%00", "x" * 300):
        said = await Browser(app).post(f"/payments/{account}/return", fields, FROM_ELSEWHERE)
        assert said.status_code in (403, 404)


async def test_a_gateway_that_does_not_answer_holds_up_nobody(
    asha: Browser, app: Litestar, environment: Environment, emulator: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, order = await begin(asha, environment)
    fields = await emulator.control("pay", order=order, method="upi")
    async with gateway_of("http://127.0.0.1:1") as silent:
        monkeypatch.setitem(app.state.services.payments.gateways._known, ACCOUNT, silent)
        back = await Browser(app).post(BACK, fields, FROM_ELSEWHERE)
    assert (back.status_code, back.headers["location"]) == (303, f"{path}?bank=later")
    assert await state(environment) == "reserved", f"until it is looked at again, for provider {PROVIDER}"
