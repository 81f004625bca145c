"""What a paid appointment's invoice says, in the language of the pages; invoice.py draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from healthplus.booking.numbers import number_of
from healthplus.database import Record
from healthplus.directory.known_services import Service
from healthplus.money import INR
from healthplus.payments.payments import Money
from healthplus.web.http.payment_words import payment_label, payment_words
from healthplus.web.languages import Language


class InvoiceText(NamedTuple):
    """From top to bottom; `prices` end with `total` and what was paid and refunded, each a name and an amount."""

    language: str
    title: str
    kind_and_number: str
    clinic: str
    address: list[str]
    facts: list[tuple[str, str]]
    prices: list[tuple[str, str]]
    total: str
    notes: list[str]
    note_of_letters: str
    """For an invoice that lacks letters of a name."""


def invoice_text(appointment: Record, services: Sequence[Service], language: Language) -> InvoiceText:
    """Return the texts; `appointment` is a row of the query of that name, with money that was taken."""
    _ = language.gettext
    number = number_of(appointment["booking_id"])
    gstin, clinic = appointment["gstin"], appointment["clinic"]
    # What a clinic that is registered gives for services that are exempt.
    kind = [_("Bill of supply")] if gstin else []
    notes = [_("Booked and paid with HealthPlus. Computer-generated, valid without a signature.")]
    if (money := Money.of(appointment)) and (money.money != "captured" or money.twice_minor):
        notes.insert(0, payment_words(language, money))
    if appointment["currency"] == INR:
        exempt = _("Healthcare services are exempt from GST (Notification 12/2017, Central Tax (Rate), entry 74).")
        notes.insert(0, exempt)
    return InvoiceText(
        language=language.code,
        title=_("Invoice"),
        kind_and_number=" · ".join([*kind, number]),
        clinic=clinic,
        address=[appointment["address"].removeprefix(f"{clinic}, "), *([f"GSTIN {gstin}"] if gstin else [])],
        facts=_facts(appointment, number, language),
        prices=_prices(appointment, services, language),
        total=_("Total"),
        notes=notes,
        note_of_letters=_("“?” stands for letters that this file cannot show. The name is as in your account online."),
    )


def _facts(appointment: Record, number: str, language: Language) -> list[tuple[str, str]]:
    _ = language.gettext
    zone = appointment["time_zone"]
    starts, ends = appointment["starts_at"], appointment["ends_at"]
    when = f"{language.long_date(starts, zone)}, {language.bare_span(starts, ends, zone)}"
    if appointment["state"] == "cancelled":
        when += " ({})".format(_("Cancelled"))
    facts = [
        (_("Patient"), appointment["patient_name"]),
        (_("Appointment"), when),
        (_("With"), appointment["provider"]),
        (_("Appointment number"), number),
        (_("Paid on"), language.long_date(appointment["taken_at"], zone)),
        (_("Paid by"), appointment["payer"]),
        (_("Bank’s reference"), appointment["authorisation"]),
    ]
    return [(name, text) for name, text in facts if text]


def _prices(appointment: Record, services: Sequence[Service], language: Language) -> list[tuple[str, str]]:
    _ = language.gettext
    paid = appointment["amount_minor"]

    def money(amount_minor: int) -> str:
        return language.money(amount_minor, appointment["currency"])

    prices = [(one.name, money(one.fee_minor)) for one in services] or [(_("Consultation"), money(paid))]
    prices += [(_("Total"), money(paid)), (_("Paid online"), money(paid))]
    return prices + refunds_of(appointment, language)


def refunds_of(appointment: Record, language: Language) -> list[tuple[str, str]]:
    """Return what was refunded of a payment, what was not, and what is left, each a name and an amount; or nothing."""
    _ = language.gettext
    paid, kept, returned = (appointment[name] for name in ("amount_minor", "kept_minor", "returned_minor"))

    def money(amount_minor: int) -> str:
        return language.money(amount_minor, appointment["currency"])

    lines = []
    if returned and appointment["returned_at"]:
        on = language.long_date(appointment["returned_at"], appointment["time_zone"])
        lines.append((_("Refunded on %(date)s") % {"date": on}, f"-{money(returned)}"))
    elif returned:
        lines.append((payment_label(language, appointment["money"]), f"-{money(returned)}"))
    if kept:
        lines.append((_("Not refunded, by the clinic’s terms"), money(kept)))
    if returned:
        lines.append((_("Net"), money(paid - returned)))
    return lines
