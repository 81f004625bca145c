"""Drawn pictures of the demo's clinics, which are nowhere, as flat as its portraits; each with what it shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import NamedTuple

from PIL import Image

from healthplus.directory.pictures import Encoded, encode
from healthplus.ops.demo_portraits import SCALE, SIDE, Pen

_OF_KIND = {"hospital": (0, 1, 2), "clinic": (0, 1), "lab": (0, 3)}
_WITHOUT = 3
"""Every third clinic shows nothing."""


class Scene(NamedTuple):
    picture: Encoded
    text: str


@cache
def scenes() -> list[Scene]:
    """Return all pictures, drawn once in a process."""
    drawn: tuple[tuple[Callable[[Pen], None], str, str], ...] = (
        (_entrance, "#a9cdf3", "The entrance, with a ramp"),
        (_waiting_room, "#f6ead6", "The waiting room"),
        (_consulting_room, "#dceeea", "A consulting room"),
        (_laboratory, "#e6e2f6", "Where samples are examined"),
    )
    return [Scene(encode(_picture(draw, ground)), text) for draw, ground, text in drawn]


def scenes_of(clinic_id: int, kind: str) -> list[int]:
    """Return which of the scenes a clinic shows, in order."""
    return [] if kind == "clinic" and clinic_id % _WITHOUT == 0 else list(_OF_KIND[kind])


def _picture(draw: Callable[[Pen], None], ground: str) -> bytes:
    pen = Pen(ground)
    draw(pen)
    file = BytesIO()
    pen.picture.resize((SIDE * SCALE, SIDE * SCALE), Image.Resampling.LANCZOS).save(file, "PNG")
    return file.getvalue()


def _entrance(pen: Pen) -> None:
    pen.block(-2, 50, 66, 66, 0, "#c9c2b4")
    pen.block(9, 16, 55, 52, 1, "#fbf7f0")
    pen.block(9, 16, 55, 21, 1, "#0a6a61")
    for x in (14, 43):
        for y in (25, 36):
            pen.block(x, y, x + 7, y + 7, 0.6, "#9fd6cb")
    pen.block(25, 30, 39, 52, 0.8, "#0d5a52")
    pen.block(31.7, 31, 32.3, 52, 0, "#9fd6cb")
    pen.block(30.6, 23, 33.4, 29, 0.3, "#0a6a61")
    pen.block(29, 24.6, 35, 27.4, 0.3, "#0a6a61")
    pen.shape([(39, 49), (60, 55), (39, 55)], "#8d877a")
    pen.block(25, 52, 39, 55, 0, "#a8a194")
    for x in (4, 60):
        pen.oval(x, 44, 5, 7, "#5f9f63")


def _waiting_room(pen: Pen) -> None:
    pen.block(-2, 47, 66, 66, 0, "#d8bf97")
    pen.block(8, 15, 27, 29, 0.8, "#a9cdf3")
    pen.block(17, 15, 18, 29, 0, "#ffffff")
    pen.oval(45, 20, 4.5, 4.5, "#ffffff")
    pen.curve((45, 20, 4.5, 4.5), (0, 360), "#10241f", 0.8)
    pen.block(44.7, 17, 45.3, 20.3, 0, "#10241f")
    for x, colour in ((7, "#0a6a61"), (21, "#1a4a83"), (35, "#0a6a61")):
        pen.block(x, 32, x + 11, 43, 1.6, colour)
        pen.block(x - 0.5, 42, x + 11.5, 46, 1.2, colour)
        for leg in (x + 1, x + 9):
            pen.block(leg, 46, leg + 1, 51, 0, "#53635f")
    pen.block(53, 43, 59, 51, 1, "#8c3217")
    for x, y in ((53, 36), (56, 32), (59, 36)):
        pen.oval(x, y, 2.4, 6, "#5f9f63")


def _consulting_room(pen: Pen) -> None:
    pen.block(-2, 48, 66, 66, 0, "#c8b08a")
    pen.block(40, 14, 55, 27, 0.8, "#ffffff")
    for y, wide in ((17, 11), (20, 8), (23, 10)):
        pen.block(42, y, 42 + wide, y + 1, 0, "#4b5c58")
    pen.block(5, 35, 29, 38.5, 0.8, "#ffffff")
    pen.block(4, 32, 10, 36, 1.4, "#9fd6cb")
    for x in (6, 26):
        pen.block(x, 38, x + 1.4, 51, 0, "#697b76")
    pen.block(35, 37, 60, 39.5, 0.5, "#8d5a3b")
    pen.block(36, 39, 39, 52, 0, "#70452d")
    pen.block(56, 39, 59, 52, 0, "#70452d")
    pen.block(45, 29, 56, 36, 0.8, "#10241f")
    pen.block(50, 36, 51, 37.2, 0, "#10241f")
    pen.block(39, 35.4, 43, 37, 0.3, "#f9cf80")
    pen.block(28.5, 40, 34, 50, 2, "#1a4a83")


def _laboratory(pen: Pen) -> None:
    pen.block(-2, 50, 66, 66, 0, "#cfc8e6")
    pen.block(5, 13, 59, 23, 0.8, "#ffffff")
    for number, colour in enumerate(("#b3261e", "#ffb938", "#0a6a61", "#1a4a83", "#8a2150", "#ffb938")):
        pen.block(9 + 8 * number, 15.5, 13 + 8 * number, 22, 0.8, colour)
    pen.block(3, 41, 61, 44, 0.5, "#fbf7f0")
    pen.block(5, 44, 59, 54, 0, "#e6ddcd")
    pen.block(10, 38.6, 22, 41, 0.6, "#10241f")
    pen.shape([(17, 26), (20, 25), (23, 37), (20, 38)], "#4b5c58")
    pen.curve((16, 33, 6, 6), (300, 80), "#10241f", 1.6)
    pen.block(12, 35.5, 19, 36.6, 0, "#10241f")
    pen.block(29, 36, 41, 41, 0.4, "#bfae8e")
    for number, colour in enumerate(("#b3261e", "#b3261e", "#ffb938", "#b3261e")):
        pen.block(30.2 + 2.7 * number, 31, 31.8 + 2.7 * number, 38, 0.7, colour)
    pen.shape([(50, 29), (53, 29), (53, 33), (57, 41), (46, 41), (50, 33)], "#9fd6cb")
