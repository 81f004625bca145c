"""What Razorpay's settlements say to the product: by its API, and in the reports that its Dashboard has as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from healthplus.payments.gateways.razorpay_objects import Recon, Settled, note_of
from healthplus.payments.settled import LineKind, Settlement, SettlementLine

_KINDS: dict[str, LineKind] = {"payment": "payment", "refund": "refund"}


def settlement_of(settled: Settled, currency: str) -> Settlement:
    """Return a settlement as the product has it; `currency`: of its lines, as it has none of its own."""
    at = datetime.fromtimestamp(settled.created_at, UTC)
    return Settlement(settled.id, at, currency, settled.amount, settled.utr or "")


def line_of(item: Recon, settled: Mapping[str, Settled]) -> SettlementLine | None:
    """Return a line of the combined report; None where it is not paid out, or its settlement is still under way."""
    if item.settlement_id is None or settled[item.settlement_id].status != "processed":
        return None
    return line(
        item.settlement_id,
        item.type,
        item.entity_id,
        (item.amount, item.fee or 0, item.tax or 0, item.credit - item.debit),
        datetime.fromtimestamp(item.created_at, UTC),
        item.payment_id or "",
        keys_in(item.notes),
    )


def line(
    settlement: str,
    entity: str,
    name: str,
    money: tuple[int, int, int, int],
    at: datetime,
    payment: str,
    keys: tuple[str, ...],
) -> SettlementLine:
    """Return a line of what the reports call an entity. `money`: amount, fee with its tax, that tax, credit less debit.

    A refund that is credited came back, as a bank refused it. All of an adjustment or transfer is neither.
    """
    amount, fee, tax, net = money
    kind = _KINDS.get(entity, "other")
    match kind:
        case "payment":
            return SettlementLine(settlement, name, kind, amount, fee, tax, net, at, name, "", keys)
        case "refund":
            signed = amount if net > 0 else -amount
            return SettlementLine(settlement, name, kind, signed, fee, tax, net, at, payment, name, keys)
    return SettlementLine(settlement, name, kind, net + fee, fee, tax, net, at, payment)


def keys_in(*notes: object) -> tuple[str, ...]:
    """Return our keys in notes, which reports have as JSON in a text."""
    found = []
    for one in notes:
        try:
            read = msgspec.json.decode(one) if isinstance(one, str) else one
        except (msgspec.MsgspecError, RecursionError):
            continue
        if key := note_of(read):
            found.append(key)
    return tuple(found)
