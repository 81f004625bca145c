"""A drawing of where places lie: numbered pins, north up, with a scale. Its lengths are in units of the SVG.

It is drawn in the projection of web maps, so that the tiles of one can lie behind it
(https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

SIDE = 320
"""The length of the drawing's sides: as wide as the narrowest screens, in CSS pixels."""

_MARGIN = 36
_APART = 40
"""How far two pins are from each other at least, to be pressed by a finger."""
_ROUNDS = 80
_TILE_SIDE = 256
_ZOOM_MAX = 15
_EQUATOR_METRES = 40_075_016.7
_SCALE_LENGTH_MAX = 110


class Pin(NamedTuple):
    """A pin: its number, where it is drawn, and where the place is, from which it may have had to move."""

    number: int
    x: float
    y: float
    place_x: float
    place_y: float


class Tile(NamedTuple):
    url: str
    x: float
    y: float


class Plot(NamedTuple):
    """A drawing; the bar of its scale is `scale_length` long, which is `scale_metres`."""

    pins: list[Pin]
    tiles: list[Tile]
    scale_length: float
    scale_metres: int


def plot(places: Sequence[tuple[float, float] | None], tile_url: str = "") -> Plot | None:
    """Return a drawing of places by their latitudes and longitudes, numbered from 1; None where none is known.

    `tile_url` has {z}, {x} and {y} in it; without one, there is nothing behind the pins.
    """
    known = [(number, _projected(*place)) for number, place in enumerate(places, start=1) if place]
    if not known:
        return None
    (left, right), (top, bottom) = (
        (min(one[1][axis] for one in known), max(one[1][axis] for one in known)) for axis in (0, 1)
    )
    zoom = min(_ZOOM_MAX, math.log2((SIDE - 2 * _MARGIN) / _TILE_SIDE / max(right - left, bottom - top, 1e-9)))
    if tile_url:
        zoom = max(0, math.floor(zoom))
    pixels = _TILE_SIDE * 2**zoom
    begins = ((left + right) / 2 * pixels - SIDE / 2, (top + bottom) / 2 * pixels - SIDE / 2)
    at = [(x * pixels - begins[0], y * pixels - begins[1]) for _, (x, y) in known]
    pins = [
        Pin(number, *(round(value, 1) for value in (*drawn, *place)))
        for (number, _), drawn, place in zip(known, _apart(at), at, strict=True)
    ]
    latitude = math.atan(math.sinh(math.pi * (1 - top - bottom)))
    metres = _round_length(_SCALE_LENGTH_MAX * _EQUATOR_METRES * math.cos(latitude) / pixels)
    length = metres * pixels / (_EQUATOR_METRES * math.cos(latitude))
    return Plot(pins, _tiles(tile_url, int(zoom), begins) if tile_url else [], round(length, 1), metres)


def _projected(latitude: float, longitude: float) -> tuple[float, float]:
    """Return where a place lies in a square of side 1 that is the world, from its upper left corner."""
    latitude = max(-85.0, min(85.0, latitude))
    return (longitude + 180) / 360, (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2


def _apart(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return where pins can be drawn so that none covers another: pushed apart, each as little as that takes."""
    # Those of one clinic begin side by side, so that there is a direction to push them in.
    at = [[x + math.cos(number) * 0.1, y + math.sin(number) * 0.1] for number, (x, y) in enumerate(places)]
    for _ in range(_ROUNDS):
        for one, other in combinations(at, 2):
            away = [one[0] - other[0], one[1] - other[1]]
            distance = math.hypot(*away)
            if distance < _APART:
                push = (_APART - distance) / 2 / max(distance, 1e-9)
                for axis in (0, 1):
                    one[axis] += away[axis] * push
                    other[axis] -= away[axis] * push
        for pin in at:
            pin[:] = (max(_MARGIN / 2, min(SIDE - _MARGIN / 2, value)) for value in pin)
    return [(x, y) for x, y in at]


def _tiles(url: str, zoom: int, begins: tuple[float, float]) -> list[Tile]:
    """Return the tiles of a web map that cover the drawing."""
    columns, rows = (range(int(begin // _TILE_SIDE), int((begin + SIDE) // _TILE_SIDE) + 1) for begin in begins)
    return [
        Tile(
            url.format(z=zoom, x=column % 2**zoom, y=row),
            round(column * _TILE_SIDE - begins[0], 1),
            round(row * _TILE_SIDE - begins[1], 1),
        )
        for column in columns
        for row in rows
        if 0 <= row < 2**zoom
    ]


def _round_length(metres: float) -> int:
    """Return the greatest of 1, 2, 5, 10, 20 … that is not above."""
    power = 10 ** math.floor(math.log10(max(metres, 1)))
    return int(next(digit * power for digit in (5, 2, 1) if digit * power <= max(metres, 1)))
