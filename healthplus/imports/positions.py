"""Find positions that are far from the rest of their city, where a search near by would find the clinic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import cos, hypot, radians
from statistics import median

import msgspec

from healthplus.imports.entries import Clinic, Entry

# No district is wider: Kachchh, the widest, ends 170 km from its middle.
_FAR_KM = 200
_LOCATED_MIN = 5  # the middle of fewer clinics cannot be trusted

Position = tuple[float, float]


def position_of(clinic: Clinic) -> Position | None:
    """Return where a clinic is, if that is known."""
    return None if clinic.latitude is None or clinic.longitude is None else (clinic.latitude, clinic.longitude)


def middle_of(positions: Sequence[Position]) -> Position | None:
    """Return the middle of positions, if there are any."""
    # Medians: unlike a mean, they hardly move when every tenth clinic lies in the wrong state.
    return (median(p[0] for p in positions), median(p[1] for p in positions)) if positions else None


def without_far_positions(entries: Sequence[Entry]) -> list[Entry]:
    """Put positions right that are swapped, and drop others that are far from most of the same city."""
    clinics = {entry.clinic.identifier: entry.clinic for entry in entries}
    located = defaultdict(list)
    for clinic in clinics.values():
        if (at := position_of(clinic)) is not None:
            located[(clinic.city, clinic.state)].append(at)
    middles = {city: middle for city, at in located.items() if len(at) >= _LOCATED_MIN and (middle := middle_of(at))}
    mended = dict(_mended(clinics.values(), middles))
    result = []
    for entry in entries:
        if found := mended.get(entry.clinic.identifier):
            clinic, gap = found
            entry = msgspec.structs.replace(entry, clinic=clinic, gaps=(*entry.gaps, gap))  # noqa: PLW2901
        result.append(entry)
    return result


def _mended(
    clinics: Iterable[Clinic], middles: dict[tuple[str, str], Position]
) -> Iterable[tuple[str, tuple[Clinic, str]]]:
    for clinic in clinics:
        at, middle = position_of(clinic), middles.get((clinic.city, clinic.state))
        if at is None or middle is None or _distance_km(at, middle) <= _FAR_KM:
            continue
        swapped = _distance_km((at[1], at[0]), middle) <= _FAR_KM
        latitude, longitude = (at[1], at[0]) if swapped else (None, None)
        gap = (
            "coordinates were swapped, and are put right"
            if swapped
            else f"coordinates more than {_FAR_KM} km from the rest of the district"
        )
        yield clinic.identifier, (msgspec.structs.replace(clinic, latitude=latitude, longitude=longitude), gap)


def _distance_km(a: Position, b: Position) -> float:
    return 111.2 * hypot(a[0] - b[0], (a[1] - b[1]) * cos(radians(a[0])))
