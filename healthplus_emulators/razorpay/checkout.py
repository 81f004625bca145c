"""Razorpay's hosted checkout, emulated: a form leads there, and another leads back with what was paid, signed.

It works without script, and asks for no card number and no UPI id: UPI is paid by a QR code, as on a desktop.
"""

from __future__ import annotations

import hashlib
import hmac
import html
from urllib.parse import urlencode

import msgspec
import segno
from babel.numbers import format_currency

from healthplus.money import in_units
from healthplus_emulators.emulator import Answer, Keys, Request, see_other
from healthplus_emulators.ledger import Document
from healthplus_emulators.pages import buttons, facts, frame, style
from healthplus_emulators.razorpay.account import Account, Refused, new_id

_TITLE = "Razorpay"
_METHOD_WORDS = {"upi": "UPI", "card": "Card", "netbanking": "Net banking"}
_CHOICES = {
    "upi": {"pay": "I have paid", "decline": "It was declined"},
    "card": {"pay": "Pay by a good card", "bank": "Pay by a card whose bank asks", "decline": "Pay by a declined card"},
    "netbanking": {"pay": "Approve at the bank", "decline": "Decline at the bank"},
}


def callback_fields(keys: Keys, payment: Document) -> dict[str, str]:
    """Return the fields with which a patient comes back from a payment: signed, or those of an error."""
    order, name = payment["order_id"], payment["id"]
    if payment["status"] == "failed":
        place = msgspec.json.encode({"payment_id": name, "order_id": order}).decode()
        words = ("code", "description", "source", "step", "reason")
        return {f"error[{word}]": payment[f"error_{word}"] for word in words} | {"error[metadata]": place}
    signature = hmac.new(keys.secret.encode(), f"{order}|{name}".encode(), hashlib.sha256).hexdigest()
    return {"razorpay_payment_id": name, "razorpay_order_id": order, "razorpay_signature": signature}


class Checkout:
    """The pages of one account."""

    def __init__(self, account: Account, keys: Keys) -> None:
        self._account = account
        self._keys = keys

    def answer(self, request: Request) -> Answer | None:
        """Return the answer to a request for a page."""
        match request.method, *request.words:
            case "POST", "v1", "checkout", "embedded":
                return self._begin(request.form)
            case "GET", "checkout", name:
                return self._choose(name)
            case ("GET" | "POST") as verb, "checkout", name, method if method in _CHOICES:
                return self._method(name, method) if verb == "GET" else self._pay(name, method, request.form)
        return style(request.path)

    def _begin(self, fields: dict[str, str]) -> Answer:
        """Take the form of a shop."""
        order = self._account.ledger.find("order", fields.get("order_id", ""))
        if fields.get("key_id") != self._keys.key_id or order is None:
            return frame(_TITLE, "<p>The key or the order is not known here.</p>", status=400)
        if not fields.get("callback_url", "").startswith(("http://", "https://")):
            return frame(_TITLE, "<p>The form has no address to come back to.</p>", status=400)
        notes = {name[6:-1]: text for name, text in fields.items() if name.startswith("notes[") and name.endswith("]")}
        checkout = {"id": new_id("chk"), "order": order["id"], "notes": notes, "fields": fields}
        self._account.ledger.put("checkout", checkout)
        method = fields.get("prefill[method]", "")
        return see_other(f"/checkout/{checkout['id']}{f'/{method}' if method in _CHOICES else ''}")

    def _choose(self, name: str) -> Answer | None:
        checkout = self._account.ledger.find("checkout", name)
        if checkout is None:
            return None
        links = "".join(
            f'<p><a href="/checkout/{name}/{method}">{words}</a></p>' for method, words in _METHOD_WORDS.items()
        )
        return frame(_TITLE, self._facts(checkout), links, _back(checkout))

    def _method(self, name: str, method: str, *, asks: bool = False) -> Answer | None:
        """Return the page of a way to pay. `asks`: the second one, on which the card's bank asks."""
        checkout = self._account.ledger.find("checkout", name)
        if checkout is None:
            return None
        parts = [self._facts(checkout)]
        if method == "upi":
            parts.append(f"<p>Scan this with any UPI app.</p>{self._qr(checkout)}")
        choices = {"pay": "Approve at the bank", "decline": "Decline at the bank"} if asks else _CHOICES[method]
        parts.append(buttons(f"/checkout/{name}/{method}", **choices))
        parts.append(f'<p><a href="/checkout/{name}">Pay another way</a></p>')
        return frame("Your bank" if asks else _METHOD_WORDS[method], *parts, _back(checkout))

    def _pay(self, name: str, method: str, fields: dict[str, str]) -> Answer | None:
        checkout = self._account.ledger.find("checkout", name)
        choice = fields.get("choice", "")
        if checkout is None or choice not in ("pay", "decline", "bank"):
            return None
        if choice == "bank":
            return self._method(name, method, asks=True)
        order = self._account.ledger.find("order", checkout["order"])
        assert order is not None
        try:
            do = self._account.pay if choice == "pay" else self._account.fail
            payment = do(order, method, checkout["notes"])
        except Refused as error:
            return frame(_TITLE, f"<p>{html.escape(str(error))}</p>", _back(checkout), status=400)
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(field)}" value="{html.escape(text)}">'
            for field, text in callback_fields(self._keys, payment).items()
        )
        said = "Paid" if choice == "pay" else "Not paid"
        url = html.escape(checkout["fields"]["callback_url"])
        return frame(said, f'<form method="post" action="{url}">{hidden}<button>Continue</button></form>')

    def _order(self, checkout: Document) -> Document:
        order = self._account.ledger.find("order", checkout["order"])
        assert order is not None
        return order

    def _facts(self, checkout: Document) -> str:
        order, fields = self._order(checkout), checkout["fields"]
        amount = format_currency(in_units(order["amount"], order["currency"]), order["currency"], locale="en_IN")
        return facts(To=fields.get("name", ""), For=fields.get("description", ""), Amount=amount)

    def _qr(self, checkout: Document) -> str:
        order = self._order(checkout)
        amount = in_units(order["amount"], order["currency"])
        asked = urlencode({"pa": "emulated@razorpay", "pn": "Emulated", "am": amount, "cu": "INR", "tr": order["id"]})
        return segno.make(f"upi://pay?{asked}", micro=False).svg_inline(scale=5, light="white", svgid="qr")


def _back(checkout: Document) -> str:
    url = checkout["fields"].get("cancel_url", "")
    if not url.startswith(("http://", "https://")):
        return ""
    return f'<p><a href="{html.escape(url)}">Cancel</a></p>'
