"""What the demo's doctors and places say of themselves, and what patients say of them; all made up."""

from __future__ import annotations

from random import Random
from typing import NamedTuple
from uuid import UUID

from healthplus.ops.demo_facts import FACTS, slug
from healthplus.ops.demo_portraits import OF_MEN, OF_WOMEN

_WITH_PORTRAIT = 0.6  # of the doctors: the others are shown by their initials
_WITH_COLLEGE = 0.7
_WITH_TEXT = 0.85
_FOCUS = {slug(name): text for name, text in FACTS["about"]["focus"].items()}
_CITIES = [city["name"] for city in FACTS["cities"]]
_DEGREES = {slug(name): degrees for name, degrees in FACTS["qualifications"].items()}
_STATES = {slug(city["name"]): city["state"] for city in FACTS["cities"]}


class Profile(NamedTuple):
    """What a profile says of a provider; `portrait` is the number of one of demo_portraits.py, or None."""

    qualifications: str
    registration: str
    council: str
    training: str
    bio: str
    portrait: int | None


def profile(identifier: str, kind: str, gender: str | None, speciality: str, practising_since: int) -> Profile:
    """Return a provider's profile: the same for the same identifier. Places have no degrees."""
    random = Random(identifier)  # noqa: S311 - not for secrets
    about = FACTS["about"]
    if kind != "doctor":
        return Profile("", "", "", "", random.choice(about[kind]), None)
    state = _STATES[identifier.split(":")[1]]
    qualifications = random.choice(_DEGREES[speciality])
    number = f"{practising_since}/{random.randint(1000, 99999):05}"
    portrait = random.choice(OF_WOMEN if gender == "female" else OF_MEN) if random.random() < _WITH_PORTRAIT else None
    bio = " ".join((_FOCUS[speciality], random.choice(about["manner"]), random.choice(about["practical"])))
    kind_of_college = "Dental" if qualifications.startswith("BDS") else "Medical"
    college = f"Government {kind_of_college} College, {random.choice(_CITIES)}"
    is_known = random.random() < _WITH_COLLEGE and qualifications.startswith(("MBBS", "BDS"))
    return Profile(
        qualifications,
        *_registered(qualifications, state, number),
        college if is_known else "",
        bio if random.random() < _WITH_TEXT else "",
        portrait,
    )


def facilities_of(identifier: str, kind: str) -> list[str]:
    """Return what patients find at a clinic: the same for the same identifier. Some clinics say nothing."""
    random = Random(identifier)  # noqa: S311 - not for secrets
    pool: list[str] = FACTS["facilities"][kind]
    count = random.randint(0 if kind == "clinic" else 3, len(pool) - 1)
    chosen = set(random.sample(pool, count))
    return [one for one in pool if one in chosen]


def _registered(qualifications: str, state: str, number: str) -> tuple[str, str]:
    """Return a number and the council that keeps the register; not all who treat are on one."""
    if qualifications.startswith("MBBS"):
        return number, f"{state} Medical Council"
    if qualifications.startswith("BDS"):
        return number, f"{state} State Dental Council"
    return "", ""


def review(booking_id: UUID, stars: int) -> str | None:
    """Return what the patient of a booking wrote beside their stars: every second wrote something."""
    texts: list[str] = FACTS["reviews"][str(stars)]
    return None if booking_id.int % 2 else texts[booking_id.int // 2 % len(texts)]
