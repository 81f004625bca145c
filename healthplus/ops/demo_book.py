"""Bookings and live holds on the demo providers' slots, with all that a verb would have written beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from healthplus.database import Range
from healthplus.ops.demo_directory import SLOTS_A_SHIFT, Directory, Shift

_TIME_ZONE = ZoneInfo("Asia/Kolkata")
_HOLD = timedelta(seconds=305)
_LEAD = timedelta(minutes=10)  # the clinics' lead_minutes: what starts sooner cannot be had any more
_PROVIDERS_BOOKED = 0.1  # the rest have an empty book
_SLOTS_BOOKED = 0.15
_DAYS = 4


class _Slot(NamedTuple):
    starts_at: datetime
    shift: Shift


class BookMaker:
    """Rows for COPY, in the order of the columns in demo_data.py."""

    def __init__(self, random: Random, directory: Directory, patients: Sequence[int], now: datetime) -> None:
        self.bookings: list[tuple[object, ...]] = []
        self.events: list[tuple[object, ...]] = []
        self.payments: list[tuple[object, ...]] = []
        self.claims: list[tuple[object, ...]] = []
        self._random = random
        self._directory = directory
        self._patients = patients
        self._unclaimed = iter(patients)
        self._now = now

    def book_some(self, except_id: int) -> None:
        """Book some slots of some providers, and let a few of them have a live hold."""
        for provider_id, shifts in self._directory.shifts.items():
            if provider_id == except_id or self._random.random() > _PROVIDERS_BOOKED:
                continue
            slots = [slot for slot in self._slots(shifts) if self._random.random() < _SLOTS_BOOKED]
            held = slots[:1] if self._random.random() < 0.05 else []
            self._write(provider_id, slots[len(held) :], held)

    def fill(self, provider_id: int) -> None:
        """Leave a provider four slots that are not booked, and three of these held."""
        slots = self._slots(self._directory.shifts[provider_id])
        spared = self._random.sample(range(len(slots)), 4)
        booked = [slot for index, slot in enumerate(slots) if index not in spared]
        self._write(provider_id, booked, [slots[index] for index in spared[:3]])

    def _slots(self, shifts: Sequence[Shift]) -> list[_Slot]:
        today = self._now.astimezone(_TIME_ZONE).date()
        starts = (
            _Slot(
                datetime.combine(today + timedelta(days=day), shift.starts, _TIME_ZONE)
                + timedelta(minutes=number * shift.slot_minutes),
                shift,
            )
            for day in range(_DAYS)
            for shift in shifts
            for number in range(SLOTS_A_SHIFT)
        )
        return [slot for slot in starts if slot.starts_at > self._now + _LEAD]

    def _write(self, provider_id: int, booked: Sequence[_Slot], held: Sequence[_Slot]) -> None:
        # Booked one after another in the last two days, then the holds, just now: an event's number follows its time.
        step = timedelta(days=2) / (len(booked) + 1)
        seq = 0
        for number, slot in enumerate(booked):
            at = self._now - step * (len(booked) - number)
            booking_id = self._add(provider_id, slot, self._random.choice(self._patients), "booked", at)
            for kind, event_at in (("reserved", at), ("booked", at + step / 2)):
                seq += 1
                self.events.append((provider_id, seq, event_at, kind, booking_id, "patient"))
            fee_paise, funding = self._directory.posts[provider_id, slot.shift.clinic_id]
            if funding == "online":
                name = f"demo-{booking_id}"
                self.payments.append((provider_id, booking_id, booking_id, name, fee_paise, "captured", at + step / 2))
        for slot in held:
            # A patient may have one live hold.
            patient_id = next(self._unclaimed)
            booking_id = self._add(provider_id, slot, patient_id, "reserved", self._now)
            seq += 1
            self.events.append((provider_id, seq, self._now, "reserved", booking_id, "patient"))
            self.claims.append((patient_id, provider_id, booking_id))

    def _add(self, provider_id: int, slot: _Slot, patient_id: int, state: str, at: datetime) -> UUID:
        booking_id = UUID(int=self._random.getrandbits(128), version=4)
        fee_paise, funding = self._directory.posts[provider_id, slot.shift.clinic_id]
        ends_at = slot.starts_at + timedelta(minutes=slot.shift.slot_minutes)
        seat = self._random.randint(1, slot.shift.seats)
        self.bookings.append(
            (
                provider_id,
                booking_id,
                slot.shift.clinic_id,
                patient_id,
                Range(slot.starts_at, ends_at),
                seat,
                1,
                state,
                at + _HOLD,
                fee_paise,
                funding,
                at,
            )
        )
        return booking_id
