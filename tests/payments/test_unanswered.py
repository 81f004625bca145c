"""Where the bank has not said whether it took money, nobody says that it took none, nor pays twice for good."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from healthplus.errors import PaymentDeclined, PaymentUnavailable
from healthplus.payments.payments import Payments
from tests.fixtures.environment import PROVIDER, Environment
from tests.notices.sending import Recorder, give_addresses, notices
from tests.payments.conftest import Bank
from tests.payments.steps import capture, money_back, pay, send, webhook

SILENT, DECLINES = "sandbox-unreachable", "sandbox-declined"


async def asked(payments: Payments, environment: Environment, methods: Sequence[str]) -> UUID:
    """Hold, and try to pay in each of these ways; return the hold, whose time is over by then."""
    await give_addresses(environment.db, [environment.ids["asha"]])
    held = await environment.held()
    for method in methods:
        with pytest.raises((PaymentDeclined, PaymentUnavailable)):
            await pay(payments, environment, held, method, key=method)
    await environment.pass_time(minutes=6)
    await environment.book.advance(PROVIDER)
    return held


@pytest.mark.parametrize(
    ("methods", "is_unanswered"),
    [
        ([], False),
        ([DECLINES], False),
        ([SILENT], True),
        ([SILENT, DECLINES], True),  # what the bank says of the second says nothing of the first
        ([DECLINES, SILENT], True),
        ([DECLINES, DECLINES], False),
    ],
)
async def test_what_is_known_of_money_that_was_asked_for(
    payments: Payments, environment: Environment, methods: Sequence[str], is_unanswered: bool
) -> None:
    held = await asked(payments, environment, methods)
    assert await payments.unanswered([(PROVIDER, held)]) == ({(PROVIDER, held)} if is_unanswered else set())
    assert await money_back(payments, held) == (("unanswered", 0, 0) if is_unanswered else None)
    text = (await told(payments, environment))[-1]
    assert ("Any money taken comes back." in text, "No money was taken." in text) == (is_unanswered, not is_unanswered)


async def told(payments: Payments, environment: Environment) -> list[str]:
    """Return what is sent by SMS now."""
    texts = Recorder()
    await notices(environment.db, texts, unanswered=payments.unanswered).send_due("sms")
    return [one.text for one in texts.sent]


async def test_once_the_bank_answers_it_is_known(payments: Payments, environment: Environment, secret: str) -> None:
    held = await asked(payments, environment, [SILENT])
    await send(payments, secret, webhook(held, "authorised"))
    assert await payments.unanswered([(PROVIDER, held)]) == set()


async def test_who_pays_twice_is_charged_once_and_told(
    payments: Payments, bank: Bank, environment: Environment, secret: str
) -> None:
    """The first way was silent, and yet took money, after the second had booked."""
    await give_addresses(environment.db, [environment.ids["asha"]])
    held = await environment.held()
    with pytest.raises(PaymentUnavailable):
        await pay(payments, environment, held, SILENT)
    paid = await pay(payments, environment, held, key="again")
    assert paid.outcome.code == "booked"
    assert await capture(payments, environment) == (1, 0)
    await told(payments, environment)
    await send(payments, secret, webhook(held, "captured", name="late"))
    rows = await environment.db.fetch("SELECT state::text, due::text FROM ledger.payment ORDER BY authorisation")
    assert [(row["state"], row["due"]) for row in rows] == [("captured", "refund"), ("captured", None)]
    money = await payments.money(PROVIDER, held)
    assert money is not None
    assert (money.money, money.twice_minor, money.is_twice_returned) == ("captured", 50000, False)
    await send(payments, secret, webhook(held, "refunded", name="late", refunded=50000))
    money = await payments.money(PROVIDER, held)
    assert money is not None
    assert (money.money, money.twice_minor, money.is_twice_returned) == ("captured", 50000, True)
    (text,) = await told(payments, environment)
    assert "Refund processed: Rs 500 that you paid twice." in text
    assert bank.calls.count("refund") == 0  # the bank did it before it was asked to
