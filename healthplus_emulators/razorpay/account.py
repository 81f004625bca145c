"""What happens at an emulated Razorpay account: orders are paid, money is captured, refunded, lapses and is settled.

As its API documentation has it. UPI is captured as it is paid; an account with Direct Settlement captures everything.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.ledger import Document, Ledger
from healthplus_sandbox.faults import Faults
from healthplus_sandbox.outbox import Outbox

METHODS = ("upi", "card", "netbanking")
LAPSE_SECONDS = 5 * 86_400
ACCOUNT = "acc_Emulated000000"
_IST = timezone(timedelta(hours=5, minutes=30))
_SIGNS = string.ascii_letters + string.digits
_FEE_PERCENT, _TAX_PERCENT = 2, 18


class Refused(Exception):
    """A BAD_REQUEST_ERROR, with its description."""


def new_id(kind: str) -> str:
    """Return a name as Razorpay gives them: order_, pay_ or rfnd_ and fourteen signs."""
    return f"{kind}_{''.join(random.choices(_SIGNS, k=14))}"  # noqa: S311


class Account:
    """The money of one account."""

    def __init__(self, ledger: Ledger, faults: Faults[FaultPlan], outbox: Outbox) -> None:
        self.ledger = ledger
        self.faults = faults
        self._outbox = outbox
        self.has_direct_settlement = False

    def make_order(self, asked: Document) -> Document:
        """Make an order. Raises Refused."""
        amount, currency, receipt = asked.get("amount"), asked.get("currency"), asked.get("receipt")
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise Refused("The amount must be an integer.")
        if amount < 100 or amount >= 2**31:
            raise Refused("Order amount less than minimum amount allowed")
        if not (isinstance(currency, str) and len(currency) == 3):
            raise Refused("The currency field is required.")
        if receipt is not None and (not isinstance(receipt, str) or len(receipt) > 40):
            raise Refused("The receipt may not be greater than 40 characters.")
        capture = (asked.get("payment") or {}).get("capture", "automatic")
        if capture not in ("automatic", "manual"):
            raise Refused("The capture must be automatic or manual.")
        order = {
            "id": new_id("order"), "entity": "order", "amount": amount, "amount_paid": 0, "amount_due": amount,
            "currency": currency, "receipt": receipt, "offer_id": None, "status": "created", "attempts": 0,
            "notes": asked.get("notes") or [], "created_at": self._now(),
        }  # fmt: skip
        self.ledger.put("order", order, receipt or "")
        self.ledger.put("capture", {"id": f"capture {order['id']}", "is_automatic": capture == "automatic"})
        return order

    def pay(self, order: Document, method: str, notes: Document | None, *, is_late: bool = False) -> Document:
        """Pay an order as a patient does; raises Refused where it is paid, or money for it is set aside.

        `is_late`: the bank says only now that an earlier attempt went well, so that an order may be paid twice.
        """
        taken = [one for one in self.ledger.all("payment", order["id"]) if one["status"] in ("authorized", "captured")]
        if taken and not is_late:
            raise Refused("Payment already done for this order.")
        payment = self._attempt(order, method, notes)
        payment["status"] = "authorized"
        self.ledger.put("payment", payment, order["id"])
        self._move(payment, "authorized")
        capture = self.ledger.find("capture", f"capture {order['id']}")
        if self.has_direct_settlement or method == "upi" or (capture and capture["is_automatic"]):
            self._capture(payment)
        else:
            self.ledger.plan("lapse", payment["id"], self.faults.plan.lapse_seconds or LAPSE_SECONDS)
        if not is_late and self.faults.happens("pay_twice", self.faults.plan.pay_twice):
            self.ledger.plan(f"pay-{method}", order["id"], random.uniform(0, 3))  # noqa: S311
        return payment

    def fail(self, order: Document, method: str, notes: Document | None) -> Document:
        """Have a bank decline a payment of an order."""
        payment = self._attempt(order, method, notes) | {
            "status": "failed", "error_code": "BAD_REQUEST_ERROR", "error_description": "The bank declined it.",
            "error_source": "bank", "error_step": "payment_authorization", "error_reason": "payment_failed",
        }  # fmt: skip
        self.ledger.put("payment", payment, order["id"])
        self._send("payment.failed", payment=payment)
        return payment

    def capture(self, payment: Document, asked: Document) -> Document:
        """Capture what is authorised. Raises Refused."""
        if payment["status"] == "captured":
            raise Refused("This payment has already been captured")
        if payment["status"] != "authorized":
            raise Refused("Only payments which have been authorized and not yet captured can be captured")
        if (asked.get("amount"), asked.get("currency", "INR")) != (payment["amount"], payment["currency"]):
            raise Refused("Capture amount must be equal to the amount authorized")
        return self._capture(payment)

    def refund(self, payment: Document, asked: Document) -> Document:
        """Refund a part of a payment, or all that is left of it. Raises Refused."""
        if payment["status"] == "refunded":
            raise Refused("The payment has been fully refunded already")
        if payment["status"] != "captured":
            raise Refused("The payment status should be captured for action to be taken")
        amount = asked.get("amount", payment["amount"] - payment["amount_refunded"])
        if not isinstance(amount, int) or amount < 1:
            raise Refused("The amount must be at least INR 1.00")
        if amount > payment["amount"] - payment["amount_refunded"]:
            raise Refused("The total refund amount is greater than the refund payment amount")
        plan = self.faults.plan
        fails = self.faults.happens("refund_fails", plan.refund_fails)
        is_pending = fails or self.faults.happens("refund_pending", plan.refund_pending)
        refund = self._new_refund(payment, amount, asked.get("notes") or [], asked.get("receipt"))
        self._note_refunded(payment, amount)
        self._send("refund.created", refund=refund, payment=payment)
        if is_pending:
            self.ledger.plan("fail-refund" if fails else "process-refund", refund["id"], plan.refund_seconds)
        else:
            self.process_refund(refund)
        return refund

    def process_refund(self, refund: Document) -> None:
        """Have a refund arrive."""
        refund["status"] = "processed"
        refund["acquirer_data"] = {"arn": "".join(random.choices(string.digits, k=23))}  # noqa: S311
        self.ledger.change(refund)
        self.ledger.note_move(refund["payment_id"], "refunded")
        self._send("refund.processed", refund=refund, payment=self._payment_of(refund))

    def fail_refund(self, refund: Document) -> None:
        """Have a bank refuse a refund: the money is in the account again."""
        refund["status"] = "failed"
        self.ledger.change(refund)
        payment = self._payment_of(refund)
        self._note_refunded(payment, -refund["amount"])
        self._send("refund.failed", refund=refund, payment=payment)

    def lapse(self, payment: Document) -> None:
        """Give back what was authorised and never captured."""
        if payment["status"] != "authorized":
            return
        refund = self._new_refund(payment, payment["amount"], [], None)
        self._note_refunded(payment, payment["amount"])
        self.ledger.note_move(payment["id"], "lapsed")
        self._send("refund.created", refund=refund, payment=payment)
        self.process_refund(refund)

    def settle(self) -> Document:
        """Pay out all that came and went since the last time."""
        now = self._now()
        settlement = {
            "id": new_id("setl"), "entity": "settlement", "amount": 0, "status": "processed", "fees": 0, "tax": 0,
            "utr": f"{now}{new_id('x')[2:9].lower()}", "created_at": now,
        }  # fmt: skip
        day = datetime.fromtimestamp(now, _IST).date().isoformat()
        for one, item in self._unsettled(settlement):
            settlement["amount"] += item["credit"] - item["debit"]
            settlement["fees"] += item["fee"]
            settlement["tax"] += item["tax"]
            self.ledger.put("recon", {"id": f"recon {one['id']}", "item": item, "day": day})
        self.ledger.put("settlement", settlement)
        return settlement

    def adjust(self, amount: int, currency: str) -> Document:
        """Take or give money for neither a payment nor a refund, as for a dispute."""
        made = {"id": new_id("adj"), "amount": amount, "currency": currency, "created_at": self._now()}
        self.ledger.put("adjustment", made)
        return made

    def _unsettled(self, settlement: Document) -> Iterator[tuple[Document, Document]]:
        """Yield all that no settlement has, with its line in this one."""
        captured = [one for one in self.ledger.all("payment") if one["captured"]]
        back = [one for one in self.ledger.all("refund") if one["status"] == "processed"]
        for one in (*captured, *back):
            payment = one if one["entity"] == "payment" else self._payment_of(one)
            if payment["captured"] and not self.ledger.find("recon", f"recon {one['id']}"):
                yield one, self._recon(one, payment, settlement)
        for one in self.ledger.all("adjustment"):
            if not self.ledger.find("recon", f"recon {one['id']}"):
                yield one, self._adjustment(one, settlement)

    @staticmethod
    def _adjustment(one: Document, settlement: Document) -> Document:
        return {
            "entity_id": one["id"], "type": "adjustment", "debit": max(0, -one["amount"]),
            "credit": max(0, one["amount"]), "amount": abs(one["amount"]), "currency": one["currency"], "fee": 0,
            "tax": 0, "on_hold": False, "settled": True, "created_at": one["created_at"],
            "settled_at": settlement["created_at"], "settlement_id": settlement["id"], "posted_at": None,
            "credit_type": "default", "description": "An adjustment", "notes": None, "payment_id": None,
            "settlement_utr": settlement["utr"], "order_id": None, "order_receipt": None, "method": None,
            "dispute_id": None,
        }  # fmt: skip

    def _recon(self, one: Document, payment: Document, settlement: Document) -> Document:
        is_payment = one["entity"] == "payment"
        fee = payment["fee"] if is_payment else 0
        order = self.ledger.find("order", payment["order_id"])
        assert order is not None
        return {
            "entity_id": one["id"], "type": one["entity"], "debit": 0 if is_payment else one["amount"],
            "credit": one["amount"] - fee if is_payment else 0, "amount": one["amount"], "currency": one["currency"],
            "fee": fee, "tax": payment["tax"] if is_payment else 0, "on_hold": False, "settled": True,
            "created_at": one["created_at"], "settled_at": settlement["created_at"],
            "settlement_id": settlement["id"], "posted_at": None, "credit_type": "default",
            "description": payment["description"], "notes": msgspec.json.encode(payment["notes"]).decode(),
            "payment_id": None if is_payment else payment["id"], "settlement_utr": settlement["utr"],
            "order_id": payment["order_id"], "order_receipt": order["receipt"], "method": payment["method"],
            "dispute_id": None,
        }  # fmt: skip

    def _attempt(self, order: Document, method: str, notes: Document | None) -> Document:
        if method not in METHODS:
            raise Refused(f"There is no method {method}.")
        order["attempts"] += 1
        order["status"] = "attempted" if order["status"] == "created" else order["status"]
        self.ledger.change(order)
        reference = "".join(random.choices(string.digits, k=12))  # noqa: S311
        return {
            "id": new_id("pay"), "entity": "payment", "amount": order["amount"], "currency": order["currency"],
            "status": "created", "order_id": order["id"], "invoice_id": None, "international": False, "method": method,
            "amount_refunded": 0, "refund_status": None, "captured": False, "description": "Appointment",
            "card_id": new_id("card") if method == "card" else None, "bank": "HDFC" if method == "netbanking" else None,
            "wallet": None, "vpa": "someone@exampleupi" if method == "upi" else None, "email": "void@razorpay.com",
            "contact": None, "notes": notes or [], "fee": None, "tax": None, "error_code": None,
            "error_description": None, "error_source": None, "error_step": None, "error_reason": None,
            "acquirer_data": {"rrn": reference} if method == "upi" else {"auth_code": reference[:6]},
            "created_at": self._now(),
        }  # fmt: skip

    def _capture(self, payment: Document) -> Document:
        fee = payment["amount"] * _FEE_PERCENT // 100
        tax = fee * _TAX_PERCENT // 100
        payment |= {"status": "captured", "captured": True, "fee": fee + tax, "tax": tax}
        self.ledger.change(payment)
        self._move(payment, "captured")
        order = self.ledger.find("order", payment["order_id"])
        assert order is not None
        if order["status"] != "paid":
            order |= {"status": "paid", "amount_paid": order["amount"], "amount_due": 0}
            self.ledger.change(order)
        self._send("order.paid", payment=payment, order=order)
        return payment

    def _new_refund(self, payment: Document, amount: int, notes: Any, receipt: Any) -> Document:
        refund = {
            "id": new_id("rfnd"), "entity": "refund", "amount": amount, "currency": payment["currency"],
            "payment_id": payment["id"], "notes": notes, "receipt": receipt, "acquirer_data": {"arn": None},
            "created_at": self._now(), "batch_id": None, "status": "pending", "speed_processed": "normal",
            "speed_requested": "normal",
        }  # fmt: skip
        self.ledger.put("refund", refund, payment["id"])
        return refund

    def _note_refunded(self, payment: Document, amount: int) -> None:
        payment["amount_refunded"] += amount
        left = payment["amount"] - payment["amount_refunded"]
        payment["refund_status"] = None if left == payment["amount"] else "partial" if left else "full"
        payment["status"] = "captured" if left else "refunded"
        self.ledger.change(payment)

    def _payment_of(self, refund: Document) -> Document:
        payment = self.ledger.find("payment", refund["payment_id"])
        assert payment is not None
        return payment

    def _move(self, payment: Document, state: str) -> None:
        self.ledger.note_move(payment["id"], state)
        self._send(f"payment.{state}", payment=payment)

    def _send(self, event: str, **entities: Document) -> None:
        """Send a webhook: what these were when it happened."""
        self._outbox.put(event_body(event, self._now(), **entities))

    def _now(self) -> int:
        return int(self.ledger.now())


def event_body(event: str, at: int, **entities: Document) -> bytes:
    """Return the body of a webhook."""
    payload = {name: {"entity": entity} for name, entity in entities.items()}
    return msgspec.json.encode(
        {
            "entity": "event", "account_id": ACCOUNT, "event": event, "contains": [*entities], "payload": payload,
            "created_at": at,
        }
    )  # fmt: skip
