"""Degrees, registrations and drawn portraits of the demo's doctors, and what patients say of them; all made up."""

from __future__ import annotations

from io import BytesIO
from random import Random
from typing import NamedTuple
from uuid import UUID

from PIL import Image, ImageDraw

from healthplus.directory.pictures import Encoded, encode
from healthplus.ops.demo_facts import FACTS, slug

PORTRAITS = 12
_CHOSEN_BY = [[number for number in range(PORTRAITS) if (number % 3 == 0) == is_woman] for is_woman in (False, True)]
"""What the doctors, who are made up as well, would choose."""
_WITH_PORTRAIT = 0.4  # of the doctors: the others are shown by their initials
_DEGREES = {slug(name): degrees for name, degrees in FACTS["qualifications"].items()}
_STATES = {slug(city["name"]): city["state"] for city in FACTS["cities"]}
_SIDE = 320
_GROUNDS = ("#dff1ed", "#fff0d3", "#e3eefb", "#fde7e0", "#fbe4ec", "#ece8fa")
_SKINS = ("#8d5a3b", "#a9714b", "#c08a61", "#d6a57c")
_HAIR = ("#1d1a1a", "#2f2622", "#5b5654", "#b9b4b0")
_COATS = ("#ffffff", "#eef4f3")
_SHIRTS = ("#0a6a61", "#1a4a83", "#8c3217", "#4a3a97", "#734700")


class Profile(NamedTuple):
    """What a profile says of a provider; `portrait` is a number below PORTRAITS, or None."""

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
        random.choice(_CHOSEN_BY[gender == "female"]) if random.random() < _WITH_PORTRAIT else None,
    )


def review(booking_id: UUID, stars: int) -> str | None:
    """Return what the patient of a booking wrote beside their stars: every second wrote something."""
    texts: list[str] = FACTS["reviews"][str(stars)]
    return None if booking_id.int % 2 else texts[booking_id.int // 2 % len(texts)]


def portraits() -> list[Encoded]:
    """Return drawn portraits, of nobody."""
    return [encode(_drawn(number)) for number in range(PORTRAITS)]


def _drawn(number: int) -> bytes:
    random = Random(f"portrait {number}")  # noqa: S311
    skin, hair = _SKINS[number % len(_SKINS)], random.choice(_HAIR)
    picture = Image.new("RGB", (_SIDE, _SIDE), _GROUNDS[number % len(_GROUNDS)])
    draw = ImageDraw.Draw(picture)
    if number % 3 == 0:  # long hair, behind the shoulders
        draw.rounded_rectangle((92, 70, 228, 250), 62, fill=hair)
    draw.rounded_rectangle((52, 226, 268, 400), 84, fill=random.choice(_COATS))
    draw.polygon([(124, 226), (196, 226), (160, 300)], fill=random.choice(_SHIRTS))
    draw.rounded_rectangle((138, 184, 182, 246), 22, fill=skin)
    draw.ellipse((104, 74, 216, 214), fill=skin)
    draw.chord((100, 62, 220, 190), 180, 360, fill=hair)
    if number % 3 == 1:
        draw.chord((100, 150, 220, 222), 10, 170, fill=hair)
    for x in (138, 182):
        draw.ellipse((x - 5, 142, x + 5, 152), fill="#1d1a1a")
        if number % 4 == 2:
            draw.ellipse((x - 18, 130, x + 18, 164), outline="#10241f", width=4)
    draw.arc((140, 160, 180, 192), 20, 160, fill="#5a2a20", width=4)
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
