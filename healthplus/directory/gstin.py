"""A clinic's number of registration for India's goods and services tax."""

from __future__ import annotations

import re
from string import ascii_uppercase, digits

from healthplus.errors import BadInput
from healthplus.text import code

_SIGNS = digits + ascii_uppercase
# The state, the holder's income tax number (PAN), which of the holder's registrations it is, and two more signs.
_FORM = re.compile("[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]{3}")


def checked_gstin(text: str) -> str:
    """Return a GSTIN as it is kept: 15 signs without spaces. Raises BadInput where form or check sign are wrong."""
    gstin = code(text)
    if not _FORM.fullmatch(gstin):
        raise BadInput(f"gstin {text[:60]!r}: expected 15 letters and digits, such as 27AAPFU0939F1ZV")
    if gstin[-1] != check_sign(gstin[:-1]):
        raise BadInput(f"gstin {text[:60]!r}: mistyped, as its last sign does not fit the others")
    return gstin


def check_sign(body: str) -> str:
    """Return the last sign of a GSTIN, from the 14 before it."""
    products = (_SIGNS.index(sign) * (1 + at % 2) for at, sign in enumerate(body))
    return _SIGNS[-sum(sum(divmod(product, 36)) for product in products) % 36]
