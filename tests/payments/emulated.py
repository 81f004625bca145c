"""The emulated Stripe, as tests of the emulator and of the gateway use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import stripe
from aiohttp import web
from aiohttp.test_utils import TestServer

from healthplus.payment_keys import AccountKeys
from healthplus_emulators.emulator import Keys
from healthplus_emulators.faults import FaultPlan
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


@asynccontextmanager
async def webhooks_of(
    emulator: Running, plan: FaultPlan | None = None
) -> AsyncIterator[list[tuple[dict[str, str], bytes]]]:
    """Take the emulator's webhooks within this block: headers, by small letters, and bodies. `plan`: what it plays."""
    taken: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        await emulator.plan_faults(msgspec.structs.replace(plan or FaultPlan(), webhook_url=url))
        try:
            yield taken
        finally:
            await emulator.plan_faults(FaultPlan())


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so, for ten seconds at most."""
    async with asyncio.timeout(_SECONDS_MAX):
        while not is_so():
            await asyncio.sleep(0.02)
