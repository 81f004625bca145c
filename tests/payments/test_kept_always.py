"""Whatever the terms, the fee and the moves: what is shown is kept, and with what is refunded it is what was paid."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from healthplus.accounts.actors import Actor, Patient, Staff, System
from healthplus.booking.book import Book
from healthplus.booking.replacements import cancel_replaced
from healthplus.database import Database
from healthplus.ops.check import all_violations
from healthplus.payments.accounts import Gateways
from healthplus.payments.payments import Money, Payments
from healthplus.receipts.receipts import documents_of
from healthplus.settings import Settings
from tests.fixtures.clock import INDIA, freeze_clock, product_now, set_clock
from tests.fixtures.directory import DAILY, make_clinic, make_provider, make_shift
from tests.fixtures.patients import make_patients
from tests.fixtures.races import rewrite
from tests.fixtures.terms import Ladder, keeps, set_terms
from tests.payments.conftest import Bank

MICROSECOND = timedelta(microseconds=1)
DAYS_MAX = 45
FEE_MAX = 100_000_000


@dataclass
class Visit:
    """A booking that was paid for, and what ought to be kept of it."""

    db: Database
    payments: Payments
    clinic: int
    provider: int
    other: int
    patient: int
    ladder: Ladder
    fee: int
    services: list[int]
    start: datetime
    booking: UUID = field(init=False)
    floor: int = 0
    parts: int = 0
    """What the desk has given back in parts."""
    is_flagged: bool = False
    is_for_the_clinic: bool = False

    def __post_init__(self) -> None:
        self.book = Book(self.db)

    @property
    def actor(self) -> Actor:
        return Patient(self.patient)

    def kept(self, at: datetime) -> int:
        """Return what cancelling keeps at an instant."""
        if self.is_flagged or self.is_for_the_clinic:
            return 0
        return min(self.fee - self.parts, max(self.floor, keeps(self.ladder, self.fee, self.start, at)))

    async def pay(self, change_prices: bool) -> None:
        slots = (self.provider, self.clinic, self.start, 1)
        held = await self.book.hold(*slots, self.patient, self.actor, service_ids=self.services)
        assert held.code == "reserved", held
        assert held.fee_minor == self.fee
        if change_prices:
            await self._change_prices()
        await self._check_shown(held.booking_id)
        paid = await self.payments.pay(self.provider, held.booking_id, "sandbox-ok", Patient(self.patient))
        assert paid.outcome.code == "booked"
        self.booking = held.booking_id

    async def _change_prices(self) -> None:
        """Have all cost something else, and keep more, from now on: it is not what was held."""
        terms_id = await set_terms(self.db, self.clinic, {8784: "100%"})
        for sql in (
            "UPDATE directory.service SET closed_at = clock_timestamp() WHERE provider_id = $1",
            """INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
            SELECT provider_id, service_type_id, length_minutes + 5, fee_minor % 99999999 + 1, funding
            FROM directory.service WHERE provider_id = $1""",
            "UPDATE directory.provider_clinic SET fee_minor = fee_minor % 99999999 + 1 WHERE provider_id = $1",
        ):
            await self.db.execute(sql, self.provider)
        await self.db.execute(
            "UPDATE directory.service_terms SET terms_id = $2 WHERE clinic_id = $1", self.clinic, terms_id
        )

    async def wait(self, until: datetime) -> None:
        """Have the clock show an instant, if it is ahead and the visit has not begun by then."""
        if await product_now(self.db) < until < self.start:
            await set_clock(self.db, until)
            await self._check_shown(self.booking)

    async def move(self, start: datetime, actor: Actor) -> None:
        now = await product_now(self.db)
        moved = await self.book.reschedule(self.provider, self.booking, start, actor)
        if moved.code == "moved":
            if not isinstance(actor, Patient) or self.is_flagged:
                self.is_for_the_clinic = True
            else:
                self.floor = self.kept(now)
            self.start, self.is_flagged = start, False
        await self._check_shown(self.booking)

    async def flag(self) -> None:
        """Have the provider be on leave then."""
        leave = (self.start, self.start + timedelta(minutes=30))
        await self.book.add_leave(self.provider, None, *leave, "", Staff(1), flag_for_rebooking=True)
        self.is_flagged = True
        await self._check_shown(self.booking)

    async def give_back(self, part: float) -> None:
        """Have the desk give back a part of what is left, unless nothing is or it has not been taken yet."""
        amount = int((self.fee - self.parts) * part)
        answer = await self.db.fetch_value(
            "SELECT (booking.refund($1, $2, 'staff:1', $3)).code", self.provider, self.booking, amount
        )
        is_taken = await self.db.fetch_value(
            "SELECT bool_or(state = 'captured') FROM ledger.payment WHERE provider_id = $1", self.provider
        )
        assert answer == ("refunded" if is_taken and amount else "amount")
        if answer == "refunded":
            self.parts += amount
            await set_clock(self.db, await product_now(self.db) + timedelta(minutes=3))
            await self.settle()

    async def _check_shown(self, booking: UUID) -> None:
        now = await product_now(self.db)
        shown = await self.book.terms(self.provider, booking, self.patient)
        assert shown is not None
        kept = self.kept(now)
        assert (shown.kept_minor, shown.returned_minor) == (kept, self.fee - self.parts - kept)
        assert all(self.kept(at) <= kept for at in self._edges() if now <= at <= shown.until)
        assert shown.until == self.start or self.kept(shown.until + MICROSECOND) > kept

    def _edges(self) -> list[datetime]:
        """Return the instants at which steps begin to count, and those just after them."""
        edges = [self.start - timedelta(hours=hours) for hours in self.ladder]
        return edges + [edge + MICROSECOND for edge in edges]

    async def cancel(self, by: str, late: timedelta) -> int:
        """Cancel in some way; return what ought to be kept."""
        now = await product_now(self.db)
        if by == "replacement" and await self._replace():
            if now + late < self.start:
                await set_clock(self.db, now + late)
            await cancel_replaced(self.db, self.book)
            return self.kept(now)
        actors: dict[str, Actor] = {"staff": Staff(1), "system": System("test")}
        shown = await self.book.terms(self.provider, self.booking, self.patient)
        assert shown is not None
        cancelled = await self.book.cancel(self.provider, self.booking, actors.get(by, self.actor))
        assert cancelled.code == "cancelled"
        if by in actors:
            return 0
        assert shown.kept_minor == self.kept(now)
        return shown.kept_minor

    async def _replace(self) -> bool:
        """Book another visit instead, if there is one to be had."""
        start = self.start + timedelta(days=1, hours=4)
        instead = (self.provider, self.booking)
        held = await self.book.hold(self.other, self.clinic, start, 1, self.patient, self.actor, instead_of=instead)
        if held.code != "reserved":
            return False
        assert (await self.book.confirm(self.other, held.booking_id, None, self.actor)).code == "booked"
        return True

    async def settle(self) -> None:
        """Have all that is due at the bank be done."""
        for _ in range(3):
            await set_clock(self.db, await product_now(self.db) + timedelta(seconds=31))
            await self.payments.captures.poll()


FEES = st.one_of(st.integers(1, 2000), st.integers(1, FEE_MAX))
KEPT_MOST = st.sampled_from((2000, FEE_MAX))


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """Return what is kept by hours before the start, the more the later: parts, or amounts."""
    hours = draw(st.lists(st.integers(1, DAYS_MAX * 24), min_size=1, max_size=4, unique=True))
    is_part, most = draw(st.booleans()), draw(KEPT_MOST)
    kept = draw(st.lists(st.integers(0, 100 if is_part else most), min_size=len(hours), max_size=len(hours)))
    pairs = zip(sorted(hours, reverse=True), sorted(kept), strict=True)
    return {hour: f"{one}%" if is_part else one for hour, one in pairs}


async def offer(db: Database, provider: int, fees: list[int]) -> list[int]:
    """Have a provider offer one service or several tests, that fit into one slot together; return their ids."""
    return [
        await db.fetch_value(
            """WITH type AS (
                INSERT INTO directory.service_type (slug, name, is_test) VALUES ($1, 'Service', $2)
                RETURNING service_type_id)
            INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
            SELECT $3, service_type_id, $4, $5, 'online' FROM type RETURNING service_id""",
            f"service-{provider}-{number}",
            len(fees) > 1,
            provider,
            30 // len(fees),
            fee,
        )
        for number, fee in enumerate(fees)
    ]


async def arrange(db: Database, bank: Bank, data: st.DataObject) -> Visit:
    """Have a visit be offered: for a fee, or one service, or some tests; by terms of the clinic, or of these."""
    ladder = data.draw(ladders(), label="ladder")
    fees = data.draw(st.one_of(st.lists(FEES, max_size=1), st.lists(st.integers(1, FEE_MAX // 4), max_size=4)))
    fee = sum(fees) or data.draw(FEES, label="fee")
    clinic = await make_clinic(db)
    provider = await make_provider(db, {clinic: (fee if not fees else 777, "online")})
    other = await make_provider(db, {clinic: (30000, "clinic")})
    services = await offer(db, provider, fees)
    terms_id = await set_terms(db, clinic, ladder)
    has_own_terms: bool = data.draw(st.booleans(), label="terms of their own")
    if services and has_own_terms:
        await set_terms(db, clinic, {8784: "100%"})
        await db.execute(
            """INSERT INTO directory.service_terms (clinic_id, service_type_id, terms_id)
            SELECT $1, service_type_id, $2 FROM directory.service WHERE service_id = ANY ($3)""",
            clinic,
            terms_id,
            services,
        )
    await make_shift(db, provider, clinic, DAILY, time(9), time(12), 30)
    await make_shift(db, other, clinic, DAILY, time(9), time(20), 30)
    (patient,) = await make_patients(db, 1)
    start = data.draw(starts(await product_now(db)))
    payments = Payments(db, Book(db), Gateways({"sandbox": bank}))
    return Visit(
        db,
        payments,
        clinic,
        provider,
        other,
        patient,
        ladder,
        fee,
        services,
        start,
    )


def starts(now: datetime) -> st.SearchStrategy[datetime]:
    """Return those from the day after tomorrow on."""
    midnight = datetime.combine(now.astimezone(INDIA).date(), time(), INDIA)
    return st.builds(
        lambda day, slot: midnight + timedelta(days=day, hours=9, minutes=30 * slot),
        st.integers(2, DAYS_MAX),
        st.integers(0, 5),
    )


async def play(db: Database, bank: Bank, data: st.DataObject) -> None:
    visit = await arrange(db, bank, data)
    times = starts(await product_now(db))
    await visit.pay(data.draw(st.booleans(), label="prices change"))
    for _ in range(data.draw(st.integers(0, 6), label="steps")):
        match data.draw(st.sampled_from(("wait", "edge", "move", "move by staff", "flag", "settle", "give back"))):
            case "wait":
                ahead = visit.start - await product_now(db)
                await visit.wait(await product_now(db) + ahead * data.draw(st.floats(0, 0.99)))
            case "edge":
                hours = data.draw(st.sampled_from(sorted(visit.ladder)))
                await visit.wait(visit.start - timedelta(hours=hours) + MICROSECOND * data.draw(st.integers(-1, 1)))
            case "move":
                await visit.move(data.draw(times), visit.actor)
            case "move by staff":
                await visit.move(data.draw(times), Staff(1))
            case "flag":
                await visit.flag()
            case "give back" if await product_now(db) + timedelta(minutes=10) < visit.start:
                await visit.give_back(data.draw(st.floats(0, 0.99)))
            case "settle" if await product_now(db) + timedelta(minutes=3) < visit.start:
                await visit.settle()
    late = data.draw(st.timedeltas(timedelta(), timedelta(days=20)), label="late")
    ways = ("patient", "replacement", "patient", "replacement", "staff", "system")
    way = data.draw(st.sampled_from(ways))
    kept_minor = await visit.cancel(way, late)
    if way == "staff":  # who may take it back for three minutes
        await set_clock(db, await product_now(db) + timedelta(minutes=3))
    await visit.settle()
    fee = visit.fee
    money = await visit.payments.money(visit.provider, visit.booking)
    assert money is not None
    await check_receipts(visit, money, kept_minor)
    assert (money.kept_minor, money.returned_minor) == (kept_minor, fee - kept_minor)
    (at_bank,) = await bank.fetch(f"{visit.provider}:{visit.booking}")
    assert (at_bank.state, at_bank.amount_minor) == (money.money if money.money != "kept" else "captured", fee)
    assert at_bank.refunded_minor == (0 if at_bank.state == "voided" else fee - kept_minor)
    is_all_kept = kept_minor == fee - visit.parts
    assert at_bank.state == "captured" if is_all_kept else at_bank.state in ("voided", "refunded")


async def check_receipts(visit: Visit, money: Money, kept_minor: int) -> None:
    """Issue what is due; receipt and credit notes come to what was paid, went back and is kept."""
    await visit.db.execute("SELECT receipts.issue(200)")
    by_kind: Counter[str] = Counter()
    for one in await documents_of(visit.db, visit.provider, visit.booking):
        by_kind[one.kind] += one.amount_minor
        assert not one.said.lines or sum(line.minor for line in one.said.lines) == visit.fee
        assert len(one.said.lines) == len(visit.services)
    if money.money == "voided":
        assert not by_kind
    else:
        assert (by_kind["receipt"], by_kind["credit_note"]) == (visit.fee, visit.fee - kept_minor)


def play_all(dsn: str, bank_settings: Settings, examples: int, fault: tuple[str, str, str] | None = None) -> None:
    """Play so many visits, with a rule switched off where `fault` says which: a function, a text in it, and another."""
    with asyncio.Runner() as runner:

        async def connect() -> tuple[Database, Bank]:
            database = await Database.connect(dsn, min_size=1, max_size=2)
            await freeze_clock(database)
            if fault is not None:
                await rewrite(database, fault[0], fault[1:])
            return database, await Bank(bank_settings).__aenter__()

        db, bank = runner.run(connect())

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=fault is not None,
            phases=[Phase.generate] if fault else list(Phase),
            suppress_health_check=list(HealthCheck),
        )
        @given(data=st.data())
        def run(data: st.DataObject) -> None:
            runner.run(play(db, bank, data))

        try:
            run()
            assert runner.run(all_violations(db)) == []
        finally:
            runner.run(bank.__aexit__(None, None, None))
            runner.run(db.close())


@pytest.mark.timeout(120)
def test_what_is_shown_is_kept_and_the_rest_refunded(dsn: str, sandbox_bank: Settings) -> None:
    play_all(dsn, sandbox_bank, 40)


FAULTS = {
    "a move lessens what is kept": (
        "booking.reschedule",
        "nullif((booking.cancelling(held, now_at)).kept_minor, 0)",
        "NULL",
    ),
    "a move by the staff costs something": ("booking.reschedule", "held.terms_id := NULL;", ""),
    "what the clinic causes costs something": ("booking.has_terms", "AND NOT p_booking.needs_rebooking", ""),
    "what others cancel keeps something": (
        "booking.release_or_cancel",
        "(p_actor ^@ 'patient:' OR p_actor = 'system:replacement')",
        "true",
    ),
    "what is replaced keeps more the later it is cancelled": (
        "booking.release_or_cancel",
        "coalesce(p_ordered_at, now_at)",
        "now_at",
    ),
    "what is replaced keeps nothing": ("booking.release_or_cancel", "OR p_actor = 'system:replacement'", ""),
    "a step counts at its instant": ("directory.kept_minor", "p_at > directory", "p_at >= directory"),
    "a step that begins now is not shown": ("booking.cancelling", ">= p_at", "> p_at"),
    "half a paisa is given away": ("directory.kept_by", "round(", "trunc("),
    "what is set aside is let go": (
        "ledger.order_return",
        "WHEN p_kept_minor > 0 AND due = 'capture' THEN 'capture'",
        "",
    ),
    "what was taken meanwhile stays": ("ledger.advance_payments", "OR kept_minor < amount_minor", ""),
}
"""Rules, and how each is switched off."""


@pytest.mark.long
@pytest.mark.breaks_invariants
@pytest.mark.timeout(240)
@pytest.mark.parametrize("rule", FAULTS)
def test_each_rule_is_missed_when_it_is_off(dsn: str, sandbox_bank: Settings, rule: str) -> None:
    with pytest.raises(AssertionError):
        play_all(dsn, sandbox_bank, 400, FAULTS[rule])
