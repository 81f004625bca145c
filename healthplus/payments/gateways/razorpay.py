"""The gateway Razorpay: an order for each hold, paid on Razorpay's own page, which a form leads to.

What it relies on is told by Razorpay's pages "Hosted Checkout: Integration Steps" (the form, and the fields that come
back), "Fetch All Orders (With Expanded Payments)", "Configure Payment Capture Settings using Orders API", "Create a
Normal Refund (Idempotent Request)", "Refunds Webhook Events" (`captured` is false where an authorisation lapsed),
"Webhooks: Best Practices" (at least once, in any order) and "Migrate from UPI Collect" (no UPI id is asked for).

There is no call that lets an authorisation go. Where its account lets them lapse, the money is back with the patient
after the account's three to five days; otherwise it is captured, and then refunded as any captured money.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from datetime import date
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import aiohttp
import msgspec

from healthplus.booking.numbers import number_of
from healthplus.errors import BadInput, BadSignature, PaymentUnavailable
from healthplus.metrics import GATEWAY_FAILURES
from healthplus.payment_keys import AccountKeys
from healthplus.payments.gateway import (
    Authorisation,
    Declined,
    GatewayPayment,
    GatewayRefund,
    ListedPayment,
    PaymentState,
    Pending,
    Returned,
    WebhookEvent,
    given_up,
)
from healthplus.payments.gateways.days import seconds_of
from healthplus.payments.gateways.razorpay_objects import (
    ErrorPlace,
    Event,
    Order,
    Orders,
    Payment,
    Payments,
    Recons,
    Refund,
    Refunds,
    Settled,
    fact_of,
    has_note,
    is_money,
    listed_of,
    note_of,
    refund_of,
    state_of,
)
from healthplus.payments.gateways.razorpay_settlements import line_of, settlement_of
from healthplus.payments.settled import SettlementPage

logger = logging.getLogger(__name__)
T = TypeVar("T")

URL = "https://api.razorpay.com"
METHODS = ("upi", "card", "netbanking")
ANSWER_SECONDS_MAX = 10.0
OLD_SECONDS = 3600
"""An event older than this is not believed: it may be a replay, or a late repeat of what has changed since."""
SIGNATURE = "X-Razorpay-Signature"
EVENT_ID = "X-Razorpay-Event-Id"
IDEMPOTENCY_KEY = "X-Refund-Idempotency"
_REFUNDS = UUID("6f1d1a3e-58e0-4a94-9d0c-2f1f0a3f7c52")
"""In which names the keys of refunds become keys as Razorpay takes them."""
_LIST_MAX, _RECON_MAX = 100, 1000
_BAD_REQUEST = 400
_PAID = ("authorized", "captured")


class _BadRequest(Exception):
    """Razorpay does not do what was asked for: mostly since it has been done, or is no longer possible."""


class RazorpayGateway:
    """A Gateway for one account at Razorpay; to be used within `async with`."""

    methods: tuple[str, ...] = METHODS

    def __init__(
        self,
        account: str,
        owner: str,
        keys: AccountKeys,
        *,
        captures_at_once: bool = False,
        lets_lapse: bool = False,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        """`account`, `owner`: as in payments.account; the owner is who a patient sees that they pay.

        `captures_at_once`: Direct Settlement takes all money at once. `lets_lapse`: what is not needed goes back by
        itself, and is not captured and refunded.
        """
        self.pages = keys.url or URL
        self.methods_at_once = frozenset(METHODS if captures_at_once else ("upi",))
        self._account = account
        self._owner = owner
        self._keys = keys
        self._captures_at_once = captures_at_once
        self._lets_lapse = lets_lapse
        self._answer_seconds_max = answer_seconds_max

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": aiohttp.encode_basic_auth(self._keys.key_id, self._keys.secret)},
            timeout=aiohttp.ClientTimeout(total=self._answer_seconds_max),
            connector=aiohttp.TCPConnector(limit=0),  # captures and reconciliation bound what they ask for at once
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def authorise(
        self,
        key: str,
        amount_minor: int,
        currency: str,
        method: str,
        return_url: str = "",
        order: str | None = None,
    ) -> Authorisation | Declined | Pending:
        if method not in METHODS:
            raise BadInput(f"Razorpay takes these methods of payment: {', '.join(METHODS)}.")
        hold_id = _hold_of(key)
        orders = [one for one in await self._orders(key) if (one.amount, one.currency) == (amount_minor, currency)]
        if paid := [one.id for known in orders for one in known.payments.items if one.status in _PAID]:
            return Authorisation(paid[0])
        # A process may have died between making an order and storing its name: then that one is used.
        usable = [known.id for known in orders if known.status != "paid"]
        if order not in usable:
            order = usable[0] if usable else await self._new_order(key, amount_minor, currency)
        fields = {
            "key_id": self._keys.key_id,
            "order_id": order,
            "amount": str(amount_minor),
            "currency": currency,
            "name": self._owner,
            "description": f"Appointment {number_of(hold_id)}",
            "notes[key]": key,
            "prefill[method]": method,
            **self._ways_back(return_url),
        }
        return Pending(f"{self.pages}/v1/checkout/embedded", order, fields)

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        body = {"amount": amount_minor, "currency": currency}
        try:
            return state_of(await self._ask("POST", f"/payments/{authorisation}/capture", Payment, body))
        except _BadRequest:
            payment = await self._payment(authorisation)
            if payment.status == "authorized":
                raise PaymentUnavailable from None  # it can be captured, but not so much
            return state_of(payment)

    async def void(self, authorisation: str) -> PaymentState:
        payment = await self._payment(authorisation)
        state = state_of(payment)
        if state != "authorised":
            return state
        # What is captured now is then to be refunded, as is money that was taken as the patient paid.
        return "voided" if self._lets_lapse else await self.capture(authorisation, payment.amount, payment.currency)

    async def refund(
        self,
        authorisation: str,
        amount_minor: int,
        currency: str,  # noqa: ARG002 - it is the payment's
        key: str = "",
    ) -> GatewayRefund | PaymentState:
        # Asked again, Razorpay would answer as it did the first time, and not how the refund stands now.
        for known in await self._refunds(authorisation):
            if has_note(known.notes) and note_of(known.notes) == key:
                if known.amount == amount_minor:
                    return refund_of(known)
                raise PaymentUnavailable("Another amount was refunded under this key.")
        body = {"amount": amount_minor, "speed": "normal", "notes": {"key": key}}
        headers = {IDEMPOTENCY_KEY: str(uuid5(_REFUNDS, f"{authorisation} {key}"))}
        try:
            path = f"/payments/{authorisation}/refund"
            return refund_of(await self._ask("POST", path, Refund, body, headers=headers))
        except _BadRequest:
            payment = await self._payment(authorisation)
        if payment.status == "captured":
            raise BadInput("Razorpay refuses this refund.")
        return state_of(payment)

    async def close(self, order: str) -> None:
        """Change nothing: Razorpay has no call that ends an order. What comes for it late books or goes back."""

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:
        orders = await self._orders(key)
        payments = [payment for known in orders for payment in known.payments.items]
        if order is not None and order not in (known.id for known in orders):
            payments += (await self._ask_or_fail("GET", f"/orders/{order}/payments", Payments)).items
        found = [payment for payment in payments if is_money(payment)]
        return [fact_of(payment, await self._refunds_of(payment)) for payment in found]

    async def payments_of(self, day: date) -> AsyncIterator[list[ListedPayment]]:
        since, until = seconds_of(day)
        skip = 0
        while True:  # its list has the last first, and of a day that is over it does not grow
            query = {"from": str(since), "to": str(until - 1), "count": str(_LIST_MAX), "skip": str(skip)}
            page = (await self._ask_or_fail("GET", "/payments", Payments, query=query)).items
            yield [
                listed_of(payment, await self._refunds_of(payment) if payment.amount_refunded else [])
                for payment in page
                if is_money(payment)
            ]
            if len(page) < _LIST_MAX:
                return
            skip += len(page)

    async def find(self, name: str) -> ListedPayment | None:
        try:
            payment = await self._ask("GET", f"/payments/{name}", Payment)
        except _BadRequest:
            return None
        return listed_of(payment, await self._refunds_of(payment)) if is_money(payment) else None

    async def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:
        known: dict[str, Settled] = {}
        skip = 0
        while True:
            query = {"year": f"{day:%Y}", "month": f"{day:%m}", "day": f"{day:%d}"}
            query |= {"count": str(_RECON_MAX), "skip": str(skip)}
            page = (await self._ask_or_fail("GET", "/settlements/recon/combined", Recons, query=query)).items
            names = dict.fromkeys(one.settlement_id for one in page if one.settlement_id)
            new = [
                await self._ask_or_fail("GET", f"/settlements/{name}", Settled) for name in names if name not in known
            ]
            known |= {one.id: one for one in new}
            currencies = {one.settlement_id: one.currency for one in page}
            yield SettlementPage(
                [settlement_of(one, currencies[one.id]) for one in new if one.status == "processed"],
                [line for one in page if (line := line_of(one, known)) is not None],
            )
            if len(page) < _RECON_MAX:
                return
            skip += len(page)

    def read_return(self, fields: Mapping[str, str]) -> Returned:
        if "error[code]" in fields:  # nothing was paid, and nobody has signed that
            try:
                place = msgspec.json.decode(fields.get("error[metadata]", ""), type=ErrorPlace)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                raise BadSignature from None
            return Returned(place.order_id, is_declined=True)
        order, payment = fields.get("razorpay_order_id", ""), fields.get("razorpay_payment_id", "")
        signature = fields.get("razorpay_signature", "")
        if (
            not order
            or not payment
            or not _is_signed(self._keys.secret, f"{order}|{payment}".encode("utf-8", "replace"), signature)
        ):
            raise BadSignature
        return Returned(order)

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        if not _is_signed(self._keys.webhook_secret, body, headers.get(SIGNATURE.lower(), "")):
            raise BadSignature
        try:
            event = msgspec.json.decode(body, type=Event)
            if event.event == "payment.failed" or "payment" not in event.payload:
                return None
            payment = msgspec.json.decode(event.payload["payment"].entity, type=Payment)
            refund = event.payload.get("refund")
            refunds = [msgspec.json.decode(refund.entity, type=Refund)] if refund else []
        except (msgspec.MsgspecError, UnicodeError):
            return None  # signed, so meant for someone; not for us
        key = note_of(payment.notes)
        if not key or payment.order_id is None or not is_money(payment):
            return None
        is_old = event.created_at is not None and time.time() - event.created_at > OLD_SECONDS  # noqa: TID251 (theirs)
        name = headers.get(EVENT_ID.lower(), "")[:200]
        name = name if name.isascii() and name.isprintable() else ""
        return WebhookEvent(
            name or hashlib.sha256(body).hexdigest(),
            key,
            fact_of(payment, refunds),
            payment.order_id,
            is_doubtful=is_old,
        )

    def _ways_back(self, return_url: str) -> dict[str, str]:
        """Return where Razorpay's page leads to: what was paid by our own route, what was not to the hold's page."""
        parts = urlsplit(return_url)
        if not parts.scheme:
            return {}
        language = re.match("/[a-z]{2}(?=/)", parts.path)
        path = f"{language.group() if language else ''}/payments/{self._account}/return"
        back = parts._replace(query="", fragment="")
        return {"callback_url": back._replace(path=path).geturl(), "cancel_url": given_up(return_url)}

    async def _new_order(self, key: str, amount_minor: int, currency: str) -> str:
        request = {
            "amount": amount_minor,
            "currency": currency,
            "receipt": str(_hold_of(key)),
            "notes": {"key": key},
            "payment": {"capture": "automatic" if self._captures_at_once else "manual"},
        }
        return (await self._ask_or_fail("POST", "/orders", Order, request)).id

    async def _orders(self, key: str) -> list[Order]:
        """Return the orders that were made for a key: one, or several where processes made them at once."""
        receipt = str(_hold_of(key))
        query = {"receipt": receipt, "count": str(_LIST_MAX), "expand[]": "payments"}
        orders = await self._ask_or_fail("GET", "/orders", Orders, query=query)
        # An order is made with our secret key alone: what its notes say is ours, unlike those of a payment.
        return [order for order in orders.items if order.receipt == receipt and note_of(order.notes) == key]

    async def _payment(self, authorisation: str) -> Payment:
        return await self._ask_or_fail("GET", f"/payments/{authorisation}", Payment)

    async def _refunds_of(self, payment: Payment) -> list[Refund]:
        # A refund that failed is no longer among what was refunded, so it has to be asked for of all that was captured.
        return [] if state_of(payment) in ("authorised", "voided") else await self._refunds(payment.id)

    async def _refunds(self, authorisation: str) -> list[Refund]:
        query = {"count": str(_LIST_MAX)}
        return (await self._ask_or_fail("GET", f"/payments/{authorisation}/refunds", Refunds, query=query)).items

    async def _ask_or_fail(
        self, method: str, path: str, answer_type: type[T], body: object = None, *, query: dict[str, str] | None = None
    ) -> T:
        """As `_ask`, of what Razorpay has no good reason to refuse."""
        try:
            return await self._ask(method, path, answer_type, body, query=query)
        except _BadRequest:
            GATEWAY_FAILURES.add("refused")
            raise PaymentUnavailable from None

    async def _ask(
        self,
        method: str,
        path: str,
        answer_type: type[T],
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> T:
        """Return the answer to one request, which is never sent again. Raises PaymentUnavailable and _BadRequest."""
        try:
            async with self._session.request(
                method, f"{self.pages}/v1{path}", json=body, params=query, headers=headers, allow_redirects=False
            ) as response:
                status, answer = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            GATEWAY_FAILURES.add("unreachable")
            raise PaymentUnavailable from error
        if status == _BAD_REQUEST:
            raise _BadRequest
        if not 200 <= status < 300:
            GATEWAY_FAILURES.add("refused")
            if status == 401:
                logger.error("razorpay refuses the keys of account %s", self._account)
            raise PaymentUnavailable
        try:
            return msgspec.json.decode(answer, type=answer_type)
        except msgspec.MsgspecError as error:
            GATEWAY_FAILURES.add("refused")
            raise PaymentUnavailable from error


def _is_signed(secret: str, signed: bytes, signature: str) -> bool:
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return bool(secret) and hmac.compare_digest(digest.encode(), signature.encode("utf-8", "replace"))


def _hold_of(key: str) -> UUID:
    """Return the hold of a key, by which an order is found: a receipt has 40 characters at most, and a key more."""
    return UUID(key.partition(":")[2])
