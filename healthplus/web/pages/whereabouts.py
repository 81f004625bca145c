"""Where in its city a clinic lies, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from healthplus.web.languages import N_, Language

_DIRECTIONS = (
    N_("north"),
    N_("north-east"),
    N_("east"),
    N_("south-east"),
    N_("south"),
    N_("south-west"),
    N_("west"),
    N_("north-west"),
)
"""Clockwise."""
_KM_EACH = 111.32
"""How long a degree of latitude is."""
_MIDDLE_KM, _FAR_KM = 0.5, 100
"""Within the first no direction is said; beyond the second, one of the two places is wrong."""


def whereabouts(clinic: Mapping[str, Any], language: Language) -> str:
    """Return where a clinic lies from the middle of its city, as "1.5 km north-west"; "" where that is not known."""
    here, middle = clinic["position"], clinic["city"]["position"]
    if not here or not middle:
        return ""
    north = (here["latitude"] - middle["latitude"]) * _KM_EACH
    east = (here["longitude"] - middle["longitude"]) * _KM_EACH * math.cos(math.radians(middle["latitude"]))
    far = math.hypot(north, east)
    _ = language.gettext
    city = language.known_name("city", clinic["city"]["name"])
    if far > _FAR_KM:
        return ""
    if far < _MIDDLE_KM:
        return _("In the middle of %(city)s") % {"city": city}
    direction = _(_DIRECTIONS[round(math.degrees(math.atan2(east, north)) / 45) % 8])
    said = {"distance": f"{far:.1f}" if far < 10 else f"{far:.0f}", "direction": direction, "city": city}
    return _("%(distance)s km %(direction)s of the middle of %(city)s") % said
