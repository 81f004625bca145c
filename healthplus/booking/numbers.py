"""An appointment's number for people, as "HP-7K3M-2QXD": its id's first 40 bits, in signs that nobody takes for others.

Ids stay in addresses, where they must be hard to guess. A number is unique among a provider's bookings
(booking.new_id), and those that begin with it are found by their key.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from healthplus.database import Database, Record, load
from healthplus.errors import BadInput
from healthplus.text import code

queries = load(Path(__file__).with_name("numbers.sql"))

_SIGNS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Neither 0 and O nor 1 and I."""
_LENGTH = 8
_BITS = 5
_REST_BITS = 128 - _LENGTH * _BITS


def number_of(booking_id: UUID) -> str:
    """Return the number of a booking."""
    bits = booking_id.int >> _REST_BITS
    signs = "".join(_SIGNS[bits >> at * _BITS & 31] for at in reversed(range(_LENGTH)))
    return f"HP-{signs[:4]}-{signs[4:]}"


def ids_of(number: str) -> tuple[UUID, UUID]:
    """Return the first and the last id that have a number, however it is written. Raises BadInput for what is none."""
    signs = code(number).removeprefix("HP")
    if len(signs) != _LENGTH or not set(signs) <= set(_SIGNS):
        raise BadInput(f"{number[:40]!r} is no appointment number; one looks like HP-7K3M-2QXD.")
    bits = 0
    for sign in signs:
        bits = bits << _BITS | _SIGNS.index(sign)
    first = bits << _REST_BITS
    return UUID(int=first), UUID(int=first | (1 << _REST_BITS) - 1)


async def find_by_number(database: Database, number: str, clinic_id: int | None = None) -> list[Record]:
    """Return the bookings with a number, at one clinic or at any; rarely more than one. Raises BadInput."""
    return await database.fetch(queries.by_number, *ids_of(number), clinic_id)
