"""The daily comparison with the gateways' lists: every difference is a case, and nothing else is."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from healthplus.database import Database
from healthplus.errors import PaymentUnavailable
from healthplus.payments import day_checks
from healthplus.payments.accounts import Gateways, queries
from healthplus.payments.day_checks import DayChecks
from healthplus.payments.differences import Ours, differences
from healthplus.payments.gateway import GatewayPayment, GatewayRefund, ListedPayment, NoGateway, RefundState
from healthplus.payments.payments import Payments
from healthplus.payments.reconciliation import key_of
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.rigs import Rig
from tests.payments.steps import BACK, capture

ACCOUNT = "sandbox"
PAGE = 3
RIGS = ("sandbox", "stripe", "razorpay-upi", "razorpay-card")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_checks, "PAUSE_SECONDS", 0)


class Listing(NoGateway):
    """A gateway that has a list, and knows nothing by key, as after a long time."""

    def __init__(self) -> None:
        self.payments: list[ListedPayment] = []
        self.beyond: list[ListedPayment] = []
        """What it has, and does not list on the day."""
        self.dies_after = 10**9
        self.pages_read = 0

    async def payments_of(self, day: date) -> AsyncIterator[list[ListedPayment]]:  # noqa: ARG002
        for start in range(0, len(self.payments), PAGE):
            self.pages_read += 1
            if self.pages_read > self.dies_after:
                raise PaymentUnavailable
            yield self.payments[start : start + PAGE]

    async def find(self, name: str) -> ListedPayment | None:
        return next((one for one in self.payments + self.beyond if one.name == name), None)

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:  # noqa: ARG002
        return []


@pytest.fixture
def listing() -> Listing:
    return Listing()


@pytest.fixture
def checks(environment: Environment, listing: Listing) -> DayChecks:
    return Payments(environment.db, environment.book, Gateways({ACCOUNT: listing})).day_checks


async def today(db: Database) -> date:
    now: datetime = await db.fetch_value("SELECT public.app_now()")
    return now.astimezone(UTC).date()


async def cases(db: Database) -> set[tuple[str, str, int]]:
    """Return the open cases: kind, the payment's name and how much is in doubt."""
    rows = await db.fetch("SELECT kind, name, amount_minor FROM payments.money_case WHERE closed_at IS NULL")
    return {(row["kind"], row["name"], row["amount_minor"]) for row in rows}


class Made(NamedTuple):
    """A payment and what is wrong with it: in the ledger its state; `fault`, what the gateway has otherwise."""

    state: str
    amount: int
    back: int
    fault: str


AMOUNTS = st.integers(2, 100_000)
MADE = st.builds(
    Made,
    st.sampled_from(["authorised", "voided", "refunded", "refund_due"]),
    AMOUNTS,
    st.integers(1, 100_000),
    st.sampled_from([*["none"] * 4, "missing", "late", "amount", "currency", "state", "back", "unknown", "doubled"]),
)


async def put(db: Database, made: Made) -> tuple[UUID, str, int]:
    """Put a payment into the ledger; return its hold, the gateway's name and how much of it has gone back."""
    hold, name = uuid.uuid4(), f"pay_{uuid.uuid4().hex}"
    back = min(made.back, made.amount) if made.state == "refunded" else 0
    kept = made.amount - back if made.state == "refunded" and back < made.amount else None
    state = {"refund_due": "captured"}.get(made.state, made.state)
    columns = "provider_id, hold_id, booking_id, authorisation, amount_minor, currency, state, due, at, kept_minor"
    at = [f"{one}_at, {one}_source" for one in ("authorised", "captured", "voided", "refunded")]
    reached = {"voided": {"authorised", "voided"}, "refunded": {"authorised", "captured", "refunded"}}
    steps = reached.get(state, {"authorised", state})
    await db.execute(
        f"""INSERT INTO ledger.payment ({columns}, {", ".join(at)})
        SELECT $1, $2, $2, $3, $4, 'INR', $5::text::ledger.payment_state, $6::text::ledger.payment_step, now, $7,
            {", ".join("now, 'answer'" if one.partition("_")[0] in steps else "NULL, NULL" for one in at)}
        FROM public.app_now() AS now""",
        *(PROVIDER, hold, name, made.amount, state, "refund" if made.state == "refund_due" else None, kept),
    )
    return hold, name, back


def as_listed(hold: UUID, name: str, made: Made, back: int) -> ListedPayment:
    state = "captured" if made.state in ("refunded", "refund_due") else made.state
    return ListedPayment(name, key_of(PROVIDER, hold), state, made.amount, "INR", back)  # type: ignore[arg-type]


def with_fault(one: ListedPayment, fault: str) -> tuple[list[ListedPayment], set[tuple[str, str, int]]]:
    """Return what the gateway lists instead, and the cases that make."""
    amount, name = one.amount_minor, one.name
    is_set_aside = one.state == "voided"
    stranger = ListedPayment(f"pay_{uuid.uuid4().hex}", "", "captured", amount, "INR", amount // 2)
    other_back = one.returned_minor - 1 if one.returned_minor else 1
    faults: dict[str, tuple[list[ListedPayment], set[tuple[str, str, int]]]] = {
        "missing": ([], {("unknown_there", name, amount)}),
        "amount": ([replace(one, amount_minor=amount + 7)], {("amount", name, 7)}),
        "currency": ([replace(one, currency="USD")], {("amount", name, amount)}),
        "state": ([replace(one, state="authorised" if is_set_aside else "voided")], {("state", name, amount)}),
        "unknown": ([one, stranger], {("unknown_here", stranger.name, amount - amount // 2)}),
        "doubled": ([one, one], set()),
    }
    if fault == "back" and one.state == "captured":
        return [replace(one, returned_minor=other_back)], {("refund", name, 1)}
    return faults.get(fault, ([one], set()))


@pytest.mark.breaks_invariants
@given(day=st.lists(MADE, max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_difference_is_a_case_and_nothing_else(
    environment: Environment, listing: Listing, checks: DayChecks, day: list[Made]
) -> None:
    before = await cases(environment.db)
    listing.payments, listing.beyond = list(listing.beyond), list(listing.payments + listing.beyond)
    listing.payments = []
    expected: set[tuple[str, str, int]] = set()
    for made in day:
        hold, name, back = await put(environment.db, made)
        shown, differ = with_fault(as_listed(hold, name, made, back), made.fault)
        (listing.beyond if made.fault == "late" else listing.payments).extend(shown)
        expected |= differ
    await checks.compare(ACCOUNT, await today(environment.db))
    assert await cases(environment.db) - before == expected
    assert before <= await cases(environment.db), "what differs still stays a case"


OURS = Ours("pay_1", 1, uuid.uuid4(), uuid.uuid4(), 1, "captured", 500, "INR", 0, is_kept=False, may_lapse=False)
THEIRS = ListedPayment("pay_1", "", "captured", 500, "INR")


def kinds(ours: Ours | None, theirs: ListedPayment | None) -> list[str]:
    return [one.kind for one in differences(ours, theirs)]


def test_what_is_no_difference() -> None:
    assert kinds(OURS, THEIRS) == kinds(None, None) == []
    gone = replace(THEIRS, returned_minor=500)
    assert kinds(None, gone) == kinds(None, replace(THEIRS, state="voided")) == []
    let_go, set_aside = OURS._replace(state="voided"), replace(THEIRS, state="authorised")
    assert kinds(let_go, set_aside) == ["state"]
    assert kinds(let_go._replace(may_lapse=True), set_aside) == [], "it has no call for it"
    assert kinds(let_go._replace(may_lapse=True), THEIRS) == ["state"]


def gone(*amounts: int, state: RefundState = "processed") -> list[GatewayRefund]:
    """Return refunds rfnd_0, rfnd_1 and so on, as a gateway has them."""
    return [GatewayRefund(f"rfnd_{number}", "", amount, state) for number, amount in enumerate(amounts)]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([["rfnd_0", 300], ["rfnd_1", 400]], gone(300, 400), None),
        ([["rfnd_0", 300], ["rfnd_1", 400]], gone(400, 300), ("INR 300 400", "INR 400 300")),
        ([["rfnd_0", 300], ["rfnd_9", 400]], gone(300, 400), ("INR 400", "INR 400")),
        ([["rfnd_0", 300], [None, 400]], gone(300, 400), None),
        ([["rfnd_0", 300], ["rfnd_1", 400]], gone(300), ("INR 400", "INR 0")),
        ([["rfnd_0", 300]], [*gone(300), *gone(50, state="failed")], None),
        ([["rfnd_0", 300]], gone(300, state="failed"), ("INR 300", "INR 0")),
        ([], gone(300), ("INR 0", "INR 300")),
    ],
)
def test_refunds_are_compared_one_by_one(
    ours: list[list[Any]], theirs: list[GatewayRefund], said: tuple[str, str] | None
) -> None:
    returned = sum(one.amount_minor for one in theirs if one.state != "failed")
    listed = replace(THEIRS, amount_minor=900, returned_minor=returned, refunds=theirs)
    known = OURS._replace(amount_minor=900, returned_minor=sum(amount for _, amount in ours), refunds=ours)
    assert [(one.ours, one.theirs) for one in differences(known, listed)] == ([said] if said else [])


def test_what_went_back_before_refunds_were_noted_is_compared_as_a_sum() -> None:
    listed = replace(THEIRS, returned_minor=300, refunds=gone(100, 200))
    assert kinds(OURS._replace(returned_minor=300), listed) == []
    assert kinds(OURS._replace(returned_minor=200), listed) == ["refund"]


def test_money_that_nobody_keeps_is_told_besides() -> None:
    assert kinds(OURS._replace(is_kept=True), THEIRS) == ["kept"]
    assert kinds(OURS._replace(is_kept=True), None) == ["unknown_there", "kept"]


@pytest.mark.parametrize("rig", RIGS, indirect=True)
async def test_a_day_at_each_gateway(environment: Environment, rig: Rig) -> None:
    """What was paid agrees with the list; and so does what went back since, by a look at it."""
    await rig.open_account(environment.db)
    await rig.plan_faults(rig.peaceful())
    async with rig.gateway() as gateway:
        payments = Payments(environment.db, environment.book, Gateways({rig.account: gateway}))
        held = await environment.held()
        paid = await payments.pay(PROVIDER, held, rig.methods[0], environment.actor("asha"), "key", BACK)
        if paid.url is not None:
            order = await environment.db.fetch_value("SELECT order_name FROM payments.intent")
            await rig.pay_there(key_of(PROVIDER, held), order)
            await payments.look_now(PROVIDER, held)
        await capture(payments, environment)
        name: str = await environment.db.fetch_value("SELECT authorisation FROM ledger.payment")
        name = name.rpartition("/")[2]
        found = await gateway.find(name)
        assert found is not None
        assert (found.key, found.state, found.amount_minor) == (key_of(PROVIDER, held), "captured", 50000)
        assert await gateway.find(name[:-4] + "0000") is None
        day = datetime.now(UTC).date()
        listed = [one async for page in gateway.payments_of(day) for one in page]
        assert found in listed
        assert found not in [one async for page in gateway.payments_of(day - timedelta(days=1)) for one in page]
        await payments.day_checks.compare(rig.account, day)
        own = "SELECT count(*) FROM payments.money_case WHERE closed_at IS NULL AND provider_id IS NOT NULL"
        assert await environment.db.fetch_value(own) == 0
        await gateway.refund(name, 700, "INR", "by hand")
        await payments.day_checks.compare(rig.account, day)
        assert await environment.db.fetch_value(own) == 0, "what went back by hand is taken note of"
        noted = "SELECT payments.returned_minor(payment) FROM ledger.payment WHERE hold_id = $1"
        assert await environment.db.fetch_value(noted, held) == 700


async def test_each_day_is_compared_three_times_and_goes_on_after_a_death(
    environment: Environment, listing: Listing, checks: DayChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_checks, "DAYS", 1)
    listing.payments = [ListedPayment(f"pay_{number}", "", "voided", 100, "INR") for number in range(3 * PAGE)]
    first = await today(environment.db)

    async def compared() -> list[tuple[int, bool]]:
        while await checks.poll() == 0:
            pass
        rows = await environment.db.fetch("SELECT runs, due_at FROM payments.day_check WHERE day = $1", first)
        return [(row["runs"], row["due_at"] is not None) for row in rows]

    assert await compared() == [], "it is not over"
    await environment.pass_time(seconds=26 * 3600)
    listing.dies_after = 2
    assert await compared() == [(0, True)], "the gateway was not there to the end"
    listing.dies_after = 10**9
    await environment.pass_time(seconds=120)
    assert await compared() == [(1, True)]
    taken = await environment.db.fetch(queries.take_day_check, [ACCOUNT], timedelta(minutes=10))
    assert taken == [], "nothing is due"
    for runs in (2, 3):
        await environment.pass_time(seconds=24 * 3600)
        assert await compared() == [(runs, runs < 3)]


async def test_two_processes_share_the_days_and_one_that_died_is_replaced(environment: Environment) -> None:
    await environment.db.execute(queries.plan_day_checks, ["a", "b"], 1)
    await environment.pass_time(seconds=27 * 3600)
    taken = [await environment.db.fetch(queries.take_day_check, ["a", "b"], timedelta(minutes=10)) for _ in range(3)]
    assert sorted(row["account"] for rows in taken for row in rows) == ["a", "b"]
    await environment.pass_time(seconds=601)
    assert await environment.db.fetch(queries.take_day_check, ["b"], timedelta(minutes=10)), "it was not finished"


async def test_a_closed_case_opens_only_where_something_changed(
    environment: Environment, listing: Listing, checks: DayChecks
) -> None:
    stranger = ListedPayment("pay_x", "", "captured", 900, "INR")
    listing.payments = [stranger]
    day = await today(environment.db)
    await checks.compare(ACCOUNT, day)
    assert await cases(environment.db) == {("unknown_here", "pay_x", 900)}
    close = "SELECT payments.close_case(case_id, 'staff:1', 'An old shop', public.app_now()) FROM payments.money_case"
    assert [await environment.db.fetch_value(close) for _ in range(2)] == ["done", "over"]
    await checks.compare(ACCOUNT, day)
    assert await cases(environment.db) == set()
    listing.payments = [replace(stranger, state="authorised")]
    await checks.compare(ACCOUNT, day)
    assert await cases(environment.db) == {("unknown_here", "pay_x", 900)}
    assert await environment.db.fetch_value("SELECT note FROM payments.money_case") is None
    # It was sent back there: looked at because somebody asked, it closes by itself.
    listing.payments = [replace(stranger, returned_minor=900)]
    look = "SELECT payments.look_at_case(case_id, public.app_now()) FROM payments.money_case"
    assert await environment.db.fetch_value(look) == "done"
    assert await checks.poll() == 0
    assert await cases(environment.db) == set()
    assert await environment.db.fetch_value("SELECT closed_by FROM payments.money_case") == "system:comparison"
    assert await environment.db.fetch_value(look) == "over"
