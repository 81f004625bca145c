"""The emulated Stripe, as tests of the emulator and of the gateway use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import stripe

from healthplus.payment_keys import AccountKeys
from healthplus_emulators.emulator import Keys
from healthplus_emulators.running import Running

STRIPE_KEYS = Keys("sk_test_canary4f1e", "whsec_canary77ab")
_SECONDS_MAX = 10


def account_keys(emulator: Running) -> AccountKeys:
    """Return what the product's settings say of the account at an emulator."""
    return AccountKeys(emulator.keys.secret, emulator.keys.webhook_secret, emulator.keys.key_id, emulator.url)


@asynccontextmanager
async def stripe_client(emulator: Running) -> AsyncIterator[stripe.StripeClient]:
    """Open the official client at an emulator."""
    http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=_SECONDS_MAX))
    try:
        yield stripe.StripeClient(emulator.keys.secret, http_client=http, base_addresses={"api": emulator.url})
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]
