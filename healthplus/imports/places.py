"""Check where a row says that a place is: its position and postal code, by the country's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from healthplus import text
from healthplus.country import HERE
from healthplus.errors import BadInput
from healthplus.imports import cells
from healthplus.imports.row_cells import RowCells

_Position = tuple[float, float]


class Rules(NamedTuple):
    """How postal codes are written, and between which degrees a country lies.

    `box` has the least and most latitude, and the least and most longitude: what lies outside was not located but
    mistyped.
    """

    postal_code: Callable[[str], str]
    box: tuple[float, float, float, float]


def _postal_code(said: str) -> str:
    cells.require_digits(said)
    code = text.postal_code(said.removesuffix(".0"))
    try:
        return HERE.postal_code.checked(code)
    except ValueError as problem:
        raise BadInput(str(problem)) from None


AT_HOME = Rules(_postal_code, HERE.box)
ABROAD = Rules(cells.text_up_to(20), (-90, 90, -180, 180))
"""Of a clinic whose amounts are in another currency than the country's."""


def position(row: RowCells, rules: Rules) -> _Position | None:
    """Return the row's latitude and longitude, put right where they are swapped."""
    latitude = row.optional("latitude", cells.degrees)
    longitude = row.optional("longitude", cells.degrees)
    if latitude is None and longitude is None:
        return None
    return row.part("coordinates", lambda: _checked(latitude, longitude, rules, row))


def required_position(row: RowCells, rules: Rules) -> _Position:
    """Return the row's latitude and longitude; raises BadInput without them."""
    return _checked(row.required("latitude", cells.degrees), row.required("longitude", cells.degrees), rules, row)


def _checked(latitude: float | None, longitude: float | None, rules: Rules, row: RowCells) -> _Position:
    if latitude is None or longitude is None:
        raise BadInput("latitude and longitude come together or not at all")
    if latitude == longitude == 0:
        raise BadInput("0, 0 is in the sea")
    if _within(latitude, longitude, rules):
        return latitude, longitude
    if _within(longitude, latitude, rules):
        row.note("coordinates were swapped, and are put right")
        return longitude, latitude
    south, north, west, east = rules.box
    raise BadInput(f"expected {south:g} to {north:g} degrees of latitude and {west:g} to {east:g} of longitude")


def _within(latitude: float, longitude: float, rules: Rules) -> bool:
    south, north, west, east = rules.box
    return south <= latitude <= north and west <= longitude <= east
