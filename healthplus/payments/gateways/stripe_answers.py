"""What Stripe answers to one request: an object of its API, that it does not do it, or nothing of use."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NoReturn, TypeVar

import aiohttp
import msgspec
import stripe

from healthplus.errors import PaymentUnavailable
from healthplus.metrics import GATEWAY_FAILURES

T = TypeVar("T")


class Refused(Exception):
    """Stripe has answered that it does not do something; `is_kept`: it says so to every repeat with the same key."""

    def __init__(self, status: int | None, *, is_kept: bool, is_other: bool) -> None:
        self.status = status
        self.is_kept = is_kept
        self.is_other = is_other
        """The key came with other parameters before."""


async def answered(call: Awaitable[stripe.StripeObject], answer_type: type[T]) -> T:
    """Return what Stripe answers. Raises Refused, and PaymentUnavailable where it answers nothing of use."""
    try:
        said = (await call).last_response
        assert said is not None
        return msgspec.json.decode(said.body, type=answer_type)
    except (stripe.APIConnectionError, aiohttp.ClientError, TimeoutError, OSError) as error:
        GATEWAY_FAILURES.add("unreachable")
        raise PaymentUnavailable from error
    except stripe.StripeError as error:
        # None of it goes on from here: it has whole answers in it.
        raise Refused(
            error.http_status,
            is_kept=error.headers is not None and error.headers.get("idempotent-replayed") == "true",
            is_other=isinstance(error, stripe.IdempotencyError),
        ) from None
    except msgspec.MsgspecError as error:  # of another version of its API
        raise PaymentUnavailable from error


async def read(call: Awaitable[stripe.StripeObject], answer_type: type[T]) -> T:
    """As `answered`, of what Stripe has no good reason to refuse."""
    try:
        return await answered(call, answer_type)
    except Refused as refused:
        unavailable(refused)


def unavailable(refused: Refused) -> NoReturn:
    """Raise PaymentUnavailable for what Stripe had no good reason to refuse."""
    if refused.status not in (404, 409):  # what it does not know, or is doing just now: it works
        GATEWAY_FAILURES.add("refused")
    raise PaymentUnavailable from None
