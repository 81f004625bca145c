"""The demo's directory: made-up providers at made-up clinics in real cities, drawn from demo_facts.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from itertools import cycle
from random import Random
from typing import Any

from healthplus.ops.demo_facts import FACTS, GST_STATE, draw_person, fake_gstin, fake_phone, slug
from healthplus.ops.demo_profiles import facilities_of
from healthplus.ops.demo_services import Service, ServiceMaker, drawn_rupees

_LAB_SPECIALITIES = tuple(FACTS["tests"])
_MEDICAL_SPECIALITIES = tuple(name for name in FACTS["specialities"] if name not in _LAB_SPECIALITIES)
_FROM_LOCALITY_DEGREES = 0.003  # a clinic's latitude and longitude from those of its locality: some 300 m at most
_WITHOUT_SERVICES = 0.1  # of the doctors, clinics and hospitals: there one books a visit, for its fee
_FUNDINGS = {"online": 70, "clinic": 25, "free": 5}
_LAB_FUNDINGS = {"online": 75, "clinic": 25}
SHOWN_DOCTORS = 2
"""The first doctors of each city have no services, and are paid online: in their books the demo shows how to hold a
time, to pay and to wait."""
_DENTIST_IN = "Kothrud"
"""Where the first city's next doctor is a dentist, and does all that dentists do: `root canal kothrud` finds one."""
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

    `provider_clinics`: fee and funding by provider and clinic; `shifts` and `services`: by provider;
    `clinic_kinds`: hospital, clinic or lab, by clinic; `clinic_terms`: by clinic, of those that have any.
    """

    clinics: list[tuple[object, ...]] = field(default_factory=list)
    providers: list[tuple[Any, ...]] = field(default_factory=list)
    specialities: list[tuple[int, str]] = field(default_factory=list)
    clinic_kinds: dict[int, str] = field(default_factory=dict)
    clinic_terms: dict[int, int] = field(default_factory=dict)
    services: dict[int, list[Service]] = field(default_factory=dict)
    provider_clinics: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    shifts: dict[int, list[Shift]] = field(default_factory=dict)


class DirectoryMaker:
    """Fills a directory, city by city.

    `clinic_id`, `provider_id` and `service_id` are the last ids already in use; `terms_ids` are what clinics may have.
    """

    def __init__(
        self, random: Random, *, clinic_id: int, provider_id: int, service_id: int, terms_ids: Sequence[int]
    ) -> None:
        self.directory = Directory()
        self._random = random
        self._clinic_id = clinic_id
        self._provider_id = provider_id
        self._terms_ids = terms_ids
        self._services = ServiceMaker(random, service_id)

    def add_city(self, city: dict[str, Any], city_id: int, providers: int) -> None:
        """Add one city's clinics and providers: four in five are doctors."""
        is_first = not self.directory.providers
        facilities = {"hospital": max(1, providers * 7 // 100), "clinic": max(1, providers * 7 // 100)}
        facilities["lab"] = max(1, providers * 6 // 100)
        clinics: list[tuple[int, str]] = []
        localities = cycle(self._random.sample(list(city["localities"]), len(city["localities"])))
        for kind, count in facilities.items():
            for number in range(1, count + 1):
                locality = next(localities)
                terms_id = self._terms_ids[number // 4 % len(self._terms_ids)] if number % 4 == 2 else None
                clinic_id = self._add_clinic(city, city_id, kind, locality, terms_id)
                self._add_facility(f"demo:{slug(city['name'])}:{kind}-{number}", kind, clinic_id)
                if kind != "lab":
                    clinics.append((clinic_id, locality))
        for doctor in range(1, providers - sum(facilities.values()) + 1):
            # One in eight works at one clinic in the morning and at another in the evening; the first always does.
            at = self._random.sample(clinics, 2 if doctor == 1 or self._random.random() < 1 / 8 else 1)
            is_shown = doctor <= SHOWN_DOCTORS
            self._add_doctor(
                f"demo:{slug(city['name'])}:doctor-{doctor}",
                city,
                at,
                offers_services=not is_shown and self._random.random() >= _WITHOUT_SERVICES,
                fundings={"online": 1} if is_shown else _FUNDINGS,
            )
            if is_first and doctor == SHOWN_DOCTORS + 1:
                self._make_dentist(next((one for one in clinics if one[1] == _DENTIST_IN), clinics[0])[0])

    def _add_clinic(self, city: dict[str, Any], city_id: int, kind: str, locality: str, terms_id: int | None) -> int:
        self._clinic_id += 1
        if terms_id is not None:
            self.directory.clinic_terms[self._clinic_id] = terms_id
        family = self._random.choice(FACTS["names"][city["region"]]["family"])
        suffix = {
            "hospital": ("Hospital", "Memorial Hospital", "Institute of Medical Sciences"),
            "clinic": ("Clinic", "Polyclinic", "Family Clinic"),
            "lab": ("Diagnostics", "Pathology Laboratory", "Scan Centre"),
        }[kind]
        where = city["localities"][locality]
        latitude, longitude = (
            round(degrees + self._random.uniform(-_FROM_LOCALITY_DEGREES, _FROM_LOCALITY_DEGREES), 6)
            for degrees in where["position"]
        )
        self.directory.clinic_kinds[self._clinic_id] = kind
        self.directory.clinics.append(
            (
                self._clinic_id,
                f"demo:{self._clinic_id}",
                city_id,
                f"{family} {self._random.choice(suffix)}",
                f"{self._random.randint(1, 200)}, Main Road, {locality}, {city['name']}",
                where["pin"],
                fake_phone(self._clinic_id),
                latitude,
                longitude,
                terms_id,
                fake_gstin(self._clinic_id) if kind == "hospital" and city["state"] == GST_STATE else None,
                facilities_of(f"demo:{self._clinic_id}", kind),
            )
        )
        return self._clinic_id

    def _add_facility(self, identifier: str, kind: str, clinic_id: int) -> None:
        name = str(self.directory.clinics[-1][3])
        pool = _LAB_SPECIALITIES if kind == "lab" else _MEDICAL_SPECIALITIES
        specialities = self._random.sample(pool, 2 if kind == "lab" else 4)
        provider_id = self._add_provider(identifier, kind, ("", "", "", name, None), specialities, ["English", "Hindi"])
        slot_minutes, seats = {"hospital": (10, 2), "clinic": (5, 1), "lab": (10, 4)}[kind]
        offered_for = specialities if kind == "lab" or self._random.random() >= _WITHOUT_SERVICES else []
        fundings = _LAB_FUNDINGS if kind == "lab" else _FUNDINGS
        self._add_prices(
            kind, provider_id, [clinic_id], specialities[0], offered_for, fundings, slot_minutes=slot_minutes
        )
        evening = time(14) if slot_minutes == 10 else time(17)
        self._add_shifts(provider_id, [(clinic_id, time(7)), (clinic_id, evening)], slot_minutes, seats)

    def _add_doctor(
        self,
        identifier: str,
        city: dict[str, Any],
        at: Sequence[tuple[int, str]],
        *,
        offers_services: bool,
        fundings: Mapping[str, int],
    ) -> None:
        gender, given, family = draw_person(self._random, city["region"])
        specialities = [self._random.choice(_MEDICAL_SPECIALITIES)]
        if self._random.random() < 0.2:
            specialities = list(dict.fromkeys([*specialities, "General Medicine"]))
        names = ("Dr", given, family, f"Dr {given} {family}", gender)
        known = FACTS["names"][city["region"]]["languages"]
        languages = self._random.sample(known, self._random.randint(2, len(known)))
        provider_id = self._add_provider(identifier, "doctor", names, specialities, languages)
        clinic_ids = [clinic_id for clinic_id, _ in at]
        offered_for = specialities if offers_services else []
        self._add_prices("doctor", provider_id, clinic_ids, specialities[0], offered_for, fundings, slot_minutes=5)
        morning = time(self._random.choice((8, 9, 10)), self._random.choice((0, 30)))
        evening = time(self._random.choice((15, 16, 17)), self._random.choice((0, 30)))
        self._add_shifts(provider_id, [(at[0][0], morning), (at[-1][0], evening)], 5, 1)

    def _make_dentist(self, clinic_id: int) -> None:
        """Make a dentist of the doctor added last, at this clinic; after all draws for it, so that others stay."""
        directory, provider_id = self.directory, self._provider_id
        directory.specialities = [one for one in directory.specialities if one[0] != provider_id]
        directory.specialities.append((provider_id, "dentistry"))
        fees = directory.provider_clinics
        for former in [one for one in fees if one[0] == provider_id]:
            del fees[former]
        fees[provider_id, clinic_id] = (drawn_rupees(FACTS["specialities"]["Dentistry"], 0.5) * 100, "online")
        directory.shifts[provider_id] = [replace(one, clinic_id=clinic_id) for one in directory.shifts[provider_id]]
        offered = FACTS["services"]["Dentistry"].items()
        directory.services[provider_id] = self._services.make(
            "doctor", provider_id, [clinic_id], offered, slot_minutes=5, level=0.5, funding="online"
        )

    def _add_provider(
        self,
        identifier: str,
        kind: str,
        names: tuple[str, str, str, str, str | None],
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
                f"provider-{self._provider_id}@example.com",
                fake_phone(500_000_000 + self._provider_id),
                languages,
                self._random.randint(1980, 2023),
                self._random.choice((30, 60, 60, 90)),
            )
        )
        self.directory.specialities += [(self._provider_id, slug(name)) for name in specialities]
        return self._provider_id

    def _add_prices(
        self,
        kind: str,
        provider_id: int,
        clinic_ids: Sequence[int],
        speciality: str,
        offered_for: Sequence[str],
        fundings: Mapping[str, int],
        *,
        slot_minutes: int,
    ) -> None:
        """Add the fee of a visit at each clinic, and services of specialities; a dear provider is dear throughout.

        `fundings`: how often a clinic has which.
        """
        level = self._random.random()
        for clinic_id in clinic_ids:
            funding = self._random.choices(list(fundings), list(fundings.values()))[0]
            rupees = drawn_rupees(FACTS["specialities"][speciality], level + self._random.uniform(-0.1, 0.1))
            fee_minor = 0 if funding == "free" else rupees * 100
            self.directory.provider_clinics[provider_id, clinic_id] = (fee_minor, funding)
        self.directory.services[provider_id] = self._services.services_of(
            kind,
            provider_id,
            clinic_ids,
            offered_for,
            slot_minutes=slot_minutes,
            level=level,
            funding=self.directory.provider_clinics[provider_id, clinic_ids[0]][1],
        )

    def _add_shifts(self, provider_id: int, starts: Sequence[tuple[int, time]], slot_minutes: int, seats: int) -> None:
        slots_max = 1 if seats > 1 else 3
        self.directory.shifts[provider_id] = [
            Shift(clinic_id, start, slot_minutes, seats, slots_max) for clinic_id, start in starts
        ]
