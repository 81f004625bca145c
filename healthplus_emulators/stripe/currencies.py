"""How Stripe writes amounts: in a currency's smallest unit as the page "Supported currencies" of its docs has it."""

from __future__ import annotations

from decimal import Decimal

_ZERO_DECIMAL = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD JOD KWD OMR TND"
_TWO_THAT_ARE_ZERO = "ISK UGX"


def in_units(amount: int, currency: str) -> Decimal:
    """Return an amount in whole units."""
    digits = 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMALS else 2
    return Decimal(amount).scaleb(-digits)


def is_possible(amount: int, currency: str) -> bool:
    """Return whether Stripe takes this amount: of three decimals the last is 0, and both where there are no cents."""
    step = 10 if currency in _THREE_DECIMALS else 100 if currency in _TWO_THAT_ARE_ZERO else 1
    return amount > 0 and amount % step == 0
