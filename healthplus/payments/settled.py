"""What a gateway says that it paid out, and of what: by its API, or in the files that it lets owners download."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

LineKind = Literal["payment", "refund", "fee", "other"]
"""Money of a payment; money of a refund, also where it comes back as that failed; a fee for neither; anything else."""


class Settlement(msgspec.Struct, frozen=True):
    """Money paid out to the owner of an account. `amount_minor`: how much; None where what was read does not say it.

    `reference`: by which the owner's bank finds it.
    """

    name: str
    settled_at: datetime
    currency: str
    amount_minor: int | None = None
    reference: str = ""


class SettlementLine(msgspec.Struct, frozen=True):
    """A part of a settlement, of the kind and under the name that the gateway gives it.

    `payment`, `refund`: the gateway's names of what it is about, "" for none. `amount_minor`: of a payment above zero,
    of what goes back below. `fee_minor`: with the tax on it, `tax_minor`. `net_minor`: what it adds to the settlement.
    `keys`: our own keys of the payment, as far as the gateway has them; none is believed unless the ledger has that
    payment under it. `is_converted`: the amounts are not in the currency in which it was paid.
    """

    settlement: str
    name: str
    kind: LineKind
    amount_minor: int
    fee_minor: int
    tax_minor: int
    net_minor: int
    at: datetime
    payment: str = ""
    refund: str = ""
    keys: tuple[str, ...] = ()
    is_converted: bool = False


class SettlementPage(msgspec.Struct, frozen=True):
    """Some settlements, and some lines of these or of such as were in pages before."""

    settlements: list[Settlement] = []
    lines: list[SettlementLine] = []
