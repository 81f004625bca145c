"""Turn checked entries into the rows of each table, and find the city of each clinic."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import cos, hypot, radians
from statistics import median

import msgspec

from healthplus.directory.service_text import Service
from healthplus.imports.cities import alias_rows
from healthplus.imports.formats import Clinic, Entry
from healthplus.names import service_slug, slug

# No district is wider: Kachchh, the widest, ends 170 km from its middle.
_FAR_KM = 200
_LOCATED_MIN = 5  # the middle of fewer clinics cannot be trusted

_City = tuple[str, str]


def rows_by_table(
    entries: Sequence[Entry],
    with_new_shifts: Iterable[Entry],
    taken: Mapping[str, str],
    other_names: Mapping[tuple[str, str], tuple[str, str]],
    time_zone: str,
    hashes: Mapping[str, str],
) -> dict[str, list[dict[str, object]]]:
    """Return the rows to store by table, those that others refer to first.

    `with_new_shifts` are the entries whose shifts are to be stored; `taken` maps slugs of stored cities to states,
    `other_names` names of cities to the one they are stored by, `hashes` addresses of pictures to the pictures' own.
    """
    clinics = list({entry.clinic.identifier: entry.clinic for entry in entries}.values())
    providers = {entry.provider.identifier: entry.provider for entry in entries}
    slugs = city_slugs({_city(clinic) for clinic in clinics}, taken)
    specialities = {slug(name): name for entry in reversed(entries) for name in entry.specialities}
    has = {(entry.provider.identifier, slug(name)) for entry in entries for name in entry.specialities}
    types = {(service_slug(s.name), s.is_test): s.name for e in reversed(entries) for s in (*e.tests, *e.services)}
    return {
        "cities": _cities(clinics, slugs, time_zone),
        "city_aliases": alias_rows(other_names, slugs),
        "specialities": [{"slug": s, "name": name} for s, name in sorted(specialities.items())],
        "clinics": [msgspec.structs.asdict(clinic) | {"city_slug": slugs[_city(clinic)]} for clinic in clinics],
        "providers": [msgspec.structs.asdict(provider) for provider in providers.values()],
        "photos": [
            {"provider": one.identifier, "source": one.photo, "hash": hashes.get(one.photo or "")}
            for one in providers.values()
            if one.photo == "" or one.photo in hashes
        ],
        "pictures": [_pictures(clinic, hashes) for clinic in clinics if _has_pictures(clinic, hashes)],
        "provider_specialities": [{"provider": provider, "slug": s} for provider, s in sorted(has)],
        "service_types": [
            {"slug": s, "name": name, "is_test": is_test} for (s, is_test), name in sorted(types.items())
        ],
        "posts": [{**_post(entry), "fee_minor": entry.fee_minor, "funding": entry.funding} for entry in entries],
        "services": _services(entries),
        "shifts": [
            {**_post(entry), **msgspec.structs.asdict(shift), "starts": _time(shift.starts), "ends": _time(shift.ends)}
            for entry in with_new_shifts
            for shift in entry.shifts
        ],
    }


def _has_pictures(clinic: Clinic, hashes: Mapping[str, str]) -> bool:
    """Return whether a file says anything about a clinic's pictures: where none could be fetched, those stored stay."""
    return clinic.pictures is not None and (not clinic.pictures or any(one in hashes for one in clinic.pictures))


def _pictures(clinic: Clinic, hashes: Mapping[str, str]) -> dict[str, object]:
    fetched = [one for one in clinic.pictures or () if one in hashes]
    return {"clinic": clinic.identifier, "sources": fetched, "picture_hashes": [hashes[one] for one in fetched]}


def _services(entries: Iterable[Entry]) -> list[dict[str, object]]:
    offered: dict[tuple[str, str, str, bool], tuple[Service, str]] = {}
    for entry in entries:
        provider, clinic = entry.provider.identifier, entry.clinic.identifier
        for at, services in ((None, entry.tests), (clinic, entry.services)):
            for s in services:
                offered[provider, at or "", service_slug(s.name), s.is_test] = s, entry.currency
    return [
        {"provider": provider, "clinic": at or None, "service_type": s, "currency": currency}
        | msgspec.structs.asdict(service)
        for (provider, at, s, _), (service, currency) in sorted(offered.items(), key=lambda item: item[0])
    ]


def city_slugs(cities: Iterable[_City], taken: Mapping[str, str]) -> dict[_City, str]:
    """Return the slug of each city, a pair of the slugs of its name and state.

    It is the name's, with the state's where two cities share the name. A stored city keeps its slug.
    """
    cities = sorted(set(cities))
    shared = Counter(name for name, _ in cities)
    chosen = {}
    for name, state in cities:
        long = f"{name}-{state}"
        if long in taken:
            chosen[name, state] = long
        elif name in taken and slug(taken[name]) == state:
            chosen[name, state] = name
        else:
            chosen[name, state] = long if shared[name] > 1 or name in taken else name
    return chosen


def without_far_coordinates(entries: Sequence[Entry]) -> list[Entry]:
    """Drop coordinates far from most others of the same city, where a search near by would find the clinic."""
    located = defaultdict(list)
    for entry in entries:
        if (at := _position(entry.clinic)) is not None:
            located[_city(entry.clinic)].append(at)
    middles = {city: _middle(at) for city, at in located.items() if len(at) >= _LOCATED_MIN}
    result = []
    for entry in entries:
        at, middle = _position(entry.clinic), middles.get(_city(entry.clinic))
        if at and middle and _distance_km(at, middle) > _FAR_KM:
            clinic = msgspec.structs.replace(entry.clinic, latitude=None, longitude=None)
            gap = f"coordinates more than {_FAR_KM} km from the rest of the district"
            entry = msgspec.structs.replace(entry, clinic=clinic, gaps=(*entry.gaps, gap))  # noqa: PLW2901
        result.append(entry)
    return result


def _cities(clinics: Iterable[Clinic], slugs: Mapping[_City, str], time_zone: str) -> list[dict[str, object]]:
    members = defaultdict(list)
    for clinic in clinics:
        members[_city(clinic)].append(clinic)
    rows: list[dict[str, object]] = []
    for city, inside in sorted(members.items()):
        middle = _middle([at for clinic in inside if (at := _position(clinic))])
        # Of several spellings, the one that most rows use.
        (name, state), _ = Counter((clinic.city, clinic.state) for clinic in inside).most_common(1)[0]
        rows.append(
            {
                "slug": slugs[city],
                "name": name.title() if name.islower() else name,
                "state": state,
                "time_zone": time_zone,
                "latitude": middle and middle[0],
                "longitude": middle and middle[1],
            }
        )
    return rows


def _city(clinic: Clinic) -> _City:
    return slug(clinic.city), slug(clinic.state)


def _post(entry: Entry) -> dict[str, object]:
    return {"provider": entry.provider.identifier, "clinic": entry.clinic.identifier}


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _position(clinic: Clinic) -> tuple[float, float] | None:
    return None if clinic.latitude is None or clinic.longitude is None else (clinic.latitude, clinic.longitude)


def _middle(positions: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    # Medians: unlike a mean, they hardly move when every tenth clinic lies in the wrong state.
    return (median(p[0] for p in positions), median(p[1] for p in positions)) if positions else None


def _distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    return 111.2 * hypot(a[0] - b[0], (a[1] - b[1]) * cos(radians(a[0])))
