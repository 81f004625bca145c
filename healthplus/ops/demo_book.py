"""The demo's bookings: future bookings and live holds, and past bookings with their ratings.

They are rows for COPY, including everything else that the verbs would have written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from healthplus.accounts.actors import System
from healthplus.database import Range
from healthplus.ops.demo_directory import SLOTS_A_SHIFT, Directory, Shift

_TIME_ZONE = ZoneInfo("Asia/Kolkata")
_HOLD = timedelta(seconds=305)
_LEAD = timedelta(minutes=10)  # the clinics' lead_minutes: slots that start sooner cannot be booked
_PROVIDERS_BOOKED = 0.1  # the rest have no future bookings
_SLOTS_BOOKED = 0.15
_DAYS = 4

_PROVIDERS_RATED = 0.7
_RATINGS_MEAN, _RATINGS_MAX = 4, 40  # of a provider who is rated
_OLDEST_DAYS, _NEWEST_DAYS = 180, 2  # how long ago past bookings took place; they are rated within a day or so
_BOOKED_AHEAD_DAYS_MAX = 20
BOOKING_AGE_MAX = timedelta(days=_OLDEST_DAYS + _BOOKED_AHEAD_DAYS_MAX + 1)


class _Slot(NamedTuple):
    starts_at: datetime
    shift: Shift

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.shift.slot_minutes)


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
        self._random = random
        self._directory = directory
        self._patients = patients
        self._unclaimed = iter(patients)
        self._times: dict[int, list[_Slot]] = {patient_id: [] for patient_id in patients}
        self._now = now
        self._today = datetime.combine(now.astimezone(_TIME_ZONE).date(), datetime.min.time(), _TIME_ZONE)

    def fill_books(self, nearly_full_id: int) -> None:
        """Fill the providers' books: some have past bookings, some future ones, and one has hardly a slot left."""
        for provider_id, shifts in self._directory.shifts.items():
            events = self._add_past_bookings(provider_id, shifts) if self._random.random() < _PROVIDERS_RATED else []
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
        """Book some slots, and at some providers have one more held."""
        slots = [slot for slot in self._slots_ahead(shifts) if self._random.random() < _SLOTS_BOOKED]
        held = slots[:1] if self._random.random() < 0.05 else []
        return self._write(provider_id, slots[len(held) :], held)

    def _fill(self, provider_id: int, shifts: Sequence[Shift]) -> list[_Event]:
        """Book all slots but four, and have three of these held."""
        slots = self._slots_ahead(shifts)
        spared = self._random.sample(range(len(slots)), 4)
        booked = [slot for index, slot in enumerate(slots) if index not in spared]
        return self._write(provider_id, booked, [slots[index] for index in spared[:3]])

    def _slots_ahead(self, shifts: Sequence[Shift]) -> list[_Slot]:
        slots = (self._slot(shifts, number) for number in range(_DAYS * len(shifts) * SLOTS_A_SHIFT))
        return [slot for slot in slots if slot.starts_at > self._now + _LEAD]

    def _slot(self, shifts: Sequence[Shift], number: int) -> _Slot:
        """Return a slot by its number: 0 is today's first, negative ones are before today."""
        day, in_day = divmod(number, len(shifts) * SLOTS_A_SHIFT)
        shift = shifts[in_day // SLOTS_A_SHIFT]
        minutes = shift.starts.hour * 60 + shift.starts.minute + in_day % SLOTS_A_SHIFT * shift.slot_minutes
        return _Slot(self._today + timedelta(days=day, minutes=minutes), shift)

    def _write(self, provider_id: int, booked: Sequence[_Slot], held: Sequence[_Slot]) -> list[_Event]:
        # The bookings were made one after another in the last two days, then the holds, just now.
        step = timedelta(days=2) / (len(booked) + 1)
        events: list[_Event] = []
        for number, slot in enumerate(booked):
            at = self._now - step * (len(booked) - number)
            patient_id = self._random.choice(self._patients)
            while not self._is_free(patient_id, slot):
                patient_id = self._random.choice(self._patients)
            events += self._book(provider_id, slot, patient_id, "booked", at, at + step / 2)
        for slot in held:
            # A patient may have only one live hold.
            patient_id = next(one for one in self._unclaimed if self._is_free(one, slot))
            booking_id = self._add(provider_id, slot, patient_id, "reserved", self._now)
            events.append(_Event(self._now, "reserved", booking_id))
            self.claims.append((patient_id, provider_id, booking_id))
        return events

    def _add_past_bookings(self, provider_id: int, shifts: Sequence[Shift]) -> list[_Event]:
        """Add fulfilled bookings, each of another patient, and their ratings."""
        random = self._random
        count = min(_RATINGS_MAX, 1 + int(random.expovariate(1 / (_RATINGS_MEAN - 0.5))), len(self._patients))
        slots_a_day = len(shifts) * SLOTS_A_SHIFT
        numbers = random.sample(range(-_OLDEST_DAYS * slots_a_day, (1 - _NEWEST_DAYS) * slots_a_day), count)
        usual = random.triangular(2.8, 5.2, 4.6)
        events: list[_Event] = []
        for patient_id, number in zip(random.sample(self._patients, count), numbers, strict=True):
            slot = self._slot(shifts, number)
            if not self._is_free(patient_id, slot):
                continue
            ends_at = slot.ends_at
            at = slot.starts_at - timedelta(minutes=random.uniform(60, _BOOKED_AHEAD_DAYS_MAX * 24 * 60))
            booking = self._book(provider_id, slot, patient_id, "fulfilled", at, at + timedelta(minutes=2))
            booking_id = booking[0].booking_id
            arrived_at = slot.starts_at - timedelta(minutes=random.uniform(1, 15))
            events += (
                *booking,
                _Event(arrived_at, "arrived", booking_id, System("demo")),
                _Event(ends_at, "fulfilled", booking_id, System("demo")),
            )
            stars = min(5, max(1, round(random.gauss(usual, 0.7))))
            rated_at = ends_at + timedelta(minutes=random.uniform(10, 24 * 60))
            self.ratings.append((provider_id, patient_id, booking_id, stars, rated_at))
        return events

    def _book(
        self, provider_id: int, slot: _Slot, patient_id: int, state: str, held_at: datetime, booked_at: datetime
    ) -> tuple[_Event, _Event]:
        booking_id = self._add(provider_id, slot, patient_id, state, held_at)
        fee_minor, funding = self._directory.provider_clinics[provider_id, slot.shift.clinic_id]
        if funding == "online":
            ids, name = (provider_id, booking_id, booking_id), f"demo-{booking_id}"
            facts = (booked_at, "answer") * 2
            self.payments.append((*ids, name, fee_minor, "captured", booked_at, *facts))
        return _Event(held_at, "reserved", booking_id), _Event(booked_at, "booked", booking_id)

    def _is_free(self, patient_id: int, slot: _Slot) -> bool:
        """Return whether nothing of a patient's overlaps a slot: nobody is in two places at one time."""
        return all(
            slot.ends_at <= other.starts_at or other.ends_at <= slot.starts_at for other in self._times[patient_id]
        )

    def _add(self, provider_id: int, slot: _Slot, patient_id: int, state: str, at: datetime) -> UUID:
        booking_id = UUID(int=self._random.getrandbits(128), version=4)
        fee_minor, funding = self._directory.provider_clinics[provider_id, slot.shift.clinic_id]
        self._times[patient_id].append(slot)
        seat = self._random.randint(1, slot.shift.seats)
        self.bookings.append(
            (
                provider_id,
                booking_id,
                slot.shift.clinic_id,
                patient_id,
                Range(slot.starts_at, slot.ends_at),
                seat,
                1,
                state,
                at + _HOLD,
                fee_minor,
                funding,
                at,
            )
        )
        return booking_id
