"""Degrees, registrations and portraits of the demo's doctors, and what patients say of them; all made up."""

from __future__ import annotations

from random import Random
from typing import NamedTuple
from uuid import UUID

from healthplus.ops.demo_facts import FACTS, slug
from healthplus.ops.demo_portraits import OF_MEN, OF_WOMEN

_WITH_PORTRAIT = 0.6  # of the doctors: the others are shown by their initials
_DEGREES = {slug(name): degrees for name, degrees in FACTS["qualifications"].items()}
_STATES = {slug(city["name"]): city["state"] for city in FACTS["cities"]}


class Profile(NamedTuple):
    """What a profile says of a provider; `portrait` is the number of one of demo_portraits.py, or None."""

    qualifications: str
    registration: str
    council: str
    portrait: int | None


def profile(identifier: str, kind: str, gender: str | None, speciality: str, practising_since: int) -> Profile:
    """Return a provider's profile: the same for the same identifier. Places have no degrees."""
    if kind != "doctor":
        return Profile("", "", "", None)
    random = Random(identifier)  # noqa: S311 - not for secrets
    state = _STATES[identifier.split(":")[1]]
    return Profile(
        random.choice(_DEGREES[speciality]),
        f"{practising_since}/{random.randint(1000, 99999):05}",
        f"{state} Medical Council",
        random.choice(OF_WOMEN if gender == "female" else OF_MEN) if random.random() < _WITH_PORTRAIT else None,
    )


def review(booking_id: UUID, stars: int) -> str | None:
    """Return what the patient of a booking wrote beside their stars: every second wrote something."""
    texts: list[str] = FACTS["reviews"][str(stars)]
    return None if booking_id.int % 2 else texts[booking_id.int // 2 % len(texts)]
