"""The real verbs against the model: whatever is asked, in whatever order, both must say and leave the same."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from healthplus.accounts.actors import Actor, Patient, Staff, System
from healthplus.booking import book as real
from healthplus.booking import replacements as real_replacements
from healthplus.booking.outcomes import Outcome
from healthplus.database import Database
from tests.fixtures.clock import freeze_clock, set_clock
from tests.fixtures.directory import close_service, make_city, make_clinic, make_provider, make_service, make_shift
from tests.fixtures.patients import make_patients, see
from tests.fixtures.phone import DeskBook
from tests.fixtures.terms import Ladder, make_terms
from tests.fixtures.till import pay_at_desk

from . import both_ways, model

T = TypeVar("T")
Row: TypeAlias = list[Any]
DESK, OTHER_DESK = Staff(1), Staff(2)
# Nights on which clocks change, and one where they never do; far enough ahead that every server started before them.
NIGHTS = [
    ("Asia/Kolkata", date(2099, 3, 28)),
    ("Europe/Berlin", date(2099, 3, 28)),
    ("Europe/Berlin", date(2099, 10, 24)),
]

# How far from its place a start may be.
ODD = [timedelta(minutes=5), -timedelta(minutes=15), timedelta(days=7), -timedelta(days=1)]
# Each step as often as it is named here.
STEPS = [
    *["hold", "join", "confirm", "wait_for_a_boundary"] * 3,
    *["fill", "line_up", "give_back", "accept", "see", "wait", "answer", "let_go", "crowd", "reschedule"] * 2,
    *["attend", "leave", "resume", "settle", "again", "change_shift", "change_leave", "pay_late"],
    *["choose_person", "rename", "replace", "change_service", "change_terms", "line_up", "line_up"],
    *["phone", "pay_online"] * 2,
]

STATE = """
SELECT jsonb_build_object(
    'bookings', (
        SELECT jsonb_agg(jsonb_build_array(
            provider_id, booking_id, clinic_id, patient_id, lower(during), upper(during), seat, slots_needed, b.state,
            deadline, offer, ticket_id, needs_rebooking, payments, fee_minor, funding, person_id, patient_name,
            instead_of_id, service_ids, terms_id, kept_min_minor))
        FROM booking.booking AS b CROSS JOIN LATERAL (
            SELECT coalesce(jsonb_object_agg(authorisation, jsonb_build_array(amount_minor, due, kept_minor)), '{}')
                AS payments FROM ledger.payment
            WHERE payment.provider_id = b.provider_id AND payment.booking_id = b.booking_id) AS payment
        WHERE provider_id = ANY ($1::bigint[])),
    'tickets', (
        SELECT jsonb_agg(jsonb_build_array(
            provider_id, ticket_id, number, patient_id, clinic_id, lower(queue_window), upper(queue_window),
            slots_needed, state, joined_at, expires_at, absent, offers_unfetched, offer_id,
            withheld_seat, lower(withheld_during), upper(withheld_during), person_id,
            answered_at IS NOT NULL, let_go_at, service_ids))
        FROM booking.ticket WHERE provider_id = ANY ($1)),
    'claims', (
        SELECT jsonb_agg(jsonb_build_array(patient_id, coalesce(booking_id, ticket_id), lapses, spent))
        FROM booking.claim WHERE patient_id = ANY ($2::bigint[])),
    'replacements', (
        SELECT jsonb_agg(jsonb_build_array(provider_id, booking_id, replaced_provider_id, replaced_id))
        FROM booking.replacement WHERE provider_id = ANY ($1)),
    'schedule', (
        SELECT jsonb_agg(id) FROM (
            SELECT shift_id::text FROM schedule.shift WHERE provider_id = ANY ($1)
            UNION ALL SELECT leave_id::text FROM schedule.leave WHERE provider_id = ANY ($1)) AS id (id)),
    'books', (
        SELECT jsonb_agg(jsonb_build_array(
            provider_id, next_free_at, touched_at, version, turns_let_go, turns_before_booking, next_due, is_queued,
            (SELECT count(*) FROM booking.event AS e WHERE e.provider_id = book.provider_id)))
        FROM booking.book WHERE provider_id = ANY ($1)))
"""


def answers_of(verb: Callable[..., Any]) -> set[tuple[type, str]]:
    """Return the classes and codes that a method's type says it may answer with."""

    def literals(hint: Any) -> Iterator[str]:
        for part in get_args(hint):
            yield from [part] if isinstance(part, str) else literals(part)

    return {(get_origin(part), code) for part in get_args(get_type_hints(verb)["return"]) for code in literals(part)}


# So that an account reaches them with the few slots there are; test_limits.py has the product's own.
LIMITS = model.Limits(ahead=2, unpaid=1, account_unpaid=2, budget=4, budget_time=timedelta(minutes=20), daily_budget=7)
FIGURES = {
    "ahead_max": LIMITS.ahead,
    "unpaid_max": LIMITS.unpaid,
    "account_unpaid_max": LIMITS.account_unpaid,
    "budget_max": LIMITS.budget,
    "daily_budget_max": LIMITS.daily_budget,
}


async def set_limits(db: Database) -> None:
    for figure, limit in FIGURES.items():
        await db.execute(
            f"CREATE OR REPLACE FUNCTION booking.{figure}() RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT {limit}'"
        )
    await db.execute(
        "CREATE OR REPLACE FUNCTION booking.budget_time() RETURNS interval IMMUTABLE LANGUAGE sql "
        f"AS $$ SELECT interval '{LIMITS.budget_time.total_seconds()} seconds' $$"
    )


class Difference(AssertionError):
    """The verbs and the model disagree."""


def same(what: str, real_value: object, model_value: object) -> None:
    if real_value != model_value:
        raise Difference(f"{what}\n  real:  {real_value}\n  model: {model_value}")


def text(at: datetime | None) -> str | None:
    """Return an instant as PostgreSQL's jsonb spells it."""
    if at is None:
        return None
    seconds, _, fraction = at.replace(tzinfo=None).isoformat().partition(".")
    return seconds + ("." + fraction.rstrip("0") if fraction else "") + "+00:00"


class Trial:
    """One database, one connection and one loop for all the examples of a test."""

    def __init__(self, dsn: str, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.db = self.run(Database.connect(dsn, min_size=1, max_size=1))
        self.book = DeskBook(self.db)
        self.steps = 0
        self.differed = False
        self.latest = datetime(2099, 1, 1, tzinfo=UTC)
        self.run(freeze_clock(self.db))
        self.run(set_limits(self.db))
        self.run(both_ways.make_switch(self.db))
        self.run(both_ways.count_together(self.db))
        self.plain: Counter[str] = Counter()
        """How often each verb was plain, and compared with the full one."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


class Machine(RuleBasedStateMachine):
    def __init__(self, trial: Trial, steps: Sequence[str]) -> None:
        super().__init__()
        self.trial = trial
        self.steps = steps
        self.run = trial.run
        self.count = 0

    @initialize(
        night=st.integers(0, 2),
        minutes=st.sampled_from([60, 45, 90]),
        days=st.integers(1, 3),
        patients=st.sampled_from([16, 16, 3]),  # many queue up; few come up against what bounds each of them
        seed=st.integers(0, 2**32 - 1),
    )
    def begin(self, night: int, minutes: int, days: int, patients: int, seed: int) -> None:
        self.draw = random.Random(seed)
        zone_name, day = NIGHTS[night]
        zone = ZoneInfo(zone_name)
        self.zone, self.minutes = zone, minutes
        now = datetime.combine(day, time(22), zone).astimezone(UTC)
        self.shared = model.Shared(now, LIMITS, no_shows_max=1 + seed % 3)
        self.books: dict[int, model.Book] = {}
        self.known: set[str] = set()
        self.trail: list[tuple[datetime, str, Any]] = []
        self.asked: list[tuple[str, int, tuple[Any, ...], dict[str, Any]]] = []
        self.run(self._build(zone_name, minutes, days, patients))

    async def _build(self, zone_name: str, minutes: int, days: int, patients: int) -> None:
        db, zone = self.trial.db, self.zone
        await set_clock(db, self.shared.now)
        city = await make_city(db, zone_name)
        first, second = await make_clinic(db, city, 10), await make_clinic(db, city, 7)
        self.patients = await make_patients(db, patients)
        await db.execute(  # some can be sent notices
            "UPDATE accounts.patient SET email = patient_id || '@example.org', email_verified_at = public.app_now() "
            "WHERE patient_id = ANY ($1) AND patient_id % 3 = 0",
            self.patients,
        )
        rows = await db.fetch(
            """WITH added AS (
                INSERT INTO accounts.person (patient_id, name, removed_at)
                SELECT patient_id, name, CASE WHEN name = 'Removed' AND patient_id % 2 = 0 THEN now() END
                FROM unnest($1::bigint[]) AS patient_id, unnest('{Child,Removed}'::text[]) AS name RETURNING *)
            SELECT * FROM added UNION ALL SELECT * FROM accounts.person WHERE is_holder AND patient_id = ANY ($1)""",
            self.patients,
        )
        for row in rows:
            person = model.Person(
                row["patient_id"], row["name"], row["is_holder"], row["removed_at"] is not None, str(row["person_id"])
            )
            self.shared.persons.setdefault(person.patient, []).append(person)
        plans = [
            (
                {first: (50000, "online"), second: (30000, "clinic")},
                [(first, 7, time(1), time(5), 1, 3), (second, 7, time(8), time(10), 1, 2)],
            ),
            (
                {second: (0, "free"), first: (20000, "online")},
                [
                    (second, 7, time(1, 30), time(3, 30), 3, 2),
                    (first, 7, time(5), time(9), 1, 2),
                    (first, 1, time(9), time(10, 30), 1, 3),
                ],
            ),
        ]
        leads = {first: 10, second: 7}
        for index, (clinics, plan) in enumerate(plans):
            provider = await make_provider(db, clinics, days + index)
            shifts = []
            for clinic, weekday, starts, ends, seats, slots_max in plan:
                shift = await make_shift(
                    db, provider, clinic, weekday, starts, ends, minutes, seats=seats, slots_max=slots_max
                )
                shifts.append(model.Shift(clinic, weekday, starts, ends, minutes, seats, slots_max, id=str(shift)))
            places = {
                c: model.Clinic(c, zone, timedelta(minutes=leads[c]), fee, funding)
                for c, (fee, funding) in clinics.items()
            }
            self.books[provider] = book = model.Book(self.shared, places, days + index, shifts)
            for service in self.offered(minutes, first if index else second):
                await self._open(provider, service)
                book.services.append(service)
        await db.execute("UPDATE directory.clinic SET no_shows_max = $1", self.shared.no_shows_max)
        self.providers = list(self.books)
        for clinic in self.draw.sample(list(leads), self.draw.choice([0, 1, 2, 2])):
            await self._set_terms(clinic, [])

    def offered(self, minutes: int, clinic: int) -> list[model.Service]:
        """Return what each provider offers: visits of other lengths than a slot, and two tests for one visit."""
        every_day, sunday, any_of, fee = frozenset(range(1, 8)), frozenset({7}), self.draw.choice, self.draw.randint
        return [
            model.Service(
                None, minutes // any_of([1, 2, 2]), any_of([0, 10]), 1, every_day, fee(1, 99999), "clinic",
                more_a_day=True,
            ),
            model.Service(
                None, minutes + any_of([-30, 10, 10]), any_of([15, 30]), any_of([1, 1, 2]), every_day, fee(1, 99999),
                "online",
            ),
            model.Service(
                clinic, minutes, any_of([15, minutes]), any_of([2, 3]), every_day, fee(1, 99999), "online",
                more_a_day=True,
            ),
            model.Service(None, any_of([0, 0, 20]), 0, any_of([1, 1, 2]), every_day, fee(1, 99999), "online", True),
            model.Service(None, minutes + 5, any_of([0, 10]), any_of([1, 1, 3]), sunday, 0, "free", is_test=True),
        ]  # fmt: skip

    def a_ladder(self) -> Ladder:
        """Return what is kept by hours before a visit, the more the closer it is: parts, or amounts."""
        hours = sorted(self.draw.sample([1, 2, 3, 5, 8, 12, 24], self.draw.randint(1, 3)), reverse=True)
        parts = self.draw.random() < 0.7
        kept = sorted(self.draw.randint(0, 100 if parts else 99999) for _ in hours)
        return {hour: f"{one}%" if parts else one for hour, one in zip(hours, kept, strict=True)}

    async def _set_terms(self, clinic: int, services: list[model.Service]) -> None:
        """Have new holds at a clinic be under other terms, or only those for some services."""
        ladder = self.a_ladder()
        terms = model.Terms(ladder, await make_terms(self.trial.db, ladder))
        for service in services:
            service.terms[clinic] = terms
        sql = """INSERT INTO directory.service_terms (clinic_id, terms_id, service_type_id)
            SELECT $1, $2, service_type_id FROM directory.service WHERE service_id = ANY ($3)
            ON CONFLICT (clinic_id, service_type_id) DO UPDATE SET terms_id = excluded.terms_id"""
        await self.trial.db.execute(sql, clinic, terms.id, [service.id for service in services])
        if not services:
            self.shared.terms[clinic] = terms
            await self.trial.db.execute(
                "UPDATE directory.clinic SET terms_id = $2 WHERE clinic_id = $1", clinic, terms.id
            )

    async def _open(self, provider: int, service: model.Service) -> None:
        service.id = await make_service(
            self.trial.db,
            provider,
            service.minutes,
            (service.fee, service.funding),
            clinic_id=service.clinic_id,
            is_test=service.is_test,
            buffer_minutes=service.buffer,
            starts_every=service.every,
            weekdays=service.days,
            allows_more_a_day=service.more_a_day,
        )

    # Choosing.

    def starts(self, provider: int) -> list[tuple[int, datetime]]:
        """Every start of a slot ahead, early ones first."""
        book, now = self.books[provider], self.shared.now
        found = []
        for opening in book.openings(None, now, now + timedelta(days=2)):
            at = opening.start
            while at < opening.end:
                found.append((opening.clinic.clinic_id, at))
                at += timedelta(minutes=opening.shift.minutes)
        ahead = sorted((start for start in found if start[1] > now), key=lambda start: start[1])
        return ahead or [(next(iter(book.clinics)), now)]

    def some_start(self, provider: int, odd: bool = True) -> tuple[int, datetime]:
        """Mostly an early start; now and then one that is off the grid, or too far ahead."""
        starts = self.starts(provider)
        clinic, at = starts[min(self.draw.randrange(len(starts)), self.draw.randrange(8))]
        return clinic, at + (self.draw.choice(ODD) if odd and self.draw.random() < 0.1 else timedelta(0))

    def taken(self, provider: int) -> list[model.Booking]:
        return [b for b in self.books[provider].bookings if b.state == "reserved" and b.start > self.shared.now]

    def a_booking(self) -> tuple[int, model.Booking] | None:
        found = [(p, b) for p, book in self.books.items() for b in book.bookings]
        live = [x for x in found if x[1].state in ("reserved", "booked", "arrived")]
        chosen = live if live and self.draw.random() < 0.8 else found
        return self.draw.choice(chosen) if chosen else None

    def a_ticket(self) -> tuple[int, model.Ticket] | None:
        found = [(p, t) for p, book in self.books.items() for t in book.tickets]
        live = [x for x in found if x[1].state in ("waiting", "offered", "called")]
        chosen = live if live and self.draw.random() < 0.9 else found
        return self.draw.choice(chosen) if chosen else None

    def a_patient(self) -> int:
        """Mostly one who neither holds nor waits."""
        live = ("reserved", "waiting", "offered", "called")
        busy = {p for p, claim in self.shared.claims.items() if claim.on.state in live}
        idle = [p for p in self.patients if p not in busy] if self.draw.random() < 0.9 else []
        again = [t.patient for book in self.books.values() for t in book.tickets if t.let_go and t.patient in idle]
        if again and self.draw.random() < 0.3:  # one who let a turn go before
            return self.draw.choice(again)
        return self.draw.choice(idle or self.patients)

    def asker(self, owner: int | None) -> Actor:
        """Return the owner, now and then staff, and sometimes a stranger."""
        chance = self.draw.random()
        if 0.8 <= chance < 0.95:
            return DESK
        return Patient(owner if owner and chance < 0.8 else self.draw.choice(self.patients))

    def a_person(self, patient: int | None) -> model.Person | None:
        """Mostly somebody of the account, the holder as often without being named."""
        chance = self.draw.random()
        if chance < 0.3:
            return None
        return self.draw.choice(
            self.shared.persons[patient if patient and chance < 0.95 else self.draw.choice(self.patients)]
        )

    def a_key(self) -> str | None:
        return self.draw.choice([None, None, None, "k1", "k2"])

    def some_services(self, provider: int, clinic: int | None) -> tuple[model.Service, ...]:
        """Mostly none; one, or two tests; now and then what is closed, or another's, or does not go together."""
        if self.draw.random() < 0.65:
            return ()
        closed = [s for s in self.books[provider].services if s.closed and s.clinic_id in (None, clinic)]
        if closed and self.draw.random() < 0.1:
            chosen = [self.draw.choice(closed)]
        elif self.draw.random() < 0.05:
            anybodys = [s for book in self.books.values() for s in book.services]
            chosen = self.draw.sample(anybodys, self.draw.choice([1, 1, 2]))
        else:
            there = [s for s in self.books[provider].services if not s.closed and s.clinic_id in (None, clinic)]
            tests = [s for s in there if s.is_test]
            chosen = tests if self.draw.random() < 0.3 else self.draw.sample(there, min(1, len(there)))
        return tuple(sorted(chosen, key=lambda s: s.id))

    def a_number(self) -> int:
        return self.draw.choice([1] * 9 + [2] * 7 + [3] * 3 + [0, 100])

    # Asking both, and comparing.

    def ask(self, verb: str, provider: int, *args: Any, **more: Any) -> Outcome:
        expected: model.Answer = getattr(self.books[provider], verb)(*args, **more)
        ids, named = [self.id_of(a) for a in args], {name: self.id_of(a) for name, a in more.items()}
        self.trail.append((self.shared.now, verb, (provider, *ids, named)))
        call = both_ways.call_of(verb, provider, ids, named)
        ways = both_ways.BothWays(self.trial.db, call) if call else None
        if ways and (written := self.run(ways.try_one(is_plain_first=self.count % 2 == 0))):
            raise Difference(f"what no plain {verb} may change\n{written}")
        answer: Outcome = self.run(getattr(self.trial.book, verb)(provider, *ids, **named))
        self.asked.append((verb, provider, args, more))
        if ways and ways.one:
            if differences := self.run(ways.differences(answer)):
                raise Difference(f"plain and full {verb}\n{differences}")
            self.trial.plain[verb] += 1
        self.compare(verb, provider, answer, expected)
        return answer

    def rush(self, provider: int, joins: list[tuple[Any, ...]]) -> None:
        """Have each patient join once, and compare that with what all together would do."""
        self.settle(provider)
        joins = list({join[4]: join for join in joins}.values())
        calls = [
            both_ways.join_of(provider, list(args), {"service_ids": self.id_of(services)}) for *args, services in joins
        ]
        together = both_ways.Rush(self.trial.db, calls)
        self.run(together.try_it())
        answers = [self.ask("join_queue", provider, *args, service_ids=services) for *args, services in joins]
        if differences := self.run(together.differences(answers)):
            raise Difference(f"joins in a rush and one by one\n{differences}")

    def id_of(self, thing: Any) -> Any:
        if isinstance(thing, tuple) and not (thing and isinstance(thing[0], model.Book)):
            return [service.id for service in thing]
        if isinstance(thing, tuple):  # a booking with its book
            return self.provider_of(thing[0]), str(thing[1].id)
        return str(thing.id) if isinstance(thing, model.Booking | model.Ticket | model.Person) else thing

    def provider_of(self, book: model.Book) -> int:
        return next(provider for provider, one in self.books.items() if one is book)

    def compare(self, what: str, provider: int, answer: Outcome, expected: model.Answer) -> None:
        def said(name: str) -> Any:
            return getattr(answer, name, None)

        same(f"code of {what}", (answer.code, said("reason")), (expected.code, expected.reason))
        assert not hasattr(real.Book, what) or (type(answer), answer.code) in answers_of(getattr(real.Book, what))
        heads = self.compare_state()
        book = self.books[provider]
        clinic, want = expected.clinic, expected.booking.want if expected.booking else model.ONE
        near = expected.near and book.alternatives(*expected.near, heads.get(provider))
        same(
            f"answer of {what}",
            (
                str(said("booking_id") or ""),
                str(said("ticket_id") or ""),
                *map(said, ("number", "state", "clinic_id", "starts_at", "ends_at", "deadline")),
                (said("fee_minor"), said("funding")),
                (said("service_ids"), said("terms_id")),
                *map(said, ("can_wait", "alternatives", "provider_id", "limit_max", "retry_at")),
                [str(c) for c in said("conflicts") or []],
            ),
            (
                str(expected.booking.id if expected.booking else ""),
                str(expected.ticket.id if expected.ticket else ""),
                expected.number,
                expected.state,
                clinic and clinic.clinic_id,
                expected.start,
                expected.end,
                expected.deadline,
                (want.fee_at(clinic), expected.funding) if clinic else (None, None),
                (([s.id for s in want.services] or None) if clinic else None, expected.terms and expected.terms.id),
                expected.can_wait,
                near,
                expected.at and self.provider_of(expected.at),
                expected.limit,
                expected.retry_at,
                [b.id for b in expected.conflicts or []],
            ),
        )
        if expected.booking and expected.booking.patient:
            self.compare_shown(self.books_of(expected.booking), expected.booking)
        self.stepped(provider)

    def books_of(self, booking: model.Booking) -> int:
        """Return the provider in whose book a booking is."""
        return next(provider for provider, book in self.books.items() if booking in book.bookings)

    def compare_shown(self, provider: int, b: model.Booking) -> None:
        """Check what is shown that cancelling a booking would keep and return."""
        assert b.patient
        shown = self.run(self.trial.book.terms(provider, UUID(b.id), b.patient))
        assert shown
        kept = b.kept(self.shared.now)
        same("what is shown to be kept", shown.kept_minor, kept)
        same("what is shown to go back", shown.returned_minor, b.fee - kept if b.funding == "online" else 0)

    def stepped(self, provider: int) -> None:
        if self.count % 2:
            self.compare_chart(provider)
        self.trial.steps += 1
        self.count += 1

    def compare_state(self) -> dict[int, datetime | None]:
        state = self.run(self.trial.db.fetch_value(STATE, self.providers, self.patients))
        bookings = [(p, b) for p, book in self.books.items() for b in book.bookings]
        tickets = [(p, t) for p, book in self.books.items() for t in book.tickets]
        self.name(state["bookings"] or [], bookings, self.booking_row)
        self.name(state["tickets"] or [], tickets, self.ticket_row)
        self.same_rows("booking", state["bookings"], [self.booking_row(p, b) for p, b in bookings])
        self.same_rows("ticket", state["tickets"], [self.ticket_row(p, t) for p, t in tickets])
        claims: list[Row] = [
            [patient, claim.on.id, [text(at) for at in claim.lapses], [text(at) for at in claim.spent]]
            for patient, claim in self.shared.claims.items()
        ]
        self.same_rows("claim", state["claims"], claims)
        replacements: list[Row] = [
            [self.provider_of(book), new.id, *self.id_of(new.instead_of)] for book, new, _ in self.shared.replacements
        ]
        self.same_rows("replacement", state["replacements"], replacements)
        self.name_schedule(state["schedule"] or [])
        heads: dict[int, datetime | None] = {}
        for provider, next_free, touched, version, turns, before, next_due, is_queued, events in state["books"] or []:
            same("events", events, version)
            same("turns let go", (turns, before), (self.books[provider].turns, self.books[provider].turns_before))
            self.check_next_due(self.books[provider], next_due, is_queued)
            at = next_free and datetime.fromisoformat(next_free)
            heads[provider] = at
            self.compare_next_free(self.books[provider], at, touched)
        return heads

    def check_next_due(self, book: model.Book, next_due: str, is_queued: bool) -> None:
        """Check that nothing runs out before a book's next_due, and that it knows whether anybody queues."""
        due = [b.deadline for b in book.bookings if b.state == "reserved"]
        due += [t.joined + model.WAIT for t in book.waiting()]
        if due and (next_due == "infinity" or datetime.fromisoformat(next_due) > min(due)):
            raise Difference(f"next_due {next_due} is after {min(due)}")
        if not is_queued and any(t.state in ("waiting", "offered", "called") for t in book.tickets):
            raise Difference("nobody is said to queue")

    def same_rows(self, what: str, rows: list[Row] | None, expected: list[Row]) -> None:
        real_rows, model_rows = sorted(rows or [], key=lambda r: str(r[:2])), sorted(expected, key=lambda r: str(r[:2]))
        if real_rows != model_rows:
            for mine, other in zip(real_rows, model_rows, strict=False):
                same(what, mine, other)
            same(f"{what}s", real_rows, model_rows)

    def name(self, rows: list[Row], things: list[tuple[int, Any]], row_of: Callable[[int, Any], Row]) -> None:
        """Name the model's new things as the database did: no two new ones are alike."""

        def content(row: Row) -> str:
            return str([row[0], *row[2:7]])

        new_rows = sorted((row for row in rows if row[1] not in self.known), key=content)
        new_things = sorted((x for x in things if x[1].id is None), key=lambda x: content(row_of(*x)))
        same("new rows", [content(row) for row in new_rows], [content(row_of(*x)) for x in new_things])
        for row, (_, thing) in zip(new_rows, new_things, strict=True):
            thing.id = row[1]
            self.known.add(row[1])

    def booking_row(self, provider: int, b: model.Booking) -> Row:
        return [
            provider, b.id, b.clinic.clinic_id, b.patient, text(b.start), text(b.end), b.seat, b.want.slots, b.state,
            text(b.deadline), b.offer, b.ticket and b.ticket.id, b.flagged,
            {name: [money.amount, money.due, money.kept] for name, money in b.payments.items()}, b.fee, b.funding,
            b.person.id, b.name or None, b.instead_of and b.instead_of[1].id, [s.id for s in b.want.services] or None,
            b.terms and b.terms.id, b.kept_min,
        ]  # fmt: skip

    def ticket_row(self, provider: int, t: model.Ticket) -> Row:
        kept = t.withheld
        return [
            provider, t.id, t.number, t.patient, t.clinic_id, text(t.start), text(t.end), t.want.slots, t.state,
            text(t.joined), text(t.joined + model.WAIT), t.absent, t.unfetched, t.offer and t.offer.id,
            kept and kept.seat, text(kept.start if kept else None), text(kept.end if kept else None), t.person.id,
            t.answered, text(t.let_go), [s.id for s in t.want.services] or None,
        ]  # fmt: skip

    def name_schedule(self, names: list[str]) -> None:
        books = self.books.values()

        def known() -> set[str]:
            return {s.id for b in books for s in b.shifts} | {x.id for b in books for x in b.leaves}

        new = [name for name in names if name not in known()]  # one at most: a step changes one thing
        for book in books:
            book.shifts = [s if s.id else replace(s, id=new[0]) for s in book.shifts]
            book.leaves = [x if x.id else replace(x, id=new[0]) for x in book.leaves]
        same("schedule", set(names), known())

    def compare_next_free(self, book: model.Book, stored: datetime | None, touched: str) -> None:
        if touched == "-infinity" or any(
            b.state == "reserved" and b.deadline <= self.shared.now for b in book.bookings
        ):
            return
        same_day = (
            datetime.fromisoformat(touched).astimezone(self.zone).date() == self.shared.now.astimezone(self.zone).date()
        )
        ahead = stored is not None and stored - timedelta(minutes=10) > self.shared.now
        if ahead or (stored is None and same_day):
            same("next_free_at", stored, book.next_free())

    def compare_chart(self, provider: int) -> None:
        book = self.books[provider]
        patient, slots = self.patients[self.count % len(self.patients)], 1 + self.count // 2 % 2
        tests = tuple(service for service in book.services if service.is_test)[-2:]
        asked_for = [(), tests, *((service,) for service in book.services)]
        services = asked_for[self.count // 4 % len(asked_for)]
        clinic = [None, *book.clinics][self.count % 3]
        start = self.shared.now
        asked = provider, clinic, start, start + timedelta(days=1), slots, patient
        rows = self.run(self.trial.book.chart(*asked, [service.id for service in services]))
        want = model.Want(slots, services)
        same("chart", [tuple(r) for r in rows], book.chart(clinic, start, start + timedelta(days=1), want, patient))

    # What is done. Hypothesis chooses the steps; what each is about is drawn from its seed: with a strategy for every
    # argument it repeats itself so much that hardly a queue ever forms.

    @rule(step=st.sampled_from(STEPS), seed=st.integers(0, 2**32 - 1))
    def do(self, step: str, seed: int) -> None:
        self.draw = random.Random(seed)
        try:
            getattr(self, self.draw.choice(self.steps) if self.steps else step)(self.draw.choice(self.providers))
        except Exception as error:
            self.trial.differed |= isinstance(error, Difference)
            error.add_note("\n".join(f"{at:%d %H:%M:%S.%f} {verb} {args}" for at, verb, args in self.trail))
            raise

    def hold(self, provider: int) -> None:
        clinic, at = self.some_start(provider)
        withheld = [t.withheld for t in self.books[provider].tickets if t.withheld]
        if withheld and self.draw.random() < 0.5:  # try to barge
            run = self.draw.choice(withheld)
            clinic = run.clinic.clinic_id
            at = self.draw.choice([at for c, at in self.starts(provider) if run.start <= at < run.end] or [run.start])
        patient = self.a_patient()
        actor, reason = (DESK, "urgent") if self.draw.random() < 0.1 else (Patient(patient), None)
        person = self.a_person(patient)
        booked = [
            (book, b)
            for book in self.books.values()
            for b in book.bookings
            if b.patient == patient and b.state == "booked"
        ]
        instead_of = self.draw.choice(booked) if booked and self.draw.random() < 0.4 else None
        if instead_of and self.draw.random() < 0.8:
            person = instead_of[1].person
        if not person or not person.removed or self.draw.random() < 0.2:
            services = self.some_services(provider, clinic)
            self.ask(
                "hold", provider, clinic, at, 1 if services else self.a_number(), patient, actor, self.a_key(),
                person_id=person, instead_of=instead_of, reason=reason, service_ids=services,
            )  # fmt: skip

    def fill(self, provider: int) -> None:
        """Fill the first of what is free, with holds and bookings: else there is no queue."""
        book = self.books[provider]
        for _ in range(self.draw.randint(1, 4)):
            open_ones = [s for s in book.services if not s.closed and s.clinic_id is None]
            want = model.Want(1, (self.draw.choice(open_ones),)) if self.draw.random() < 0.2 else model.ONE
            free = book.runs(None, self.shared.now, self.shared.now + timedelta(days=2), want)
            if not free:
                return
            run, patient = min(free, key=lambda r: r.start), self.a_patient()
            at = provider, run.clinic.clinic_id, run.start, 1, patient, Patient(patient)
            self.ask("hold", *at, person_id=self.a_person(patient), service_ids=want.services)
            if book.bookings and self.draw.random() < 0.4:
                last = book.bookings[-1]
                online = last.funding == "online"
                actor = self.draw.choice([DESK, Patient(last.patient or patient)])
                self.ask("confirm", provider, last, self.money(provider, last, "a") if online else None, actor)

    def join(self, provider: int) -> None:
        clinic, at = self.some_start(provider, odd=False)
        end = at + self.draw.randint(1, 4) * timedelta(minutes=self.minutes)
        taken = self.taken(provider)
        if taken and self.draw.random() < 0.7:  # what others hold is what one waits for
            held = self.draw.choice(taken)
            clinic, at = held.clinic.clinic_id, held.start
            end = held.end + self.draw.choice([0, 0, 0, 1, 2]) * timedelta(minutes=self.minutes)
        where, patient = None if self.draw.random() < 0.3 else clinic, self.a_patient()
        services = self.some_services(provider, where) if self.draw.random() < 0.5 else ()
        end += timedelta(minutes=self.minutes) * len(services)
        self.ask(
            "join_queue", provider, where, at, end, 1 if services else self.a_number(), patient,
            Patient(patient), self.a_key(), person_id=self.a_person(patient), service_ids=services,
        )  # fmt: skip

    def line_up(self, provider: int) -> None:
        """Several join for the same, which someone has taken."""
        for held in self.draw.sample(taken := self.taken(provider), min(1, len(taken))):
            most, joins = self.draw.choice([1, 1, 2]), []
            clinic = self.draw.choice([None, held.clinic.clinic_id, held.clinic.clinic_id])
            services = held.want.services if held.want.are_at(clinic) else ()
            for _ in range(self.draw.randint(3, 7)):
                slots, patient = self.draw.choice([most] * 8 + [1, 2]), self.a_patient()
                end = held.start + slots * timedelta(minutes=self.minutes)
                actor = self.draw.choice([Patient(patient)] * 5 + [DESK])
                slots, end = (1, held.end) if services else (slots, end)
                joins.append((clinic, held.start, end, slots, patient, actor, self.a_key(), services))
            self.rush(provider, joins)

    def crowd(self, provider: int) -> None:
        """Many join for what someone has taken, who gives it back; the first two let their turns go."""
        for held in self.draw.sample(taken := [b for b in self.taken(provider) if not b.ticket], min(1, len(taken))):
            for _ in range(self.draw.randint(3, 6)):
                want = self.draw.choice([held.want] * 6 + [model.Want(1), model.Want(2)])
                clinic = self.draw.choice([None, held.clinic.clinic_id])
                slots = 1 if want.services else want.slots
                at = provider, clinic, held.start, held.end
                self.ask("join_queue", *at, slots, self.a_patient(), DESK, service_ids=want.services)
            self.ask("release", provider, held, DESK)
            for _ in range(2):
                offered = [t for t in self.books[provider].tickets if t.state == "offered"]
                for ticket in offered[:1]:
                    self.ask("leave_queue", provider, ticket, DESK)
        called = [t for t in self.books[provider].tickets if t.state == "called" and self.draw.random() < 0.4]
        for ticket in self.draw.sample(called, len(called)):
            self.ask("answer", provider, ticket, Patient(ticket.patient))

    def phone(self, provider: int) -> None:
        """Have callers join for what others hold; call, book or let go those whose turn it is."""
        if self.draw.random() < 0.2:
            self.look_at_sheet(provider)
        staff = self.draw.choice([DESK, DESK, OTHER_DESK])
        found = [(p, t) for p, book in self.books.items() for t in book.tickets if t.desk]
        turns = [x for x in found if x[1].state in ("offered", "called", "accepted")]
        if found and self.draw.random() < 0.6:
            provider, ticket = self.draw.choice(turns if turns and self.draw.random() < 0.9 else found)
            clinics = list(self.books[provider].clinics)
            desk = ticket.desk if self.draw.random() < 0.9 else self.draw.choice(clinics)
            act = self.draw.choice(["call", "call", "book", "let_go"])
            self.ask("serve_caller", provider, ticket, desk, act, staff, self.a_key())
            return
        for held in self.draw.sample(taken := self.taken(provider), min(1, len(taken))):
            clinic = self.draw.choice([None, held.clinic.clinic_id])
            services = held.want.services if held.want.are_at(clinic) else ()
            for _ in range(self.draw.choice([1, 2, 4])):
                patient = self.a_patient()
                self.ask(
                    "join_by_phone", provider, clinic, held.start, held.end, 1 if services else held.want.slots,
                    patient, desk=held.clinic.clinic_id, actor=staff, key=self.a_key(),
                    person_id=self.a_person(patient), service_ids=services,
                )  # fmt: skip

    def look_at_sheet(self, provider: int) -> None:
        """Have the desk of a clinic be connected."""
        desk = self.draw.choice(list(self.books[provider].clinics))
        gone = [(p, t) for p, book in self.books.items() for t in book.note_desk(desk)]
        self.trail.append((self.shared.now, "look_at_sheet", desk))
        sql = "SELECT provider_id, ticket_id::text FROM booking.note_desks(ARRAY[$1::bigint]) ORDER BY 1, 2"
        rows = self.run(self.trial.db.fetch(sql, desk))
        same("callers who were away", [tuple(row) for row in rows], sorted((p, t.id) for p, t in gone))
        for p, ticket in gone:
            self.ask("resume", p, ticket, System("desk"))

    def confirm(self, _: int) -> None:
        for provider, booking in filter(None, [self.a_booking()]):
            online = booking.funding == "online"
            name = self.draw.choice(["a", "a", "b", None] if online else [None, None, None, "a"])
            money = name and self.money(provider, booking, name)
            self.ask("confirm", provider, booking, money, self.asker(booking.patient), self.a_key())

    def money(self, provider: int, booking: model.Booking, name: str) -> str:
        """Make up a gateway's name for money: each is for one hold."""
        return f"{name}{self.books[provider].bookings.index(booking)}"

    def pay_late(self, _: int) -> None:
        """Money comes for a hold that has lapsed."""
        found = [(p, b) for p, book in self.books.items() for b in book.bookings]
        due = [x for x in found if x[1].state == "expired" and x[1].funding == "online" and not x[1].ticket]
        for provider, booking in due[-1:]:
            self.ask("confirm", provider, booking, self.money(provider, booking, "late"), System("gateway"))

    def pay_online(self, _: int) -> None:
        """Money comes for what is to be paid at the clinic, now and then after the desk was paid."""
        found = [(p, b) for p, book in self.books.items() for b in book.bookings]
        to_pay = [x for x in found if x[1].state in ("booked", "arrived", "fulfilled") and x[1].funding == "clinic"]
        standing = to_pay if to_pay and self.draw.random() < 0.8 else [x for x in found if x[1].state != "reserved"]
        for provider, booking in self.draw.sample(standing, min(1, len(standing))):
            book, sql = self.books[provider], "SELECT payments.pay_online($1, $2, $3, $4, $5, 'answer')"
            if self.draw.random() < 0.2:
                self.pay_at_desk(provider, booking)
            money = self.money(provider, booking, self.draw.choice(["online", "online", "more"]))
            amount = max(1, booking.fee + (self.draw.random() < 0.1))
            actor = self.asker(booking.patient)
            expected = book.pay_online(booking, money, amount, actor)
            self.trail.append((self.shared.now, "pay_online", (provider, booking.id, money, amount, actor)))
            answer = self.run(self.trial.db.fetch_value(sql, provider, booking.id, money, amount, str(actor)))
            same("paying online", answer, expected)

    def pay_at_desk(self, provider: int, booking: model.Booking) -> None:
        amount, seen, clinic = self.draw.randint(1, 2 * booking.fee + 1), booking.at_desk, booking.clinic.clinic_id
        expected = self.books[provider].pay_at_desk(booking, amount)
        self.trail.append((self.shared.now, "pay_at_desk", (provider, booking.id, amount)))
        key = f"{booking.id} {len(self.trail)}"
        answer = self.run(pay_at_desk(self.trial.db, booking.id, amount, clinic, seen, provider_id=provider, key=key))
        same("paying at the desk", answer, expected)

    def give_back(self, _: int) -> None:
        for provider, booking in filter(None, [self.a_booking()]):
            likely = "release" if booking.state == "reserved" else "cancel"
            verb = likely if self.draw.random() < 0.9 else self.draw.choice(["release", "cancel"])
            self.ask(verb, provider, booking, self.asker(booking.patient), self.a_key())

    def reschedule(self, _: int) -> None:
        """Mostly what has services or terms, to a time that can be had."""
        live = [(p, b) for p, book in self.books.items() for b in book.bookings if b.state in ("reserved", "booked")]
        some = [x for x in live if x[1].want.services or (x[1].terms and x[1].state == "booked")]
        which = self.draw.choice(some) if some and self.draw.random() < 0.7 else self.a_booking()
        for provider, booking in filter(None, [which]):
            _, at = self.some_start(provider)
            now, clinic = self.shared.now, booking.clinic.clinic_id
            fitting = self.books[provider].runs(clinic, now, now + timedelta(days=2), booking.want, without=booking)
            if fitting and self.draw.random() < 0.7:
                at = self.draw.choice(fitting).start
            reason = self.draw.choice([None, None, "moved by the desk"])
            self.ask("reschedule", provider, booking, at, self.asker(booking.patient), self.a_key(), reason=reason)

    def choose_person(self, _: int) -> None:
        found = [(p, b) for p, book in self.books.items() for b in book.bookings if b.state == "reserved"]
        for provider, booking in self.draw.sample(found, min(1, len(found))):
            for _ in range(self.draw.choice([1, 1, 6])):
                person = self.a_person(booking.patient)
                self.ask("choose_person", provider, booking, person, self.asker(booking.patient))

    def rename(self, _: int) -> None:
        """Rename an account, and with it the holder, or another person of one."""
        held = [b.person for book in self.books.values() for b in book.bookings if b.state == "reserved" and b.patient]
        everybody = [p for persons in self.shared.persons.values() for p in persons]
        person = self.draw.choice(held if held and self.draw.random() < 0.8 else everybody)
        person.name = f"{person.name.split()[0]} {self.draw.randint(1, 9)}"
        self.trail.append((self.shared.now, "rename", (person.patient, person.id, person.name)))
        sql = "UPDATE accounts.person SET name = $1 WHERE person_id = $2::uuid"
        if person.holder:
            sql = (
                "UPDATE accounts.patient SET name = $1 FROM accounts.person WHERE person_id = $2::uuid "
                "AND person.patient_id = patient.patient_id"
            )
        self.run(self.trial.db.execute(sql, person.name, person.id))
        self.compare_state()

    def replace(self, provider: int) -> None:
        """Cancel what was replaced."""
        for _, new, at in self.shared.replacements:
            assert new.instead_of
            book, old = new.instead_of
            book.cancel(old, System("replacement"), ordered=at)
        self.shared.replacements.clear()
        self.trail.append((self.shared.now, "replace", ()))
        self.run(real_replacements.cancel_replaced(self.trial.db, self.trial.book))
        self.look(provider)

    def attend(self, _: int) -> None:
        for provider, booking in filter(None, [self.a_booking()]):
            state = self.draw.choice(["arrived", "fulfilled", "no_show"])
            self.ask("attend", provider, booking, state, self.draw.choice([DESK] * 4 + [self.asker(booking.patient)]))

    def accept(self, _: int) -> None:
        """Mostly by one who has an offer, for services first, while there is one."""
        offered = [(p, t) for p, book in self.books.items() for t in book.tickets if t.state == "offered"]
        offered = [x for x in offered if x[1].want.services] or offered
        which = self.draw.choice(offered) if offered and self.draw.random() < 0.7 else self.a_ticket()
        for provider, ticket in filter(None, [which]):
            clinic, at = self.some_start(provider) if self.draw.random() < 0.4 else (None, None)
            self.ask("accept", provider, ticket, self.asker(ticket.patient), self.a_key(), clinic, at)

    def answer(self, _: int) -> None:
        """Mostly by one who is called, while there is one."""
        called = [(p, t) for p, book in self.books.items() for t in book.tickets if t.state == "called"]
        for provider, ticket in filter(None, [self.draw.choice(called) if called else self.a_ticket()]):
            self.ask("answer", provider, ticket, self.asker(ticket.patient), self.a_key())

    def let_go(self, _: int) -> None:
        """Let the time of offers and calls run out, with or without their clients having seen them."""
        found = [(p, t) for p, book in self.books.items() for t in book.tickets if t.state in ("offered", "called")]
        for provider, ticket in found:
            if ticket.offer and self.draw.random() < 0.7:
                self.poll(provider, ticket, ticket.offer)
        deadlines = [t.offer.deadline for _, t in found if t.offer]
        if deadlines:
            self.move_to(max(min(deadlines), self.shared.now))

    def leave(self, _: int) -> None:
        for provider, ticket in filter(None, [self.a_ticket()]):
            self.ask("leave_queue", provider, ticket, self.asker(ticket.patient), self.a_key())

    def resume(self, _: int) -> None:
        for provider, ticket in filter(None, [self.a_ticket()]):
            self.ask("resume", provider, ticket, self.asker(ticket.patient))

    def see(self, _: int) -> None:
        for provider, ticket in filter(None, [self.a_ticket()]):
            self.poll(provider, ticket, ticket.offer if self.draw.random() < 0.6 else None)
            self.look(provider)

    def poll(self, provider: int, ticket: model.Ticket, offer: model.Booking | None) -> None:
        self.trail.append((self.shared.now, "see", (provider, ticket.id, offer and offer.id)))
        self.run(see(self.trial.db, provider, ticket.id, offer.id if offer else None))
        ticket.seen = self.shared.now
        ticket.fetched = offer or ticket.fetched

    def settle(self, provider: int) -> None:
        self.books[provider].advance()
        self.trail.append((self.shared.now, "settle", provider))
        answer = self.run(self.trial.book.advance(provider))
        self.compare("settle", provider, answer, model.Answer("advanced"))

    def again(self, _: int) -> None:
        """Repeat an earlier request; now and then with another body or at another provider."""
        if self.asked:
            verb, provider, args, more = self.draw.choice(self.asked[-12:])
            chance = self.draw.random()
            if verb == "hold" and chance < 0.2:
                args = (args[0], args[1] + timedelta(minutes=self.minutes), *args[2:])
            elif chance > 0.9:
                provider = self.draw.choice(self.providers)
            self.ask(verb, provider, *args, **more)

    def change_shift(self, provider: int) -> None:
        book = self.books[provider]
        old = self.draw.choice(book.shifts) if book.shifts and self.draw.random() < 0.85 else None
        rest = [s for s in book.shifts if s is not old]
        remove = old is not None and self.draw.random() < 0.2
        seats, slots_max = self.draw.randint(1, 3), self.draw.randint(1, 3)
        if old:
            starts = self.draw.choice([old.starts, old.starts, time(old.starts.hour, 30)])
            minutes = self.draw.choice([min(old.minutes, 60), 45, 60])
            wanted = old if remove else replace(old, starts=starts, minutes=minutes, seats=seats, slots_max=slots_max)
        else:
            clinic, hour = self.draw.choice(list(book.clinics)), self.draw.choice([5, 6, 9, 10, 14])
            wanted = model.Shift(clinic, 7, time(hour), time(hour + 2), self.minutes, seats, slots_max)
        flag = self.draw.random() < 0.5
        expected = book.change(rest if remove else [*rest, wanted], book.leaves, flag)
        shift = real.Shift(
            provider, int(wanted.id) if old else None, wanted.clinic_id, wanted.weekday, wanted.starts, wanted.ends,
            wanted.minutes, wanted.seats, wanted.slots_max,
        )  # fmt: skip
        self.trail.append((self.shared.now, "change_shift", (shift, remove, flag)))
        answer = self.run(self.trial.book.change_shift(shift, DESK, remove=remove, flag_for_rebooking=flag))
        self.compare("change_shift", provider, answer, expected)

    def change_leave(self, provider: int) -> None:
        book = self.books[provider]
        if book.leaves:
            away = self.draw.choice(book.leaves)
            self.trail.append((self.shared.now, "remove_leave", away))
            expected = book.change(book.shifts, [x for x in book.leaves if x is not away], False)
            answer = self.run(self.trial.book.remove_leave(provider, away.id, DESK))
        else:
            clinic, at = self.some_start(provider)
            end = at + self.draw.randint(1, 5) * timedelta(minutes=20)
            where, flag = self.draw.choice([None, clinic]), self.draw.random() < 0.5
            self.trail.append((self.shared.now, "add_leave", (provider, where, at, end, flag)))
            expected = book.change(book.shifts, [model.Leave(where, at, end)], flag)
            answer = self.run(self.trial.book.add_leave(provider, where, at, end, "", DESK, flag_for_rebooking=flag))
        self.compare("change_leave", provider, answer, expected)

    def change_service(self, provider: int) -> None:
        """Close a service and open another in its place, at another price: what is held or waited for stays."""
        book = self.books[provider]
        old = self.draw.choice([service for service in book.services if not service.closed])
        old.closed = True
        fee, minutes = old.fee and old.fee + self.draw.choice([50, 1001]), old.minutes + self.draw.choice([0, 5])
        new = replace(old, fee=fee, minutes=minutes, closed=False, terms={})
        book.services.append(new)
        self.trail.append((self.shared.now, "change_service", (provider, old.id)))
        self.run(close_service(self.trial.db, old.id))
        self.run(self._open(provider, new))
        self.look(provider)

    def change_terms(self, provider: int) -> None:
        """Have new holds be under other terms, or plain visits cost something else: what is held stays."""
        book = self.books[provider]
        clinic = self.draw.choice(list(book.clinics))
        services = [s for s in book.services if not s.closed and s.clinic_id in (None, clinic)]
        change = self.draw.choice(["clinic", "service", "tests", "fee"])
        self.trail.append((self.shared.now, "change_terms", (provider, clinic, change)))
        if change == "fee":
            old = book.clinics[clinic]
            fee = old.fee and old.fee + self.draw.choice([1, 999])
            book.clinics[clinic] = replace(old, fee=fee)
            sql = "UPDATE directory.provider_clinic SET fee_minor = $3 WHERE provider_id = $1 AND clinic_id = $2"
            self.run(self.trial.db.execute(sql, provider, clinic, fee))
        else:
            some = {"clinic": [], "service": [self.draw.choice(services)], "tests": [s for s in services if s.is_test]}
            self.run(self._set_terms(clinic, some[change]))
        self.look(provider)

    def wait(self, _: int) -> None:
        seconds = [1, 20, 20, 20, 55, 55, 60, 65, 65, 300, 305, 900, 3600]
        self.move_to(self.shared.now + timedelta(seconds=self.draw.choice(seconds)))

    def wait_for_a_boundary(self, _: int) -> None:
        now = self.shared.now
        found = [datetime.combine(now.astimezone(self.zone).date() + timedelta(days=1), time(), self.zone)]
        for provider, book in self.books.items():
            found += [b.deadline for b in book.bookings if b.state == "reserved"]
            found += [b.start for b in book.bookings if b.state == "booked"]
            for t in book.waiting():
                found += [t.joined + model.WAIT, t.seen + model.PRESENCE]
            found += [at - book.clinics[clinic].lead for clinic, at in self.starts(provider)[:2]]
            found += [at - (book.days_max - 1) * model.DAY for _, at in self.starts(provider)]  # no plain hold before
        most = timedelta(days=1) if self.draw.random() < 0.1 else timedelta(minutes=6)
        off = self.draw.choice([0, 0, 0, -1, 1]) * timedelta(microseconds=1)
        ahead = sorted({at.astimezone(UTC) + off for at in found if timedelta(0) < at + off - now < most})
        if ahead:
            self.move_to(self.draw.choice(ahead[:4]))

    def move_to(self, at: datetime) -> None:
        self.shared.now = at
        self.trial.latest = max(self.trial.latest, at)
        self.run(set_clock(self.trial.db, at))
        polled = self.draw.random() < 0.6
        for provider, book in self.books.items():
            for ticket in book.waiting() if polled else []:
                self.poll(provider, ticket, None)
        self.look(self.draw.choice(self.providers))

    def look(self, provider: int) -> None:
        self.compare_state()
        self.stepped(provider)


def trials(
    trial: Trial,
    examples: int,
    *,
    shrink: bool = True,
    derandomize: bool = True,
    from_seed: int | None = None,
    steps: Sequence[str] = (),
) -> None:
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]

    def factory() -> Machine:
        return Machine(trial, steps)

    run_state_machine_as_test(
        cast("type[Machine]", factory if from_seed is None else seed(from_seed)(factory)),  # it only ever calls it
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            derandomize=derandomize and from_seed is None,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )


@pytest.fixture
def trial(dsn: str) -> Iterator[Trial]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        trial = Trial(dsn, runner)
        yield trial
        # What the examples left lies at different times: bring it all to the last of them.
        trial.run(set_clock(trial.db, trial.latest))
        trial.run(trial.db.execute("SELECT booking.advance(provider_id) FROM booking.book"))
        trial.run(real_replacements.cancel_replaced(trial.db, trial.book))
        trial.run(trial.db.close())


SELDOM = {"called", "answered", "outrun", "accepted", "lapsed", "missed"}
"""Entries of a queue that only some trials come to."""
SERVED = """SELECT
    count(*) FILTER (WHERE ticket_id IS NULL) AS held, count(*) FILTER (WHERE cardinality(service_ids) > 1) AS together,
    count(*) FILTER (WHERE ticket_id IS NOT NULL) AS offered,
    (SELECT count(*) FROM booking.event JOIN booking.booking AS b USING (provider_id, booking_id)
     WHERE event.kind = 'moved' AND b.service_ids IS NOT NULL) AS moved,
    (SELECT count(*) FROM booking.ticket WHERE service_ids IS NOT NULL AND state = 'accepted') AS accepted,
    (SELECT count(*) FROM ledger.payment WHERE kept_minor IS NOT NULL) AS kept,
    (SELECT count(*) FROM booking.booking WHERE kept_min_minor IS NOT NULL) AS moved_for_more
FROM booking.booking WHERE service_ids IS NOT NULL"""
SERVED_MIN = {"held": 60, "together": 5, "offered": 40, "moved": 5, "accepted": 5, "kept": 3, "moved_for_more": 3}
"""So many bookings were for services: held, for several tests, offered, moved; and so many offers of them accepted.

Of so much money a part was kept, and so many moves raised what cancelling keeps."""
PLAIN_MIN = {"hold": 50, "confirm": 60, "join_queue": 25, "rush": 12}
"""So many holds, confirms and joins were plain and compared with the full verb; and in so many rushes several were.

All of these numbers are for 5,000 steps.
"""


# In parts, which run side by side; the four long ones take at least 20,000 steps.
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("part", "steps_min"), [(0, 2_500), *(pytest.param(part, 5_000, marks=pytest.mark.long) for part in range(4))]
)
def test_verbs_do_what_the_model_does(trial: Trial, part: int, steps_min: int) -> None:
    # One seed is more or less, as Hypothesis draws from the modules loaded, too.
    for more in range(8):
        trials(trial, steps_min // 40 if more == 0 else 40, from_seed=part + 10 * more)
        kinds = trial.run(trial.db.fetch("SELECT kind, count(*) FROM booking.queue_entry GROUP BY kind"))
        plain = {verb: trial.plain[verb] for verb in ("hold", "confirm", "join_queue")}
        plain["rush"] = trial.run(trial.db.fetch_value("SELECT last_value FROM public.together"))
        (served,) = trial.run(trial.db.fetch(SERVED))
        seen, least = plain | dict(served), PLAIN_MIN | SERVED_MIN
        is_enough = trial.steps >= steps_min and all(
            seen[what] >= number * steps_min // 5_000 for what, number in least.items()
        )
        if is_enough and {row["kind"] for row in kinds} >= SELDOM:
            return
    raise AssertionError(f"{trial.steps} steps, and only {kinds} and {seen}")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_verbs_do_what_the_model_does_at_length(trial: Trial) -> None:
    trials(trial, 5000, derandomize=False)
    assert trial.steps >= 200_000


BROKEN = {
    "nothing is withheld": (
        "withhold",
        "SET withheld_seat = p_seat, withheld_during = p_during",
        "SET withheld_seat = NULL",
    ),
    "a hold lives a microsecond longer": ("is_due", "deadline <= p_now", "deadline < p_now"),
    "served last come first": (
        "offer_in_order",
        "AND state = 'waiting' AND NOT absent ORDER BY number",
        "AND state = 'waiting' AND NOT absent ORDER BY number DESC",
    ),
    "the absent are served": ("is_present", "SELECT NOT p_ticket.absent AND", "SELECT true OR"),
    "who pays late may hold elsewhere": ("book_late", "= 'live'", "= 'never'"),
    "the last number that answered has it": ("group_offer_winner", "min(number)", "max(number)"),
    "an answer waits for nobody": ("decide_group_offer", "AND first.answered_at IS NULL THEN", "AND false THEN"),
    "who was outrun is done": (
        "decide_group_offer",
        "waiter.answered_at IS NOT NULL OR waiter.number > winner",
        "false",
    ),
    "booking and cancelling forgets turns let go": ("release_or_cancel", "p_actor ^@ 'patient:' AND", "false AND"),
    "turns let go are forgotten": ("refuse_turn", "IF FOUND THEN", "IF false THEN"),
    "any others may be called between": ("could_use_part", "AND EXISTS (", "AND false AND EXISTS ("),
    "lapses are forgotten": ("take_claim", "lapses = old.lapses", "lapses = '{}'"),
    "one is at two places at once": ("refuse_ahead", "own.visit && p_wanted.during", "false"),
    "what is kept free after a visit is the patient's": ("visit", "WHEN p_service_ids IS NULL", "WHEN true"),
    "any number a day": ("refuse_ahead", "booking.is_on_day_of(", "false AND booking.is_on_day_of("),
    "any number unpaid": ("refuse_ahead", "cardinality(unpaid) >=", "cardinality(unpaid) - 1 >="),
    "any number ahead": ("refuse_ahead", "cardinality(ahead) >=", "cardinality(ahead) - 1 >="),
    "what is replaced counts": ("refuse_ahead", " AND booking_id IS DISTINCT FROM p_wanted.instead_of_id", ""),
    "giving a hold back costs nothing": ("claim_fate", "spent_at := held.created_at", "NULL"),
    "moving a hold costs nothing": ("spend", "own.spent || p_now", "own.spent"),
    "leaving a queue costs nothing": ("claim_fate", "spent_at := waiter.joined_at", "NULL"),
    "a new name is that of old bookings": (
        "book_hold",
        "patient_name = coalesce((",
        "patient_name = coalesce(patient_name, (",
    ),
    "a plain hold barges": ("hold_plainly", "head.is_queued IS NOT FALSE", "head.is_queued IS NULL"),
    "nobody knows when a plain hold ends": (
        "put_plain_hold",
        "next_due = least(next_due, answer.deadline)",
        "next_due = next_due",
    ),
    "a plain hold takes a day's last time": (
        "plain_place",
        "AND (p_start + slot * (slots + 1)",
        "AND (p_start + slot * slots",
    ),
    "joins of a rush have their numbers the other way round": (
        "put_plain_joins",
        "answer.number := head.last_ticket_number + i",
        "answer.number := head.last_ticket_number + cardinality(p_windows) + 1 - i",
    ),
    "a plain join is for whatever window": (
        "plain_joins",
        "booking.is_window_waited_for(\n                p_provider_id, call.clinic_id, call.queue_window, call.slots, "
        "booking.service_ids(call.services))",
        "true",
    ),
    "a plain confirm needs no money": (
        "confirm_plainly",
        "(funding = 'online') = (p_authorisation IS NOT NULL)",
        "true",
    ),
    "the desk is served before who waits": (
        "open_book",
        "is_full := booking.advance_book(p_provider_id, now_at);",
        "IF p_actor ^@ 'staff:' THEN PERFORM booking.expire_due(p_provider_id, now_at); "
        "ELSE is_full := booking.advance_book(p_provider_id, now_at); END IF;",
    ),
    "the desk takes what is withheld": (
        "hold_in_book",
        "p_start, need, p_now, p_is_desk => is_desk);\n    IF NOT FOUND",
        "p_start, need, p_now, CASE WHEN is_desk THEN 0 END, p_is_desk => is_desk);\n    IF NOT FOUND",
    ),
    "one of the staff has a fourth caller": (
        "join_by_phone",
        "booking.phone_tickets_max() <=",
        "booking.phone_tickets_max() <",
    ),
    "what is paid online is still to be paid": ("pay_online", "SET funding = 'online'", "SET funding = funding"),
    "a caller pays online": ("book_caller", "SET funding = 'clinic'", "SET funding = funding"),
    "a service begins at any slot": ("is_on_grid", "(p_need).starts_every", "1"),
    "nothing is kept free after a service": ("need_of_services", "+ max(buffer_minutes)", ""),
    "tests begin where one of them may": (
        "need_of_services",
        "directory.starts_together(array_agg(DISTINCT starts_every))",
        "max(starts_every)",
    ),
    "a hold drops terms": ("hold_in_book", "p_service_ids, held.terms_id)", "p_service_ids, NULL)"),
    "an offer drops terms": ("make_offer", "p_ticket.service_ids, terms_id", "p_ticket.service_ids, NULL"),
    "another run taken instead of an offer drops terms": ("swap_offer", ", terms_id = wanted.terms_id", ""),
    "a move drops terms": ("reschedule", "terms_id = held.terms_id", "terms_id = NULL"),
    "a move by the clinic keeps terms": ("reschedule", "held.terms_id := NULL;", ""),
    "a move lessens what is kept": ("reschedule", "nullif((booking.cancelling(held, now_at)).kept_minor, 0)", "NULL"),
    "what is too long is full": ("refuse_join", "p_need.minutes IS NULL OR", "true OR"),
    "a closed service can be held": ("refuse_services", "p_is_held);", "true);"),
    "who waits for another service is called": (
        "choose_call",
        "AND p_ticket.service_ids IS NOT DISTINCT FROM p_calls[i].service_ids",
        "",
    ),
    "a key may be used again for something else": ("find_result", "answer.code := 'key_reused'", "NULL"),
}
"""Rules switched off: a function, and what is replaced in it by what."""


SELDOM_MET = (
    "nothing is withheld", "the absent are served", "lapses are forgotten", "served last come first",
    "any number ahead", "any number unpaid", "any others may be called between", "what is replaced counts",
    "booking and cancelling forgets turns let go", "who pays late may hold elsewhere", "a plain hold barges",
    "one is at two places at once", "turns let go are forgotten", "an answer waits for nobody",
    "who was outrun is done", "a plain confirm needs no money", "the last number that answered has it",
    "a key may be used again for something else", "a plain join is for whatever window",
    "who waits for another service is called", "a closed service can be held", "a move lessens what is kept",
    "what is kept free after a visit is the patient's", "a move by the clinic keeps terms",
    "another run taken instead of an offer drops terms", "nobody knows when a plain hold ends",
    "the desk takes what is withheld", "a caller pays online",
)  # fmt: skip
"""Rules that it may take minutes of random steps to meet."""


MET_BY = {
    "a new name is that of old bookings": ("hold", "hold", "hold", "choose_person", "rename", "confirm", "confirm"),
    "a service begins at any slot": ("hold",),
    "a plain hold takes a day's last time": ("hold",),
    "tests begin where one of them may": ("hold",),
    "what is too long is full": ("fill", "join", "join", "line_up"),
    "an offer drops terms": ("change_terms", "fill", "line_up", "give_back", "give_back"),
    "the desk is served before who waits": ("fill", "line_up", "line_up", "wait_for_a_boundary", "phone"),
    "one of the staff has a fourth caller": ("fill", "phone", "phone"),
    "a move drops terms": ("change_terms", "hold", "hold", "confirm", "reschedule", "reschedule"),
    "what is paid online is still to be paid": ("hold", "fill", "confirm", "pay_online"),
}
"""The steps that meet a rule in seconds, where all of them would take a minute or more."""


@pytest.mark.breaks_invariants
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in SELDOM_MET else name for name in BROKEN]
)
@pytest.mark.timeout(1200)
def test_a_broken_rule_is_noticed(trial: Trial, name: str) -> None:
    function, right, wrong = BROKEN[name]
    source = trial.run(trial.db.fetch_value("SELECT pg_get_functiondef(to_regproc($1))", f"booking.{function}"))
    assert right in source
    trial.run(trial.db.execute(source.replace(right, wrong)))

    with contextlib.suppress(Difference, Flaky):  # flaky: with other ids, the same steps may make no difference
        trials(trial, 500, shrink=False, steps=MET_BY.get(name, ()))
        # What happens depends on ids the database makes up, too: seldom, none of these has met the rule.
        trials(trial, 1500, shrink=False, derandomize=False)
    assert trial.differed
