"""The API of an emulated Razorpay account, as the official SDK speaks it, and what tests have patients do there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from healthplus_emulators.emulator import Answer, Emulator, Keys, Request, document
from healthplus_emulators.ledger import Document
from healthplus_emulators.razorpay.account import Account, Refused
from healthplus_emulators.razorpay.checkout import Checkout, callback_fields

_IDEMPOTENCY_KEY = re.compile("[0-9A-Za-z_-]{10,}")
_COUNT = 10


class RazorpayEmulator(Emulator):
    """One account at Razorpay."""

    name = "razorpay"

    def __init__(self, folder: Path, keys: Keys, webhook_url: str | None) -> None:
        super().__init__(folder, keys, webhook_url)
        self._account = Account(self.ledger, self.faults, self.outbox)
        self._checkout = Checkout(self._account, keys)
        basic = base64.b64encode(f"{keys.key_id}:{keys.secret}".encode()).decode()
        self._authorization = f"Basic {basic}"

    def webhook_headers(self, body: bytes) -> Mapping[str, str]:
        return {
            "X-Razorpay-Signature": hmac.new(self.keys.webhook_secret.encode(), body, hashlib.sha256).hexdigest(),
            # The same of an event that is sent again.
            "X-Razorpay-Event-Id": hashlib.sha256(body).hexdigest()[:14],
        }

    def is_api(self, path: str) -> bool:
        return path.startswith("/v1/") and not path.startswith("/v1/checkout/")

    def answer(self, request: Request) -> Answer | None:
        if not self.is_api(request.path):
            return self._checkout.answer(request)
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._authorization.encode()):
            return _error("Authentication failed", 401)
        try:
            found = self._answer_api(request)
        except Refused as error:
            return _error(str(error))
        except msgspec.MsgspecError:
            return _error("The request is no JSON.")
        return _error("The requested URL was not found on the server.", 404) if found is None else found

    def control(self, step: str, asked: dict[str, str]) -> object:
        """Do what a test asks for.

        pay, decline: an order by a `method` (else UPI), as a patient does; with `again`, although it is paid. They
        answer with the fields that come back to the shop. pay-late: after so many `seconds`. settle: pay out.
        adjust: give or take an `amount`. account: with `direct_settlement`, capture everything at once.
        """
        match step:
            case "pay" | "decline":
                order = self._require("order", asked["order"])
                notes = {"key": asked["key"]} if "key" in asked else _dict(order["notes"])
                if step == "decline":
                    return callback_fields(self.keys, self._account.fail(order, asked.get("method", "upi"), notes))
                try:
                    payment = self._account.pay(order, asked.get("method", "upi"), notes, is_late="again" in asked)
                except Refused as error:
                    raise KeyError(str(error)) from None
                return callback_fields(self.keys, payment)
            case "pay-late":
                self._require("order", asked["order"])
                self.ledger.plan(f"pay-{asked['method']}", asked["order"], float(asked["seconds"]))
                return {}
            case "settle":
                return self._account.settle()
            case "adjust":
                return self._account.adjust(int(asked["amount"]), asked["currency"])
            case "account":
                self._account.has_direct_settlement = asked["direct_settlement"] == "yes"
                return {}
        raise KeyError(step)

    def take(self, step: str, name: str) -> None:
        match step:
            case "lapse":
                self._account.lapse(self._require("payment", name))
            case "process-refund":
                self._account.process_refund(self._require("refund", name))
            case "fail-refund":
                self._account.fail_refund(self._require("refund", name))
            case _:
                order = self._require("order", name)
                self._account.pay(order, step.removeprefix("pay-"), _dict(order["notes"]), is_late=True)

    def _require(self, kind: str, name: str) -> Document:
        found = self.ledger.find(kind, name)
        if found is None:
            raise KeyError(name)
        return found

    def _answer_api(self, request: Request) -> Answer | None:
        match request.method, *request.words[1:]:
            case "POST", "orders":
                return document(self._account.make_order(_body(request)))
            case "POST", "payments", name, "capture":
                return document(self._account.capture(self._find("payment", name), _body(request)))
            case "POST", "payments", name, "refund":
                return self._refund(request, self._find("payment", name))
            case "GET", *words:
                found = self._read(request, words)
                return None if found is None else document(found)
        return None

    def _read(self, request: Request, words: list[str]) -> object:
        found: object = None
        match words:
            case ["orders"]:
                found = self._orders(request)
            case ["orders", name, "payments"]:
                found = _collection(self.ledger.all("payment", self._find("order", name)["id"]))
            case ["settlements", "recon", "combined"]:
                found = self._recon(request)
            case [("orders" | "payments" | "refunds" | "settlements") as kind, name]:
                found = self._find(kind.removesuffix("s"), name)
            case ["payments", name, "refunds"]:
                found = _collection(_page(request, self.ledger.all("refund", self._find("payment", name)["id"])))
            case ["payments", name, "refunds", refund]:
                one = self._find("refund", refund)
                found = one if one["payment_id"] == name else None
            case [("payments" | "refunds" | "settlements") as kind]:
                found = _collection(_page(request, _between(request, self.ledger.all(kind.removesuffix("s")))))
        return found

    def _recon(self, request: Request) -> object:
        """Return all that was settled on a day, or in a month."""
        year, month = int(request.query["year"]), int(request.query["month"])
        start = f"{year:04}-{month:02}-" + (f"{int(request.query['day']):02}" if "day" in request.query else "")
        items = [one["item"] for one in self.ledger.all("recon") if one["day"].startswith(start)]
        return _collection(_page(request, items))

    def _orders(self, request: Request) -> object:
        orders = self.ledger.all("order", request.query.get("receipt"))
        orders = _page(request, _between(request, orders))
        if request.query.get("expand[]") == "payments":
            orders = [one | {"payments": _collection(self.ledger.all("payment", one["id"]))} for one in orders]
        return _collection(orders)

    def _refund(self, request: Request, payment: Document) -> Answer:
        """Refund, or repeat the answer to a refund with the same idempotency key."""
        key = request.headers.get("x-refund-idempotency")
        if key is None:
            return document(self._account.refund(payment, _body(request)))
        if not _IDEMPOTENCY_KEY.fullmatch(key):
            raise Refused("The idempotency key is invalid.")
        asked = f"{payment['id']} {request.body.decode()}"
        if known := self.ledger.answered(key):
            if known[0] != asked:
                raise Refused("Different request with the same idempotency key has already been processed.")
            return Answer(known[1], known[2])
        answer = document(self._account.refund(payment, _body(request)))
        self.ledger.keep_answer(key, asked, answer.status, answer.body)
        return answer

    def _find(self, kind: str, name: str) -> Document:
        found = self.ledger.find(kind, name)
        if found is None:
            raise Refused("The id provided does not exist")
        return found


def _error(description: str, status: int = 400) -> Answer:
    error = {
        "code": "BAD_REQUEST_ERROR", "description": description, "source": "business", "step": "payment_initiation",
        "reason": "input_validation_failed", "metadata": {},
    }  # fmt: skip
    return document({"error": error}, status)


def _body(request: Request) -> Document:
    return msgspec.json.decode(request.body or b"{}", type=dict[str, Any])


def _dict(notes: Any) -> Document | None:
    return notes if isinstance(notes, dict) else None


def _collection(items: list[Document]) -> Document:
    return {"entity": "collection", "count": len(items), "items": items}


def _page(request: Request, items: list[Document]) -> list[Document]:
    skip, count = int(request.query.get("skip", "0")), min(int(request.query.get("count", _COUNT)), 1000)
    return items[skip : skip + count]


def _between(request: Request, items: list[Document]) -> list[Document]:
    since, until = int(request.query.get("from", "0")), int(request.query.get("to", 2**62))
    return [one for one in items if since <= one["created_at"] <= until]
