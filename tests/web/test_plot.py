"""Where pins are drawn: in the right direction and at the right distance, none upon another."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from healthplus.web.pages.plot import SIDE, plot

PUNE, BANER, HADAPSAR = (18.5204, 73.8567), (18.559, 73.7868), (18.5089, 73.926)
TILES = "https://tiles.example/{z}/{x}/{y}.png"


def test_places_lie_as_they_do() -> None:
    drawn = plot([PUNE, None, BANER, HADAPSAR])
    assert drawn
    assert [pin.number for pin in drawn.pins] == [1, 3, 4]
    centre, baner, hadapsar = drawn.pins
    assert baner.place_x < centre.place_x < hadapsar.place_x
    assert baner.place_y < centre.place_y < hadapsar.place_y  # north is up
    assert drawn.tiles == []
    # Seven and a half kilometres east, and four and a quarter north.
    metres = drawn.scale_metres / drawn.scale_length
    assert (centre.place_x - baner.place_x) * metres == pytest.approx(7_370, rel=0.02)
    assert (centre.place_y - baner.place_y) * metres == pytest.approx(4_295, rel=0.02)
    assert 40 <= drawn.scale_length <= 110


@pytest.mark.parametrize("places", [[PUNE] * 10, [PUNE] * 9 + [HADAPSAR], [PUNE], [(0.0, 0.0), (89.9, -180.0)]])
def test_each_pin_can_be_pressed(places: list[tuple[float, float]]) -> None:
    drawn = plot(places)
    assert drawn
    assert len(drawn.pins) == len(places)
    assert all(0 < value < SIDE for pin in drawn.pins for value in pin[1:3])
    assert all(math.dist(one[1:3], other[1:3]) > 34 for one, other in combinations(drawn.pins, 2))


def test_no_pin_covers_the_north() -> None:
    corner = (PUNE[0] + 0.05, PUNE[1] + 0.05)
    drawn = plot([PUNE, corner, corner, corner])
    assert drawn
    assert any(pin.place_x > 270 and pin.place_y < 50 for pin in drawn.pins)
    assert not [pin for pin in drawn.pins if pin.x + 15 > 281 and pin.y - 15 < 59]
    assert all(math.dist(one[1:3], other[1:3]) > 34 for one, other in combinations(drawn.pins, 2))


def test_rings_are_as_far_from_the_centre_as_they_say() -> None:
    drawn = plot([BANER, HADAPSAR], centre=PUNE)
    assert drawn
    assert drawn.centre
    metres = drawn.scale_metres / drawn.scale_length
    assert [ring.metres for ring in drawn.rings] == [5000, 10_000]
    for ring in drawn.rings:
        assert ring.radius * metres == pytest.approx(ring.metres, rel=0.01)
        assert math.dist((ring.x, ring.y - 4), drawn.centre) == pytest.approx(ring.radius, abs=0.2)
    # From afar, too, where only arcs cross the drawing.
    [nearest, *_] = [ring.metres for ring in plot([HADAPSAR], centre=PUNE).rings]  # type: ignore[union-attr]
    assert 7000 <= nearest <= 8000
    assert plot([BANER]).rings == []  # type: ignore[union-attr]


def test_names_around_cover_no_pin_and_no_other_name() -> None:
    around = [("Baner", *BANER), ("Pune Station", *PUNE), ("Hadapsar", *HADAPSAR), ("Far away", 20.0, 75.0)]
    around += [(f"Near {number}", *HADAPSAR) for number in range(9)]
    drawn = plot([BANER, BANER, HADAPSAR], centre=PUNE, around=around)
    assert drawn
    assert [label.text for label in drawn.labels][:3] == ["Baner", "Pune Station", "Hadapsar"]
    assert "Far away" not in {label.text for label in drawn.labels}
    assert len(drawn.labels) < len(around) - 1
    for label in drawn.labels:
        half = 4 * len(label.text)
        assert half < label.x < SIDE - half
        for pin in drawn.pins:
            assert abs(pin.x - label.x) > half or abs(pin.y - label.y) > 15
    for one, other in combinations(drawn.labels, 2):
        assert abs(one.x - other.x) > 4 * (len(one.text) + len(other.text)) or abs(one.y - other.y) >= 16


def test_tiles_cover_the_drawing() -> None:
    drawn = plot([PUNE, BANER, HADAPSAR], TILES)
    assert drawn
    covered = {(x, y) for tile in drawn.tiles for x in (tile.x, tile.x + 256) for y in (tile.y, tile.y + 256)}
    assert min(covered) <= (0, 0)
    assert max(covered) >= (SIDE, SIDE)
    assert all(tile.url.startswith("https://tiles.example/") and "{" not in tile.url for tile in drawn.tiles)
    # Each place lies on the tile that a map has it on.
    for pin, (latitude, longitude) in zip(drawn.pins, (PUNE, BANER, HADAPSAR), strict=True):
        [tile] = [one for one in drawn.tiles if 0 <= pin.place_x - one.x < 256 and 0 <= pin.place_y - one.y < 256]
        zoom, column, row = map(int, tile.url.removesuffix(".png").split("/")[-3:])
        mercator = math.asinh(math.tan(math.radians(latitude))) / math.pi
        assert (column, row) == (int((longitude + 180) / 360 * 2**zoom), int((1 - mercator) / 2 * 2**zoom))


def test_where_nothing_is_known_nothing_is_drawn() -> None:
    assert plot([None, None]) is None
