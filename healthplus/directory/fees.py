"""Check amounts that people write, and how they are paid."""

from __future__ import annotations

import re
from decimal import Decimal

from healthplus.errors import BadInput
from healthplus.money import FEE_MINOR_MAX, currency_digits, in_minor, in_units, unit_name
from healthplus.text import number

FUNDINGS = ("online", "clinic", "free")

_DECIMALS = ("no", "one", "two", "three", "four")


def checked_fee(amount: Decimal, currency: str) -> int:
    """Return a fee in the smallest unit from an amount in whole units, such as rupees; BadInput when it is none."""
    fee_minor = in_minor(amount, currency)
    if fee_minor is None:
        decimals = _DECIMALS[currency_digits(currency)]
        most = in_units(FEE_MINOR_MAX, currency)
        raise BadInput(f"'{amount}': between 0 and {most:.0f}, with at most {decimals} decimals")
    return fee_minor


def read_fee(text: str, currency: str) -> int:
    """Return the fee that a text in whole units says, in the smallest unit; raises BadInput when it is none."""
    amount = number(text)
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", amount, re.ASCII):
        raise BadInput(f"{text[:30]!r} is no amount; write it like 700 or 649.50")
    return checked_fee(Decimal(amount), currency)


def amount_text(amount_minor: int, currency: str) -> str:
    """Return an amount in whole units, without decimals where they are all 0; read_fee reads it."""
    amount = in_units(amount_minor, currency)
    return f"{amount:.0f}" if amount == int(amount) else f"{amount}"


def require_funding(fee_minor: int, funding: str, currency: str) -> None:
    """Raise BadInput where a fee cannot be paid in this way."""
    if (funding == "free" and fee_minor) or (funding == "online" and not fee_minor):
        fee = f"{amount_text(fee_minor, currency)} {unit_name(currency)}"
        raise BadInput(f"a fee of {fee} does not go with funding {funding!r}")
