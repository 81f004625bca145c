"""What gateways paid out: each line is matched with the ledger; every difference is a case, and nothing else is."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from healthplus.database import Database
from healthplus.errors import PaymentUnavailable
from healthplus.ops.check import money_invariants, violations
from healthplus.payments import settlements as module
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateway import NoGateway
from healthplus.payments.payments import Payments
from healthplus.payments.reconciliation import key_of
from healthplus.payments.settled import Settlement, SettlementLine, SettlementPage
from healthplus.payments.settlements import SettlementBook, Settlements
from healthplus.receipts.receipts import queries as receipts
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
        self.paid_out: list[SettlementPage] = []
        self.is_there = True

    async def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:  # noqa: ARG002
        if not self.is_there:
            raise PaymentUnavailable
        for page in self.paid_out:
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
        await environment.db.execute("SELECT receipts.issue(9)")
        exported = await environment.db.fetch(receipts.exported, date(2026, 1, 1), date(2099, 1, 1), None, None)
        assert {(one["kind"], one["amount_minor"], one["settlement"]) for one in exported} == {
            ("receipt", 50000, name),
            ("credit_note", -700, name),
        }
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


class Made(NamedTuple):
    """A payment with what went back of it in parts, and what the gateway charges; `fault`: what is wrong there."""

    amount: int
    parts: list[int]
    fee: int
    fault: str


FAULTS = (
    *("none", "none", "none", "in_none", "line_lost", "repeated", "twice", "refund_twice", "refund_in_none"),
    *("foreign", "foreign_refund", "amount", "fee", "other", "failed_back"),
)
MADE = st.builds(
    Made,
    st.integers(1000, 10_000_000),
    st.lists(st.integers(1, 300), max_size=3),
    st.integers(0, 500),
    st.sampled_from(FAULTS),
)


async def put(db: Database, booking: UUID, made: Made) -> list[SettlementLine]:
    """Put a payment and its refunds into the ledger; return the lines that a settlement has of them."""
    pay = f"pay_{uuid.uuid4().hex}"
    await db.execute(
        """INSERT INTO ledger.payment (
            provider_id, hold_id, booking_id, authorisation, amount_minor, currency, state, due, at, authorised_at,
            authorised_source, captured_at, captured_source)
        SELECT 1, $1, $1, $2, $3, 'INR', 'captured', 'refund', now, now, 'answer', now, 'answer'
        FROM public.app_now() AS now""",
        *(booking, f"{ACCOUNT}/{pay}", made.amount),
    )
    at = datetime.now(UTC)
    net, tax = made.amount - made.fee, made.fee * 18 // 118
    keys = (key_of(PROVIDER, booking),) if made.amount % 2 else ("1:of_another",)
    lines = [SettlementLine("", pay, "payment", made.amount, made.fee, tax, net, at, pay, "", keys)]
    for number, part in enumerate(made.parts):
        name, state = (
            f"rfnd_{uuid.uuid4().hex}",
            "failed" if made.fault == "failed_back" and not number else "processed",
        )
        await db.execute(
            """INSERT INTO ledger.refund (
                provider_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by,
                ordered_at, from_at, name)
            SELECT 1, $1, $2, $1, $3, false, $4, 'desk', 'staff:1', now, now, $3 FROM public.app_now() AS now""",
            *(booking, f"{ACCOUNT}/{pay}", name, part),
        )
        await db.execute(
            """UPDATE ledger.refund SET state = $2::text::ledger.refund_state, pending_at = public.app_now(),
                processed_at = CASE $2 WHEN 'processed' THEN public.app_now() END,
                failed_at = CASE $2 WHEN 'failed' THEN public.app_now() END WHERE name = $1""",
            *(name, state),
        )
        lines.append(SettlementLine("", name, "refund", -part, 0, 0, -part, at, pay, name))
        if state == "failed":
            lines.append(SettlementLine("", f"back {name}", "refund", part, 0, 0, part, at, pay, name))
    return lines


class Report:
    """Two settlements, the second of which has what is doubled, and what goes wrong between them and the ledger."""

    def __init__(self) -> None:
        self.lines: tuple[list[SettlementLine], list[SettlementLine]] = ([], [])
        self.names = f"setl_{uuid.uuid4().hex}", f"setl_{uuid.uuid4().hex}"
        self.unsaid = [0, 0]
        """What was paid out beside what the lines say."""
        self.expected: Cases = set()

    def add(self, made: Made, lines: list[SettlementLine]) -> None:
        """Add what the gateway says of a payment with this fault."""
        first, last = lines[0], lines[-1]
        is_refund = last.kind == "refund"
        match made.fault:
            case "in_none":
                self.expected |= {("settled_missing", line.name, abs(line.amount_minor)) for line in lines}
                lines = []
            case "line_lost":
                self.unsaid[0] += first.net_minor
                self._expect("settled_missing", first)
                lines = lines[1:]
            case "repeated":
                lines = [*lines, *lines]
            case "refund_in_none" if is_refund:
                self._expect("settled_missing", last)
                lines = lines[:-1]
            case "twice" | "refund_twice":
                one = last if made.fault == "refund_twice" and is_refund else first
                self.lines[1].append(one)
                self._expect("settled_twice", one)
            case _:
                self._beside(made.fault, lines)
        self.lines[0].extend(lines)

    def _beside(self, fault: str, lines: list[SettlementLine]) -> None:
        """Change a line, or add one."""
        first = lines[0]
        name = f"{first.name}x"
        match fault:
            case "foreign":
                lines.append(replace(first, name=name, payment=name, keys=()))
                self._expect("settled_unknown", lines[-1])
            case "foreign_refund":
                lines.append(SettlementLine("", name, "refund", -90, 0, 0, -90, first.at, f"{name}y", name))
                self._expect("settled_unknown", lines[-1])
            case "amount":
                lines[0] = replace(first, amount_minor=first.amount_minor + 7, net_minor=first.net_minor + 7)
                self.expected |= {("settled_amount", first.name, 7)}
            case "fee":
                lines[0] = replace(first, net_minor=first.net_minor - 3)
                self.expected |= {("settled_fee", first.name, 3)}
            case "other":
                lines.append(SettlementLine("", name, "other", -50, 0, 0, -50, first.at))
                self._expect("settled_other", lines[-1])

    def _expect(self, kind: str, line: SettlementLine) -> None:
        self.expected |= {(kind, line.name, abs(line.amount_minor))}

    def pages(self, settled_at: datetime) -> list[SettlementPage]:
        """Return the report by pages, and expect what is wrong with its sums."""
        pages = []
        for number, name in enumerate(self.names):
            lines = [replace(line, settlement=name) for line in self.lines[number]]
            net = sum({(line.name, line.net_minor): line.net_minor for line in lines}.values())
            if self.unsaid[number]:
                self.expected |= {("settled_sum", name, self.unsaid[number])}
            settlement = Settlement(name, settled_at, "INR", net + self.unsaid[number], "UTR")
            pages += [SettlementPage([settlement], lines[start : start + 5]) for start in range(0, len(lines) or 1, 5)]
        return pages


@pytest.mark.breaks_invariants
@given(day=st.lists(MADE, max_size=8))
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],  # what is made smaller makes as many rows again
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_every_difference_is_found_and_nothing_else(
    environment: Environment, reader: Settlements, paying: Paying, day: list[Made]
) -> None:
    db = environment.db
    now: datetime = await db.fetch_value("SELECT public.app_now()")
    booking = await _booked(environment)
    book = SettlementBook(db)
    around = {"first": timedelta(hours=-1), "last": timedelta(days=9)}
    edges = [Settlement(name, now + away, "INR", 0) for name, away in around.items()]
    await book.store(ACCOUNT, SettlementPage(edges))
    before = await cases(db)
    report = Report()
    for made in day:
        report.add(made, await put(db, booking, made))
    paying.paid_out = report.pages(now + timedelta(days=2))
    for _ in range(2):  # the second time changes nothing
        await reader.read(ACCOUNT, (now + timedelta(days=9)).date())
        assert await cases(db) - before == report.expected
    assert before <= await cases(db)
    await db.execute("SELECT receipts.issue(500)")
    await _agree(db, report)


async def _booked(environment: Environment) -> UUID:
    """Return a booking, the same for all examples."""
    known: UUID | None = await environment.db.fetch_value("SELECT booking_id FROM booking.booking LIMIT 1")
    return known or await environment.held()


async def _agree(db: Database, report: Report) -> None:
    """Check that receipts less credit notes, the ledger and the settlements say the same, but for what is wrong."""
    row = await db.fetch_row(
        """SELECT (SELECT sum(CASE kind WHEN 'receipt' THEN amount_minor ELSE -amount_minor END)
                FROM receipts.document WHERE said ->> 'account' = $1) AS receipts,
            (SELECT sum(amount_minor) FROM ledger.payment WHERE starts_with(authorisation, $1))
                - coalesce((SELECT sum(amount_minor) FROM ledger.refund), 0) AS ledger""",
        ACCOUNT,
    )
    assert row is not None
    assert row["receipts"] == row["ledger"], "a credit note stands for a refund that failed, too: it is tried again"
    sums = """SELECT name, amount_minor, payments_minor + refunds_minor + other_minor - fees_minor AS parts
        FROM payments.settlement WHERE name = ANY ($1::text[])"""
    wrong = {name for kind, name, _ in report.expected if kind == "settled_sum"}
    fees = sum(doubt for kind, _, doubt in report.expected if kind == "settled_fee")
    of_first = dict.fromkeys(report.names[:1], fees)
    for one in await db.fetch(sums, list(report.names)):
        if one["name"] not in wrong:
            assert one["amount_minor"] == one["parts"] - of_first.get(one["name"], 0)
    if not report.expected:
        ours = await db.fetch_value(
            """SELECT coalesce(sum(amount_minor - coalesce((
                SELECT sum(refund.amount_minor) FROM ledger.refund
                WHERE refund.authorisation = payment.authorisation AND refund.state = 'processed'), 0)), 0)
            FROM ledger.payment WHERE authorisation = ANY ($1::text[])""",
            [f"{ACCOUNT}/{line.payment}" for line in report.lines[0]],
        )
        theirs = "SELECT sum(payments_minor + refunds_minor) FROM payments.settlement WHERE name = ANY ($1::text[])"
        assert await db.fetch_value(theirs, list(report.names)) == ours


async def test_each_day_is_read_three_times_and_what_differs_can_be_looked_at_again(
    environment: Environment, reader: Settlements, paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DAYS", 1)
    db = environment.db
    day = (await environment.now()).astimezone(UTC).date()

    async def read() -> tuple[int, int, bool] | None:
        while await reader.poll() == 0:
            pass
        row = await db.fetch_row("SELECT runs, failures, due_at FROM payments.settlement_day WHERE day = $1", day)
        return None if row is None else (row["runs"], row["failures"], row["due_at"] is not None)

    assert await read() is None, "it is not over"
    await environment.pass_time(seconds=28 * 3600)
    paying.is_there = False
    assert await read() == (0, 1, True)
    now = await environment.now()
    line = SettlementLine("setl", "adj_1", "other", -90, 0, 0, -90, now)
    settlement = Settlement("setl", now, "INR", -100)
    paying.is_there, paying.paid_out = True, [SettlementPage([settlement], [line])]
    await environment.pass_time(seconds=61)
    assert await read() == (1, 0, True)
    assert await cases(db) == {("settled_other", "adj_1", 90), ("settled_sum", "setl", 10)}
    close = "SELECT payments.close_case(case_id, 'staff:1', 'A dispute', public.app_now()) FROM payments.money_case "
    assert await db.fetch_value(close + "WHERE kind = 'settled_other'") == "done"
    look = "SELECT payments.look_at_case(case_id, public.app_now()) FROM payments.money_case WHERE kind = 'settled_sum'"
    more = replace(line, name="adj_2", amount_minor=-10, net_minor=-10)
    for lines, left in (([], {("settled_sum", "setl", 10)}), ([more], set())):
        paying.paid_out.append(SettlementPage([], lines))
        assert await db.fetch_value(look) == "done"
        assert await reader.poll() == 0
        assert await cases(db) - {("settled_other", "adj_2", 10)} == left
    for runs in (2, 3):
        await environment.pass_time(seconds=24 * 3600)
        assert await read() == (runs, 0, runs < 3)
    assert await cases(db) == {("settled_other", "adj_2", 10)}, "what was closed by hand stays closed"


@pytest.mark.breaks_invariants
async def test_nothing_is_missing_before_settlements_are_known(environment: Environment) -> None:
    db, book = environment.db, SettlementBook(environment.db)
    await put(db, await environment.held(), Made(50000, [], 0, "none"))
    now = await environment.now()
    period = now - timedelta(days=20), now + timedelta(days=20)
    await book.finish(ACCOUNT, [], *period)
    for at in (now + timedelta(hours=1), now + timedelta(days=19)):  # it came before the first
        await book.store(ACCOUNT, SettlementPage([Settlement(f"setl {at}", at, "INR", 0)]))
        await book.finish(ACCOUNT, [], *period)
    assert await cases(db) == set()
    await book.store(ACCOUNT, SettlementPage([Settlement("earlier", now - timedelta(hours=1), "INR", 0)]))
    await book.finish(ACCOUNT, [], *period)
    assert [kind for kind, *_ in await cases(db)] == ["settled_missing"]
