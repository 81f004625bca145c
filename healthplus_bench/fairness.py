"""Who gets a time where accounts wait that do not want one: the product's verbs, with a clock that is moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from healthplus.accounts.actors import Patient, System
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Refused
from healthplus.database import Database, load
from healthplus.ops.check import violations
from healthplus_bench.environment import SLOT_TIME, SLOTS_A_SHIFT, Environment, clinic_of
from healthplus_bench.environment import queries as environment_queries

queries = load(Path(__file__).with_name("fairness.sql"))

Bots: TypeAlias = Literal["ignore", "never pay"]
CASES: tuple[tuple[Bots, int], ...] = (
    *(("ignore", bots) for bots in (0, 20, 56, 103, 200)),
    *(("never pay", bots) for bots in (10, 20)),
)
HONEST = 5
_DAY = 3  # of the slots that are waited for
_TICK_SECONDS = 5
_CASE_SECONDS = 3600
_PAY_SECONDS = 60
_REACTION_SECONDS = 15  # the median; 4 in 100 take longer than a minute
_REACTION_SPREAD = 0.8
_SEED = 16


@dataclass(frozen=True)
class FairnessPlan:
    """The cases to play, each with and without group offers (docs/decisions/0033)."""

    cases: tuple[tuple[Bots, int], ...] = CASES


class FairnessCase(msgspec.Struct, frozen=True):
    """What became of HONEST patients who joined behind `bots`, within an hour.

    `served` have booked, the first and the last of them after so many minutes. `idle_minutes`: for how long, in sum,
    the times that came free, one after another, were not booked.
    """

    bots: int
    behaviour: str
    has_rule: bool
    honest: int
    served: int
    first_minutes: float | None
    last_minutes: float | None
    idle_minutes: float


class FairnessResult(msgspec.Struct):
    """`violations`: broken invariants, after all of it."""

    cases: list[FairnessCase]
    violations: int

    def table(self) -> str:
        """Return the cases as a table for people."""
        lines = ["| bots | | group offers | served | first, last (min) | idle (min) |", "|---|---|---|---|---|---|"]
        for case in self.cases:
            times = "–" if case.first_minutes is None else f"{case.first_minutes:.1f}, {case.last_minutes:.1f}"
            lines.append(
                f"| {case.bots} | {case.behaviour} | {'on' if case.has_rule else 'off'} "
                f"| {100 * case.served // case.honest} % | {times} | {case.idle_minutes:.1f} |"
            )
        return "\n".join(lines)


async def bench_fairness(dsn: str, folder: Path, plan: FairnessPlan) -> FairnessResult:
    """Play every case at a doctor of its own, first with the rule, then without."""
    patients = sum(bots + HONEST + SLOTS_A_SHIFT for _, bots in plan.cases) * 2
    async with await Database.connect(dsn, min_size=1, max_size=1) as database:
        await database.execute(environment_queries.put_city)
        for name in ("put_clinics", "put_providers", "put_posts", "put_shifts"):
            await database.execute(environment_queries[name], 2 * len(plan.cases))
        await database.execute(environment_queries.put_patients, patients)
        await database.execute(environment_queries.analyze)
        await database.execute(queries.start_clock)
        environment = Environment(
            dsn, folder, database, "", await database.fetch_value(environment_queries.first_shift)
        )
        found: list[FairnessCase] = []
        next_patient = 1
        for has_rule in (True, False):
            if not has_rule:
                await database.execute(queries.without_rule)
                await database.execute(queries.without_limit)
            for behaviour, bots in plan.cases:
                case = _Case(environment, len(found) + 1, next_patient, behaviour, bots)
                found.append(await case.play(has_rule=has_rule))
                next_patient += bots + HONEST + SLOTS_A_SHIFT
        return FairnessResult(found, len(await violations(database)))


@dataclass
class _Case:
    """One doctor's 36 slots: 31 booked, the others held until one after another comes free."""

    environment: Environment
    provider_id: int
    first_patient: int
    behaviour: Bots
    bots: int
    seconds: int = 0
    due: dict[tuple[UUID, str, UUID | None], int] = field(default_factory=dict)
    """At which second the client of a ticket does what it is to do in a state, for an offer."""

    def __post_init__(self) -> None:
        self.book = Book(self.environment.database)
        self.random = Random(_SEED)  # noqa: S311 - not for secrets
        first = self.first_patient + SLOTS_A_SHIFT
        self.honest = set(range(first + self.bots, first + self.bots + HONEST))
        self.crowd = [*range(first, first + self.bots), *sorted(self.honest)]
        self.held: list[tuple[int, UUID]] = []
        self.freed_at: dict[int, int] = {}
        self.served_at: list[int] = []
        self.idle_seconds = 0

    async def play(self, *, has_rule: bool) -> FairnessCase:
        """Return what became of the honest patients."""
        await self._fill()
        for patient in self.crowd:
            await self._join(patient)
        await self._free_one()
        while self.seconds < _CASE_SECONDS and len(self.served_at) < HONEST:
            await self._tick()
        self.idle_seconds += sum(self.seconds - at for at in self.freed_at.values())
        minutes = [at / 60 for at in self.served_at]
        return FairnessCase(
            self.bots, self.behaviour, has_rule, HONEST, len(minutes), min(minutes, default=None),
            max(minutes, default=None), self.idle_seconds / 60,
        )  # fmt: skip

    async def _fill(self) -> None:
        clinic_id = clinic_of(self.provider_id)
        first = self.environment.start_of(_DAY * 2 * SLOTS_A_SHIFT)
        self.window = (first, first + SLOTS_A_SHIFT * SLOT_TIME)
        for slot in range(SLOTS_A_SHIFT):
            patient = self.first_patient + slot
            held = await self.book.hold(
                self.provider_id, clinic_id, first + slot * SLOT_TIME, 1, patient, Patient(patient)
            )
            assert held.code == "reserved", held
            if slot < HONEST:
                self.held.append((patient, held.booking_id))
            else:
                await self._pay(held.booking_id)
        await self.environment.database.execute(queries.keep_held, self.provider_id)

    async def _pay(self, booking_id: UUID) -> bool:
        paid = await self.book.confirm(self.provider_id, booking_id, f"paid for {booking_id}", System("gateway"))
        return paid.code == "booked"

    async def _join(self, patient: int) -> None:
        joined = await self.book.join_queue(
            self.provider_id, clinic_of(self.provider_id), *self.window, 1, patient, Patient(patient)
        )
        if isinstance(joined, Refused):
            assert joined.code in ("turns_used", "lapses"), joined
            self.crowd.remove(patient)

    async def _free_one(self) -> None:
        if self.held:
            patient, booking_id = self.held.pop(0)
            await self.book.release(self.provider_id, booking_id, Patient(patient))
            self.freed_at[len(self.held)] = self.seconds

    async def _tick(self) -> None:
        database = self.environment.database
        await database.execute(queries.pass_time, _TICK_SECONDS)
        self.seconds += _TICK_SECONDS
        await self.book.advance(self.provider_id)
        await database.execute(queries.see, self.provider_id)
        tickets = await database.fetch(queries.tickets, self.provider_id)
        for row in tickets:
            await self._act(row["patient_id"], row["ticket_id"], row["state"], row["offer_id"], row["answered"])
        # Whose ticket is over joins again, behind all others, if that is not refused.
        waiting = {row["patient_id"] for row in tickets}
        for patient in [*self.crowd]:
            if patient not in waiting:
                await self._join(patient)

    async def _act(self, patient: int, ticket_id: UUID, state: str, offer_id: UUID | None, answered: bool) -> None:
        """Do what a ticket's client does by now, if anything."""
        is_honest = patient in self.honest
        if state == "waiting" or (state == "called" and answered) or not (is_honest or self.behaviour == "never pay"):
            return
        reaction: Callable[[], float] = (
            (lambda: _REACTION_SECONDS * self.random.lognormvariate(0, _REACTION_SPREAD)) if is_honest else lambda: 0
        )
        due = self.due.setdefault(
            (ticket_id, state, offer_id), self.seconds + (_PAY_SECONDS if state == "accepted" else round(reaction()))
        )
        if self.seconds < due:
            return
        if state == "offered":
            await self.book.accept(self.provider_id, ticket_id, Patient(patient))
        elif state == "called":
            await self.book.answer(self.provider_id, ticket_id, Patient(patient))
        elif is_honest and offer_id is not None and await self._pay(offer_id):
            self.served_at.append(self.seconds)
            self.crowd.remove(patient)
            for freed_at in self.freed_at.values():
                self.idle_seconds += self.seconds - freed_at
            self.freed_at.clear()
            await self._free_one()
