"""The way of a booking's money, step by step, as its patient and the desk see it: what happened, when, and what comes.

Three states of a refund are told apart: it is ordered, it is processed, and then it is with the person's bank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from healthplus.web.languages import N_, Language

_PAID = {
    "upi": N_("Paid by UPI: %(amount)s"),
    "card": N_("Paid by card: %(amount)s"),
    "netbanking": N_("Paid by net banking: %(amount)s"),
}
_WITH_BANK = {
    "upi": N_("It is with your bank: with UPI, that usually takes 2 to 7 days."),
    "card": N_("It is with your bank: with a card, that usually takes 5 to 10 working days."),
}
_WITH_BANK_SOMEHOW = N_(
    "It is with your bank: that usually takes 2 to 7 days with UPI, 5 to 10 working days with a card."
)
_WHY = {
    "lost": N_("The time could not be kept."),
    "twice": N_("This was paid twice."),
    "desk": N_("The clinic gives it back."),
    "gateway": N_("It was given back at the payment company itself."),
}


class MoneyStep(NamedTuple):
    """What happened, and what there is to say of it; `at` is None for what is still to come.

    `reference`: to quote to the bank. `is_bad`: it went wrong.
    """

    text: str
    at: datetime | None
    notes: Sequence[str] = ()
    reference: str = ""
    is_bad: bool = False


def money_steps(
    language: Language, payments: Sequence[Mapping[str, Any]], currency: str, now: datetime, *, is_desk: bool
) -> list[MoneyStep]:
    """Return the steps of all payments for a booking; `payments` is the document of payments.money_steps.

    Patients are not shown what the desk can still take back.
    """
    steps = [
        step
        for payment in payments
        for step in _Payment(language, payment, payment["currency"] or currency, now, is_desk=is_desk).steps()
    ]
    return sorted(steps, key=lambda step: (step.at is None, step.at or now))


def _at(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


class _Payment:
    def __init__(
        self, language: Language, payment: Mapping[str, Any], currency: str, now: datetime, *, is_desk: bool
    ) -> None:
        self._language, self._payment, self._currency = language, payment, currency
        self._now, self._is_desk = now, is_desk

    def _say(self, text: str, amount_minor: int | None = None, **values: object) -> str:
        said = self._language.gettext(text)
        if amount_minor is not None:
            values["amount"] = self._language.money(amount_minor, self._currency)
        return said % values if values else said

    def _is_hidden(self, from_at: str | None) -> bool:
        """Return whether this is ordered, and the desk can still take it back, which is for the desk alone to see."""
        at = _at(from_at)
        return not self._is_desk and at is not None and at > self._now

    def steps(self) -> Iterator[MoneyStep]:
        yield from self._paid()
        yield from self._kept()
        yield from self._due()
        for refund in self._payment["refunds"]:
            yield from self._refund(refund)

    def _paid(self) -> Iterator[MoneyStep]:
        payment = self._payment
        amount, method = payment["amount_minor"], payment["method"]
        authorised, captured = _at(payment["authorised_at"]), _at(payment["captured_at"])
        if captured and (method != "card" or authorised == captured):
            yield MoneyStep(self._say(_PAID.get(method, N_("Paid: %(amount)s")), amount), authorised)
            return
        # Only money on a card is surely blocked first; until the gateway says how it was paid, the words fit all ways.
        text = N_("Blocked on your card: %(amount)s") if method == "card" else N_("Approved by your bank: %(amount)s")
        yield MoneyStep(self._say(text, amount), authorised)
        if captured:
            yield MoneyStep(self._say(N_("Charged: %(amount)s"), amount), captured)
        elif payment["due"] == "capture" and method == "card":
            yield MoneyStep(self._say(N_("To be charged in a moment: %(amount)s"), amount), None)

    def _kept(self) -> Iterator[MoneyStep]:
        payment = self._payment
        if payment["kept_minor"] and payment["state"] != "voided" and not self._is_hidden(payment["returns_from"]):
            terms = self._say(N_("These are the clinic’s terms, which were shown before paying."))
            text = self._say(N_("Not refunded: %(amount)s"), payment["kept_minor"])
            yield MoneyStep(text, _at(payment["returned_at"]), (terms,))

    def _due(self) -> Iterator[MoneyStep]:
        """Return what goes back as a whole, until the gateway has answered, or as earlier releases did it."""
        payment = self._payment
        if payment["state"] == "voided":
            notes = (self._say(N_("You were not charged.")),)
            text = self._say(N_("Released by the bank: %(amount)s"), payment["amount_minor"])
            yield MoneyStep(text, _at(payment["voided_at"]), notes)
        elif payment["due"] in ("void", "refund") and not self._is_hidden(payment["returns_from"]):
            is_refund = payment["due"] == "refund"
            amount = payment["rest_minor"] if is_refund else payment["amount_minor"]
            paid_at, ended_at = (_at(payment[name]) for name in ("captured_at", "returned_at"))
            at = max((one for one in (paid_at, ended_at) if one), default=_at(payment["authorised_at"]))
            if amount:
                yield MoneyStep(self._say(N_("Refund ordered: %(amount)s"), amount), at, self._until(payment))
                yield MoneyStep(self._say(N_("We tell your bank within a minute.")), None)
        elif payment["state"] == "refunded" and payment["rest_minor"] and not payment["has_rest"]:
            text = self._say(N_("Refund processed: %(amount)s"), payment["rest_minor"])
            yield MoneyStep(text, _at(payment["refunded_at"]), (self._with_bank(),))

    def _until(self, row: Mapping[str, Any], name: str = "returns_from") -> tuple[str, ...]:
        at = _at(row[name])
        if at is None or at <= self._now:
            return ()
        return (
            self._say(
                N_("Until three minutes after it was ordered it can be taken back, and the patient is not told.")
            ),
        )

    def _with_bank(self) -> str:
        return self._say(_WITH_BANK.get(self._payment["method"], _WITH_BANK_SOMEHOW))

    def _refund(self, refund: Mapping[str, Any]) -> Iterator[MoneyStep]:
        if self._is_hidden(refund["from_at"]) and refund["tries"] == 1:
            return
        amount, ordered = refund["amount_minor"], _at(refund["ordered_at"])
        assert ordered is not None
        if refund["tries"] == 1:
            ended = _at(self._payment["returned_at"])
            at = (
                min(ordered, max(ended, _at(self._payment["captured_at"]) or ended))
                if refund["is_rest"] and ended
                else ordered
            )
            why = (self._say(_WHY[refund["why"]]),) if refund["why"] in _WHY else ()
            notes = (*why, *self._until(refund, "from_at"))
            yield MoneyStep(self._say(N_("Refund ordered: %(amount)s"), amount), at, notes)
        elif ordered <= self._now:
            yield MoneyStep(self._say(N_("Refund ordered again: %(amount)s"), amount), ordered)
        yield from self._reached(refund, amount)

    def _reached(self, refund: Mapping[str, Any], amount: int) -> Iterator[MoneyStep]:
        """Return what became of a refund, and what comes next."""
        failed, paid = _at(refund["failed_at"]), _at(refund["paid_at"])
        if processed := _at(refund["processed_at"]):
            notes = () if failed else (self._with_bank(),)
            reference = "" if failed else refund["reference"] or ""
            yield MoneyStep(self._say(N_("Refund processed: %(amount)s"), amount), processed, notes, reference)
        if failed:
            notes = ()
            if not refund["is_last"]:
                notes = (self._say(N_("It is tried again; there is nothing to do.")),)
            elif not paid:
                notes = (self._say(N_("The clinic pays it by bank transfer, or tries again. The money is not lost.")),)
            yield MoneyStep(self._say(N_("The refund failed: %(amount)s"), amount), failed, notes, is_bad=True)
        if paid:
            text = self._say(N_("Paid by bank transfer: %(amount)s"), amount)
            yield MoneyStep(text, paid, reference=refund["reference"] or "")
        elif refund["state"] == "pending":
            yield MoneyStep(self._say(N_("Your refund is being processed.")), None)
        elif refund["state"] == "ordered":
            again = refund["tries"] > 1
            yield MoneyStep(
                self._say(
                    N_("It is tried again within six hours.") if again else N_("We tell your bank within a minute.")
                ),
                None,
            )
