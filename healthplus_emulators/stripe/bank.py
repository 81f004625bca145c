"""What becomes of money at the emulated Stripe: from a session to an intent, its charges, refunds and lapses."""

from __future__ import annotations

from typing import Any

import msgspec

from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.ledger import Document, Ledger
from healthplus_emulators.stripe import objects
from healthplus_emulators.stripe.currencies import is_possible
from healthplus_emulators.stripe.errors import Refused, missing, required
from healthplus_sandbox.faults import Faults
from healthplus_sandbox.outbox import Outbox

VERSION = "2026-10-28.endive"
"""Of the account's webhooks."""
_HALF_HOUR, _DAY = 30 * 60, 24 * 3600


class StripeBank:
    """The account's objects. A session's `payment_intent_data` is kept beside it, until there is an intent."""

    def __init__(self, ledger: Ledger, faults: Faults[FaultPlan], outbox: Outbox) -> None:
        self._ledger, self._faults, self._outbox = ledger, faults, outbox

    def now(self) -> int:
        """Return the account's time."""
        return int(self._ledger.now())

    def require(self, kind: str, name: str) -> Document:
        """Return an object. Raises Refused."""
        found = self._ledger.find(kind, name)
        if found is None:
            raise missing(kind, name)
        return found

    def open_session(self, asked: Document, url: str) -> Document:
        """Make a Checkout Session. Raises Refused, before anything is kept."""
        _check_session(asked, self.now())
        made = objects.session(asked, url, self.now())
        self._ledger.put("checkout.session", made)
        self._ledger.put("intent_data", {"id": f"data_{made['id']}", **asked.get("payment_intent_data", {})})
        self._ledger.plan("expire", made["id"], made["expires_at"] - self.now())
        return made

    def expire(self, name: str) -> Document:
        """Let nobody pay in a session any more. Raises Refused where it is not open."""
        found = self.require("checkout.session", name)
        if found["status"] != "open":
            raise Refused(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. "
                f"This Checkout Session has a status of `{found['status']}`.",
                kept=True,
            )  # fmt: skip
        found.update(status="expired", url=None)
        self._change(found, "checkout.session.expired")
        if found["payment_intent"]:
            self._cancel(self.require("payment_intent", found["payment_intent"]), "abandoned")
        return found

    def pay(self, name: str, *, good: bool) -> Document:
        """Try a card in a session, as its page does; return the intent. Raises Refused where it is not open."""
        found = self.require("checkout.session", name)
        if found["status"] != "open":
            raise Refused(f"This Checkout Session is {found['status']}.")
        if found["payment_intent"]:
            paid = self.require("payment_intent", found["payment_intent"])
        else:
            paid = objects.intent(found, self.require("intent_data", f"data_{name}"), self.now())
            self._ledger.put("payment_intent", paid, name)
            self._tell("payment_intent.created", paid)
            found["payment_intent"] = paid["id"]
            self._ledger.change(found)
        self._charge(paid, good=good)
        if good:
            is_taken = paid["status"] == "succeeded"
            found.update(status="complete", url=None, payment_status="paid" if is_taken else "unpaid")
            self._change(found, "checkout.session.completed")
        return paid

    def _charge(self, paid: Document, *, good: bool) -> None:
        by_hand = paid["capture_method"] == "manual"
        lapse_seconds = self._faults.plan.lapse_seconds or objects.LAPSE_SECONDS
        before = self.now() + int(lapse_seconds) if by_hand and good else None
        tried = objects.charge(paid, self.now(), before, None if good else "card_declined")
        self._ledger.put("charge", tried, paid["id"])
        paid["latest_charge"] = tried["id"]
        if not good:
            paid["status"] = "requires_payment_method"
            paid["last_payment_error"] = {"type": "card_error", "code": "card_declined", "charge": tried["id"]}
            self._tell("charge.failed", tried)
            self._change(paid, "payment_intent.payment_failed")
            return
        paid.update(last_payment_error=None, status="requires_capture", amount_capturable=paid["amount"])
        self._ledger.change(paid)
        self._ledger.note_move(paid["id"], "authorised")
        if by_hand:
            self._ledger.plan("lapse", paid["id"], lapse_seconds)
            self._tell("charge.succeeded", tried)
            self._tell("payment_intent.amount_capturable_updated", paid)
        else:
            self._take(paid, tried, "charge.succeeded")

    def capture(self, name: str, amount: int | None) -> Document:
        """Take what was set aside. Raises Refused."""
        paid = self.require("payment_intent", name)
        if paid["status"] != "requires_capture":
            raise _unexpected(paid, "captured", "requires_capture")
        if amount is not None and amount != paid["amount_capturable"]:
            if not 0 < amount < paid["amount_capturable"]:
                raise Refused(
                    "The amount to capture is greater than the amount that can be captured.",
                    code="amount_too_large", param="amount_to_capture", kept=True,
                )  # fmt: skip
            raise Refused("This emulator takes all or nothing.", param="amount_to_capture", kept=True)
        self._take(paid, self.require("charge", paid["latest_charge"]), "charge.captured")
        return paid

    def _take(self, paid: Document, taken: Document, kind: str) -> None:
        moved = objects.transaction(taken, "charge", taken["amount"], self.now())
        self._ledger.put("balance_transaction", moved, taken["id"])
        taken.update(captured=True, amount_captured=taken["amount"], balance_transaction=moved["id"])
        paid.update(status="succeeded", amount_capturable=0, amount_received=paid["amount"])
        self._ledger.note_move(paid["id"], "captured")
        self._change(taken, kind)
        self._change(paid, "payment_intent.succeeded")

    def cancel(self, name: str, reason: str | None) -> Document:
        """Let go of what was set aside. Raises Refused."""
        paid = self.require("payment_intent", name)
        open_states = "requires_payment_method, requires_capture, requires_confirmation, requires_action"
        if paid["status"] not in open_states.split(", "):
            raise _unexpected(paid, "canceled", open_states)
        self._cancel(paid, reason)
        return paid

    def _cancel(self, paid: Document, reason: str | None) -> None:
        was_set_aside = paid["status"] == "requires_capture"
        paid.update(status="canceled", canceled_at=self.now(), cancellation_reason=reason, amount_capturable=0)
        if was_set_aside:
            self._ledger.note_move(paid["id"], "voided")  # without a refund, since Basil
            if reason == "expired":
                self._tell("charge.expired", self.require("charge", paid["latest_charge"]))
        self._change(paid, "payment_intent.canceled")

    def refund(self, asked: Document) -> Document:
        """Give back some or all of what was captured. Raises Refused."""
        if "payment_intent" not in asked and "charge" not in asked:
            raise required("payment_intent")
        of = asked.get("payment_intent") or self.require("charge", asked["charge"])["payment_intent"]
        paid = self.require("payment_intent", of)
        back = self._ledger.find("charge", paid["latest_charge"] or "")
        if back is None or not back["captured"]:
            message = f"This PaymentIntent ({of}) does not have a successful charge to refund."
            raise Refused(message, param="payment_intent", kept=True)
        left = back["amount_captured"] - back["amount_refunded"]
        amount = int(asked.get("amount", left))
        if left == 0:
            message = f"Charge {back['id']} has already been refunded."
            raise Refused(message, code="charge_already_refunded", kept=True)
        if not 0 < amount <= left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise Refused(message, param="amount", kept=True)
        plan = self._faults.plan
        is_pending = self._faults.happens("refund_pending", plan.refund_pending)
        made = objects.refund(back, amount, self.now(), "pending" if is_pending else "succeeded", asked)
        moved = objects.transaction(made, "refund", -amount, self.now())
        self._ledger.put("balance_transaction", moved, made["id"])
        made["balance_transaction"] = moved["id"]
        self._ledger.put("refund", made, of)
        if self._faults.happens("refund_fails", plan.refund_fails):
            self._ledger.plan("fail_refund", made["id"], plan.refund_seconds)
        else:
            self._ledger.plan("finish_refund", made["id"], plan.refund_seconds)
        back["amount_refunded"] += amount
        back["refunded"] = back["amount_refunded"] == back["amount"]
        self._ledger.note_move(made["id"], "refunded")
        self._tell("refund.created", made)
        self._change(back, "charge.refunded")
        return made

    def pay_out(self) -> Document:
        """Pay out by itself all that moved since the last time, as on a payout schedule."""
        moved = [
            one
            for one in self._ledger.all("balance_transaction")
            if not self._ledger.find("paid_out", f"out {one['id']}")
        ]
        currency = moved[0]["currency"] if moved else "inr"
        of_it = [one for one in moved if one["currency"] == currency]
        made = objects.payout(sum(one["net"] for one in of_it), currency, self.now())
        self._ledger.put("payout", made)
        out = objects.transaction(made, "payout", -made["amount"], self.now())
        self._ledger.put("balance_transaction", out, made["id"])
        for one in (*of_it, out):
            self._ledger.put("paid_out", {"id": f"out {one['id']}", "transaction": one["id"]}, made["id"])
        return made

    def adjust(self, amount: int, currency: str) -> Document:
        """Take or give money for neither a payment nor a refund, as for a dispute."""
        about = {"id": objects.new_id("dp"), "currency": currency}
        moved = objects.transaction(about, "adjustment", amount, self.now())
        self._ledger.put("balance_transaction", moved)
        return moved

    def take(self, step: str, name: str) -> None:
        """Take a step that was planned, where it still can be."""
        match step:
            case "expire":
                if self.require("checkout.session", name)["status"] == "open":
                    self.expire(name)
            case "lapse":
                paid = self.require("payment_intent", name)
                if paid["status"] == "requires_capture":
                    self._cancel(paid, "expired")
            case "finish_refund":
                self._finish(self.require("refund", name))
            case "fail_refund":
                self._fail(self.require("refund", name))

    def _finish(self, made: Document) -> None:
        """Have a refund be with the person's bank, by a number that the bank finds it by."""
        made["status"] = "succeeded"
        made["destination_details"]["card"].update(
            reference_status="available", reference=made["id"][-11:], reference_type="acquirer_reference_number"
        )
        self._change(made, "refund.updated")

    def _fail(self, made: Document) -> None:
        """Have the person's bank refuse a refund: its money is the account's again."""
        moved = objects.transaction(made, "refund_failure", made["amount"], self.now())
        self._ledger.put("balance_transaction", moved, made["id"])
        made.update(status="failed", failure_reason="expired_or_canceled_card", failure_balance_transaction=moved["id"])
        back = self.require("charge", made["charge"])
        back.update(amount_refunded=back["amount_refunded"] - made["amount"], refunded=False)
        self._ledger.change(back)
        self._ledger.note_move(made["id"], "failed")
        self._change(made, "refund.failed")

    def _change(self, changed: Document, kind: str) -> None:
        self._ledger.change(changed)
        self._tell(kind, changed)

    def _tell(self, kind: str, about: Document) -> None:
        told = objects.event(kind, about, self.now(), VERSION)
        self._ledger.put("event", told, kind)
        self._outbox.put(msgspec.json.encode(told))


def _unexpected(paid: Document, done: str, states: str) -> Refused:
    return Refused(
        f"This PaymentIntent could not be {done} because it has a status of {paid['status']}. "
        f"Only a PaymentIntent with one of the following statuses may be {done}: {states}.",
        code="payment_intent_unexpected_state", kept=True, payment_intent=paid,
    )  # fmt: skip


def _check_session(asked: Document, now: int) -> None:
    """Raise Refused for what Stripe would not make a session of, or this emulator does not know."""
    if asked.get("mode") != "payment":
        raise required("mode") if "mode" not in asked else Refused("Invalid mode", param="mode")
    if not asked.get("success_url"):
        raise required("success_url")
    _check_price(asked.get("line_items"))
    if asked.get("allowed_payment_method_types") != ["card"]:
        raise Refused("Only cards are known here.", param="allowed_payment_method_types")
    captured = asked.get("payment_intent_data", {}).get("capture_method", "automatic")
    if captured not in ("automatic", "automatic_async", "manual"):
        raise Refused("Invalid capture_method", param="payment_intent_data[capture_method]")
    if not now + _HALF_HOUR <= int(asked.get("expires_at", now + _DAY)) <= now + _DAY:
        message = "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from now."
        raise Refused(message, param="expires_at")


def _check_price(items: Any) -> None:
    if not isinstance(items, list) or len(items) != 1:
        raise required("line_items")
    try:
        price = items[0]["price_data"]
        amount, currency, _ = int(price["unit_amount"]), price["currency"], price["product_data"]["name"]
        quantity = int(items[0]["quantity"])
    except (KeyError, TypeError, ValueError):
        raise required("line_items[0][price_data]") from None
    if quantity <= 0:
        raise Refused("This value must be greater than or equal to 1.", param="line_items[0][quantity]")
    if currency != currency.lower() or len(currency) != 3:
        raise Refused(f"Invalid currency: {currency}.", param="line_items[0][price_data][currency]")
    if not is_possible(amount, currency.upper()):
        raise Refused("Invalid amount.", code="invalid_charge_amount", param="line_items[0][price_data][unit_amount]")
