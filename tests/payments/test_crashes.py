"""If a process dies between our commits and the gateway's calls, no money is lost, kept for nothing or taken twice.

Each kind of payment is played once to see which boundaries it crosses, and once for each of them with the process
dying there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast
from uuid import UUID

import pytest

from healthplus.booking import calls as booking
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.ops.check import all_violations
from healthplus.payments.accounts import Gateways, queries
from healthplus.payments.gateway import Authorisation, Gateway
from healthplus.payments.payments import PaidOnline, Payments
from tests.fixtures.append_only import as_owner
from tests.fixtures.clock import start_clock
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.terms import set_terms
from tests.fixtures.till import pay_at_desk
from tests.payments.rigs import Rig
from tests.payments.steps import money, pay, pay_online

_T = TypeVar("_T")
NAMES = {sql: name for area in (queries, booking.calls) for name, sql in area.items()}
STEP_SECONDS = 15
ORDERED_SECONDS_MAX = 60


class Death(BaseException):
    """The process dies."""


class Boundaries:
    """What is crossed, in order; the process dies at the one called `fatal`."""

    def __init__(self, fatal: str | None) -> None:
        self.fatal = fatal
        self.crossed: list[str] = []
        self.is_dead = False

    async def cross(self, name: str, call: Awaitable[_T]) -> _T:
        number = sum(boundary.startswith(f"before {name}") for boundary in self.crossed) + 1
        self._meet(f"before {name} {number}", call)
        answer = await call
        self._meet(f"after {name} {number}")
        return answer

    def _meet(self, boundary: str, call: Any = None) -> None:
        self.crossed.append(boundary)
        self.is_dead = self.is_dead or boundary == self.fatal
        if self.is_dead:
            if call is not None:
                call.close()
            raise Death


class MortalDatabase:
    """A database whose every named query is a boundary."""

    def __init__(self, database: Database, boundaries: Boundaries) -> None:
        self._database = database
        self._boundaries = boundaries
        self.space = database.space

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        def call(sql: str, *args: object, **options: object) -> Awaitable[Any]:
            return self._boundaries.cross(NAMES[sql], getattr(self._database, method)(sql, *args, **options))

        return call


class MortalGateway:
    """A gateway whose every call is a boundary; `after_authorise` happens at the bank once money is set aside."""

    def __init__(self, gateway: Gateway, boundaries: Boundaries) -> None:
        self._gateway = gateway
        self._boundaries = boundaries
        self.after_authorise: Callable[[], Awaitable[object]] | None = None

    async def authorise(self, *asked: Any) -> Any:
        answer = await self._boundaries.cross("authorise", self._gateway.authorise(*asked))
        if self.after_authorise and isinstance(answer, Authorisation):
            await self.after_authorise()
        return answer

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return lambda *asked: self._boundaries.cross(name, getattr(self._gateway, name)(*asked))


class Play:
    """One process, mortal; and what is played with it."""

    def __init__(self, environment: Environment, rig: Rig, gateway: Gateway, boundaries: Boundaries) -> None:
        database = cast(Database, MortalDatabase(environment.db, boundaries))
        self.environment, self.rig, self.boundaries = environment, rig, boundaries
        self.gateway = MortalGateway(gateway, boundaries)
        self.book = Book(database)
        gateways = Gateways({rig.account: cast(Gateway, self.gateway)})
        self.payments = Payments(database, self.book, gateways)

    async def pay(self, held: UUID) -> None:
        """Pay, and pay at the gateway where that leads there; the repeat then finds the money."""
        if (await self._request(held, self.rig.methods[0])).url:
            await self._pay_there(held)
            await self._request(held, self.rig.methods[0])

    async def _request(self, held: UUID, method: str) -> Any:
        return await pay(self.payments, self.environment, held, method)

    async def _pay_there(self, held: UUID) -> None:
        order = await self.environment.db.fetch_value("SELECT order_name FROM payments.intent WHERE hold_id = $1", held)
        await self.rig.pay_there(f"{PROVIDER}:{held}", order or "")

    async def booked(self, held: UUID) -> None:
        await self.pay(held)
        await self.environment.pass_time(seconds=30)
        await self.payments.captures.poll()

    async def remembered(self, held: UUID) -> None:
        """Have the process capture from memory what it has booked."""
        capturing = asyncio.create_task(self.payments.captures.run_from_memory())
        await asyncio.sleep(0)
        try:
            await self.pay(held)
            while not (self.boundaries.is_dead or capturing.done()) and await money(self.environment) != (
                "captured",
                None,
            ):
                await asyncio.sleep(0.01)
        finally:
            capturing.cancel()
            await asyncio.gather(capturing, return_exceptions=True)
        if self.boundaries.is_dead:
            raise Death

    async def cancelled(self, held: UUID) -> None:
        await self.booked(held)
        await self.book.cancel(PROVIDER, held, self.environment.actor("asha"))
        await self.payments.captures.poll()

    async def kept(self, held: UUID) -> None:
        """Have the patient cancel by terms that keep something of what was taken."""
        await set_terms_of(self.environment, held, 12345)
        await self.cancelled(held)

    async def part(self, held: UUID) -> None:
        """Have the desk give back a part, and then the patient cancel."""
        await self.booked(held)
        assert (
            await self.environment.db.fetch_value(
                "SELECT (booking.refund($1, $2, 'staff:1', 12345)).code", PROVIDER, held
            )
            == "refunded"
        )
        await self.environment.pass_time(minutes=3, seconds=1)
        await self.payments.captures.poll()
        await self.book.cancel(PROVIDER, held, self.environment.actor("asha"))
        await self.payments.captures.poll()

    async def kept_early(self, held: UUID) -> None:
        """Have the patient cancel before it was taken: it is captured, and then the rest refunded."""
        await set_terms_of(self.environment, held, 12345)
        await self.pay(held)
        await self.book.cancel(PROVIDER, held, self.environment.actor("asha"))
        await self.payments.captures.poll()
        await self.payments.captures.poll()

    async def kept_whole(self, held: UUID) -> None:
        """Have the patient cancel by terms that keep all of it, before it was taken."""
        await set_terms_of(self.environment, held, 50000)
        await self.pay(held)
        await self.book.cancel(PROVIDER, held, self.environment.actor("asha"))
        await self.payments.captures.poll()

    async def lost(self, held: UUID) -> None:
        async def lose() -> None:
            await self.environment.pass_time(seconds=306)
            await self.environment.held(name="bina")

        self.gateway.after_authorise = lose
        await self.pay(held)
        await self.payments.captures.poll()

    async def late(self, held: UUID) -> None:
        self.gateway.after_authorise = lambda: self.environment.pass_time(seconds=306)
        await self.booked(held)

    async def given_back(self, held: UUID) -> None:
        await self._request(held, self.rig.methods[1])
        await self.book.release(PROVIDER, held, self.environment.actor("asha"))
        await self._pay_at_the_bank(held)

    async def at_clinic(self, held: UUID) -> None:
        """Have an appointment that was to be paid at the clinic be paid online."""
        await self._pay_online(held)
        await self.environment.pass_time(seconds=30)
        await self.payments.captures.poll()

    async def desk_first(self, held: UUID) -> None:
        """Have the desk be paid while that is under way."""

        async def be_paid() -> None:
            assert await pay_at_desk(self.environment.db, held, 50000, ONLINE) == "recorded"

        self.gateway.after_authorise = be_paid
        await self._pay_online(held)
        await self.payments.captures.poll()

    async def at_clinic_found(self, held: UUID) -> None:
        await self._pay_online(held, self.rig.methods[1])
        await self._pay_at_the_bank(held)

    async def _pay_online(self, held: UUID, method: str = "") -> None:
        async def request() -> PaidOnline:
            return await pay_online(self.payments, self.environment, held, method or self.rig.methods[0], 50000)

        if (await request()).url and not method:
            await self._pay_there(held)
            await request()

    async def found(self, held: UUID) -> None:
        await self._request(held, self.rig.methods[1])
        await self._pay_at_the_bank(held)

    async def _pay_at_the_bank(self, held: UUID) -> None:
        await self._pay_there(held)
        await self.environment.pass_time(seconds=20)
        await self.payments.reconciliation.poll()
        await self.environment.pass_time(seconds=30)
        await self.payments.captures.poll()


async def set_terms_of(environment: Environment, held: UUID, kept_minor: int) -> None:
    """Have a hold have terms that keep so much at any time."""
    terms_id = await set_terms(environment.db, ONLINE, {8784: kept_minor})
    await environment.db.execute("UPDATE booking.booking SET terms_id = $1 WHERE booking_id = $2", terms_id, held)


async def begin(environment: Environment, kind: str) -> UUID:
    """Return a hold, or an appointment that is to be paid at the clinic."""
    await environment.db.execute(
        as_owner(
            """TRUNCATE booking.booking, booking.event_log, booking.claim, booking.book, booking.idempotency,
                ledger.payment, ledger.refund, payments.intent, till.payment""",
            "booking.event_log",
            *("ledger.payment", "ledger.refund", "till.payment"),
        )
    )
    await start_clock(environment.db)
    if kind not in STANDING:
        return await environment.held()
    funding = "UPDATE directory.provider_clinic SET funding = $2 WHERE clinic_id = $1"
    await environment.db.execute(funding, ONLINE, "clinic")
    held = await environment.held()
    await environment.db.execute(funding, ONLINE, "online")
    assert (await environment.book.confirm(PROVIDER, held, None, environment.actor("asha"))).code == "booked"
    return held


async def play(kind: str, environment: Environment, rig: Rig, fatal: str | None, away_seconds: int) -> list[str]:
    held = await begin(environment, kind)
    boundaries = Boundaries(fatal)
    async with rig.gateway() as gateway:
        try:
            await getattr(Play(environment, rig, gateway, boundaries), kind)(held)
            assert fatal is None
        except Death:
            assert fatal is not None
    await environment.pass_time(seconds=away_seconds)
    async with rig.gateway() as gateway:
        await recover(environment, rig, gateway, held)
    return boundaries.crossed


async def recover(environment: Environment, rig: Rig, gateway: Gateway, held: UUID) -> None:
    """Another process goes on; the patient never asks again. What is due to go back must be ordered in time."""
    book = environment.book
    payments = Payments(environment.db, book, Gateways({rig.account: gateway}))
    knowable = 0
    for _ in range(480 // STEP_SECONDS):
        await book.advance(PROVIDER)
        await payments.captures.poll()
        await payments.reconciliation.poll()
        if await is_owed(environment, rig, held):
            assert knowable * STEP_SECONDS <= ORDERED_SECONDS_MAX, "money was kept too long"
            knowable += 1
        await environment.pass_time(seconds=STEP_SECONDS)
    assert await all_violations(environment.db) == []
    facts = rig.at_bank(f"{PROVIDER}:{held}")
    at_bank = {fact.name: fact.state for fact in facts}
    rows = await environment.db.fetch("SELECT authorisation, state::text FROM ledger.payment")
    assert {row["authorisation"]: row["state"] for row in rows} == at_bank
    booked = await environment.db.fetch_value(
        "SELECT count(*) FROM booking.booking WHERE state = 'booked' AND funding = 'online'"
    )
    kept = await environment.db.fetch_value("SELECT coalesce(sum(kept_minor), 0) FROM ledger.payment")
    left = sum(fact.amount_minor - fact.refunded_minor for fact in facts if fact.state in ("captured", "refunded"))
    parts = await environment.db.fetch_value("SELECT ledger.booking_parts_minor($1, $2)", PROVIDER, held)
    assert left == (50000 - parts) * booked + kept
    assert "authorised" not in at_bank.values()


async def is_owed(environment: Environment, rig: Rig, held: UUID) -> bool:
    """Whether the bank has money for what is over, and it has not been ordered back."""
    over = await environment.db.fetch_value(
        "SELECT count(*) = 0 FROM booking.booking WHERE patient_id = $1 AND occupies AND deadline > app_now()",
        environment.ids["asha"],
    )
    ordered = await environment.db.fetch_value(
        "SELECT count(*) > 0 FROM ledger.payment WHERE due IS NOT NULL OR state > 'authorised'"
    )
    return over and not ordered and bool(rig.at_bank(f"{PROVIDER}:{held}"))


CANCELLED = {"begin_payment", "authorise", "confirm_lane", "take_due", "capture", "note_states", "cancel"}
KINDS = {
    "booked": {"begin_payment", "authorise", "confirm_lane", "take_due", "capture", "note_states"},
    "remembered": {"begin_payment", "authorise", "confirm_lane", "capture", "note_states"},
    **dict.fromkeys(("cancelled", "kept", "kept_early", "part"), CANCELLED | {"refund", "note_refunds"}),
    "kept_whole": CANCELLED,
    "lost": {"begin_payment", "authorise", "confirm_lane", "confirm", "void_due", "void", "note_states", "take_due"},
    "late": {"begin_payment", "authorise", "confirm_lane", "confirm", "take_due", "capture", "note_states"},
    "at_clinic": {"begin_booking_payment", "authorise", "pay_online", "take_due", "capture", "note_states"},
    "desk_first": {"begin_booking_payment", "authorise", "pay_online", "void_due", "void", "note_states", "take_due"},
    "given_back": {
        "begin_payment",
        "authorise",
        "release",
        "take_due_intents",
        "fetch",
        "recorded_states",
        "record_gateway_event",
        "schedule_next_check",
        "take_due",
        "void",
        "note_states",
    },
    "found": {
        "begin_payment",
        "authorise",
        "take_due_intents",
        "fetch",
        "recorded_states",
        "record_gateway_event",
        "schedule_next_check",
        "take_due",
        "capture",
        "note_states",
    },
}
KINDS["at_clinic_found"] = KINDS["found"] ^ {"begin_payment", "begin_booking_payment"}
"""What is played, and which of our commits and the gateway's calls each crosses."""


STANDING = ("at_clinic", "desk_first", "at_clinic_found")
"""What begins with an appointment."""
LAPSING = ("booked", "found")
"""What a hold that lapses before anybody goes on makes most difference to: one paid here, and one paid at the bank."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("rig", "kind", "away_seconds"),
    [
        *(("sandbox", kind, 0) for kind in KINDS if kind not in STANDING),
        ("sandbox", "desk_first", 0),
        *(pytest.param("sandbox", kind, 0, marks=pytest.mark.long) for kind in STANDING if kind != "desk_first"),
        # Long enough for a hold to lapse meanwhile.
        *(("sandbox", kind, 400) for kind in LAPSING),
        *(pytest.param("sandbox", kind, 400, marks=pytest.mark.long) for kind in KINDS if kind not in LAPSING),
        ("stripe", "kept_early", 0),
        ("stripe", "found", 400),
        ("razorpay-upi", "lost", 0),
        ("razorpay-upi", "found", 400),
        ("razorpay-card", "given_back", 0),
        *(
            pytest.param(rig, kind, away_seconds, marks=pytest.mark.long)
            for rig in ("stripe", "razorpay-upi", "razorpay-card")
            for kind in KINDS
            for away_seconds in (0, 400)
        ),
    ],
    indirect=["rig"],
)
async def test_a_death_at_any_boundary(environment: Environment, rig: Rig, kind: str, away_seconds: int) -> None:
    await rig.open_account(environment.db)
    boundaries = await play(kind, environment, rig, None, away_seconds)
    expected = KINDS[kind] ^ rig.differs.get(kind, frozenset()) | rig.steps
    assert {boundary.split()[1] for boundary in boundaries} == expected
    for fatal in boundaries:
        try:
            assert fatal in await play(kind, environment, rig, fatal, away_seconds)
        except AssertionError as error:
            error.add_note(f"died {fatal}")
            raise
