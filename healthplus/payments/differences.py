"""What does not agree between a payment in the ledger and the same payment in a gateway's list."""

from __future__ import annotations

from typing import Literal, NamedTuple
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
    has no call for that, may say so only some days later.
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
        if ours.returned_minor == theirs.returned_minor:
            return []
        in_doubt = abs(ours.returned_minor - theirs.returned_minor)
        said = (f"{ours.currency} {ours.returned_minor}", f"{theirs.currency} {theirs.returned_minor}")
        return [Difference("refund", in_doubt, ours.currency, *said)]
    if ours.may_lapse and theirs.state == "authorised":
        return []
    return [Difference("state", ours.amount_minor, ours.currency, ours.state, theirs.state)]
