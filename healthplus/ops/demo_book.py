"""The demo's bookings: future bookings and live holds, and past bookings with their ratings.

They are rows for COPY, including everything else that the verbs would have written.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from healthplus.accounts.actors import System
from healthplus.database import Range
from healthplus.directory.weekdays import has_day
from healthplus.ops.demo_directory import SLOTS_A_SHIFT, Directory, Shift
from healthplus.ops.demo_profiles import review
from healthplus.ops.demo_services import NOT_FOR_EVERYBODY, TEST_SLUGS, Service

_TIME_ZONE = ZoneInfo("Asia/Kolkata")
_HOLD = timedelta(seconds=305)
_LEAD = timedelta(minutes=10)  # the clinics' lead_minutes: slots that start sooner cannot be booked
_PROVIDERS_BOOKED = 0.1  # the rest have no future bookings
_SLOTS_BOOKED = 0.12  # begin a visit
_FOR_SERVICES = 0.4  # of the visits at providers that have services
_DAYS = 4

_PROVIDERS_RATED = 0.7
_PATIENTS_TRIED_MAX = 200
_RATINGS_MEAN, _RATINGS_MAX = 4, 40  # of a provider who is rated
_OLDEST_DAYS, _NEWEST_DAYS = 180, 2  # how long ago past bookings took place; they are rated within a day or so
_BOOKED_AHEAD_DAYS_MAX = 20
_SHOWN_DAYS = ((-64, -33, -11, -4, 6, 9), (-20, -5, 7))  # from today: visits of the patients to try the product as
BOOKING_AGE_MAX = timedelta(days=_OLDEST_DAYS + _BOOKED_AHEAD_DAYS_MAX + 1)


class _Visit(NamedTuple):
    """A run of slots. `number` is its first slot's: 0 is the provider's first of today, negative ones are before it."""

    number: int
    starts_at: datetime
    shift: Shift
    slots: int = 1
    services: tuple[Service, ...] = ()

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.slots * self.shift.slot_minutes)


class _Event(NamedTuple):
    at: datetime
    kind: str
    booking_id: UUID
    actor: System | None = None
    """None: the booking's patient."""


class BookMaker:
    """Makes rows for COPY, in the order of the columns in demo_data.py."""

    def __init__(self, random: Random, directory: Directory, patients: Sequence[int], now: datetime) -> None:
        self.bookings: list[tuple[object, ...]] = []
        self.events: list[tuple[object, ...]] = []
        self.payments: list[tuple[object, ...]] = []
        self.claims: list[tuple[object, ...]] = []
        self.ratings: list[tuple[object, ...]] = []
        self.reviews: list[tuple[object, ...]] = []
        self.stars: defaultdict[object, list[int]] = defaultdict(list)
        """By provider, of these ratings."""
        self._random = random
        self._directory = directory
        self._patients = patients
        self._unclaimed = iter(patients)
        self._times: dict[int, list[_Visit]] = {patient_id: [] for patient_id in patients}
        self._shown: dict[int, tuple[int, int]] = {}
        """By provider: the patient who is shown, and the day of the visit, from today."""
        self._taken: set[int] = set()
        """Slots of the provider whose book is being filled, by their numbers."""
        self._now = now
        self._today = datetime.combine(now.astimezone(_TIME_ZONE).date(), datetime.min.time(), _TIME_ZONE)

    def plan_shown(self, patients: Sequence[int], provider_ids: Sequence[int]) -> None:
        """Have patients visit some of these providers, last a lab.

        Those ahead are, if possible, paid for already, and who cancels them late gets only a part of that back.
        """
        labs: list[int] = []
        others: list[int] = []
        for provider_id in provider_ids:
            services = self._directory.services[provider_id]
            if any(one.type_slug not in NOT_FOR_EVERYBODY for one in services):
                (labs if services[0].type_slug in TEST_SLUGS else others).append(provider_id)
        others.sort(
            key=lambda one: (
                self._directory.services[one][0].funding == "online",
                self._directory.shifts[one][0].clinic_id in self._directory.clinic_terms,
            )
        )
        for patient_id, days in zip(patients, _SHOWN_DAYS, strict=True):
            self._times[patient_id] = []
            last = max(day for day in days if day < 0)
            for day in reversed(days):
                if offers := labs if day == last else others:
                    self._shown[offers.pop()] = (patient_id, day)

    def fill_books(self, nearly_full_id: int) -> None:
        """Fill the providers' books: some have past bookings, some future ones, and one has hardly a slot left."""
        for provider_id, shifts in self._directory.shifts.items():
            self._taken = set()
            events = self._add_shown_booking(provider_id, shifts) if provider_id in self._shown else []
            if self._random.random() < _PROVIDERS_RATED:
                events += self._add_past_bookings(provider_id, shifts)
            if provider_id == nearly_full_id:
                events += self._fill(provider_id, shifts)
            elif self._random.random() < _PROVIDERS_BOOKED:
                events += self._book_some(provider_id, shifts)
            # Events are numbered in order of time.
            self.events += (
                (provider_id, seq, event.at, event.kind, event.booking_id, event.actor and str(event.actor))
                for seq, event in enumerate(sorted(events, key=lambda event: event.at), start=1)
            )

    def _book_some(self, provider_id: int, shifts: Sequence[Shift]) -> list[_Event]:
        """Book some visits, and at some providers have one more held."""
        numbers = [slot.number for slot in self._slots_ahead(shifts) if self._random.random() < _SLOTS_BOOKED]
        drawn = self._visits_from(provider_id, shifts, numbers)
        visits = [visit for visit in drawn if visit.starts_at > self._now + _LEAD]
        held = visits[:1] if self._random.random() < 0.05 else []
        return self._write(provider_id, visits[len(held) :], held)

    def _fill(self, provider_id: int, shifts: Sequence[Shift]) -> list[_Event]:
        """Book all slots but four, and have three of these held; the fourth is the only one of its day, tomorrow."""
        slots = self._slots_ahead(shifts)
        tomorrow = self._today.date() + timedelta(days=1)
        free = self._random.choice([slot for slot in slots if slot.starts_at.date() == tomorrow])
        held = self._random.sample([slot for slot in slots if slot.starts_at.date() != tomorrow], 3)
        return self._write(provider_id, [slot for slot in slots if slot not in (free, *held)], held)

    def _slots_ahead(self, shifts: Sequence[Shift]) -> list[_Visit]:
        slots = (self._slot(shifts, number) for number in range(_DAYS * len(shifts) * SLOTS_A_SHIFT))
        return [slot for slot in slots if slot.starts_at > self._now + _LEAD]

    def _slot(self, shifts: Sequence[Shift], number: int) -> _Visit:
        day, in_day = divmod(number, len(shifts) * SLOTS_A_SHIFT)
        shift = shifts[in_day // SLOTS_A_SHIFT]
        minutes = shift.starts.hour * 60 + shift.starts.minute + in_day % SLOTS_A_SHIFT * shift.slot_minutes
        return _Visit(number, self._today + timedelta(days=day, minutes=minutes), shift)

    def _visits_from(self, provider_id: int, shifts: Sequence[Shift], numbers: Iterable[int]) -> Iterator[_Visit]:
        """Return visits that begin at these slots, or a little earlier, where nothing is in their way."""
        for number in numbers:
            visit = self._slot(shifts, number)
            if self._random.random() < _FOR_SERVICES:
                visit = self._for_services(provider_id, shifts, visit) or visit
            run = range(visit.number, visit.number + visit.slots)
            if self._taken.isdisjoint(run):
                self._taken.update(run)
                yield visit

    def _for_services(
        self, provider_id: int, shifts: Sequence[Shift], visit: _Visit, without: Collection[str] = ()
    ) -> _Visit | None:
        """Return the visit for a service, or a lab's for up to four tests; None where these cannot be had then.

        `without`: slugs of what it must not be for.
        """
        offered = [
            one
            for one in self._directory.services[provider_id]
            if one.clinic_id in (None, visit.shift.clinic_id)
            and has_day(one.weekdays, visit.starts_at.isoweekday())
            and one.type_slug not in without
        ]
        if not offered:
            return None
        tests = offered[0].type_slug in TEST_SLUGS
        services = self._random.sample(offered, min(len(offered), self._random.randint(1, 4) if tests else 1))
        minutes = sum(one.length_minutes for one in services) + max(one.buffer_minutes for one in services)
        slots = math.ceil(max(minutes, 1) / visit.shift.slot_minutes)
        place = visit.number % SLOTS_A_SHIFT
        early = place % math.lcm(*(one.starts_every for one in services))
        if place - early + slots > SLOTS_A_SHIFT:
            return None
        return self._slot(shifts, visit.number - early)._replace(slots=slots, services=tuple(services))

    def _write(self, provider_id: int, booked: Sequence[_Visit], held: Sequence[_Visit]) -> list[_Event]:
        # The bookings were made one after another in the last two days, then the holds, just now.
        step = timedelta(days=2) / (len(booked) + 1)
        events: list[_Event] = []
        for number, visit in enumerate(booked):
            at = self._now - step * (len(booked) - number)
            tried = (self._random.choice(self._patients) for _ in range(_PATIENTS_TRIED_MAX))
            patient_id = next((one for one in tried if self._is_free(one, visit)), None)
            if patient_id is None:  # of a few patients, all may have something else at that time
                continue
            events += self._book(provider_id, visit, patient_id, "booked", at, at + step / 2)
        for visit in held:
            # A patient may have only one live hold.
            patient_id = next(one for one in self._unclaimed if self._is_free(one, visit))
            booking_id = self._add(provider_id, visit, patient_id, "reserved", self._now)
            events.append(_Event(self._now, "reserved", booking_id))
            self.claims.append((patient_id, provider_id, booking_id))
        return events

    def _add_shown_booking(self, provider_id: int, shifts: Sequence[Shift]) -> list[_Event]:
        """Add the visit for services of a patient who is shown."""
        patient_id, day = self._shown[provider_id]
        numbers = list(range(day * len(shifts) * SLOTS_A_SHIFT, (day + 1) * len(shifts) * SLOTS_A_SHIFT))
        self._random.shuffle(numbers)
        slots = (self._slot(shifts, number) for number in numbers)
        visits = (self._for_services(provider_id, shifts, slot, NOT_FOR_EVERYBODY) for slot in slots)
        visit = next((one for one in visits if one and self._is_free(patient_id, one)), None)
        if visit is None:  # on that day of the week it has nothing
            return []
        self._taken.update(range(visit.number, visit.number + visit.slots))
        if day < 0:
            return self._attend(provider_id, visit, patient_id, 4.5 if day == _SHOWN_DAYS[0][0] else None)
        at = self._now - timedelta(days=1)
        return [*self._book(provider_id, visit, patient_id, "booked", at, at + timedelta(minutes=2))]

    def _add_past_bookings(self, provider_id: int, shifts: Sequence[Shift]) -> list[_Event]:
        """Add fulfilled bookings, each of another patient, and their ratings."""
        random = self._random
        count = min(_RATINGS_MAX, 1 + int(random.expovariate(1 / (_RATINGS_MEAN - 0.5))), len(self._patients))
        slots_a_day = len(shifts) * SLOTS_A_SHIFT
        numbers = random.sample(range(-_OLDEST_DAYS * slots_a_day, (1 - _NEWEST_DAYS) * slots_a_day), count)
        usual = random.triangular(2.8, 5.2, 4.6)
        events: list[_Event] = []
        visits = self._visits_from(provider_id, shifts, numbers)
        for patient_id, visit in zip(random.sample(self._patients, count), visits, strict=False):
            if self._is_free(patient_id, visit):
                events += self._attend(provider_id, visit, patient_id, usual)
        return events

    def _attend(self, provider_id: int, visit: _Visit, patient_id: int, usual_stars: float | None) -> list[_Event]:
        """Add a fulfilled booking and, unless `usual_stars` is None, a rating."""
        random = self._random
        at = visit.starts_at - timedelta(minutes=random.uniform(60, _BOOKED_AHEAD_DAYS_MAX * 24 * 60))
        booking = self._book(provider_id, visit, patient_id, "fulfilled", at, at + timedelta(minutes=2))
        booking_id = booking[0].booking_id
        arrived_at = visit.starts_at - timedelta(minutes=random.uniform(1, 15))
        if usual_stars is not None:
            stars = min(5, max(1, round(random.gauss(usual_stars, 0.7))))
            rated_at = visit.ends_at + timedelta(minutes=random.uniform(10, 24 * 60))
            self.stars[provider_id].append(stars)
            self.ratings.append((provider_id, patient_id, booking_id, stars, rated_at))
            if (text := review(booking_id, stars)) is not None:
                self.reviews.append((provider_id, patient_id, text, rated_at))
        return [
            *booking,
            _Event(arrived_at, "arrived", booking_id, System("demo")),
            _Event(visit.ends_at, "fulfilled", booking_id, System("demo")),
        ]

    def _book(
        self, provider_id: int, visit: _Visit, patient_id: int, state: str, held_at: datetime, booked_at: datetime
    ) -> tuple[_Event, _Event]:
        booking_id = self._add(provider_id, visit, patient_id, state, held_at)
        fee_minor, funding = self._price(provider_id, visit)
        if funding == "online":
            ids, name = (provider_id, booking_id, booking_id), f"demo-{booking_id}"
            facts = (booked_at, "answer") * 2
            self.payments.append((*ids, name, fee_minor, "captured", booked_at, *facts))
        return _Event(held_at, "reserved", booking_id), _Event(booked_at, "booked", booking_id)

    def _price(self, provider_id: int, visit: _Visit) -> tuple[int, str]:
        """Return the fee in paise, and the funding, which all services of one provider have in common."""
        if visit.services:
            return sum(one.fee_minor for one in visit.services), visit.services[0].funding
        return self._directory.provider_clinics[provider_id, visit.shift.clinic_id]

    def _is_free(self, patient_id: int, visit: _Visit) -> bool:
        """Return whether nothing of a patient's overlaps a visit: nobody is in two places at one time."""
        return all(
            visit.ends_at <= other.starts_at or other.ends_at <= visit.starts_at for other in self._times[patient_id]
        )

    def _add(self, provider_id: int, visit: _Visit, patient_id: int, state: str, at: datetime) -> UUID:
        booking_id = UUID(int=self._random.getrandbits(128), version=4)
        fee_minor, funding = self._price(provider_id, visit)
        self._times[patient_id].append(visit)
        seat = self._random.randint(1, visit.shift.seats)
        self.bookings.append(
            (
                provider_id,
                booking_id,
                visit.shift.clinic_id,
                patient_id,
                Range(visit.starts_at, visit.ends_at),
                seat,
                1,
                state,
                at + _HOLD,
                fee_minor,
                funding,
                at,
                [one.service_id for one in visit.services] or None,
                self._directory.clinic_terms.get(visit.shift.clinic_id),
            )
        )
        return booking_id
