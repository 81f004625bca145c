"""What is said of a payment, by its state: on every page, on receipts, and by the API."""

from __future__ import annotations

from healthplus.payments.payments import Money
from healthplus.web.languages import N_, Language

_UNANSWERED = N_(
    "Your bank has not answered yet. If it took money, all of it comes back by itself, usually within 7 days. There is "
    "nothing to do."
)
_TEXTS = {
    "unanswered": _UNANSWERED,
    "authorised": N_("Paid: %(amount)s. The receipt follows in a moment."),
    "capture_due": N_("Paid: %(amount)s. The receipt follows in a moment."),
    "captured": N_("Paid: %(amount)s on %(taken_on)s."),
    "void_due": N_("Refund started: your bank releases %(returned)s. You are not charged."),
    "voided": N_("Refunded: %(returned)s was released on %(returned_on)s. You were not charged."),
    "refund_due": N_(
        "Refund started: %(returned)s goes back to the account you paid from. UPI: 2 to 7 days, card: 5 to 10."
    ),
    "refunded": N_(
        "Refunded: %(returned)s on %(returned_on)s. Your bank shows it in 2 to 7 days (UPI) or 5 to 10 (card)."
    ),
    "kept": N_("Not refunded: %(amount)s. These are the clinic’s terms, which you were shown before you paid."),
}
"""By the state of the money, each beginning as its label; with places for amounts and days."""

_LABELS = {
    "unanswered": N_("Your bank has not answered yet"),
    "authorised": N_("Paid"),
    "capture_due": N_("Paid"),
    "captured": N_("Paid"),
    "void_due": N_("Refund started"),
    "voided": N_("Refunded"),
    "refund_due": N_("Refund started"),
    "refunded": N_("Refunded"),
    "kept": N_("Not refunded"),
}


def payment_label(language: Language, money: str) -> str:
    """Return in a word or two how a payment stands."""
    return language.gettext(_LABELS[money])


DESK_METHODS = {"cash": N_("Cash"), "card": N_("Card machine"), "upi": N_("UPI by QR")}
"""How a fee is paid at a clinic's desk."""


def payment_words(language: Language, payment: Money) -> str:
    """Return how a payment stands, beginning with the label, and what its patient can expect."""
    _ = language.gettext
    values = {
        name: language.money(amount, payment.currency)
        for name, amount in (
            ("amount", payment.amount_minor),
            ("returned", payment.returned_minor),
            ("kept", payment.kept_minor),
            ("twice", payment.twice_minor),
        )
    } | {
        name: language.long_date(at, payment.time_zone) if at else ""
        for name, at in (("taken_on", payment.taken_at), ("returned_on", payment.returned_at))
    }
    said = [_(_TEXTS[payment.money])]
    if payment.kept_minor and payment.money != "kept":
        said.append(_("%(kept)s is not refunded: these are the clinic’s terms, which you were shown before you paid."))
    if payment.returned_minor and payment.money == "captured":
        said.append(_("The clinic gives %(returned)s of it back."))
    if payment.twice_minor:
        said.append(
            _("You paid twice: %(twice)s of it was refunded.")
            if payment.is_twice_returned
            else _("You paid twice: the refund of %(twice)s has started.")
        )
    return " ".join(said) % values


def unanswered_words(language: Language) -> str:
    """Return what is true as long as nobody knows whether the bank took money for a time that was released."""
    return language.gettext(_UNANSWERED)
