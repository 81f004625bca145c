"""What the demo's providers offer: services and lab tests, drawn from demo_facts.toml."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from healthplus.names import service_slug
from healthplus.ops.demo_facts import FACTS

_EVERY_DAY = range(1, 8)
_TESTS_A_LAB = 20
_STARTS_EVERY_MINUTES_MAX = 30  # longer visits start every half an hour
_FIRST_CLINIC_ONLY_MINUTES = 30  # a doctor does what takes as long as this where the equipment is
_ROUNDED_TO_RUPEES = 50


class Service(NamedTuple):
    """A row of directory.service in the order of the columns in demo_data.py, but with `type_slug` for its type."""

    service_id: int
    provider_id: int
    clinic_id: int | None
    type_slug: str
    length_minutes: int
    buffer_minutes: int
    starts_every: int
    weekdays: int
    allows_more_a_day: bool
    fee_minor: int
    funding: str


TESTS: dict[str, Mapping[str, Any]] = {name: test for tests in FACTS["tests"].values() for name, test in tests.items()}

SERVICE_TYPES = [
    *((service_slug(name), name, False) for services in FACTS["services"].values() for name in services),
    *((service_slug(name), name, True) for name in TESTS),
]
"""Slug, name, and whether it is a test."""

PREPARATIONS = {service_slug(name): test["preparation"] for name, test in TESTS.items() if "preparation" in test}
"""What is to be done before a test, by its slug."""

TEST_SLUGS = frozenset(service_slug(name) for name in TESTS)

NOT_FOR_EVERYBODY = frozenset(
    service_slug(name)
    for names in (
        FACTS["not_for_everybody"]["services"],
        *(FACTS["services"][speciality] for speciality in FACTS["not_for_everybody"]["specialities"]),
    )
    for name in names
)
"""Slugs of what would be odd among the visits of a patient of any age and gender."""


def drawn_rupees(usual: Sequence[int], level: float, step: int = _ROUNDED_TO_RUPEES) -> int:
    """Return a price from the lowest usual one (`level` 0) to the highest (1), in full steps."""
    low, high = usual
    return min(high, max(low, round((low + level * (high - low)) / step) * step))


class ServiceMaker:
    """Makes the services of one provider after another. `service_id` is the last id already in use."""

    def __init__(self, random: Random, service_id: int) -> None:
        self._random = random
        self._service_id = service_id

    def services_of(
        self,
        kind: str,
        provider_id: int,
        clinic_ids: Sequence[int],
        specialities: Sequence[str],
        *,
        slot_minutes: int,
        level: float,
        funding: str,
    ) -> list[Service]:
        """Return what a provider offers; `level`: how dear it is, from 0 to 1; `funding`: of its visits."""
        if kind == "lab":
            # As they stand in the facts, so that every lab lists them in the same order.
            chosen = sorted(self._random.sample(range(len(TESTS)), _TESTS_A_LAB))
            offered = [list(TESTS.items())[number] for number in chosen]
        else:
            offered = [one for name in specialities for one in self._of_speciality(kind, name)]
        return self.make(
            kind, provider_id, clinic_ids, offered, slot_minutes=slot_minutes, level=level, funding=funding
        )

    def make(
        self,
        kind: str,
        provider_id: int,
        clinic_ids: Sequence[int],
        offered: Iterable[tuple[str, Mapping[str, Any]]],
        *,
        slot_minutes: int,
        level: float,
        funding: str,
    ) -> list[Service]:
        """Return services out of their names and facts, as `services_of` does."""
        step = 10 if kind == "lab" else _ROUNDED_TO_RUPEES
        made = []
        for name, fact in offered:
            self._service_id += 1
            is_first_only = len(clinic_ids) > 1 and fact["minutes"] >= _FIRST_CLINIC_ONLY_MINUTES
            fee_minor = 0 if funding == "free" else drawn_rupees(fact["rupees"], level, step) * 100
            every = min(fact["minutes"] + fact.get("buffer", 0), _STARTS_EVERY_MINUTES_MAX)
            made.append(
                Service(
                    service_id=self._service_id,
                    provider_id=provider_id,
                    clinic_id=clinic_ids[0] if is_first_only else None,
                    type_slug=service_slug(name),
                    length_minutes=fact["minutes"],
                    buffer_minutes=fact.get("buffer", 0),
                    starts_every=1 if kind == "lab" else math.ceil(every / slot_minutes),
                    weekdays=sum(1 << weekday - 1 for weekday in fact.get("weekdays", _EVERY_DAY)),
                    allows_more_a_day=fact.get("again", False),
                    fee_minor=fee_minor,
                    funding="clinic" if funding == "online" and fee_minor == 0 else funding,
                )
            )
        return made

    def _of_speciality(self, kind: str, speciality: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Return the first service of a speciality, some others, and in a hospital all that is done only there."""
        services = FACTS["services"][speciality]
        first, *others = (name for name, fact in services.items() if not fact.get("hospital"))
        kept = self._random.randint(1, 2) if kind in ("hospital", "clinic") else self._random.randint(2, len(others))
        chosen = {first, *self._random.sample(others, min(kept, len(others)))}
        for name, fact in services.items():
            if name in chosen or (kind == "hospital" and fact.get("hospital")):
                yield name, fact
