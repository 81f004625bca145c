"""A drawing of where places lie: numbered pins, north up, with a scale and distances. Lengths are in units of the SVG.

It is drawn in the projection of web maps, so that the tiles of one can lie behind it
(https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

SIDE = 320
"""The length of the drawing's sides: as wide as the narrowest screens, in CSS pixels."""

_MARGIN = 40
_APART = 40
"""How far two pins are from each other at least, to be pressed by a finger."""
_ABOVE = 22
"""How far above its place the head of a pin is, where nothing pushes it elsewhere."""
_HEAD = 15
_Box: TypeAlias = tuple[float, float, float, float]
"""Where the middle of something is, and how far it reaches to either side, and up and down."""
_NORTH: _Box = (300.0, 30.0, 20.0, 30.0)
"""The corner where the drawing says where north is: no pin covers it."""
_ROUNDS = 80
_TILE_SIDE = 256
_ZOOM_MAX = 15
_EQUATOR_METRES = 40_075_016.7
_SCALE_LENGTH_MAX = 110
_RING_LENGTH_MIN = 52
_RINGS_MAX = 5
_CLOCKWISE = (-90, -60, -120, -30, -150, 0, 180, 30, 150, 60, 120, 90)
_TURNED = (0, 2, -2, 4, -4, 8, -8, 16, -16)
"""Where on a ring its distance may be said: in degrees, from the right on, or else from the middle of the drawing."""
_LED_FROM = 40
_NEAR = sorted(
    ((beside, below) for beside in (0, 25, -25, 50, -50) for below in (0, 13, -13, 26, -26, 39, -39, 52)),
    key=lambda away: math.hypot(*away),
)
"""Where names are tried: on their places, and ever farther from them."""


class Pin(NamedTuple):
    """A pin: its number, where its head is drawn, where the place is, and the triangle between them as an SVG path."""

    number: int
    x: float
    y: float
    place_x: float
    place_y: float
    tail: str


class Tile(NamedTuple):
    url: str
    x: float
    y: float


class Ring(NamedTuple):
    """All places that are as far from the centre, and where the drawing says how far that is."""

    radius: float
    metres: int
    x: float
    y: float


class Label(NamedTuple):
    """A name, the middle of where it is drawn, and the place that is called so.

    `is_away`: they are so far from each other that a line has to lead from one to the other.
    """

    text: str
    x: float
    y: float
    place_x: float
    place_y: float

    @property
    def is_away(self) -> bool:
        return math.hypot(self.x - self.place_x, self.y - self.place_y) > _LED_FROM


class Plot(NamedTuple):
    """A drawing; the bar of its scale is `scale_length` long, which is `scale_metres`.

    `centre`: that of `rings`, which may lie outside; `middle` says what it is, where there is room. `labels` are
    names of places around, as many as there is room for.
    """

    pins: list[Pin]
    tiles: list[Tile]
    scale_length: float
    scale_metres: int
    centre: tuple[float, float] | None
    rings: list[Ring]
    labels: list[Label]
    middle: Label | None = None


def plot(
    places: Sequence[tuple[float, float] | None],
    tile_url: str = "",
    *,
    centre: tuple[float, float] | None = None,
    around: Iterable[tuple[str, float, float]] = (),
    is_centre_shown: bool = False,
    centre_name: str = "",
) -> Plot | None:
    """Return a drawing of places by their latitudes and longitudes, numbered from 1; None where none is known.

    `tile_url` has {z}, {x} and {y} in it: tiles are behind the pins. Without one, there are rings of distance around
    `centre`, and the names of the places `around`, each with its latitude and longitude; those first are drawn first.
    `is_centre_shown`: the centre lies within, however far off that is; `centre_name` is what it is called.
    """
    known = [(number, _projected(*place)) for number, place in enumerate(places, start=1) if place]
    if not known:
        return None
    shown = [place for _, place in known] + ([_projected(*centre)] if centre and is_centre_shown else [])
    (left, right), (top, bottom) = (
        (min(one[axis] for one in shown), max(one[axis] for one in shown)) for axis in (0, 1)
    )
    zoom = min(_ZOOM_MAX, math.log2((SIDE - 2 * _MARGIN) / _TILE_SIDE / max(right - left, bottom - top, 1e-9)))
    if tile_url:
        zoom = max(0, math.floor(zoom))
    pixels = _TILE_SIDE * 2**zoom
    begins = ((left + right) / 2 * pixels - SIDE / 2, (top + bottom) / 2 * pixels - SIDE / 2)

    def drawn(place: tuple[float, float]) -> tuple[float, float]:
        return place[0] * pixels - begins[0], place[1] * pixels - begins[1]

    at = [drawn(place) for _, place in known]
    pins = [_pin(number, head, place) for (number, _), head, place in zip(known, _apart(at), at, strict=True)]
    latitude = math.atan(math.sinh(math.pi * (1 - top - bottom)))
    metres_each = _EQUATOR_METRES * math.cos(latitude) / pixels
    metres = _round_length(_SCALE_LENGTH_MAX * metres_each)
    length = round(metres / metres_each, 1)
    if tile_url:
        return Plot(pins, _tiles(tile_url, int(zoom), begins), length, metres, None, [], [])
    taken: list[_Box] = [(pin.x, pin.y, _HEAD, _HEAD) for pin in pins]
    taken += [(pin.place_x, pin.place_y, 5, 5) for pin in pins]
    # The corners with the scale and the north.
    taken += [(70.0, SIDE - 26.0, 70.0, 26.0), _NORTH]
    middle = drawn(_projected(*centre)) if centre else None
    called = None
    if middle:
        taken.append((*middle, 8, 8))
        called = next(iter(_labels([(centre_name, *middle)] if centre_name else [], taken)), None)
    rings = _rings(middle, metres_each, taken) if middle else []
    named = ((text, *drawn(_projected(latitude, longitude))) for text, latitude, longitude in around)
    return Plot(pins, [], length, metres, middle, rings, _labels(named, taken), called)


def _projected(latitude: float, longitude: float) -> tuple[float, float]:
    """Return where a place lies in a square of side 1 that is the world, from its upper left corner."""
    latitude = max(-85.0, min(85.0, latitude))
    return (longitude + 180) / 360, (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2


def _pin(number: int, head: tuple[float, float], place: tuple[float, float]) -> Pin:
    away = (place[0] - head[0], place[1] - head[1])
    long = max(math.hypot(*away), 1e-9)
    across = (-away[1] / long * _HEAD * 0.7, away[0] / long * _HEAD * 0.7)
    corners = ((head[0] + across[0], head[1] + across[1]), place, (head[0] - across[0], head[1] - across[1]))
    tail = "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)
    x, y, place_x, place_y = (round(value, 1) for value in (*head, *place))
    return Pin(number, x, y, place_x, place_y, f"M{tail}z")


def _apart(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return where pins can be drawn so that none covers another: pushed apart, each as little as that takes."""
    # Those of one clinic begin side by side, so that there is a direction to push them in.
    at = [[x + math.cos(number) * 0.1, y - _ABOVE + math.sin(number) * 0.1] for number, (x, y) in enumerate(places)]
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
            aside, below = _NORTH[0] - _NORTH[2] - _HEAD, _NORTH[1] + _NORTH[3] + _HEAD
            if pin[0] > aside and pin[1] < below:
                axis, edge = (0, aside) if pin[0] - aside < below - pin[1] else (1, below)
                pin[axis] = edge
    return [(x, y) for x, y in at]


def _has_room(box: _Box, taken: Iterable[_Box]) -> bool:
    x, y, wide, high = box
    if not (wide <= x <= SIDE - wide and high <= y <= SIDE - high):
        return False
    return all(abs(x - one[0]) >= wide + one[2] or abs(y - one[1]) >= high + one[3] for one in taken)


def _rings(centre: tuple[float, float], metres_each: float, taken: list[_Box]) -> list[Ring]:
    """Return the rings that cross the drawing, and add where they say how far they are to what is `taken`."""
    step = next(
        digit * power for power in (100, 1000, 10_000, 100_000, 1_000_000) for digit in (1, 2, 5)
        if digit * power / metres_each >= _RING_LENGTH_MIN
    )  # fmt: skip
    nearest = math.hypot(*(max(-value, 0, value - SIDE) for value in centre))
    farthest = math.hypot(*(max(value, SIDE - value) for value in centre))
    towards = math.degrees(math.atan2(SIDE / 2 - centre[1], SIDE / 2 - centre[0]))
    first = math.floor(nearest * metres_each / step) + 1
    found = []
    for number in range(first, first + _RINGS_MAX):
        radius = number * step / metres_each
        if radius >= farthest:
            break
        for degrees in (*_CLOCKWISE, *(towards + turned for turned in _TURNED)):
            angle = math.radians(degrees)
            box = (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle), 18.0, 9.0)
            if _has_room(box, taken):
                taken.append(box)
                found.append(Ring(round(radius, 1), number * step, round(box[0], 1), round(box[1] + 4, 1)))
                break
    return found


def _labels(named: Iterable[tuple[str, float, float]], taken: list[_Box]) -> list[Label]:
    found = []
    for text, x, y in named:
        half = 4.0 * len(text) + 2
        for beside, below in _NEAR:
            box = (x + beside, y + below, half, 8.0)
            if _has_room(box, taken):
                taken.append(box)
                found.append(Label(text, round(box[0], 1), round(box[1] + 4, 1), round(x, 1), round(y, 1)))
                break
    return found


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
