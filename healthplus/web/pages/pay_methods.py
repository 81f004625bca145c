"""The ways to pay as pages show them: what a gateway calls them, and what people do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from healthplus.web.languages import N_


class PayMethod(NamedTuple):
    """A way to pay; of kind `test` are those of the sandbox that try out what a bank may do."""

    name: str
    kind: Literal["upi", "card", "netbanking", "test"]
    title: str
    hint: str = ""


_UPI = N_("UPI"), N_("Any UPI app: approve it there")
_CARD = N_("Card"), N_("RuPay, Visa, Mastercard")
_NETBANKING = N_("Net banking"), N_("From your bank account")

_KNOWN = {
    one.name: one
    for one in (
        PayMethod("upi", "upi", *_UPI),
        PayMethod("card", "card", *_CARD),
        PayMethod("netbanking", "netbanking", *_NETBANKING),
        PayMethod("sandbox-upi", "upi", *_UPI),
        PayMethod("sandbox-ok", "card", *_CARD),
        PayMethod("sandbox-netbanking", "netbanking", *_NETBANKING),
        PayMethod("sandbox-later", "test", N_("The bank asks you first, on its own page")),
        PayMethod("sandbox-declined", "test", N_("The card is declined")),
        PayMethod("sandbox-unreachable", "test", N_("The bank does not answer")),
    )
}


def pay_methods(names: Iterable[str]) -> list[PayMethod]:
    """Return the ways to pay that a gateway has under these names; one that is not known here is shown by its name."""
    return [_KNOWN.get(name) or PayMethod(name, "card", name) for name in names]
