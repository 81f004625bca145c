"""The book in plain Python, written from its rules and not from its SQL: lists and loops, slow and easy to check.

What the real verbs answer and leave behind must be exactly what this says. Nothing here does I/O or reads a clock.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from healthplus.accounts.actors import Actor, Patient, Staff, System
from tests.fixtures.terms import Ladder, keeps

HOLD, OFFER, PRESENCE = timedelta(seconds=305), timedelta(seconds=65), timedelta(seconds=60)
WAIT, DAY = timedelta(hours=1), timedelta(days=1)
NAMES_MAX = 3  # choices of a hold's person that cost nothing
TURNS_MAX = 2  # turns let go at a provider within a day
CALLERS_MAX = 3  # whom one of the staff has waiting with a provider
CALLS_AFTER, CALLED_MAX, TURNS_MEMORY = 2, 16, timedelta(hours=1)
OCCUPIES = ("reserved", "booked", "arrived", "fulfilled", "no_show")


def may_act(actor: Actor, patient: int | None) -> bool:
    return not isinstance(actor, Patient) or (patient is not None and actor == Patient(patient))


@dataclass(frozen=True)
class Limits:
    """How much an account can have and do; tests make it less, so that it is reached."""

    lapses: int = 3
    ahead: int = 10
    unpaid: int = 3
    account_unpaid: int = 6
    budget: int = 10
    budget_time: timedelta = timedelta(minutes=10)
    daily_budget: int = 30


@dataclass(eq=False)
class Person:
    patient: int
    name: str
    holder: bool = False
    removed: bool = False
    id: Any = None


NOBODY = Person(0, "")
NO_SHOW_MONTHS = 4


@dataclass(frozen=True)
class Clinic:
    clinic_id: int
    zone: ZoneInfo
    lead: timedelta
    fee: int
    funding: str


@dataclass(frozen=True)
class Shift:
    clinic_id: int
    weekday: int
    starts: time
    ends: time
    minutes: int
    seats: int
    slots_max: int
    valid_from: date | None = None
    valid_before: date | None = None
    id: Any = None

    def valid_on(self, day: date) -> bool:
        return (self.valid_from or date.min) <= day < (self.valid_before or date.max)

    def overlaps(self, other: Shift) -> bool:
        return (
            self.weekday == other.weekday
            and self.starts < other.ends
            and other.starts < self.ends
            and (self.valid_from or date.min) < (other.valid_before or date.max)
            and (other.valid_from or date.min) < (self.valid_before or date.max)
        )


@dataclass(eq=False)
class Terms:
    """What is kept of a fee when its patient cancels."""

    ladder: Ladder
    id: int


@dataclass(eq=False)
class Service:
    """What a provider offers; it is never changed, only closed. `days`: ISO weekdays; `terms`: its own, by clinic."""

    clinic_id: int | None
    minutes: int
    buffer: int
    every: int
    days: frozenset[int]
    fee: int
    funding: str
    is_test: bool = False
    more_a_day: bool = False
    closed: bool = False
    terms: dict[int, Terms] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True)
class Want:
    """What is asked of the schedule: some slots in a row, or time for services."""

    slots: int = 1
    services: tuple[Service, ...] = ()

    def slots_in(self, shift: Shift) -> int:
        if not self.services:
            return self.slots
        minutes = sum(s.minutes for s in self.services) + max(s.buffer for s in self.services)
        return max(-(-minutes // shift.minutes), 1)

    def fits(self, shift: Shift) -> bool:
        return bool(self.services) or 1 <= self.slots <= shift.slots_max

    def on_weekday(self, shift: Shift) -> bool:
        return all(shift.weekday in s.days for s in self.services)

    def on_grid(self, opening: Opening, start: datetime) -> bool:
        every = math.lcm(*(s.every for s in self.services))
        return not (start - opening.start) % timedelta(minutes=opening.shift.minutes * every)

    def fee_at(self, clinic: Clinic) -> int:
        return sum(s.fee for s in self.services) if self.services else clinic.fee

    def funding_at(self, clinic: Clinic) -> str:
        if not self.services:
            return clinic.funding
        there = {s.funding for s in self.services}
        return next(way for way in ("online", "clinic", "free") if way in there)

    def are_at(self, clinic_id: int | None) -> bool:
        return all(s.clinic_id in (None, clinic_id) for s in self.services)

    def visit_end(self, start: datetime, end: datetime) -> datetime:
        """Return when the patient may go: the time kept free afterwards is not theirs."""
        minutes = sum(s.minutes for s in self.services)
        return start + timedelta(minutes=minutes) if minutes else end

    @property
    def more_a_day(self) -> bool:
        return bool(self.services) and all(s.more_a_day for s in self.services)


ONE = Want()


@dataclass(frozen=True)
class Leave:
    clinic_id: int | None
    start: datetime
    end: datetime
    id: Any = None


@dataclass(frozen=True)
class Opening:
    clinic: Clinic
    shift: Shift
    day: date
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Run:
    clinic: Clinic
    seat: int
    start: datetime
    end: datetime
    gap: timedelta


@dataclass(eq=False)
class Booking:
    clinic: Clinic
    patient: int | None  # None: several tickets are called, and it is nobody's yet
    seat: int
    start: datetime
    end: datetime
    want: Want
    deadline: datetime
    person: Person
    made: datetime
    terms: Terms | None
    name: str = ""
    instead_of: tuple[Book, Booking] | None = None
    state: str = "reserved"
    ticket: Ticket | None = None
    offer: bool = False
    named: int = 0  # how often its person was chosen
    flagged: bool = False
    kept_min: int | None = None  # what cancelling keeps at least
    online_only: bool = False  # where others pay at the clinic
    by_phone: bool = False  # booked for a caller: nobody pays online
    paid_online: bool = False  # what was to be paid at the clinic
    at_desk: int = 0  # what was paid there
    payments: dict[str, Payment] = field(default_factory=dict)  # by authorisation
    paid: dict[str, Booking] = field(default_factory=dict)  # what the money set aside for this hold pays for
    id: Any = None

    @property
    def funding(self) -> str:
        if self.online_only or self.paid_online:
            return "online"
        funding = self.want.funding_at(self.clinic)
        return "clinic" if self.by_phone and funding == "online" else funding

    @property
    def fee(self) -> int:
        return self.want.fee_at(self.clinic)

    @property
    def visit_end(self) -> datetime:
        return self.want.visit_end(self.start, self.end)

    def kept(self, at: datetime) -> int:
        """Return what is kept if its patient cancels it at an instant."""
        if not self.terms or self.funding != "online" or self.flagged:
            return 0
        return min(self.fee, max(self.kept_min or 0, keeps(self.terms.ladder, self.fee, self.start, at)))

    def move(self, run: Run, actor: Actor, now: datetime) -> None:
        if not isinstance(actor, Patient) or self.flagged:
            self.terms = self.kept_min = None
        elif self.state == "booked":
            self.kept_min = self.kept(now) or None
        self.seat, self.start, self.end, self.flagged = run.seat, run.start, run.end, False


@dataclass
class Payment:
    """Money that is set aside; `due`: what the gateway has yet to do with it; `kept`: what does not go back of it."""

    amount: int
    due: str
    kept: int | None = None


@dataclass(eq=False)
class Ticket:
    number: int
    patient: int
    clinic_id: int | None
    start: datetime
    end: datetime
    want: Want  # with the slots that its services need at most
    joined: datetime
    seen: datetime
    person: Person
    state: str = "waiting"
    absent: bool = False
    unfetched: int = 0
    offer: Booking | None = None
    fetched: Booking | None = None
    answered: bool = False
    let_go: datetime | None = None  # when its turn ended without a booking
    withheld: Run | None = None
    desk: int | None = None  # the clinic whose desk answers for a caller
    by: Actor | None = None  # who of its staff had them join
    called_for: Booking | None = None  # for which the desk last said that it calls
    id: Any = None


@dataclass
class GroupOffer:
    """A run that a pass over the queue offers to several; `called`: how many so far."""

    offer: Booking
    called: int = 1
    closed: bool = False


@dataclass
class Claim:
    on: Booking | Ticket
    lapses: list[datetime] = field(default_factory=list)
    spent: list[datetime] = field(default_factory=list)  # on what came to nothing, and on moves


@dataclass(frozen=True)
class Answer:
    code: str
    reason: str | None = None
    booking: Booking | None = None
    ticket: Ticket | None = None
    number: int | None = None
    state: str | None = None
    clinic: Clinic | None = None
    start: datetime | None = None
    end: datetime | None = None
    deadline: datetime | None = None
    terms: Terms | None = None
    can_wait: bool | None = None
    near: tuple[int | None, datetime, Want] | None = None  # what the alternatives should be near to
    conflicts: list[Booking] | None = None
    at: Book | None = None  # whose book has the patient's own booking in the way
    limit: int | None = None
    retry_at: datetime | None = None
    funding: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a person is to be put at: a hold, or anything within the window of a ticket."""

    person: Person
    clinic_id: int | None
    start: datetime
    end: datetime
    by_ticket: bool = False
    without: tuple[Booking | None, ...] = ()
    want: Want = ONE
    by_phone: bool = False


@dataclass
class Shared:
    """What the books share: the time, the patients' claims, what replaced what, and the first results of requests."""

    now: datetime
    limits: Limits = field(default_factory=Limits)
    no_shows_max: int = 3
    books: list[Book] = field(default_factory=list)
    persons: dict[int, list[Person]] = field(default_factory=dict)
    replacements: list[tuple[Book, Booking, datetime]] = field(default_factory=list)  # and since when
    terms: dict[int, Terms] = field(default_factory=dict)  # of new holds, by clinic
    claims: dict[int, Claim] = field(default_factory=dict)
    results: dict[Any, tuple[datetime, Any, Answer]] = field(default_factory=dict)


@cache
def instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Return the instant of a time on the wall; of two, or of none as the clock is put forward, the later."""
    return max(datetime.combine(day, wall.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))


def add_months(at: datetime, months: int) -> datetime:
    """Return the same day of a later month, or its last, by clocks that show UTC."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def describe(code: str, booking: Booking) -> Answer:
    deadline = booking.deadline if booking.state == "reserved" else None
    return Answer(
        code, None, booking, booking.ticket, None, booking.state, booking.clinic, booking.start,
        booking.visit_end, deadline, booking.terms, funding=booking.funding,
    )  # fmt: skip


def describe_ticket(code: str | None, ticket: Ticket) -> Answer:
    answer = describe("", ticket.offer) if ticket.offer else Answer("")
    return replace(answer, code=code or ticket.state, ticket=ticket, number=ticket.number, state=ticket.state)


class Book:
    """One provider's book."""

    def __init__(self, shared: Shared, clinics: dict[int, Clinic], days_max: int, shifts: list[Shift]) -> None:
        self.shared, self.clinics, self.days_max, self.shifts = shared, clinics, days_max, shifts
        self.leaves: list[Leave] = []
        self.services: list[Service] = []
        self.bookings: list[Booking] = []
        self.tickets: list[Ticket] = []
        self.turns, self.turn_at = 0, shared.now  # turns let go in a row, and the last of them
        self.turns_before = 0  # a turn ended in a booking
        shared.books.append(self)

    @property
    def now(self) -> datetime:
        return self.shared.now

    def terms_of(self, want: Want, clinic_id: int) -> Terms | None:
        """Return the terms of a new hold: its services' own, where they are the same for all, else the clinic's."""
        own = {s.terms.get(clinic_id) for s in want.services}
        return (own.pop() if len(own) == 1 else None) or self.shared.terms.get(clinic_id)

    # What is free.

    def openings(self, clinic_id: int | None, start: datetime, end: datetime) -> Iterator[Opening]:
        for shift in self.shifts:
            clinic = self.clinics[shift.clinic_id]
            day = start.astimezone(clinic.zone).date()
            while clinic_id in (None, shift.clinic_id) and day <= end.astimezone(clinic.zone).date():
                opens, closes = instant(day, shift.starts, clinic.zone), instant(day, shift.ends, clinic.zone)
                due = day.isoweekday() == shift.weekday and shift.valid_on(day)
                if due and opens < closes and opens < end and start < closes:
                    yield Opening(clinic, shift, day, opens, closes)
                day += DAY

    def reachable(self, opening: Opening, start: datetime) -> bool:
        today = self.now.astimezone(opening.clinic.zone).date()
        return start - opening.clinic.lead > self.now and opening.day <= today + self.days_max * DAY

    def away(self, clinic_id: int, start: datetime, end: datetime) -> bool:
        return any(x.clinic_id in (None, clinic_id) and x.start < end and start < x.end for x in self.leaves)

    def present(self, ticket: Ticket) -> bool:
        return self.now < ticket.seen + PRESENCE and not ticket.absent

    def wanted(self, booking: Booking) -> bool:
        return any(
            (t.state == "called" or (t.state == "waiting" and self.now < t.joined + WAIT and self.present(t)))
            and t.clinic_id in (None, booking.clinic.clinic_id)
            and t.start < booking.end
            and booking.start < t.end
            for t in self.tickets
        )

    def taken(
        self, opening: Opening, seat: int, booked_only: bool, before: float, without: Booking | None
    ) -> Iterator[tuple[datetime, datetime]]:
        for b in self.bookings:
            if b.state in OCCUPIES and b.seat == seat and b is not without:
                live = self.now < b.deadline or self.wanted(b)
                if b.state != "reserved" or (not booked_only and live):
                    yield b.start, b.end
        for x in self.leaves:
            if x.clinic_id in (None, opening.clinic.clinic_id):
                yield x.start, x.end
        for t in self.tickets:
            if t.withheld and t.withheld.seat == seat and t.number < before and not booked_only:
                yield t.withheld.start, t.withheld.end

    def runs(
        self,
        clinic_id: int | None,
        start: datetime,
        end: datetime,
        want: Want,
        booked_only: bool = False,
        before: float = float("inf"),
        without: Booking | None = None,
    ) -> list[Run]:
        """Every run of slots that can be had between two instants; what tickets from `before` on withhold is free."""
        found = []
        for opening in self.openings(clinic_id, start, end):
            slot, slots = timedelta(minutes=opening.shift.minutes), want.slots_in(opening.shift)
            if not want.fits(opening.shift) or not want.on_weekday(opening.shift):
                continue
            for seat in range(1, opening.shift.seats + 1):
                taken = list(self.taken(opening, seat, booked_only, before, without))
                first = opening.start
                while (last := first + slot * slots) <= min(opening.end, end):
                    clear = not any(a < last and first < b for a, b in taken)
                    if clear and first >= start and self.reachable(opening, first) and want.on_grid(opening, first):
                        gap_start = max([b for _, b in taken if b <= first] + [opening.start])
                        gap_end = min([a for a, _ in taken if a >= last] + [opening.end])
                        found.append(Run(opening.clinic, seat, first, last, gap_end - gap_start))
                    first += slot
        return found

    def place(
        self,
        clinic_id: int | None,
        start: datetime,
        want: Want,
        before: float = float("inf"),
        without: Booking | None = None,
    ) -> Run | None:
        runs = [r for r in self.runs(clinic_id, start, start + DAY, want, False, before, without) if r.start == start]
        return min(runs, key=lambda r: (r.gap, r.seat), default=None)

    def next_free(self, clinic_id: int | None = None, want: Want = ONE) -> datetime | None:
        start = self.now
        while start <= self.now + (self.days_max + 2) * DAY:
            if runs := self.runs(clinic_id, start, start + 2 * DAY, want):
                return min(r.start for r in runs)
            start += DAY
        return None

    def why_not(self, clinic_id: int, start: datetime, want: Want, before: float, without: Booking | None) -> str:
        if clinic_id not in self.clinics:
            return "no_such_clinic"
        if start <= self.now:
            return "past"
        openings = [o for o in self.openings(clinic_id, start, start + DAY) if o.start <= start < o.end]
        if not openings:
            return "beyond_horizon" if start > self.now + 367 * DAY else "closed"
        opening = openings[0]
        slot = timedelta(minutes=opening.shift.minutes)
        end = start + slot * want.slots_in(opening.shift)
        today = self.now.astimezone(opening.clinic.zone).date()
        checks = {
            "beyond_horizon": opening.day > today + self.days_max * DAY,
            "not_that_day": not want.on_weekday(opening.shift),
            "off_grid": not want.on_grid(opening, start),
            "too_late": not self.reachable(opening, start),
            "slots_needed": not want.fits(opening.shift),
            "too_long" if want.services else "closed": end > opening.end,
            "on_leave": self.away(clinic_id, start, end),
            "held": self.runs(clinic_id, start, end, want, True, before, without),
        }
        return next((reason for reason, applies in checks.items() if applies), "booked")

    def refuse(
        self, clinic_id: int, start: datetime, want: Want, before: float = float("inf"), without: Booking | None = None
    ) -> Answer:
        why = self.why_not(clinic_id, start, want, before, without)
        if why not in ("held", "booked"):
            is_told = why in ("too_long", "not_that_day") or (why == "off_grid" and want.services)
            return Answer("no_such_slot", why, near=(clinic_id, start, want) if is_told else None)
        code = "slot_held" if why == "held" else "slot_full"
        return Answer(code, can_wait=why == "held", near=(clinic_id, start, want))

    def refuse_services(self, clinic_id: int | None, want: Want) -> Answer | None:
        """Refuse what is not offered there, not any more, or not in one visit."""
        reasons = {
            "no_such_service": not want.are_at(clinic_id) or any(s not in self.services for s in want.services),
            "service_closed": any(s.closed for s in want.services),
            "not_together": len(want.services) > 1 and not all(s.is_test for s in want.services),
        }
        reason = next((reason for reason, applies in reasons.items() if applies), None)
        return Answer("no_such_slot", reason) if reason else None

    def alternatives(
        self, clinic_id: int | None, start: datetime, want: Want, next_free: datetime | None
    ) -> list[datetime]:
        near: set[datetime] = set()
        if clinic_id is not None:
            zone = self.clinics[clinic_id].zone
            day = start.astimezone(zone).date()
            midnights = [instant(d, time(), zone) for d in (day, day + DAY)]
            near = {r.start for r in self.runs(clinic_id, midnights[0], midnights[1], want)}
        if not near and next_free and self.place(clinic_id, next_free, want):
            return [next_free]
        if not near and want.services:
            return [at for at in [self.next_free(clinic_id, want)] if at]
        return sorted(near, key=lambda s: (abs(s - start), s))[:3]

    def chart(
        self, clinic_id: int | None, start: datetime, end: datetime, want: Want, patient: int
    ) -> list[tuple[int, datetime, datetime, str, datetime | None, bool]]:
        free = {(r.clinic, r.start) for r in self.runs(clinic_id, start, end + DAY, ONE)}
        obtainable = {(r.clinic, r.start) for r in self.runs(clinic_id, start, end + DAY, ONE, True)}
        fitting = {(r.clinic, r.start) for r in self.runs(clinic_id, start, end + DAY, want)}
        rows = []
        for opening in self.openings(clinic_id, start, end):
            slot = timedelta(minutes=opening.shift.minutes)
            at = opening.start
            while at + slot <= opening.end:
                closed = self.away(opening.clinic.clinic_id, at, at + slot)
                begins = want.on_weekday(opening.shift) and want.on_grid(opening, at)
                if start <= at < end and self.reachable(opening, at) and not closed and begins:
                    here = [b for b in self.bookings if b.state in OCCUPIES and b.start < at + slot and at < b.end]
                    here = [b for b in here if b.state != "reserved" or self.now < b.deadline]
                    until = None
                    if any(b.patient == patient and at < b.visit_end for b in here):
                        state = "mine"
                    elif (opening.clinic, at) in free:
                        state = "free"
                    elif (opening.clinic, at) in obtainable:
                        state = "held"
                        until = min((b.deadline for b in here if b.state == "reserved"), default=None)
                    else:
                        state = "booked"
                    rows.append(
                        (opening.clinic.clinic_id, at, at + slot, state, until, (opening.clinic, at) in fitting)
                    )
                at += slot
        return sorted(rows, key=lambda row: (row[1], row[2], row[0]))

    # The queue.

    def waiting(self) -> list[Ticket]:
        return [t for t in self.tickets if t.state == "waiting"]

    def advance(self) -> None:
        self.lapse()
        self.serve_all()

    def lapse(self) -> None:
        due = [b for b in self.bookings if b.state == "reserved" and b.deadline <= self.now]
        for b in sorted(due, key=lambda b: b.deadline):
            if b.patient is None:
                self.decide_group_offer(b)
                continue
            b.state = "expired"
            if b.ticket:
                self.count_turn(b.deadline)
                if b.offer:
                    self.miss(b.ticket, b)
                else:
                    b.ticket.let_go = b.deadline
        for t in self.waiting():
            if self.now >= t.joined + WAIT:
                t.state, t.withheld = "timed_out", None

    def miss(self, t: Ticket, offer: Booking) -> None:
        """End the turn of a ticket whose client did not answer in time."""
        if t.fetched is offer or t.unfetched:
            t.state, t.let_go = "lapsed", offer.deadline
            t.offer = offer if offer.patient else None
        else:
            self.wait_again(t)
            t.absent, t.unfetched = True, 1

    def wait_again(self, t: Ticket) -> None:
        t.state, t.offer, t.answered = "waiting", None, False

    def serve_all(self) -> None:
        waiting = self.waiting()
        if not waiting:
            return
        span = min(t.start for t in waiting), max(t.end for t in waiting)
        any_free = self.runs(None, *span, ONE, before=0)
        wants = {(t.clinic_id, t.start, t.end, t.want) for t in waiting}
        groups: list[GroupOffer] = []
        for t in waiting:
            if not wants:  # nobody further back can have anything either, so nobody is passed over
                t.withheld = None
            elif any_free and self.present(t):
                self.serve(t, groups)
                if t.state == "waiting" and not t.withheld:
                    wants.discard((t.clinic_id, t.start, t.end, t.want))
            else:
                t.withheld = None
                t.absent = t.absent or bool(any_free)
        for t in self.waiting():
            if not self.runs(t.clinic_id, t.start, t.end, t.want, booked_only=True):
                t.state, t.withheld = "full", None

    def serve(self, t: Ticket, groups: list[GroupOffer]) -> None:
        t.withheld = None
        if fitting := self.runs(t.clinic_id, t.start, t.end, t.want, before=t.number):
            best = min(fitting, key=lambda r: (r.start, r.gap, r.clinic.clinic_id, r.seat))
            t.offer = Booking(
                best.clinic, t.patient, best.seat, best.start, best.end, t.want, self.now + OFFER, t.person, self.now,
                self.terms_of(t.want, best.clinic.clinic_id), t.person.name, ticket=t, offer=True,
                online_only=self.is_online_only(t.want, best.clinic, t.person),
            )  # fmt: skip
            t.state = "offered"
            self.bookings.append(t.offer)
            if self.group_size() > 1 and any(
                o is not t and self.present(o) and self.fits(o, t.offer) for o in self.waiting()
            ):
                t.state = "called"
                t.offer.patient, t.offer.person, t.offer.name = None, NOBODY, ""
                t.offer.online_only = False
                groups.append(GroupOffer(t.offer))
            return
        open_groups = [g for g in groups if not g.closed and g.called < self.group_size() and self.fits(t, g.offer)]
        if open_groups:
            group = min(open_groups, key=lambda g: g.called)
            t.state, t.offer = "called", group.offer
            group.called += 1
            return
        if t.want.slots > 1:
            free = self.runs(t.clinic_id, t.start, t.end, ONE, before=t.number)

            def count(r: Run) -> int:
                return sum(f.clinic == r.clinic and f.seat == r.seat and r.start <= f.start < r.end for f in free)

            candidates = [r for r in self.runs(t.clinic_id, t.start, t.end, t.want, booked_only=True) if count(r)]
            t.withheld = min(candidates, key=lambda r: (-count(r), r.start, r.clinic.clinic_id, r.seat), default=None)
        # A later ticket must not be called for what this one could use a part of, or as a part of its own run.
        for g in groups:
            for r in self.runs(t.clinic_id, t.start, t.end, t.want, booked_only=True):
                if (r.clinic, r.seat) == (g.offer.clinic, g.offer.seat):
                    g.closed = g.closed or (r.start < g.offer.end and g.offer.start < r.end)

    # Turns let go, and group offers.

    def fits(self, t: Ticket, offer: Booking) -> bool:
        """Return whether a ticket wants exactly this run."""
        return (
            t.clinic_id in (None, offer.clinic.clinic_id)
            and t.start <= offer.start
            and offer.end <= t.end
            and t.want == offer.want
        )

    def count_turn(self, at: datetime) -> None:
        if at >= self.turn_at + TURNS_MEMORY:
            self.turns = self.turns_before = 0
        self.turns += 1
        self.turn_at = at

    def keep_turn(self, t: Ticket) -> None:
        t.let_go = None
        if self.turns:
            self.turns_before, self.turns = self.turns, 0

    def group_size(self) -> int:
        if self.turns < CALLS_AFTER or self.now >= self.turn_at + TURNS_MEMORY:
            return 1
        return int(min(CALLED_MAX, 2 ** (self.turns - 1)))

    def called(self, offer: Booking) -> list[Ticket]:
        return [t for t in self.tickets if t.state == "called" and t.offer is offer]

    def decide_group_offer(self, offer: Booking) -> None:
        """Give a run that several were called for to the first who answered, once no earlier one still may."""
        called = self.called(offer)
        if not called:
            self.give_back(offer, "released")
            self.count_turn(self.now)
            return
        if self.now < offer.deadline and not called[0].answered:
            return
        winner = next((t for t in called if t.answered), None)
        late = self.too_late_to_win(offer)
        if not winner or late:
            offer.state = "expired"
        if not winner:
            self.count_turn(offer.deadline)
        for t in called:
            if t is winner and not late:
                t.state = "accepted"
            elif t.answered or (winner and t.number > winner.number):
                self.wait_again(t)
            else:
                self.miss(t, offer)
        if winner and not late:
            offer.patient, offer.person, offer.name = winner.patient, winner.person, winner.person.name
            offer.online_only |= self.must_pay_online(offer, winner.person)
            offer.ticket, offer.offer, offer.deadline = winner, False, self.now + HOLD

    def too_late_to_win(self, offer: Booking) -> bool:
        return offer.start <= self.now + HOLD

    def used_up_until(self, patient: int) -> datetime | None:
        """Return until when a patient may not queue here, having let too many turns go."""
        let_go = sorted(t.let_go for t in self.tickets if t.patient == patient and t.let_go)
        recent = [at for at in let_go if self.now < at + DAY]
        return recent[-TURNS_MAX] + DAY if len(recent) >= TURNS_MAX else None

    # Who may.

    def once(self, actor: Actor, verb: str, key: str | None, body: Any, wins: str, act: Callable[[], Answer]) -> Answer:
        """Act, unless the same request came before under this key; only a change is stored."""
        name = (self, actor, verb, key)
        if name in self.shared.results:
            at, first_body, first = self.shared.results[name]
            if at > self.now - DAY:
                return first if body == first_body else Answer("key_reused")
        answer = act()
        if key and answer.code in wins.split():
            self.shared.results[name] = self.now, body, answer
        return answer

    def is_live(self, on: Booking | Ticket) -> bool:
        if isinstance(on, Booking):
            return on.state == "reserved" and self.now < on.deadline
        in_time = self.now < on.joined + WAIT
        if on.state == "offered" and on.offer:
            will_wait = in_time and not on.unfetched and on.fetched is not on.offer
            return self.now < on.offer.deadline or will_wait
        if on.state == "called" and on.offer:
            winner = next((t for t in self.called(on.offer) if t.answered), None)
            kept = on.answered or (winner and on.number > winner.number)
            will_wait = in_time and bool(kept or not (on.unfetched or on.fetched is on.offer))
            return self.now < on.offer.deadline or (on is winner and not self.too_late_to_win(on.offer)) or will_wait
        if on.state == "accepted" and on.offer:  # by a group offer that others' verbs decided
            return self.is_live(on.offer)
        return on.state == "waiting" and in_time

    def claim(self, patient: int, on: Booking | Ticket, wanted: Wanted, *, beyond: bool = False) -> Answer | None:
        """Make it the patient's one hold or ticket, if they may have another; return why they may not."""
        old = self.shared.claims.get(patient)
        if old and self.is_live(old.on):
            return Answer("claimed")
        new = self.charged(old, on) if old else Claim(on)
        if refusal := self.refuse_spent(new) or (None if beyond else self.refuse_ahead(wanted, more=True)):
            return refusal
        self.shared.claims[patient] = new
        return None

    def charged(self, old: Claim, on: Booking | Ticket) -> Claim:
        """Return a claim that follows another, with what the other's end costs."""
        lapses, spent = list(old.lapses), list(old.spent)
        held = old.on.offer if isinstance(old.on, Ticket) and old.on.state == "accepted" else old.on
        if isinstance(held, Booking) and held.state in ("reserved", "expired"):
            lapses.append(held.deadline)
            spent.append(held.deadline)
        elif isinstance(held, Booking) and held.state in ("released", "cancelled"):
            spent.append(held.made)
        elif isinstance(held, Ticket) and held.state == "left":
            spent.append(held.joined)
        return Claim(on, self.recent(lapses), self.recent(spent))

    def refuse_early(self, patient: int) -> Answer | None:
        """Refuse whose holds came to nothing too often, before anything else is looked at."""
        old = self.shared.claims.get(patient)
        return None if old is None or self.is_live(old.on) else self.refuse_spent(self.charged(old, old.on))

    def spend(self, patient: int) -> Answer | None:
        """Note a change as spent now, if its patient has not spent too much; what was let lapse does not matter."""
        claim = self.shared.claims[patient]
        spent = self.recent(claim.spent)
        if refusal := self.refuse_spent(Claim(claim.on, [], spent)):
            return refusal
        claim.spent = [*spent, self.now]
        return None

    def recent(self, times: list[datetime]) -> list[datetime]:
        return sorted(at for at in times if at > self.now - DAY)

    def refuse_spent(self, claim: Claim) -> Answer | None:
        limits = self.shared.limits
        if len(claim.lapses) >= limits.lapses:
            return Answer("lapses", limit=limits.lapses, retry_at=claim.lapses[-limits.lapses] + DAY)
        until = [self.now]
        for most, time_ in ((limits.budget, limits.budget_time), (limits.daily_budget, DAY)):
            if len(claim.spent) >= most:
                until.append(claim.spent[-most] + time_)
        return Answer("hold_budget", retry_at=max(until)) if max(until) > self.now else None

    def refuse_ahead(self, wanted: Wanted, *, more: bool) -> Answer | None:
        """Return what of an account's own bookings ahead is in the way of another for one of its persons."""
        end = wanted.end if wanted.by_ticket else wanted.want.visit_end(wanted.start, wanted.end)
        own = [
            (b.start, b.end, str(b.id), book, b)
            for book in self.shared.books
            for b in book.bookings
            if b.patient == wanted.person.patient and b.visit_end > self.now and b not in wanted.without
            if b.state in ("booked", "arrived") or (b.state == "reserved" and not b.offer and self.now < b.deadline)
        ]
        ahead, unpaid, all_unpaid = [], [], []
        for _, _, _, book, b in sorted(own, key=lambda row: row[:3]):
            is_same = b.person is wanted.person
            overlaps = b.start < end and wanted.start < b.visit_end
            if is_same and overlaps and (not wanted.by_ticket or (b.start <= wanted.start and end <= b.visit_end)):
                return replace(describe("overlap", b), at=book)
            days = {
                at.astimezone(b.clinic.zone).date() for at in (b.start, wanted.start, end - timedelta(microseconds=1))
            }
            more_a_day = wanted.want.more_a_day and b.want.more_a_day
            if is_same and book is self and len(days) == 1 and not more_a_day:
                return replace(describe("same_day", b), at=book, limit=1)
            ahead += [(book, b)] * is_same
            unpaid += [(book, b)] * (is_same and b.funding != "online")
            all_unpaid += [(book, b)] * (b.funding != "online")
        for t in (t for book in self.shared.books for t in book.tickets if t.state == "called" and t.answered):
            if t.person is wanted.person and t.offer and t.offer.start < end and wanted.start < t.offer.visit_end:
                return Answer("overlap")
        limits = self.shared.limits
        checks = [("too_many_ahead", ahead, limits.ahead)]
        if wanted.by_phone or not any(
            (wanted.want.funding_at(c) == "online" or self.is_online_only(wanted.want, c, wanted.person))
            and wanted.clinic_id in (None, i)
            and wanted.want.are_at(i)
            for i, c in self.clinics.items()
        ):
            checks += [
                ("too_many_unpaid", unpaid, limits.unpaid),
                ("too_many_unpaid", all_unpaid, limits.account_unpaid),
            ]
        for code, found, most in checks:
            if more and len(found) >= most:
                return replace(describe(code, found[0][1]), at=found[0][0], limit=most)
        return None

    def online_only_until(self, person: Person, clinic_id: int) -> datetime | None:
        """Return until when somebody pays online only: all of a run lies within the time in which it counts."""
        missed = [
            b.start
            for book in self.shared.books
            for b in book.bookings
            if b.state == "no_show" and b.person is person and b.clinic.clinic_id == clinic_id
        ]
        return add_months(max(missed), NO_SHOW_MONTHS) if len(missed) >= self.shared.no_shows_max else None

    def is_online_only(self, want: Want, clinic: Clinic, person: Person) -> bool:
        is_at_clinic = want.funding_at(clinic) == "clinic" and want.fee_at(clinic) > 0
        return is_at_clinic and self.online_only_until(person, clinic.clinic_id) is not None

    def must_pay_online(self, booking: Booking, person: Person) -> bool:
        """Return whether somebody for whom a hold is by now pays it online, where it was to be paid at the clinic."""
        until = self.online_only_until(person, booking.clinic.clinic_id)
        return booking.funding == "clinic" and booking.fee > 0 and until is not None

    def person_of(self, patient: int | None, person: Person | None) -> Person | None:
        if patient is None:
            return None
        if person is None:
            return next(p for p in self.shared.persons[patient] if p.holder)
        return None if person.patient != patient or person.removed else person

    # The verbs.

    def hold(
        self,
        clinic_id: int,
        start: datetime,
        slots: int,
        patient: int,
        actor: Actor,
        key: str | None = None,
        *,
        person_id: Person | None = None,
        instead_of: tuple[Book, Booking] | None = None,
        reason: str | None = None,
        service_ids: tuple[Service, ...] = (),
    ) -> Answer:
        want = Want(slots, service_ids)

        def act() -> Answer:  # noqa: PLR0911 - a return for each refusal
            if early := self.refuse_early(patient) or self.refuse_services(clinic_id, want):
                return early
            there = [b for b in self.bookings if b.state in OCCUPIES and b.start <= start < b.end]
            live = [b for b in there if b.state != "reserved" or self.now < b.deadline]
            if live and not self.place(clinic_id, start, want, before=0):
                return self.refuse(clinic_id, start, want)  # what the rows already justify advances nothing
            self.advance()
            person = self.person_of(patient, person_id)
            if not person or (instead_of and not self.is_replaceable(instead_of[1], person)):
                return Answer("not_found")
            at_clinic = self.clinics.get(clinic_id)
            until = self.online_only_until(person, clinic_id) if isinstance(actor, Staff) else None
            if until and at_clinic and want.fee_at(at_clinic):
                return Answer("online_only", retry_at=until)
            online_only = bool(at_clinic and self.is_online_only(want, at_clinic, person))
            run = self.place(clinic_id, start, want)
            if not run:
                return self.refuse(clinic_id, start, want)
            held = Booking(
                run.clinic, patient, run.seat, run.start, run.end, want, self.now + HOLD, person, self.now,
                self.terms_of(want, clinic_id), person.name, instead_of, online_only=online_only,
                by_phone=isinstance(actor, Staff),
            )  # fmt: skip
            replaced = instead_of[1] if instead_of else None
            at = clinic_id, run.start, run.end
            wanted = Wanted(person, *at, without=(replaced,), want=want, by_phone=held.by_phone)
            beyond = bool(reason) and not isinstance(actor, Patient)
            if refusal := self.claim(patient, held, wanted, beyond=beyond):
                return refusal
            self.bookings.append(held)
            return describe("reserved", held)

        body = (clinic_id, start, want, patient, person_id, instead_of)
        return self.once(actor, "hold", key, body, "reserved", act)

    def is_replaceable(self, booking: Booking, person: Person) -> bool:
        return booking.person is person and booking.state == "booked" and booking.start > self.now

    def choose_person(  # noqa: PLR0911 - a return for each refusal
        self, booking: Booking, person: Person | None, actor: Actor
    ) -> Answer:
        if not self.owned(booking, actor) or not (chosen := self.person_of(booking.patient, person)):
            return Answer("not_found")
        if booking.state == "expired":
            return describe("expired", booking)
        if booking.state != "reserved" or booking.offer:
            return describe("wrong_state", booking)
        if booking.person is chosen and booking.name == chosen.name:
            return describe("named", booking)
        if booking.person is not chosen:
            at = booking.clinic.clinic_id, booking.start, booking.end
            wanted = Wanted(chosen, *at, without=(booking,), want=booking.want, by_phone=booking.by_phone)
            if refusal := self.refuse_ahead(wanted, more=True):
                return refusal
        if booking.named >= NAMES_MAX and (refusal := self.spend(chosen.patient)):
            return refusal
        if booking.person is not chosen:
            booking.person, booking.instead_of = chosen, None
            booking.online_only |= self.must_pay_online(booking, chosen)
        booking.name, booking.named = chosen.name, booking.named + 1
        return describe("named", booking)

    def owned(self, booking: Booking, actor: Actor) -> bool:
        self.advance()
        return booking in self.bookings and may_act(actor, booking.patient)

    def confirm(self, booking: Booking, authorisation: str | None, actor: Actor, key: str | None = None) -> Answer:
        def act() -> Answer:
            if not self.owned(booking, actor):
                return Answer("not_found")
            reserved = booking.state == "reserved"
            if reserved and booking.offer:
                return describe("wrong_state", booking)
            online = booking.funding == "online"
            known = booking.paid.get(authorisation) if authorisation else None
            if known and authorisation:
                money = known.payments[authorisation]
                if money.due == "capture" and money.kept is None:
                    return describe("booked", known)
            if reserved and online and (known or not authorisation):
                return describe("payment_required", booking)
            return self.book_hold(booking, None if known else authorisation, online)

        return self.once(actor, "confirm", key, (booking, authorisation), "booked", act)

    def book_hold(self, held: Booking, money: str | None, online: bool) -> Answer:
        replaces, refusal = held.instead_of, None
        if replaces and held.state in ("reserved", "expired") and not self.is_replaceable(replaces[1], held.person):
            held.instead_of = None
            if held.state == "reserved":
                at = held.clinic.clinic_id, held.start, held.end
                wanted = Wanted(held.person, *at, without=(held,), want=held.want, by_phone=held.by_phone)
                refusal = self.refuse_ahead(wanted, more=True)
        booked = held if held.state == "reserved" and not refusal else None
        if held.state == "expired" and online and money:
            booked = self.book_late(held)
        if booked is not held:
            held.instead_of = replaces
        if money:
            held.paid[money] = booked or held
            (booked or held).payments[money] = Payment(held.fee, "capture" if booked and online else "void")
        if not booked:
            return refusal or describe("expired" if held.state == "expired" else "wrong_state", held)
        booked.state, booked.name = "booked", booked.person.name
        if booked.instead_of:
            self.shared.replacements.append((self, booked, self.now))
        if held.ticket:
            self.keep_turn(held.ticket)
        self.advance()
        return describe("booked", booked)

    def book_late(self, held: Booking) -> Booking | None:
        if held.patient is None:
            return None
        run, claim = self.place(held.clinic.clinic_id, held.start, held.want), self.shared.claims[held.patient]
        if not run or self.is_live(claim.on) or any(booked is not held for booked in held.paid.values()):
            return None
        replaced = held.instead_of[1] if held.instead_of else None
        wanted = Wanted(held.person, run.clinic.clinic_id, run.start, run.end, without=(held, replaced), want=held.want)
        if self.refuse_ahead(wanted, more=True):
            return None
        late = Booking(
            held.clinic, held.patient, run.seat, run.start, run.end, held.want, held.deadline, held.person, self.now,
            held.terms, instead_of=held.instead_of, online_only=held.online_only,
        )  # fmt: skip
        self.bookings.append(late)
        claim.on = late if claim.on in (held, held.ticket) else claim.on
        claim.lapses = [at for at in claim.lapses if at != held.deadline]
        claim.spent = [at for at in claim.spent if at != held.deadline]
        return late

    def pay_online(self, booking: Booking, money: str, amount: int, actor: Actor) -> str:
        """Pay what was to be paid at the clinic, with money that was set aside."""
        if not self.owned(booking, actor):
            return "not_found"
        if money not in booking.paid:
            is_paid = self.is_payable_at_desk(booking) and not booking.at_desk and booking.fee == amount
            booking.paid[money] = booking
            booking.payments[money] = Payment(amount, "capture" if is_paid else "void")
            booking.paid_online |= is_paid
            return "paid" if is_paid else "not_payable"
        pays = any(known.due == "capture" and known.kept is None for known in booking.payments.values())
        return "paid" if pays else "not_payable"

    def is_payable_at_desk(self, booking: Booking) -> bool:
        return booking.funding == "clinic" and booking.state in ("booked", "arrived", "fulfilled")

    def pay_at_desk(self, booking: Booking, amount: int) -> str:
        if not self.is_payable_at_desk(booking):
            return "not_payable"
        booking.at_desk += amount
        return "recorded"

    def give_back(self, booking: Booking, state: str, kept: int = 0) -> None:
        booking.state = state
        for money in booking.payments.values():
            if kept and money.due == "capture":  # all is taken, and then the rest refunded
                money.kept = min(kept, money.amount)
            else:
                money.due = "void"

    def release(self, booking: Booking, actor: Actor, key: str | None = None) -> Answer:
        return self.once(actor, "release", key, booking, "released", lambda: self.free(booking, actor, "reserved"))

    def cancel(
        self, booking: Booking, actor: Actor, key: str | None = None, *, ordered: datetime | None = None
    ) -> Answer:
        """Cancel; `ordered`: when the patient did so by booking another time instead."""
        return self.once(
            actor, "cancel", key, booking, "cancelled", lambda: self.free(booking, actor, "booked", ordered)
        )

    def free(self, booking: Booking, actor: Actor, only: str, ordered: datetime | None = None) -> Answer:
        if not self.owned(booking, actor):
            return Answer("not_found")
        if booking.state == "expired" and only == "reserved":
            return describe("expired", booking)
        if booking.state != only or (booking.offer and only == "reserved"):
            return describe("wrong_state", booking)
        if only == "booked" and booking.start <= self.now:
            return describe("too_late", booking)
        by_patient = only == "booked" and (isinstance(actor, Patient) or actor == System("replacement"))
        kept = booking.kept(ordered or self.now) if by_patient else 0
        self.give_back(booking, "released" if only == "reserved" else "cancelled", kept)
        if booking.ticket and only == "reserved":
            booking.ticket.let_go = self.now
            self.count_turn(self.now)
        elif booking.ticket and isinstance(actor, Patient) and self.now < booking.deadline + TURNS_MEMORY:
            booking.ticket.let_go, self.turns = self.now, max(self.turns, self.turns_before)
            self.count_turn(self.now)
        self.serve_all()
        return describe(booking.state, booking)

    def reschedule(
        self, booking: Booking, start: datetime, actor: Actor, key: str | None = None, *, reason: str | None = None
    ) -> Answer:
        def act() -> Answer:  # noqa: PLR0911 - a return for each refusal
            if not self.owned(booking, actor):
                return Answer("not_found")
            if booking.state == "expired":
                return describe("expired", booking)
            if booking.state not in ("reserved", "booked") or (booking.offer and booking.state == "reserved"):
                return describe("wrong_state", booking)
            if booking.start <= self.now:
                return describe("too_late", booking)
            clinic_id = booking.clinic.clinic_id
            run = self.place(clinic_id, start, booking.want, without=booking)
            if not run:
                return self.refuse(clinic_id, start, booking.want, without=booking)
            assert booking.patient is not None
            replaced = booking.instead_of[1] if booking.instead_of else None
            without = booking, replaced
            wanted = Wanted(booking.person, clinic_id, run.start, run.end, without=without, want=booking.want)
            beyond = reason and not isinstance(actor, Patient)
            if not beyond and (refusal := self.refuse_ahead(wanted, more=False)):
                return refusal
            if (booking.state == "reserved" or isinstance(actor, Patient)) and (refusal := self.spend(booking.patient)):
                return refusal
            booking.move(run, actor, self.now)
            self.serve_all()
            return describe("moved", booking)

        return self.once(actor, "reschedule", key, (booking, start), "moved", act)

    def attend(self, booking: Booking, state: str, actor: Actor) -> Answer:
        if not self.owned(booking, actor) or isinstance(actor, Patient):
            return Answer("not_found")
        steps = [("booked", "arrived"), ("arrived", "fulfilled"), ("booked", "no_show")]
        if (booking.state, state) not in steps or (
            state == "no_show" and (self.now < booking.start or booking.flagged)
        ):
            return describe("wrong_state", booking)
        booking.state = state
        return describe(state, booking)

    def join_queue(
        self,
        clinic_id: int | None,
        start: datetime,
        end: datetime,
        slots: int,
        patient: int,
        actor: Actor,
        key: str | None = None,
        *,
        person_id: Person | None = None,
        service_ids: tuple[Service, ...] = (),
        desk: int | None = None,
    ) -> Answer:
        """Join; `desk`: somebody who called that clinic does, of whom the actor may have so many."""
        want = Want(slots, service_ids)

        def act() -> Answer:  # noqa: PLR0911 - a return for each refusal
            if early := self.refuse_early(patient) or self.refuse_services(clinic_id, want):
                return early
            if any(b.state == "reserved" and b.start < end and start < b.end for b in self.bookings):
                self.advance()  # what is only held may be worth waiting for; without any, the rows justify a refusal
                if refusal := self.refuse_caller(desk, actor):
                    return refusal
            if not self.runs(clinic_id, start, end, want, booked_only=True):
                return self.refuse_join(clinic_id, start, end, want)
            self.advance()
            if refusal := self.refuse_caller(desk, actor):
                return refusal
            if not (person := self.person_of(patient, person_id)):
                return Answer("not_found")
            if until := self.used_up_until(patient):
                return Answer("turns_used", limit=TURNS_MAX, retry_at=until)
            number = len(self.tickets) + 1
            at_most = self.slots_at_most(want, clinic_id)
            ticket = Ticket(number, patient, clinic_id, start, end, at_most, self.now, self.now, person)
            if refusal := self.claim(patient, ticket, Wanted(person, clinic_id, start, end, by_ticket=True, want=want)):
                return refusal
            ticket.desk, ticket.by = desk, actor if desk else None
            self.tickets.append(ticket)
            self.serve(ticket, [])
            return describe_ticket(None, ticket)

        body = (clinic_id, start, end, want, patient, person_id)
        return self.once(actor, "join", key, body, "waiting offered", act)

    def join_by_phone(
        self,
        clinic_id: int | None,
        start: datetime,
        end: datetime,
        slots: int,
        patient: int,
        *,
        desk: int,
        actor: Actor,
        key: str | None,
        **more: Any,
    ) -> Answer:
        return self.join_queue(clinic_id, start, end, slots, patient, actor, key, desk=desk, **more)

    def refuse_caller(self, desk: int | None, staff: Actor) -> Answer | None:
        """Refuse another caller of somebody at the desk who has enough waiting."""
        live = [t for t in self.tickets if t.by == staff and t.state in ("waiting", "offered", "called")]
        return Answer("phone_tickets", limit=CALLERS_MAX) if desk and len(live) >= CALLERS_MAX else None

    def serve_caller(self, ticket: Ticket, desk: int, act: str, actor: Actor, key: str | None = None) -> Answer:
        """Do what the desk of a clinic does for a caller: `call`, `book` or `let_go`."""
        if ticket not in self.tickets or ticket.desk != desk:
            return Answer("not_found")

        def serve() -> Answer:
            former = ticket.offer if ticket.state in ("offered", "called") else None
            self.advance()
            if former and ticket.state in ("offered", "called") and ticket.offer is not former:
                return describe_ticket("offer_over", ticket)
            if ticket.state == "accepted" and ticket.called_for is not ticket.offer:
                return describe_ticket("wrong_state", ticket)  # they took it themselves
            if act == "call":
                return self.call_caller(ticket, actor)
            if act == "book":
                return self.book_caller(ticket, actor)
            has = ticket.offer if ticket.state == "accepted" else None
            return self.release(has, actor) if has else self.leave_queue(ticket, actor)

        return self.once(actor, "serve", key, (ticket, desk, act), "accepted answered booked left released", serve)

    def call_caller(self, ticket: Ticket, actor: Actor) -> Answer:
        offer = ticket.offer
        called = (self.answer if ticket.state == "called" else self.accept)(ticket, actor)
        if called.code in ("accepted", "answered"):
            ticket.called_for = offer
        return called

    def book_caller(self, ticket: Ticket, actor: Actor) -> Answer:
        offer = ticket.offer
        if offer and offer.state == "reserved" and self.now < offer.deadline:
            until = self.online_only_until(ticket.person, offer.clinic.clinic_id)
            if until and offer.fee:
                return Answer("online_only", retry_at=until)
        if ticket.state != "accepted":
            called = self.call_caller(ticket, actor)
            if called.code != "accepted":
                return called
        assert ticket.offer
        if ticket.offer.state == "reserved" and self.now < ticket.offer.deadline:
            ticket.offer.by_phone = True
        return self.confirm(ticket.offer, None, actor)

    def note_desk(self, desk: int) -> list[Ticket]:
        """Note that a desk is connected; return its callers who were not present."""
        live = [t for t in self.tickets if t.desk == desk and t.state in ("waiting", "offered", "called")]
        gone = [t for t in live if t.state == "waiting" and not self.present(t)]
        for t in live:
            t.seen = t.seen if t in gone else self.now
        return gone

    def refuse_join(self, clinic_id: int | None, start: datetime, end: datetime, want: Want) -> Answer:
        """Refuse to wait for what can never be had."""
        near = (clinic_id, start, want)
        due = []
        for o in self.openings(clinic_id, start, end):
            horizon = self.now.astimezone(o.clinic.zone).date() + self.days_max * DAY
            if o.end - o.clinic.lead > self.now and o.day <= horizon and want.fits(o.shift):
                due.append(o)
        if not due:
            return Answer("no_such_slot", "closed")
        if want.services and not any(want.on_weekday(o.shift) for o in due):
            return Answer("no_such_slot", "not_that_day", near=near)
        if want.services and not any(self.has_start(o, start, end, want) for o in due if want.on_weekday(o.shift)):
            return Answer("no_such_slot", "too_long", near=near)
        return Answer("slot_full", can_wait=False, near=near)

    def has_start(self, opening: Opening, start: datetime, end: datetime, want: Want) -> bool:
        """Return whether from a start in a window on there would be time for it, if nothing were taken."""
        slot, at = timedelta(minutes=opening.shift.minutes), opening.start
        while at + slot * want.slots_in(opening.shift) <= opening.end:
            if start <= at < end and want.on_grid(opening, at) and self.reachable(opening, at):
                return True
            at += slot
        return False

    def slots_at_most(self, want: Want, clinic_id: int | None) -> Want:
        """Return what is wanted with the slots that its services need at most."""
        shifts = [s for s in self.shifts if clinic_id in (None, s.clinic_id)]
        return replace(want, slots=max(map(want.slots_in, shifts))) if want.services else want

    def swap_offer(self, ticket: Ticket, offer: Booking, clinic_id: int, start: datetime) -> Answer | None:
        """Move an offer to another start; return why it cannot be."""
        if not ticket.want.are_at(clinic_id):
            return Answer("no_such_slot", "no_such_service")
        run = self.place(clinic_id, start, ticket.want, ticket.number, offer)
        if not run:
            return self.refuse(clinic_id, start, ticket.want, ticket.number, offer)
        wanted = Wanted(ticket.person, clinic_id, run.start, run.end, want=ticket.want)
        if refusal := self.refuse_ahead(wanted, more=True):
            return refusal
        offer.clinic, offer.seat, offer.start, offer.end = run.clinic, run.seat, run.start, run.end
        offer.terms = self.terms_of(ticket.want, clinic_id)
        offer.online_only = self.is_online_only(ticket.want, run.clinic, ticket.person)
        return None

    def accept(
        self,
        ticket: Ticket,
        actor: Actor,
        key: str | None = None,
        clinic_id: int | None = None,
        start: datetime | None = None,
    ) -> Answer:
        def act() -> Answer:  # noqa: PLR0911 - a return for each refusal
            self.advance()
            if ticket not in self.tickets or not may_act(actor, ticket.patient):
                return Answer("not_found")
            if ticket.state == "lapsed" or (ticket.state == "waiting" and ticket.unfetched):
                return describe_ticket("offer_over", ticket)
            if ticket.state != "offered" or not ticket.offer:
                return describe_ticket("wrong_state", ticket)
            if self.shared.claims[ticket.patient].on is not ticket:
                return Answer("claimed")
            offer, at = ticket.offer, clinic_id or ticket.offer.clinic.clinic_id
            wanted = Wanted(ticket.person, at, offer.start, offer.end, want=ticket.want)
            if start and (start, at) != (offer.start, offer.clinic.clinic_id):
                if refusal := self.swap_offer(ticket, offer, at, start):
                    return refusal
            elif refusal := self.refuse_ahead(wanted, more=True):
                return refusal
            offer.offer, offer.deadline, ticket.state = False, self.now + HOLD, "accepted"
            self.serve_all()
            self.shared.claims[ticket.patient].on = offer
            return describe_ticket("accepted", ticket)

        return self.once(actor, "accept", key, (ticket, clinic_id, start), "accepted", act)

    def answer(self, ticket: Ticket, actor: Actor, key: str | None = None) -> Answer:
        def act() -> Answer:  # noqa: PLR0911 - a return for each refusal
            self.advance()
            if ticket not in self.tickets or not may_act(actor, ticket.patient):
                return Answer("not_found")
            if ticket.state == "lapsed" or (ticket.state == "waiting" and ticket.unfetched):
                return describe_ticket("offer_over", ticket)
            if ticket.state != "called" or not ticket.offer:
                return describe_ticket("wrong_state", ticket)
            if self.shared.claims[ticket.patient].on is not ticket:
                return Answer("claimed")
            offer = ticket.offer
            wanted = Wanted(ticket.person, offer.clinic.clinic_id, offer.start, offer.end, want=ticket.want)
            if not ticket.answered and (refusal := self.refuse_ahead(wanted, more=True)):
                return refusal
            ticket.answered = True
            self.decide_group_offer(offer)
            self.serve_all()
            if ticket.state == "accepted":
                self.shared.claims[ticket.patient].on = offer
                return describe_ticket("accepted", ticket)
            return describe_ticket("answered", ticket)

        return self.once(actor, "answer", key, ticket, "answered accepted", act)

    def leave_queue(self, ticket: Ticket, actor: Actor, key: str | None = None) -> Answer:
        def act() -> Answer:
            self.advance()
            if ticket not in self.tickets or not may_act(actor, ticket.patient):
                return Answer("not_found")
            if ticket.state not in ("waiting", "offered", "called"):
                return describe_ticket("wrong_state", ticket)
            before, ticket.state, ticket.withheld = ticket.state, "left", None
            if before != "waiting" and ticket.offer:
                ticket.let_go = self.now
                if before == "called":
                    self.decide_group_offer(ticket.offer)
                    ticket.offer = None
                else:
                    self.give_back(ticket.offer, "released")
                    self.count_turn(self.now)
            self.serve_all()
            return describe_ticket("left", ticket)

        return self.once(actor, "leave", key, ticket, "left", act)

    def resume(self, ticket: Ticket, actor: Actor) -> Answer:
        self.lapse()
        owned = ticket in self.tickets and may_act(actor, ticket.patient)
        if owned and ticket.state == "waiting":
            ticket.absent, ticket.seen = False, self.now
        self.serve_all()
        return describe_ticket(None, ticket) if owned else Answer("not_found")

    # The schedule.

    def out_of_schedule(self) -> list[Booking]:
        def fits(b: Booking) -> bool:
            openings = self.openings(b.clinic.clinic_id, b.start, b.end)
            room = any(o.start <= b.start and b.end <= o.end and b.seat <= o.shift.seats for o in openings)
            return room and not self.away(b.clinic.clinic_id, b.start, b.end)

        due = [b for b in self.bookings if b.state in ("reserved", "booked") and b.end > self.now and not fits(b)]
        return sorted(due, key=lambda b: (b.start, b.end, b.seat))

    def change(self, shifts: list[Shift], leaves: list[Leave], flag: bool) -> Answer:
        """Have another schedule; a refusal changes nothing, not even what is due."""
        old = self.shifts, self.leaves
        self.shifts, self.leaves = shifts, leaves
        conflicts = [b for b in self.out_of_schedule() if b.state == "booked" and not b.flagged]
        self.shifts, self.leaves = old
        if any(a.overlaps(b) for a in shifts for b in shifts if a is not b):
            return Answer("shift_overlap")
        if conflicts and not flag:
            return Answer("conflict", conflicts=conflicts)
        self.advance()
        self.shifts, self.leaves = shifts, leaves
        stranded = self.out_of_schedule()
        for b in self.bookings:
            if b.state == "booked" and b.start > self.now and b not in stranded:
                b.flagged = False
        for b in stranded:
            if b.state == "booked":
                b.flagged = True
                continue
            self.give_back(b, "released")
            for t in [b.ticket] if b.offer and b.ticket and b.patient else self.called(b):
                self.wait_again(t)
        self.advance()
        return Answer("changed", conflicts=conflicts or None)
