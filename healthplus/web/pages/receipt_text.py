"""What a receipt or credit note says, in the language of the pages: the page shows it, and receipt_pdf.py draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from healthplus.booking.numbers import number_of
from healthplus.receipts.receipts import Document
from healthplus.web.languages import N_, Language

_GATEWAYS = {"stripe": "Stripe", "razorpay": "Razorpay"}
_METHODS = {
    "online": N_("Paid online"),
    "upi": N_("Paid by UPI"),
    "card": N_("Paid by card"),
    "netbanking": N_("Paid by net banking"),
    "cash": N_("Paid in cash"),
}
_REFERENCE_MAX = 30
"""Longer ones are shown by their ends."""


class Fact(NamedTuple):
    """A name and what it stands for; `lang`: the language of the latter, where it is not the page's."""

    name: str
    text: str
    lang: str = ""


class ReceiptText(NamedTuple):
    """From top to bottom; `kind` is empty for a clinic that is not registered for GST.

    `prices` have a name and an amount each, `heads` say what these are, and `total` is their sum; `after` it come how
    it was paid, and what went back by which credit note.
    """

    language: str
    title: str
    kind: str
    number: str
    clinic: str
    address: list[str]
    facts: list[Fact]
    heads: tuple[str, str]
    prices: list[tuple[str, str]]
    total: tuple[str, str]
    after: list[tuple[str, str]]
    notes: list[str]
    note_of_letters: str
    """For a file that lacks letters of a name."""


def receipt_text(document: Document, credit_notes: Sequence[Document], language: Language) -> ReceiptText:
    """Return the texts of a receipt, with the credit notes that are for it, or of a credit note."""
    _ = language.gettext
    said = document.said
    is_receipt = document.kind == "receipt"
    notes = [_("Issued for the clinic by HealthPlus. Computer-generated, valid without a signature.")]
    if said.tax == "exempt":
        exempt = _(
            "Health care services (SAC 9993): exempt from GST by Notification 12/2017-Central Tax (Rate), entry 74."
        )
        notes.insert(0, exempt)
    # What a clinic that is registered gives for services that are exempt.
    kind = _("Bill of supply") if said.gstin and is_receipt else ""
    return ReceiptText(
        language=language.code,
        title=_("Receipt") if is_receipt else _("Credit note"),
        kind=kind,
        number=document.number,
        clinic=said.clinic,
        address=[one for one in (said.address, f"GSTIN {said.gstin}" if said.gstin else "") if one],
        facts=_facts(document, language),
        heads=(_heading(document, language), _("Amount")),
        prices=_prices(document, language),
        total=(_("Total") if is_receipt else _("Refunded"), language.money(document.amount_minor, document.currency)),
        after=_after(document, credit_notes, language) if is_receipt else [],
        notes=notes,
        note_of_letters=_("“?” stands for letters that this file cannot show. The name is as in your account online."),
    )


def _heading(document: Document, language: Language) -> str:
    lines = document.said.lines
    if lines and lines[0].is_test:
        return language.ngettext("Test", "Tests", len(lines))
    return language.gettext("Service")


def _facts(document: Document, language: Language) -> list[Fact]:
    _ = language.gettext
    said, zone = document.said, document.said.time_zone
    is_receipt = document.kind == "receipt"
    visit = f"{language.long_date(said.starts_at, zone)}, {language.bare_span(said.starts_at, said.ends_at, zone)}"
    reference = said.reference if len(said.reference) <= _REFERENCE_MAX else f"…{said.reference[-8:]}"
    facts = [
        Fact(_("Receipt number") if is_receipt else _("Credit note number"), document.number),
        Fact(_("Date"), language.long_date(document.at, zone)),
    ]
    if said.of and said.of_at and said.of_minor:
        of = _("%(number)s of %(date)s, for %(amount)s") % {
            "number": said.of,
            "date": language.long_date(said.of_at, zone),
            "amount": language.money(said.of_minor, document.currency),
        }
        facts.append(Fact(_("For receipt"), of))
    if document.person_name:
        facts.append(Fact(_("Patient"), document.person_name))
    if document.payer_name:
        facts.append(Fact(_("Paid by"), document.payer_name))
    return [
        *facts,
        Fact(_("Booked for"), visit),
        Fact(_("With"), said.provider, "en"),
        Fact(_("Appointment number"), number_of(document.booking_id)),
        *([Fact(_("Payment reference"), reference)] if reference else []),
    ]


def _prices(document: Document, language: Language) -> list[tuple[str, str]]:
    said = document.said
    if document.kind == "credit_note":
        names = ", ".join(language.known_name("service", one.name) for one in said.lines)
        return [(names or language.gettext("Consultation"), language.money(document.amount_minor, document.currency))]
    lines = [(language.known_name("service", one.name), one.minor) for one in said.lines]
    lines = lines or [(language.gettext("Consultation"), document.amount_minor)]
    return [(name, language.money(minor, document.currency)) for name, minor in lines]


def _after(document: Document, credit_notes: Sequence[Document], language: Language) -> list[tuple[str, str]]:
    _ = language.gettext
    paid, zone = document.amount_minor, document.said.time_zone

    def money(amount_minor: int) -> str:
        return language.money(amount_minor, document.currency)

    gateway = _GATEWAYS.get(document.said.gateway)
    method = _(_METHODS.get(document.said.method, _METHODS["online"]))
    lines = [(f"{method} ({gateway})" if gateway else method, money(paid))]
    for note in credit_notes:
        on = {"date": language.long_date(note.at, zone), "number": note.number}
        lines.append((_("Refunded on %(date)s, credit note %(number)s") % on, f"-{money(note.amount_minor)}"))
    if credit_notes:
        lines.append((_("Net"), money(paid - sum(note.amount_minor for note in credit_notes))))
    return lines
