"""What does not agree between a payment in the ledger and the same payment in a gateway's list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from healthplus.payments.gateway import ListedPayment

Kind = (
    Literal["unknown_here", "unknown_there", "amount", "state", "refund", "kept"]
    | Literal["settled_unknown", "settled_amount", "settled_twice", "settled_missing"]
    | Literal["settled_other", "settled_fee", "settled_sum"]
)
"""Money that the ledger does not know, or the gateway does not; another amount or state; not as much went back; or
money that no booking keeps, and that nothing sends back. What was paid out: for nothing that the ledger knows; another
amount than was taken; in several settlements; in none; for neither a payment nor a refund; or less another fee than the
line says. And a settlement that is not what its lines come to."""

NOTHING = "nothing"
"""What one of the two says of a payment that it does not know."""


class Ours(NamedTuple):
    """A payment in the ledger, in the terms of a gateway's list.

    `is_kept`: no booking stands for it, and nothing sends it back. `may_lapse`: it was let go, and its gateway, which
    has no call for that, may say so only some days later. `refunds`: each that has not failed, by the gateway's name
    for it, None where that is not known, and how much it is; none of a payment from before refunds were noted.
    """

    name: str
    provider_id: int
    hold_id: UUID
    booking_id: UUID
    clinic_id: int | None
    state: str
    amount_minor: int
    currency: str
    returned_minor: int
    is_kept: bool
    may_lapse: bool
    refunds: Sequence[Sequence[Any]] = ()


class Difference(NamedTuple):
    """One thing that does not agree: how much is in doubt, and what each of the two says, in few words for both."""

    kind: Kind
    amount_minor: int
    currency: str
    ours: str
    theirs: str


def differences(ours: Ours | None, theirs: ListedPayment | None) -> list[Difference]:
    """Return all that does not agree about one payment."""
    if ours is None:
        return _of_unknown(theirs)
    amount, currency = ours.amount_minor, ours.currency
    if theirs is None:
        found = [Difference("unknown_there", amount, currency, ours.state, NOTHING)]
    elif (amount, currency) != (theirs.amount_minor, theirs.currency):
        said = (f"{currency} {amount}", f"{theirs.currency} {theirs.amount_minor}")
        in_doubt = abs(amount - theirs.amount_minor) if currency == theirs.currency else amount
        found = [Difference("amount", in_doubt, currency, *said)]
    else:
        found = _of_same_amount(ours, theirs)
    if ours.is_kept:
        found.append(Difference("kept", amount, currency, ours.state, theirs.state if theirs else NOTHING))
    return found


def _of_unknown(theirs: ListedPayment | None) -> list[Difference]:
    """Return what is there of a payment that the ledger does not know: what has gone back as a whole is nobody's."""
    if theirs is None or theirs.state == "voided" or theirs.returned_minor == theirs.amount_minor:
        return []
    left = theirs.amount_minor - theirs.returned_minor
    return [Difference("unknown_here", left, theirs.currency, NOTHING, theirs.state)]


def _of_same_amount(ours: Ours, theirs: ListedPayment) -> list[Difference]:
    if ours.state == theirs.state:
        return _of_refunds(ours, theirs)
    if ours.may_lapse and theirs.state == "authorised":
        return []
    return [Difference("state", ours.amount_minor, ours.currency, ours.state, theirs.state)]


def _of_refunds(ours: Ours, theirs: ListedPayment) -> list[Difference]:
    """Compare refunds one by one; only what went back in all, where one side does not have each of them."""
    known = [(name, amount) for name, amount in ours.refunds]
    given = [(one.name, one.amount_minor) for one in theirs.refunds if one.state != "failed"]
    if (_sum(known), _sum(given)) == (ours.returned_minor, theirs.returned_minor):
        lacking_there = [one for one in known if one not in given]
        lacking_here = [one for one in given if one not in known]
        if all(name is None for name, _ in lacking_there) and _sum(lacking_there) == _sum(lacking_here):
            return []
    else:
        lacking_there, lacking_here = [("", ours.returned_minor)], [("", theirs.returned_minor)]
        if lacking_there == lacking_here:
            return []
    in_doubt = abs(_sum(lacking_there) - _sum(lacking_here)) or _sum(lacking_there)
    said = [
        " ".join([currency, *(str(amount) for _, amount in lacking)]) if lacking else f"{currency} 0"
        for currency, lacking in ((ours.currency, lacking_there), (theirs.currency, lacking_here))
    ]
    return [Difference("refund", in_doubt, ours.currency, *said)]


def _sum(refunds: Iterable[tuple[str | None, int]]) -> int:
    return sum(amount for _, amount in refunds)
