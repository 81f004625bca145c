"""Several accounts at gateways: each payment says with which it was made; another account has no say in it."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from healthplus.errors import BadSignature, NotFound, PaymentUnavailable
from healthplus.payment_keys import AccountKeys, account_keys
from healthplus.payments.accounts import Gateways, joined, split
from healthplus.payments.payments import Payments
from healthplus.signatures import sign
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.conftest import Bank
from tests.payments.steps import HEADER, money, pay, states, webhook

OWN, OTHER = "apollo", "fortis"


@pytest.fixture
async def payments(environment: Environment, bank: Bank) -> Payments:
    """Payments of a clinic with an account of its own, beside which there is another."""
    for account in (OWN, OTHER):
        await environment.db.execute(
            "INSERT INTO payments.account (account, gateway, owner) VALUES ($1, 'stripe', 'Somebody')", account
        )
    await environment.db.execute("INSERT INTO payments.clinic_account SELECT clinic_id, $1 FROM directory.clinic", OWN)
    return Payments(environment.db, environment.book, Gateways({OWN: bank, OTHER: bank, "sandbox": bank}))


async def report(payments: Payments, secret: str, body: bytes, account: str) -> None:
    await payments.reconciliation.receive({HEADER: sign(secret, body, time.time())}, body, account)


async def test_a_payment_says_with_which_account_it_was_made(payments: Payments, environment: Environment) -> None:
    held = await environment.held()
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    name = await environment.db.fetch_value("SELECT authorisation FROM ledger.payment")
    assert split(name) == (OWN, f"sandbox-{PROVIDER}:{held}")
    assert await environment.db.fetch_value("SELECT payments.account_named($1)", name) == OWN
    await environment.pass_time(seconds=30)
    assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("captured", None)


async def test_money_stays_with_its_account_when_the_clinic_takes_another(
    payments: Payments, environment: Environment
) -> None:
    held = await environment.held()
    assert (await pay(payments, environment, held, "sandbox-later")).outcome.code == "pending"
    await environment.db.execute("UPDATE payments.clinic_account SET account = $1", OTHER)
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    assert await environment.db.fetch_value("SELECT authorisation FROM ledger.payment") == joined(
        OWN, f"sandbox-{PROVIDER}:{held}"
    )


@pytest.mark.parametrize("account", [OTHER, "sandbox"])
async def test_what_another_account_reports_changes_nothing(
    payments: Payments, environment: Environment, secret: str, account: str
) -> None:
    held = await environment.held()
    assert (await pay(payments, environment, held, "sandbox-later")).outcome.code == "pending"
    with pytest.raises(NotFound):
        await report(payments, secret, webhook(held, "captured"), account)
    assert (await money(environment), await states(environment)) == (None, ["reserved"])
    await report(payments, secret, webhook(held, "captured"), OWN)
    assert (await money(environment), await states(environment)) == (("captured", None), ["booked"])


async def test_after_the_last_look_only_an_account_that_may_have_money_is_believed(
    payments: Payments, environment: Environment, secret: str
) -> None:
    held = await environment.held()
    assert (await pay(payments, environment, held, "sandbox-later")).outcome.code == "pending"
    await environment.book.release(PROVIDER, held, environment.actor("asha"))
    await environment.db.execute("DELETE FROM payments.intent")
    with pytest.raises(NotFound):
        await report(payments, secret, webhook(held, "captured"), OTHER)
    await report(payments, secret, webhook(held, "captured"), OWN)
    assert await money(environment) == ("captured", "refund")


async def test_an_account_that_is_not_known_takes_and_reports_nothing(environment: Environment, bank: Bank) -> None:
    gateways = Gateways({"sandbox": bank})
    with pytest.raises(NotFound):
        gateways.require("nobody")
    with pytest.raises(PaymentUnavailable):
        await gateways.of("nobody").authorise("key", 1, "INR", "card")
    payments = Payments(environment.db, environment.book, gateways)
    with pytest.raises(NotFound):
        await report(payments, "secret", b"{}", "nobody")
    with pytest.raises(BadSignature):
        await report(payments, "another secret", b"{}", "sandbox")


def test_keys_are_read_and_never_shown() -> None:
    keys = account_keys('{"apollo": {"secret": "sk_1", "webhook_secret": "wh_1", "key_id": "rzp_1"}}')
    assert keys["apollo"].secret == "sk_1"
    assert "sk_1" not in repr(keys)
    assert "wh_1" not in repr(keys)
    for text, said in (
        ("", "JSON"),
        ('{"apollo": {"secret": 7777, "webhook_secret": "x"}}', "JSON"),
        ('{"apollo": {"secret": "s"}}', "webhook_secret"),
        ('{"Apollo!": {"secret": "s", "webhook_secret": "x"}}', "small letters"),
        ('{"sandbox": {"secret": "s", "webhook_secret": "x"}}', "sandbox"),
        ('{"sk_live_7777": {"secret": "s", "webhook_secret": "x"}}', "small letters"),  # a secret in the wrong place
        ('{"apollo": {"secret": "s", "webhook_secret": "x", "whsec_7777": ""}}', "unknown field"),
        ('{"apollo": {"secret": "s", "webhook_secret": "x", "whsec_7777`\\n7777`": ""}}', "unknown field"),
    ):
        with pytest.raises(ValueError, match=said) as raised:
            account_keys(text)
        assert "7777" not in str(raised.value)


@pytest.mark.parametrize("bad", ["", " ", "whsec_7777 ", "whsec_7777\\n", "whsec_7777…"])
@pytest.mark.parametrize("field", ["secret", "webhook_secret"])
def test_nobody_signs_with_an_empty_secret(field: str, bad: str) -> None:
    keys = {"secret": "s", "webhook_secret": "x"} | {field: bad.replace("\\n", "\n")}
    with pytest.raises(ValueError, match=field) as raised:
        account_keys(json.dumps({"apollo": keys}))
    assert "7777" not in str(raised.value)


async def test_an_account_whose_keys_are_not_whole_takes_nothing(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    """Razorpay would refuse every request of one without a key id."""
    await environment.db.execute(
        "INSERT INTO payments.account (account, gateway, owner) VALUES ('a', 'razorpay', 'A'), ('b', 'razorpay', 'B')"
    )
    async with contextlib.AsyncExitStack() as stack:
        keys = {"a": AccountKeys("secret", "webhook"), "b": AccountKeys("secret", "webhook", "rzp_key")}
        gateways = await Gateways.open(stack, environment.db, keys, None)
        assert gateways.of("a").methods == ()
        assert gateways.of("b").methods != ()
    assert "payment account a has no key_id" in caplog.text
