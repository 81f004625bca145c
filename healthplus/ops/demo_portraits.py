"""Drawn portraits of the demo's doctors, who are nobody, as flat as the pictures of the pages."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import NamedTuple, TypeAlias

from PIL import Image, ImageDraw

from healthplus.directory.pictures import Encoded, encode

SIDE = 64
"""Of the drawing, in its own units."""
SCALE = 10  # pixels of a unit; smaller ones are made of these, with smooth edges
_GROUNDS = ("#9fd6cb", "#f9cf80", "#a9cdf3", "#f6b7a2", "#f1afc6", "#c1b5ee")
_INK = "#2b1d17"


_Oval: TypeAlias = tuple[float, float, float, float]
"""Its middle, and how far it reaches to either side, and up and down."""


class _Look(NamedTuple):
    """Colours of skin and hair, how the hair is worn, and whether there are glasses or a beard."""

    skin: str
    hair: str
    style: str
    shirt: str
    glasses: bool = False
    beard: bool = False


_WOMEN = (
    _Look("#dba678", "#241c19", "bun", "#0a6a61"),
    _Look("#8d5a3b", "#1a1413", "long", "#8c3217"),
    _Look("#c48d5f", "#2f211b", "bob", "#1a4a83", glasses=True),
    _Look("#e8bd92", "#4a2f22", "long", "#4a3a97"),
    _Look("#a9714b", "#1a4a83", "scarf", "#0a6a61"),
    _Look("#70452d", "#17110f", "bun", "#734700", glasses=True),
    _Look("#d09a6b", "#b9b4b0", "bob", "#0a6a61"),
    _Look("#b97f55", "#241c19", "plait", "#8a2150"),
    _Look("#dba678", "#6b2a3f", "scarf", "#1a4a83", glasses=True),
    _Look("#8d5a3b", "#241c19", "bob", "#0a6a61"),
)
_MEN = (
    _Look("#c48d5f", "#241c19", "short", "#1a4a83"),
    _Look("#dba678", "#0d5a52", "turban", "#0a6a61", beard=True),
    _Look("#8d5a3b", "#17110f", "short", "#8c3217", glasses=True),
    _Look("#a9714b", "#2f211b", "parted", "#0a6a61", beard=True),
    _Look("#e8bd92", "#8f8a86", "parted", "#4a3a97", glasses=True),
    _Look("#70452d", "#17110f", "short", "#734700", beard=True),
    _Look("#d09a6b", "#b9b4b0", "bald", "#1a4a83"),
    _Look("#b97f55", "#8c3217", "turban", "#1a4a83", beard=True, glasses=True),
    _Look("#dba678", "#3a2a22", "parted", "#8c3217"),
    _Look("#8d5a3b", "#4b4542", "bald", "#0a6a61", beard=True),
)
OF_WOMEN, OF_MEN = range(len(_WOMEN)), range(len(_WOMEN), len(_WOMEN) + len(_MEN))
"""The numbers of portraits, as `portraits` returns them."""


@cache
def portraits() -> list[Encoded]:
    """Return all portraits, drawn once in a process."""
    return [encode(_drawn(look, _GROUNDS[number % len(_GROUNDS)])) for number, look in enumerate((*_WOMEN, *_MEN))]


class Pen:
    """Draws in units of the drawing, on a square."""

    def __init__(self, ground: str) -> None:
        self.picture = Image.new("RGB", (SIDE * SCALE, SIDE * SCALE), ground)
        self._draw = ImageDraw.Draw(self.picture)

    def oval(self, x: float, y: float, wide: float, high: float, fill: str) -> None:
        self._draw.ellipse(self._box(x - wide, y - high, x + wide, y + high), fill=fill)

    def part(self, x: float, y: float, wide: float, high: float, degrees: tuple[int, int], fill: str) -> None:
        """Draw what a line cuts off an oval, between two angles; 0 is to the right, and 90 below."""
        self._draw.chord(self._box(x - wide, y - high, x + wide, y + high), *degrees, fill=fill)

    def block(self, left: float, top: float, right: float, bottom: float, radius: float, fill: str) -> None:
        self._draw.rounded_rectangle(self._box(left, top, right, bottom), radius * SCALE, fill=fill)

    def shape(self, corners: list[tuple[float, float]], fill: str) -> None:
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in corners], fill=fill)

    def curve(self, oval: _Oval, degrees: tuple[int, int], colour: str, thick: float = 1.4) -> None:
        x, y, wide, high = oval
        box = self._box(x - wide, y - high, x + wide, y + high)
        self._draw.arc(box, *degrees, fill=colour, width=round(thick * SCALE))

    @staticmethod
    def _box(*edges: float) -> tuple[float, float, float, float]:
        left, top, right, bottom = (edge * SCALE for edge in edges)
        return left, top, right, bottom


def _drawn(look: _Look, ground: str) -> bytes:
    pen = Pen(ground)
    _draw_behind(pen, look)
    pen.block(8, 45, 56, 90, 17, "#ffffff")
    pen.shape([(25, 45), (39, 45), (32, 58)], look.shirt)
    pen.block(27.5, 36, 36.5, 49, 4.5, _darker(look.skin))
    pen.curve((22, 50, 3.5, 9), (60, 200), look.shirt)
    pen.curve((42, 48, 3, 9), (-20, 120), look.shirt)
    pen.oval(42.5, 58, 2.4, 2.4, look.shirt)
    for x in (21.8, 42.2):
        pen.oval(x, 28, 2.3, 2.3, look.skin)
    pen.oval(32, 27, 10.3, 12.3, look.skin)
    if look.beard:
        pen.part(32, 29.5, 10.6, 11.5, (12, 168), look.hair if look.style not in ("turban", "bald") else _INK)
    _draw_hair(pen, look)
    for x in (28, 36):
        pen.oval(x, 27.5, 1.3, 1.3, _INK)
        if look.glasses:
            pen.curve((x, 27.5, 3.6, 3.4), (0, 360), _INK, 0.8)
    pen.curve((32, 32.5, 3.4, 2.4), (20, 160), "#d9937c" if look.beard else "#7a2f24")
    file = BytesIO()
    pen.picture.resize((SIDE * SCALE // 2, SIDE * SCALE // 2), Image.Resampling.LANCZOS).save(file, "PNG")
    return file.getvalue()


def _draw_behind(pen: Pen, look: _Look) -> None:
    """Draw what is behind the head and the shoulders."""
    if look.style == "long":
        pen.block(18.5, 13, 45.5, 52, 13, look.hair)
    elif look.style == "bob":
        pen.block(19, 13, 45, 40, 12, look.hair)
    elif look.style == "scarf":
        pen.block(17, 11, 47, 54, 14, look.hair)
    elif look.style == "bun":
        pen.oval(32, 9.5, 5.5, 5.5, look.hair)
    elif look.style == "plait":
        pen.block(41, 20, 47, 56, 3, look.hair)


def _draw_hair(pen: Pen, look: _Look) -> None:
    """Draw what is over the forehead."""
    if look.style == "turban":
        pen.part(32, 20, 13, 12.5, (172, 368), look.hair)
        pen.shape([(19.5, 21), (32, 12.5), (44.5, 21), (44.5, 22.5), (32, 17), (19.5, 22.5)], _darker(look.hair))
    elif look.style == "bald":
        for x in (21.9, 42.1):
            pen.oval(x, 23.5, 1.5, 3.2, look.hair)
    elif look.style == "scarf":
        pen.part(32, 25, 12.2, 13.2, (200, 340), look.hair)
    elif look.style == "short":
        pen.part(32, 22.5, 11.4, 10.5, (182, 358), look.hair)
    else:
        pen.part(32, 24, 11.6, 12, (185, 300), look.hair)
        pen.part(32, 24, 11.6, 12, (250, 356), look.hair)


def _darker(colour: str) -> str:
    return "#" + "".join(f"{int(colour[at : at + 2], 16) * 9 // 10:02x}" for at in (1, 3, 5))
