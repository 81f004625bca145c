"""The ways to pay as pages show them: what a gateway calls them, and what people do."""

from __future__ import annotations

from typing import Literal, NamedTuple

from healthplus.database import Record
from healthplus.payments.gateway import Gateway
from healthplus.web.languages import N_
from healthplus.web.services import AnyRequest, services

BANK_ANSWERS = ("later", "declined", "cancelled", "unanswered")
"""The bank's last answer, as the address has it: it is stored nowhere, and nothing is decided by it."""


class PayMethod(NamedTuple):
    """A way to pay; of kind `test` are those of the sandbox that try out what a bank may do.

    `is_at_once`: the money leaves the patient's account as they pay, and is not set aside first. So it is with net
    banking at every gateway, also where the clinic gets it only later.
    """

    name: str
    kind: Literal["upi", "card", "netbanking", "test"]
    title: str
    hint: str = ""
    is_at_once: bool = False


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


def pay_methods(gateway: Gateway) -> list[PayMethod]:
    """Return the ways to pay that a gateway has; one that is not known here is shown by its name."""
    known = [_KNOWN.get(name) or PayMethod(name, "card", name) for name in gateway.methods]
    at_once = gateway.methods_at_once
    return [one._replace(is_at_once=one.name in at_once or one.kind == "netbanking") for one in known]


def online_methods(request: AnyRequest, appointment: Record) -> list[PayMethod]:
    """Return the ways to pay online for an appointment, a row with the `account` of its clinic; none: it takes none."""
    return pay_methods(services(request).payments.gateways.of(appointment["account"]))


def is_payable_online(request: AnyRequest, appointment: Record) -> bool:
    """Return whether an appointment's fee, which was to be paid at the clinic, can be paid online now."""
    return appointment["is_payable_online"] and bool(online_methods(request, appointment))
