"""An account at the emulated Stripe: its API as the official SDKs speak with it, its pages, and what tests ask for."""

from __future__ import annotations

import hmac
import random
import re
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from healthplus_emulators.emulator import Answer, Emulator, Keys, Request, document
from healthplus_emulators.ledger import Document
from healthplus_emulators.pages import style
from healthplus_emulators.stripe import objects
from healthplus_emulators.stripe.bank import StripeBank
from healthplus_emulators.stripe.errors import Refused
from healthplus_emulators.stripe.form import BadForm, read_form
from healthplus_emulators.stripe.pages import checkout
from healthplus_emulators.stripe.reading import expanded, read_list

SIGNATURE = "Stripe-Signature"
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(\.[a-z]+)?")
_OLDEST = "2026-09-30.endive"
_FAILED = Refused("An unknown error occurred", kind="api_error", status=500)

_TAKES: dict[str, set[str]] = {
    "checkout/sessions": {
        "adaptive_pricing", "allowed_payment_method_types", "cancel_url", "client_reference_id", "expires_at",
        "line_items", "locale", "metadata", "mode", "payment_intent_data", "submit_type", "success_url",
    },
    "checkout/sessions/expire": set(),
    "payment_intents/capture": {"amount_to_capture"},
    "payment_intents/cancel": {"cancellation_reason"},
    "refunds": {"amount", "charge", "metadata", "payment_intent", "reason"},
}  # fmt: skip
"""What each POST may come with, but for `expand`; with anything else, Stripe refuses it."""
_READ = {"payment_intents", "refunds", "charges", "events", "balance_transactions", "payouts"}
_METADATA_MAX = (50, 40, 500)


def signature(secret: str, body: bytes, at: float) -> str:
    """Return what Stripe signs a webhook with that it sends at this time."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, sha256).hexdigest()
    return f"t={int(at)},v1={digest}"


class StripeEmulator(Emulator):
    """The account. Its webhooks are of all kinds of events, as an endpoint's may be."""

    name = "stripe"

    def __init__(self, folder: Path, keys: Keys, webhook_url: str | None) -> None:
        super().__init__(folder, keys, webhook_url)
        self.bank = StripeBank(self.ledger, self.faults, self.outbox)

    def webhook_headers(self, body: bytes) -> Mapping[str, str]:
        """Sign a body just now."""
        return {SIGNATURE: signature(self.keys.webhook_secret, body, time.time())}

    def is_api(self, path: str) -> bool:
        """Tell the API from the pages."""
        return path.startswith("/v1/")

    def take(self, step: str, name: str) -> None:
        """Have a session end, an authorisation lapse, or a refund come to its end."""
        self.bank.take(step, name)

    def answer(self, request: Request) -> Answer | None:
        """Answer the API, or show a session's page."""
        if request.words[:2] == ("c", "pay") and len(request.words) > 2:
            return checkout(self.bank, request)
        if not self.is_api(request.path):
            return style(request.path)
        headers = {"Request-Id": objects.new_id("req")}
        try:
            headers["Stripe-Version"] = self._authenticate(request)
            answer = self._posted(request) if request.method == "POST" else self._read(request)
        except Refused as refused:
            answer = refused.answer
        return Answer(answer.status, answer.body, answer.content_type, {**headers, **answer.headers})

    def control(self, step: str, asked: dict[str, str]) -> object:
        """Pay as a session's page does, refund as the dashboard does, have an authorisation lapse, pay out, adjust."""
        try:
            match step:
                case "pay":
                    return self.bank.pay(asked["order"], good=asked.get("card", "good") == "good")
                case "lapse":
                    self.bank.take("lapse", asked["payment_intent"])
                    return {}
                case "refund":
                    return self.bank.refund(asked)
                case "settle":
                    return self.bank.pay_out()
                case "adjust":
                    return self.bank.adjust(int(asked["amount"]), asked["currency"])
        except Refused as refused:
            raise KeyError(str(refused)) from None
        raise KeyError(step)

    def _authenticate(self, request: Request) -> str:
        """Return the version of the API that is asked for. Raises Refused for a wrong key or version."""
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(shown.encode(), self.keys.secret.encode()):
            raise Refused("Invalid API Key provided: ****", status=401)
        version = request.headers.get("stripe-version", "")
        if not _VERSION.fullmatch(version) or version < _OLDEST:
            raise Refused(f"Invalid Stripe API version: {version}; this emulator speaks {_OLDEST} and later ones.")
        return version

    def _read(self, request: Request) -> Answer:
        query = _form(request.query_string)
        expand = query.pop("expand", [])
        match request.method, request.words[1:]:
            case "GET", ("checkout", "sessions", name):
                found = self.bank.require("checkout.session", name)
            case "GET", (kind, name) if kind in _READ:
                found = self.bank.require(kind.removesuffix("s"), name)
            case "GET", words:
                return document(read_list(self.ledger, "/".join(words), query, expand))
            case _:
                raise _unknown(request)
        return document(expanded(self.ledger, found, expand))

    def _posted(self, request: Request) -> Answer:
        """Do a POST once for each idempotency key, and repeat what was answered; of other parameters, refuse it."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise Refused("Requests to the API are forms.", status=415)
        key, whole = request.headers.get("idempotency-key"), f"{request.path}?{request.body.decode()}"
        before = self.ledger.answered(key) if key else None
        if before is not None:
            if before[0] != whole:
                raise Refused(
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                    f"Try using a key other than '{key}' if you meant to execute a different request.",
                    kind="idempotency_error",
                )  # fmt: skip
            return Answer(before[1], before[2], headers={"Idempotency-Key": key or "", "Idempotent-Replayed": "true"})
        asked = _form(request.body.decode())
        do = self._deed(request, asked)  # a wrong request is refused before anything is kept
        try:
            is_kept = True
            answer = self._done(do, asked.get("expand", []))
        except Refused as refused:
            is_kept, answer = refused.kept, refused.answer
        if key and is_kept:
            self.ledger.keep_answer(key, whole, answer.status, answer.body)
        return Answer(answer.status, answer.body, headers={"Idempotency-Key": key} if key else {})

    def _done(self, do: Callable[[], Document], expand: list[str]) -> Answer:
        """Do it; or fail for good, before or after."""
        fails = self.faults.happens("fail_kept", self.faults.plan.fail_kept)
        if fails and random.random() < 0.5:  # noqa: S311
            return _FAILED.answer
        answer = document(expanded(self.ledger, do(), expand))
        return _FAILED.answer if fails else answer

    def _deed(self, request: Request, asked: Document) -> Callable[[], Document]:
        """Return what a POST does. Raises Refused for an address or a parameter that is not known."""
        match request.words[1:]:
            case ("checkout", "sessions") as words:
                deed: Callable[[], Document] = lambda: self.bank.open_session(asked, request.url)  # noqa: E731
            case ("checkout", "sessions", name, "expire"):
                words, deed = ("checkout", "sessions", "expire"), lambda: self.bank.expire(name)
            case ("payment_intents", name, "capture"):
                amount = asked.get("amount_to_capture")
                words = ("payment_intents", "capture")
                deed = lambda: self.bank.capture(name, None if amount is None else int(amount))  # noqa: E731
            case ("payment_intents", name, "cancel"):
                words = ("payment_intents", "cancel")
                deed = lambda: self.bank.cancel(name, asked.get("cancellation_reason"))  # noqa: E731
            case ("refunds",) as words:
                deed = lambda: self.bank.refund(asked)  # noqa: E731
            case _:
                raise _unknown(request)
        for name in asked.keys() - _TAKES["/".join(words)] - {"expand"}:
            raise Refused(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
        _check_metadata(asked.get("metadata", {}))
        return deed


def _form(encoded: str) -> dict[str, Any]:
    try:
        return read_form(encoded)
    except (BadForm, ValueError) as error:
        raise Refused(f"Invalid form: {error}") from None


def _check_metadata(metadata: Any) -> None:
    many, name_max, value_max = _METADATA_MAX
    if not isinstance(metadata, dict):
        raise Refused("Invalid hash", param="metadata")
    if len(metadata) > many or any(
        len(name) > name_max or len(str(value)) > value_max for name, value in metadata.items()
    ):
        raise Refused("Metadata is too long.", param="metadata")


def _unknown(request: Request) -> Refused:
    return Refused(f"Unrecognized request URL ({request.method}: {request.path}).", status=404)
