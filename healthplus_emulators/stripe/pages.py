"""The page of a Checkout Session, which works without script: a good card, a declined one, one that asks for more."""

from __future__ import annotations

from babel.numbers import format_currency

from healthplus_emulators.emulator import Answer, Request, see_other
from healthplus_emulators.ledger import Document
from healthplus_emulators.pages import buttons, facts, frame, link
from healthplus_emulators.stripe.bank import StripeBank
from healthplus_emulators.stripe.currencies import in_units
from healthplus_emulators.stripe.errors import Refused


def checkout(bank: StripeBank, request: Request) -> Answer | None:
    """Return the answer to a patient at /c/pay/SESSION, or at /c/pay/SESSION/check after a card that asks for more."""
    _, _, name, *more = request.words
    try:
        session = bank.require("checkout.session", name)
    except Refused:
        return None
    if session["status"] != "open":
        return frame("Checkout", "<p>You cannot pay here any more.</p>", link(session["cancel_url"], "Go back"))
    here, answer = f"/c/pay/{name}", None
    match request.method, more, request.form.get("choice", ""):
        case "GET", [], _:
            answer = _cards(session, "")
        case "GET", ["check"], _:
            said = buttons(f"{here}/check", approve="Approve", refuse="Do not approve")
            answer = frame("Your bank", _what(session), said)
        case "POST", [], "second":
            answer = see_other(f"{here}/check")
        case "POST", [], ("good" | "declined") as card:
            answer = _tried(bank, session, good=card == "good")
        case "POST", ["check"], ("approve" | "refuse") as said:
            answer = _tried(bank, session, good=said == "approve")
    return answer


def _tried(bank: StripeBank, session: Document, *, good: bool) -> Answer:
    bank.pay(session["id"], good=good)
    if good:
        return see_other(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
    return _cards(session, "<p role=alert>Your card was declined. Try another one.</p>")


def _cards(session: Document, said: str) -> Answer:
    cards = buttons(
        f"/c/pay/{session['id']}",
        good="Pay by a good card",
        second="Pay by a card that asks for more",
        declined="Pay by a card that is declined",
    )
    return frame("Checkout", said, _what(session), cards, link(session["cancel_url"], "Go back"))


def _what(session: Document) -> str:
    code = session["currency"].upper()
    return facts(Amount=format_currency(in_units(session["amount_total"], code), code, locale="en_IN"))
