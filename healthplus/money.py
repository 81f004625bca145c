"""Amounts of money: whole numbers of the smallest unit of a currency (docs/decisions/0021-money-has-a-currency.md)."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import is_currency

from healthplus.country import HERE
from healthplus.errors import BadInput

INR = "INR"
"""India's, for what its law and its ways to pay ask for."""
FEE_MINOR_MAX = 100_000_000

# ISO 4217's, and not the locale data's of the library that formats: what is stored must mean the same after an upgrade.
# directory.currency_digits says the same in SQL.
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DIGITS = {code: digits for digits, codes in _CODES.items() for code in codes.split()}


def currency_digits(currency: str) -> int:
    """Return how many decimals an amount of a currency has: 2 for INR, none for JPY, 3 for KWD."""
    return _DIGITS.get(currency, 2)


def checked_currency(text: str) -> str:
    """Return a currency's ISO 4217 code as it is. Raises BadInput for anything else."""
    if not is_currency(text):
        raise BadInput(f"currency {text[:60]!r}: expected a code of ISO 4217, such as INR or USD")
    return text


def in_units(amount_minor: int, currency: str) -> Decimal:
    """Return an amount in whole units, such as rupees, with as many decimals as the currency has."""
    return Decimal(amount_minor).scaleb(-currency_digits(currency))


def unit_name(currency: str) -> str:
    """Return what commands and messages call a currency's whole unit: its code, but for the country's own."""
    return HERE.unit_name if currency == HERE.currency else currency


def in_minor(amount: Decimal, currency: str) -> int | None:
    """Return a fee or price in the smallest unit; `amount` is in whole units, such as rupees, with decimals.

    None if it is negative, too much for a fee, or has too many decimals.
    """
    if not amount.is_finite() or not 0 <= amount <= in_units(FEE_MINOR_MAX, currency):
        return None
    minor = amount.scaleb(currency_digits(currency))
    return None if minor % 1 else int(minor)
