"""Which cities a file's clinics are in, and their addresses in URLs."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from healthplus import text
from healthplus.imports.entries import Clinic
from healthplus.imports.positions import middle_of, position_of
from healthplus.names import slug

City = tuple[str, str]
"""What tells a city from others: its name and state, as they are compared."""


class StoredCity(NamedTuple):
    """A city that the database has."""

    slug: str
    name: str
    state: str


def city_of(clinic: Clinic) -> City:
    """Return what tells a clinic's city from others."""
    return city_key(clinic.city, clinic.state)


def city_key(name: str, state: str) -> City:
    """Return what tells a city from others."""
    return _key(name), _key(state)


def _key(name: str) -> str:
    """Return what is alike for spellings of one name. What is not Latin has no slug that would tell it from others."""
    if all(unicodedata.normalize("NFKD", sign)[0].isascii() for sign in name if sign.isalpha()):
        return slug(name)
    return " ".join(re.findall(r"[^\W_]+", "".join(_word_sign(sign) for sign in text.comparable(name))))


def _word_sign(sign: str) -> str:
    # A vowel sign is no letter to a regular expression.
    return f"x{ord(sign):x}" if unicodedata.category(sign)[0] == "M" else sign


def city_slugs(
    clinics: Iterable[Clinic], stored: Collection[StoredCity], aliases: Collection[str] = ()
) -> dict[City, str]:
    """Return the slug of each city, none of them an alias of another.

    It is the name's, with the state's where two cities share the name, and a number where that is taken, too. A stored
    city keeps its slug, also where its name was corrected since.
    """
    names = {city_of(clinic): (clinic.city, clinic.state) for clinic in clinics}
    shared = Counter(slug(city) for city, _ in names.values())
    taken = {one.slug for one in stored} | set(aliases)
    known = {city_key(one.name, one.state): one.slug for one in stored}
    states = {one.slug: _key(one.state) for one in stored}
    chosen: dict[City, str] = {}
    for city in sorted(names, key=lambda one: (len(names[one][0]), one)):
        short = slug(names[city][0])
        long = f"{short}-{slug(names[city][1])}" if names[city][1] else short
        same = known.get(city) or next(
            (one for one in (long, short) if one not in known.values() and states.get(one) == city[1]), None
        )
        if same is None:
            wanted = [long] if shared[short] > 1 or short in taken else [short, long]
            numbered = (f"{long}-{number}" for number in itertools.count(2))
            same = next(one for one in itertools.chain(wanted, numbered) if one not in taken)
            taken.add(same)
        chosen[city] = same
    return chosen


def city_rows(clinics: Sequence[Clinic], slugs: Mapping[City, str], time_zone: str) -> list[dict[str, object]]:
    """Return the row of each city: of several spellings, the one that most clinics have, in the middle of them."""
    members = defaultdict(list)
    for clinic in clinics:
        members[city_of(clinic)].append(clinic)
    rows: list[dict[str, object]] = []
    for city, inside in sorted(members.items()):
        middle = middle_of([at for clinic in inside if (at := position_of(clinic))])
        (name, state), _ = Counter((clinic.city, clinic.state) for clinic in inside).most_common(1)[0]
        rows.append(
            {
                "slug": slugs[city],
                "name": name,
                "state": state,
                "time_zone": time_zone,
                "latitude": middle and middle[0],
                "longitude": middle and middle[1],
            }
        )
    return rows
