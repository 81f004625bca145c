"""What gateways paid out: each line is matched with the ledger; every difference is a case, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest

from healthplus.database import Database
from healthplus.ops.check import money_invariants, violations
from healthplus.payments import settlements as module
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateway import NoGateway
from healthplus.payments.payments import Payments
from healthplus.payments.reconciliation import key_of
from healthplus.payments.settled import SettlementPage
from healthplus.payments.settlements import Settlements
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.rigs import Rig
from tests.payments.steps import BACK, capture

ACCOUNT = "apollo"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)


class Paying(NoGateway):
    """A gateway that pays out."""

    def __init__(self) -> None:
        self.pages: list[SettlementPage] = []

    async def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:  # noqa: ARG002
        for page in self.pages:
            yield page


@pytest.fixture
def paying() -> Paying:
    return Paying()


@pytest.fixture
def reader(environment: Environment, paying: Paying) -> Settlements:
    return Settlements(environment.db, Gateways({ACCOUNT: paying}))


Cases = set[tuple[str, str, int]]


async def cases(db: Database) -> Cases:
    """Return the open cases: kind, what it is about and how much is in doubt."""
    rows = await db.fetch("SELECT kind, name, amount_minor FROM payments.money_case WHERE closed_at IS NULL")
    return {(row["kind"], row["name"], row["amount_minor"]) for row in rows}


@pytest.mark.parametrize("rig", ["stripe", "razorpay-upi", "razorpay-card"], indirect=True)
async def test_what_each_gateway_pays_out_is_read_and_matched(environment: Environment, rig: Rig) -> None:
    await rig.open_account(environment.db)
    await rig.plan_faults(rig.peaceful())
    async with rig.gateway() as gateway:
        payments = Payments(environment.db, environment.book, Gateways({rig.account: gateway}))
        await rig.settle()  # what other tests have left
        held = await environment.held()
        paid = await payments.pay(PROVIDER, held, rig.methods[0], environment.actor("asha"), "key", BACK)
        assert paid.url is not None
        order = await environment.db.fetch_value("SELECT order_name FROM payments.intent")
        await rig.pay_there(key_of(PROVIDER, held), order)
        await payments.look_now(PROVIDER, held)
        await capture(payments, environment)
        name: str = await environment.db.fetch_value("SELECT authorisation FROM ledger.payment")
        await gateway.refund(name.rpartition("/")[2], 700, "INR", "by hand")
        await payments.day_checks.compare(rig.account, datetime.now(UTC).date())
        name, paid_out = await rig.settle()
        for day in module.days_of(datetime.now(UTC)):
            await payments.settlements.read(rig.account, day)
            await payments.settlements.read(rig.account, day)  # changes nothing
        row = await environment.db.fetch_row("SELECT * FROM payments.settlement WHERE name = $1", name)
        assert row is not None
        assert (row["amount_minor"], row["lines"], row["currency"]) == (paid_out, 2, "INR")
        assert (row["payments_minor"], row["refunds_minor"], row["other_minor"]) == (50000, -700, 0)
        assert 50000 - 700 - row["fees_minor"] == paid_out
        assert (row["fees_minor"], row["tax_minor"]) == (1180, 180), "2 %, and 18 % tax on that"
        assert row["reference"]
        lines = await environment.db.fetch("SELECT * FROM payments.settlement_line WHERE settlement = $1", name)
        assert {line["hold_id"] for line in lines} == {held}
        own = "SELECT count(*) FROM payments.money_case WHERE closed_at IS NULL AND hold_id = $1"
        assert await environment.db.fetch_value(own, held) == 0
        assert await violations(environment.db, money_invariants) == []
        adjusted, _ = await rig.settle(adjust=-1200)
        for day in module.days_of(datetime.now(UTC)):
            await payments.settlements.read(rig.account, day)
        found = await environment.db.fetch("SELECT amount_minor FROM payments.money_case WHERE kind = 'settled_other'")
        assert 1200 in [one["amount_minor"] for one in found]
        other = "SELECT other_minor FROM payments.settlement WHERE name = $1"
        assert await environment.db.fetch_value(other, adjusted) == -1200
