"""The demo's directory: made-up providers at made-up clinics in real cities, drawn from demo_facts.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from random import Random
from typing import Any

FACTS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("demo_facts.toml").read_text(encoding="utf-8"))

_LAB_SPECIALITIES = ("Pathology", "Radiology")
_MEDICAL_SPECIALITIES = tuple(name for name in FACTS["specialities"] if name not in _LAB_SPECIALITIES)
SLOTS_A_SHIFT = 36


@dataclass(frozen=True)
class Shift:
    """A shift that is the same every day of the week."""

    clinic_id: int
    starts: time
    slot_minutes: int
    seats: int
    slots_max: int

    @property
    def ends(self) -> time:
        """Return when the last slot ends, the same day."""
        minutes = self.starts.hour * 60 + self.starts.minute + SLOTS_A_SHIFT * self.slot_minutes
        return time(minutes // 60, minutes % 60)


@dataclass
class Directory:
    """Rows for COPY, in the order of the columns in demo_data.py.

    `provider_clinics`: fee and funding by provider and clinic; `shifts`: by provider.
    """

    clinics: list[tuple[object, ...]] = field(default_factory=list)
    providers: list[tuple[object, ...]] = field(default_factory=list)
    specialities: list[tuple[int, str]] = field(default_factory=list)
    lab_tests: list[tuple[int, str, int]] = field(default_factory=list)
    provider_clinics: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    shifts: dict[int, list[Shift]] = field(default_factory=dict)


def fake_phone(number: int) -> str:
    """Return a number that nobody has: in India no subscriber's number starts with 0, which dials out of an area."""
    return f"+910{number:09}"


def draw_person(random: Random, region: str) -> tuple[str, str, str]:
    """Draw a gender, a given and a family name that go together."""
    names = FACTS["names"][region]
    gender = random.choice(("female", "male"))
    return gender, random.choice(names[gender]), random.choice(names["family"])


def slug(name: str) -> str:
    """Return a name as used in addresses; enough for the plain names here."""
    return "-".join(re.findall("[a-z0-9]+", name.lower()))


class DirectoryMaker:
    """Fills a directory, city by city. `clinic_id` and `provider_id` are the last ids already in use."""

    def __init__(self, random: Random, clinic_id: int, provider_id: int) -> None:
        self.directory = Directory()
        self._random = random
        self._clinic_id = clinic_id
        self._provider_id = provider_id

    def add_city(self, city: dict[str, Any], city_id: int, providers: int) -> None:
        """Add one city's clinics and providers: four in five are doctors."""
        facilities = {"hospital": max(1, providers * 7 // 100), "clinic": max(1, providers * 7 // 100)}
        facilities["lab"] = max(1, providers * 6 // 100)
        clinics: list[tuple[int, str]] = []
        for kind, count in facilities.items():
            for number in range(1, count + 1):
                locality = self._random.choice(list(city["localities"]))
                clinic_id = self._add_clinic(city, city_id, kind, locality)
                self._add_facility(f"demo:{slug(city['name'])}:{kind}-{number}", kind, clinic_id, locality)
                if kind != "lab":
                    clinics.append((clinic_id, locality))
        for doctor in range(1, providers - sum(facilities.values()) + 1):
            # One in eight works at one clinic in the morning and at another in the evening; the first always does.
            at = self._random.sample(clinics, 2 if doctor == 1 or self._random.random() < 1 / 8 else 1)
            self._add_doctor(f"demo:{slug(city['name'])}:doctor-{doctor}", city, at)

    def _add_clinic(self, city: dict[str, Any], city_id: int, kind: str, locality: str) -> int:
        self._clinic_id += 1
        family = self._random.choice(FACTS["names"][city["region"]]["family"])
        suffix = {
            "hospital": ("Hospital", "Memorial Hospital", "Institute of Medical Sciences"),
            "clinic": ("Clinic", "Polyclinic", "Family Clinic"),
            "lab": ("Diagnostics", "Pathology Laboratory", "Scan Centre"),
        }[kind]
        latitude, longitude = (round(c + self._random.uniform(-0.05, 0.05), 6) for c in city["position"])
        self.directory.clinics.append(
            (
                self._clinic_id,
                f"demo:{self._clinic_id}",
                city_id,
                f"{family} {self._random.choice(suffix)}",
                f"{self._random.randint(1, 200)}, Main Road, {locality}, {city['name']}",
                city["localities"][locality],
                fake_phone(self._clinic_id),
                latitude,
                longitude,
            )
        )
        return self._clinic_id

    def _add_facility(self, identifier: str, kind: str, clinic_id: int, locality: str) -> None:
        name = str(self.directory.clinics[-1][3])
        bio = {
            "hospital": f"Outpatient department for all specialities, in {locality}.",
            "clinic": f"Neighbourhood clinic in {locality}; no referral needed.",
            "lab": f"Blood tests and imaging in {locality}, reports the same day.",
        }[kind]
        pool = _LAB_SPECIALITIES if kind == "lab" else _MEDICAL_SPECIALITIES
        specialities = self._random.sample(pool, 2 if kind == "lab" else 4)
        provider_id = self._add_provider(
            identifier, kind, ("", "", "", name, None), bio, specialities, ["English", "Hindi"]
        )
        self._add_provider_clinic(provider_id, clinic_id, specialities[0])
        slot_minutes, seats = {"hospital": (10, 2), "clinic": (5, 1), "lab": (10, 4)}[kind]
        if kind == "lab":
            self._add_lab_tests(provider_id)
        evening = time(14) if slot_minutes == 10 else time(17)
        self._add_shifts(provider_id, [(clinic_id, time(7)), (clinic_id, evening)], slot_minutes, seats)

    def _add_doctor(self, identifier: str, city: dict[str, Any], at: Sequence[tuple[int, str]]) -> None:
        gender, given, family = draw_person(self._random, city["region"])
        specialities = [self._random.choice(_MEDICAL_SPECIALITIES)]
        if self._random.random() < 0.2:
            specialities = list(dict.fromkeys([*specialities, "General Medicine"]))
        names = ("Dr", given, family, f"Dr {given} {family}", gender)
        bio = f"{specialities[0]}, in {' and '.join(dict.fromkeys(locality for _, locality in at))}, {city['name']}."
        known = FACTS["names"][city["region"]]["languages"]
        languages = self._random.sample(known, self._random.randint(2, len(known)))
        provider_id = self._add_provider(identifier, "doctor", names, bio, specialities, languages)
        for clinic_id, _ in at:
            self._add_provider_clinic(provider_id, clinic_id, specialities[0])
        morning = time(self._random.choice((8, 9, 10)), self._random.choice((0, 30)))
        evening = time(self._random.choice((15, 16, 17)), self._random.choice((0, 30)))
        self._add_shifts(provider_id, [(at[0][0], morning), (at[-1][0], evening)], 5, 1)

    def _add_provider(
        self,
        identifier: str,
        kind: str,
        names: tuple[str, str, str, str, str | None],
        bio: str,
        specialities: Sequence[str],
        languages: Sequence[str],
    ) -> int:
        self._provider_id += 1
        self.directory.providers.append(
            (
                self._provider_id,
                identifier,
                kind,
                *names,
                bio,
                f"provider-{self._provider_id}@example.com",
                fake_phone(500_000_000 + self._provider_id),
                languages,
                self._random.randint(1980, 2023),
                self._random.choice((30, 60, 60, 90)),
            )
        )
        self.directory.specialities += [(self._provider_id, slug(name)) for name in specialities]
        return self._provider_id

    def _add_provider_clinic(self, provider_id: int, clinic_id: int, speciality: str) -> None:
        low, high = FACTS["specialities"][speciality]
        funding = self._random.choices(("online", "clinic", "free"), (70, 25, 5))[0]
        fee_minor = 0 if funding == "free" else self._random.randrange(low, high + 1, 50) * 100
        self.directory.provider_clinics[provider_id, clinic_id] = (fee_minor, funding)

    def _add_lab_tests(self, provider_id: int) -> None:
        tests = FACTS["lab_tests"]
        for name in self._random.sample(list(tests), self._random.randint(len(tests) // 2, len(tests))):
            low, high = tests[name]
            self.directory.lab_tests.append((provider_id, slug(name), self._random.randrange(low, high + 1, 10) * 100))

    def _add_shifts(self, provider_id: int, starts: Sequence[tuple[int, time]], slot_minutes: int, seats: int) -> None:
        slots_max = 1 if seats > 1 else 3
        self.directory.shifts[provider_id] = [
            Shift(clinic_id, start, slot_minutes, seats, slots_max) for clinic_id, start in starts
        ]
