"""What does not agree between what a gateway paid out and the ledger, as differences.py has it of lists."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from healthplus.payments.differences import NOTHING, Difference


class Settled(NamedTuple):
    """A line of a settlement, with what the ledger has of its payment or refund.

    `lines`: how many are about the same, in all settlements; `lines_minor`: what all of these come to, with what came
    back. `ours_minor`: what was taken, or below zero what went back; None where the ledger does not know it.
    """

    name: str
    kind: str
    payment: str
    refund: str
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    is_converted: bool
    lines: int
    lines_minor: int
    provider_id: int | None
    hold_id: UUID | None
    booking_id: UUID | None
    clinic_id: int | None
    ours_minor: int | None
    ours_currency: str | None

    @property
    def about(self) -> str:
        """Return the gateway's name of what it is about."""
        return self.refund or self.payment or self.name


def line_differences(line: Settled) -> list[Difference]:
    """Return all that does not agree about one line."""
    currency, amount = line.currency, line.amount_minor
    found = []
    if line.kind == "other":
        found.append(Difference("settled_other", abs(amount), currency, NOTHING, f"{currency} {amount}"))
    elif line.kind != "fee":
        found += _of_money(line)
    if line.net_minor != amount - line.fee_minor:
        said = f"{currency} {amount - line.fee_minor}", f"{currency} {line.net_minor}"
        found.append(Difference("settled_fee", abs(amount - line.fee_minor - line.net_minor), currency, *said))
    return found


def _of_money(line: Settled) -> list[Difference]:
    """Return what is there of a payment or a refund."""
    currency, amount = line.currency, line.amount_minor
    if line.ours_minor is None:
        return [Difference("settled_unknown", abs(amount), currency, NOTHING, f"{currency} {amount}")]
    if line.lines > 1:
        said = f"{currency} {line.ours_minor}", f"{currency} {line.lines_minor}"
        return [Difference("settled_twice", abs(line.lines_minor - line.ours_minor), currency, *said)]
    theirs = line.lines_minor if line.kind == "refund" else amount  # what failed has come back in another line
    if line.is_converted or (line.ours_minor, line.ours_currency) == (theirs, currency):
        return []
    said = f"{line.ours_currency} {line.ours_minor}", f"{currency} {theirs}"
    in_doubt = abs(line.ours_minor - theirs) if line.ours_currency == currency else abs(amount)
    return [Difference("settled_amount", in_doubt, currency, *said)]


def sum_difference(currency: str, amount_minor: int | None, comes_to_minor: int) -> Difference | None:
    """Return what is missing or too much in a settlement of this amount, whose lines come to so much."""
    if amount_minor is None or amount_minor == comes_to_minor:
        return None
    said = f"{currency} {comes_to_minor}", f"{currency} {amount_minor}"
    return Difference("settled_sum", abs(amount_minor - comes_to_minor), currency, *said)
