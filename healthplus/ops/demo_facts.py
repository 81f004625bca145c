"""What the demo's data is drawn from: the facts in demo_facts.toml, and the cities in demo_places.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from random import Random
from typing import Any

from healthplus.directory.gstin import check_sign

FACTS: dict[str, Any] = {
    key: value
    for name in ("demo_facts.toml", "demo_places.toml")
    for key, value in tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8")).items()
}

GST_STATE = "Maharashtra"
"""Where the demo's hospitals have a GSTIN."""


def fake_phone(number: int) -> str:
    """Return a number that nobody has: in India no subscriber's number starts with 0, which dials out of an area."""
    return f"+910{number:09}"


def fake_gstin(number: int) -> str:
    """Return a GSTIN of GST_STATE that passes for one and that nobody has: no holder's PAN has a fourth letter of D."""
    body = f"27AAADD{number % 10_000:04}D1Z"
    return body + check_sign(body)


def draw_person(random: Random, region: str) -> tuple[str, str, str]:
    """Draw a gender, a given and a family name that go together."""
    names = FACTS["names"][region]
    gender = random.choice(("female", "male"))
    return gender, random.choice(names[gender]), random.choice(names["family"])


def slug(name: str) -> str:
    """Return a name as used in addresses; enough for the plain names here."""
    return "-".join(re.findall("[a-z0-9]+", name.lower()))
