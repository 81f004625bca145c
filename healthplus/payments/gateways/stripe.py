"""Stripe: the patient pays by card on its Checkout page; the money is set aside there, and captured by us.

Each request for money is a Checkout Session, whose name is the product's order, and which makes one PaymentIntent, by
whose name the product knows the payment. What a POST was answered is kept by Stripe under its idempotency key for a
day, failures too (its docs, "Idempotent requests"): what has failed for good is asked for with another key.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import date
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec
import stripe
from stripe.params import PaymentIntentListParams, RefundListParams
from stripe.params.checkout import SessionCreateParams

from healthplus.errors import BadInput, BadSignature, PaymentUnavailable
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
from healthplus.payments.gateways.stripe_answers import Refused, answered, read, unavailable
from healthplus.payments.gateways.stripe_objects import (
    KEY,
    PAID,
    REFUND_KEY,
    Charge,
    Intent,
    Intents,
    Refund,
    Refunds,
    Session,
    listed_of,
    payment_of,
    read_event,
    state_of,
    to_stripe,
)
from healthplus.payments.gateways.stripe_settlements import settlement_pages
from healthplus.payments.settled import SettlementPage

T = TypeVar("T")

METHOD = "card"
SIGNATURE = "stripe-signature"
ANSWER_SECONDS_MAX = 10.0
_PAGES = "https://checkout.stripe.com"
_NAME = "Appointment"
_KEYS_MAX, _KEY_SECONDS = 7, 600
"""So many keys are tried for one request whose failures Stripe keeps; and then one that is another after so long."""
_OPEN_SECONDS, _STEP_SECONDS = 31 * 60, 5 * 60
"""A session is open as short as Stripe allows, which is half an hour; rounded up to the next step, so that a repeat of
the request has the same parameters."""
_CHARGE = ["latest_charge.balance_transaction", "latest_charge.refunds"]
_SESSION = [f"payment_intent.{name}" for name in _CHARGE]

# Its log has what is sent and answered, and with each request goes how long the last one took, and on what machine.
logging.getLogger("stripe").setLevel(logging.WARNING)
stripe.log = None
stripe._util.STRIPE_LOG = None
stripe.enable_telemetry = False


class StripeGateway:
    """A Gateway; to be used within `async with`."""

    methods: tuple[str, ...] = (METHOD,)

    def __init__(
        self, keys: AccountKeys, *, captures_at_once: bool = False, answer_seconds_max: float = ANSWER_SECONDS_MAX
    ) -> None:
        self._keys = keys
        self._answer_seconds_max = answer_seconds_max
        self._captures_at_once = captures_at_once
        self.methods_at_once: frozenset[str] = frozenset(self.methods if captures_at_once else ())
        self.pages = keys.url or _PAGES

    async def __aenter__(self) -> Self:
        # Of ours: its own waits for 80 seconds, and takes another library where that is installed.
        timeout = aiohttp.ClientTimeout(total=self._answer_seconds_max)
        self._http = stripe.AIOHTTPClient(timeout=timeout)
        self._v1 = stripe.StripeClient(
            self._keys.secret,
            http_client=self._http,
            max_network_retries=0,
            base_addresses={"api": self._keys.url} if self._keys.url else None,
        ).v1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def authorise(
        self,
        key: str,
        amount_minor: int,
        currency: str,
        method: str,
        return_url: str = "",
        order: str | None = None,
    ) -> Authorisation | Declined | Pending:
        if method != METHOD:
            raise BadInput(f"Stripe takes this method of payment here: {METHOD}.")
        if not return_url:
            raise BadInput("Stripe's page needs an address to lead back to.")
        amount = to_stripe(amount_minor, currency)
        if order is not None and (known := await self._known(order)):
            is_same = (known.amount_total, known.currency) == (amount, currency.lower())
            if known.status == "complete":
                return self._authorised(known, is_same=is_same)
            if known.status == "open" and is_same and known.url:
                return Pending(known.url, order)
            await self.close(order)
        made = await self._open(key, amount, currency, return_url, order or "")
        if not made.url:
            raise PaymentUnavailable
        return Pending(made.url, made.id)

    async def _known(self, order: str) -> Session | None:
        try:
            return await self._session(order)
        except Refused as refused:
            if refused.status == 404:
                return None
            unavailable(refused)

    @staticmethod
    def _authorised(session: Session, *, is_same: bool) -> Authorisation:
        intent = session.payment_intent
        if is_same and isinstance(intent, Intent) and state_of(intent) in ("authorised", "captured"):
            return Authorisation(intent.id)
        raise PaymentUnavailable

    async def _session(self, order: str) -> Session:
        asked = self._v1.checkout.sessions.retrieve_async(order, {"expand": _SESSION})
        return await answered(asked, Session)

    async def _open(self, key: str, amount: int, currency: str, return_url: str, order: str) -> Session:
        """Make a session. The same request again leads to the same one."""
        paid: SessionCreateParams = {
            "mode": "payment",
            "allowed_payment_method_types": [METHOD],
            "line_items": [
                {
                    "price_data": {
                        "currency": currency.lower(),
                        "unit_amount": amount,
                        "product_data": {"name": _NAME},
                    },
                    "quantity": 1,
                }
            ],
            "metadata": {KEY: key},
            "payment_intent_data": {
                "capture_method": "automatic" if self._captures_at_once else "manual",
                "description": _NAME,
                "metadata": {KEY: key},
            },
            "adaptive_pricing": {"enabled": False},  # it is paid in the currency of its price
            "success_url": return_url,
            "cancel_url": given_up(return_url),
        }
        said = hashlib.sha256(msgspec.json.encode(paid)).hexdigest()[:16]
        # It ends by Stripe's clock. A repeat just after the next step has begun asks for the step before.
        now = int(time.time())  # noqa: TID251
        until = -(-(now + _OPEN_SECONDS) // _STEP_SECONDS) * _STEP_SECONDS
        name = f"{key}:{order}:{said}"
        for idempotency_key, ends in ((name, until), (name, until - _STEP_SECONDS), (f"{name}:{until}", until)):
            asked: SessionCreateParams = {**paid, "expires_at": ends}
            call = functools.partial(self._v1.checkout.sessions.create_async, asked)
            try:
                return await self._post(idempotency_key, call, Session)
            except Refused as refused:
                if not refused.is_other:
                    unavailable(refused)
        raise PaymentUnavailable

    async def capture(self, authorisation: str, amount_minor: int, currency: str) -> PaymentState:
        amount = to_stripe(amount_minor, currency)
        return await self._step(
            authorisation,
            "capture",
            lambda options: self._v1.payment_intents.capture_async(
                authorisation, {"amount_to_capture": amount, "expand": _CHARGE}, options
            ),
        )

    async def void(self, authorisation: str) -> PaymentState:
        return await self._step(
            authorisation,
            "void",
            lambda options: self._v1.payment_intents.cancel_async(authorisation, {"expand": _CHARGE}, options),
        )

    async def _step(
        self,
        authorisation: str,
        step: str,
        call: Callable[[stripe.RequestOptions], Awaitable[stripe.PaymentIntent]],
    ) -> PaymentState:
        """Do a step; where that is no longer possible, see what has become of the payment."""
        try:
            intent = await self._post(f"{authorisation}:{step}", call, Intent)
        except Refused as refused:
            if refused.status != 400:
                unavailable(refused)
            intent = await self._intent(authorisation)
            if intent.status == "requires_capture":  # it was possible, and refused all the same
                unavailable(refused)
        payment = payment_of(intent, await self._refunds(intent))
        if payment is None:
            raise PaymentUnavailable
        return payment.state

    async def refund(
        self, authorisation: str, amount_minor: int, currency: str, key: str = ""
    ) -> GatewayRefund | PaymentState:
        amount = to_stripe(amount_minor, currency)
        for tried in _keys(f"{authorisation}:refund:{key}"):
            # Before each try: what failed for good may have given it back all the same.
            intent = await self._intent(authorisation)
            payment = payment_of(intent, refunds := await self._refunds(intent))
            if payment is None or intent.metadata.get(KEY) is None:
                raise PaymentUnavailable
            ordered = next((one.seen for one in refunds if _is_ordered(one, key)), None)
            if ordered is not None:
                if ordered.amount_minor != amount_minor:
                    raise PaymentUnavailable("Another amount was given back before.")
                return ordered
            if payment.state in ("authorised", "voided") or payment.refunded_minor == payment.amount_minor:
                return payment.state
            metadata = {KEY: intent.metadata[KEY], PAID: str(payment.amount_minor)} | ({REFUND_KEY: key} if key else {})
            call = self._v1.refunds.create_async(
                {"payment_intent": authorisation, "amount": amount, "metadata": metadata},
                {"idempotency_key": tried},
            )
            try:
                return (await answered(call, Refund)).seen
            except Refused as refused:
                if not refused.is_kept and not refused.is_other:
                    unavailable(refused)
        raise PaymentUnavailable

    async def close(self, order: str) -> None:
        try:
            await self._post(
                f"{order}:expire", lambda options: self._v1.checkout.sessions.expire_async(order, {}, options), Session
            )
        except Refused as refused:
            if refused.status not in (400, 404):  # it was paid, or has ended by itself
                unavailable(refused)

    async def fetch(self, key: str, order: str | None = None) -> list[GatewayPayment]:  # noqa: ARG002
        if order is None:
            return []
        session = await self._known(order)
        if session is None or not isinstance(session.payment_intent, Intent):
            return []
        payment = payment_of(session.payment_intent, await self._refunds(session.payment_intent))
        return [payment] if payment else []

    async def payments_of(self, day: date) -> AsyncIterator[list[ListedPayment]]:
        since, until = seconds_of(day)
        asked: PaymentIntentListParams = {
            "created": {"gte": since, "lt": until},
            "limit": 100,
            "expand": [f"data.{name}" for name in _CHARGE],
        }
        while True:
            page = await read(self._v1.payment_intents.list_async(asked), Intents)
            yield [listed for intent in page.data if (listed := listed_of(intent, await self._refunds(intent)))]
            if not page.data or not page.has_more:
                return
            asked = {**asked, "starting_after": page.data[-1].id}

    async def find(self, name: str) -> ListedPayment | None:
        try:
            asked = self._v1.payment_intents.retrieve_async(name, {"expand": _CHARGE})
            intent = await answered(asked, Intent)
        except Refused as refused:
            if refused.status == 404:
                return None
            unavailable(refused)
        return listed_of(intent, await self._refunds(intent))

    def settlements_of(self, day: date) -> AsyncIterator[SettlementPage]:
        return settlement_pages(self._v1, day)

    def read_return(self, fields: Mapping[str, str]) -> Returned:  # noqa: ARG002
        raise BadSignature  # it leads the patient back, and signs nothing

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        signed = headers.get(SIGNATURE, "")
        try:
            signed.encode("ascii")  # nothing else can be compared
            stripe.WebhookSignature.verify_header(
                body, signed, self._keys.webhook_secret, stripe.Webhook.DEFAULT_TOLERANCE
            )
        except (stripe.SignatureVerificationError, UnicodeError):
            raise BadSignature from None
        try:
            return read_event(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # signed, so meant for someone; not for us

    async def _intent(self, name: str) -> Intent:
        return await read(self._v1.payment_intents.retrieve_async(name, {"expand": _CHARGE}), Intent)

    async def _refunds(self, intent: Intent) -> list[Refund]:
        """Return all refunds of a payment: a charge has its last ones only."""
        charge = intent.latest_charge
        if not isinstance(charge, Charge) or charge.refunds is None:
            return []
        if not charge.refunds.has_more:
            return charge.refunds.data
        found, page = [], await self._list_refunds(intent.id)
        while page.data:
            found += page.data
            if not page.has_more:
                break
            page = await self._list_refunds(intent.id, page.data[-1].id)
        return found

    async def _list_refunds(self, name: str, after: str = "") -> Refunds:
        """Return a page of the refunds of a payment, those after `after`."""
        params: RefundListParams = {"payment_intent": name, "limit": 100}
        if after:
            params["starting_after"] = after
        return await read(self._v1.refunds.list_async(params), Refunds)

    async def _post(
        self,
        key: str,
        call: Callable[[stripe.RequestOptions], Awaitable[stripe.StripeObject]],
        answer_type: type[T],
    ) -> T:
        """Ask for something that is done once for its key. Where Stripe has kept a failure, ask with the next key."""
        for tried in _keys(key):
            try:
                return await answered(call({"idempotency_key": tried}), answer_type)
            except Refused as refused:
                if not refused.is_kept:
                    raise
        raise PaymentUnavailable


def _keys(key: str) -> Iterator[str]:
    """Return the idempotency keys to try for a request, each after the failure that Stripe keeps for the one before."""
    for number in range(1, _KEYS_MAX + 1):
        yield f"{key}:{number}"
    yield f"{key}:at {int(time.time()) // _KEY_SECONDS}"  # noqa: TID251 - it keeps them for a day by its own clock


def _is_ordered(refund: Refund, key: str) -> bool:
    """Return whether we have ordered a refund with this key; what was refunded by hand has none of ours."""
    metadata = refund.metadata or {}
    return KEY in metadata and metadata.get(REFUND_KEY, "") == key
