"""The amounts in the API's documents: whole numbers of a currency's smallest unit, with the currency beside them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from healthplus.money import INR

_UNIT = "In the smallest unit of `currency`: paise for INR, cents for USD, yen for JPY."

AmountMinor: TypeAlias = Annotated[int, Meta(description=_UNIT)]
Currency: TypeAlias = Annotated[str, Meta(description="ISO 4217, such as INR; the clinic's.", pattern="^[A-Z]{3}$")]
Paise: TypeAlias = Annotated[
    int | None,
    Meta(
        extra_json_schema={
            "description": "Deprecated since 0.1, and gone with 0.2: use the same name with `_minor`, and `currency`. "
            "Null where the currency is not INR.",
            "extra": {"deprecated": True},
        }
    ),
]


def in_paise(amount_minor: int, currency: str) -> int | None:
    """Return what the deprecated fields say of an amount."""
    return amount_minor if currency == INR else None


class Fee(Struct, kw_only=True):
    """A document with a fee."""

    fee_minor: AmountMinor
    currency: Currency
    fee_paise: Paise = None

    def __post_init__(self) -> None:
        self.fee_paise = in_paise(self.fee_minor, self.currency)


class Price(Struct, kw_only=True):
    """A document with a price."""

    price_minor: AmountMinor
    currency: Currency
    price_paise: Paise = None

    def __post_init__(self) -> None:
        self.price_paise = in_paise(self.price_minor, self.currency)
