"""The product with an account at Stripe: what its webhooks change, in whichever order, and where no secret is kept."""

from __future__ import annotations

import contextlib
import logging
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from healthplus.errors import BadSignature, NotFound
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateways.stripe import StripeGateway
from healthplus.payments.payments import Payments
from healthplus_emulators.faults import FaultPlan
from healthplus_emulators.running import Running
from healthplus_emulators.stripe.emulator import signature
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.emulated import account_keys, until, webhooks_of
from tests.payments.steps import facts, money, pay, states
from tests.payments.stripe_rig import StripeRig

HEADER = "stripe-signature"
OTHER, OTHER_SECRET = "other", "whsec_other"
Taken = list[tuple[dict[str, str], bytes]]


@pytest.fixture
async def payments(environment: Environment, stripe_emulator: Running) -> AsyncIterator[Payments]:
    """Payments with one account at Stripe; another owner has one, too, with a secret of its own."""
    await StripeRig(stripe_emulator).open_account(environment.db)
    await environment.db.execute(
        "INSERT INTO payments.account (account, gateway, owner) VALUES ($1, 'stripe', 'Somebody')", OTHER
    )
    await stripe_emulator.plan_faults(FaultPlan())
    keys = account_keys(stripe_emulator)
    others = type(keys)("sk_test_other", OTHER_SECRET, "", keys.url)
    async with StripeGateway(keys) as own, StripeGateway(others) as other:
        yield Payments(environment.db, environment.book, Gateways({"stripe": own, OTHER: other}))


async def paid_there(payments: Payments, environment: Environment, emulator: Running) -> UUID:
    """Hold, and pay at Stripe's page; nobody comes back from there."""
    held = await environment.held()
    assert (await pay(payments, environment, held, "card")).outcome.code == "pending"
    order = await environment.db.fetch_value("SELECT order_name FROM payments.intent WHERE hold_id = $1", held)
    await emulator.control("pay", order=order)
    return held


async def deliver(payments: Payments, taken: Taken, secret: str, at: float, account: str = "stripe") -> None:
    """Have webhooks come again, signed at a time; those of other tests are not known here."""
    for _, body in taken:
        with contextlib.suppress(NotFound):
            await payments.reconciliation.receive({HEADER: signature(secret, body, at)}, body, account)


async def rows_of(environment: Environment) -> list[list[Any]]:
    """Return what there is of money and bookings, but for the webhooks that came."""
    tables = ("ledger.payment", "ledger.entry", "booking.booking", "booking.event", "notices.notice")
    return [sorted(str(row) for row in await environment.db.fetch(f"SELECT * FROM {table}")) for table in tables]


async def test_webhooks_again_and_in_any_order_change_nothing(
    payments: Payments, environment: Environment, stripe_emulator: Running
) -> None:
    secret = stripe_emulator.keys.webhook_secret
    async with webhooks_of(stripe_emulator) as taken:
        held = await paid_there(payments, environment, stripe_emulator)
        assert (await pay(payments, environment, held, "card")).outcome.code == "booked"
        await environment.pass_time(seconds=30)
        assert await payments.captures.poll() == (1, 0)
        await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
        assert await payments.captures.poll() == (1, 0)
        await until(lambda: any(b'"charge.refunded"' in body for _, body in taken))
    before = await rows_of(environment)
    assert (await money(environment), await states(environment)) == (("refunded", None), ["cancelled"])
    draw = random.Random(1)
    for _ in range(5):
        await deliver(payments, draw.sample(taken + taken, 2 * len(taken)), secret, time.time())
        assert await rows_of(environment) == before
    for forged, at, account in (
        (secret, time.time() - 3600, "stripe"),
        (OTHER_SECRET, time.time(), "stripe"),
        (secret, time.time(), OTHER),
    ):
        with pytest.raises(BadSignature):
            await deliver(payments, taken, forged, at, account)
    # The other owner signs what it likes for its own account: of this payment, and of one of its own for this hold.
    claimed = [(headers, body.replace(b'"pi_', b'"pi_theirs')) for headers, body in taken]
    await deliver(payments, taken + claimed, OTHER_SECRET, time.time(), OTHER)
    assert await rows_of(environment) == before


@pytest.mark.parametrize("is_backwards", [False, True])
async def test_a_closed_tab_is_booked_by_the_webhook(
    payments: Payments, environment: Environment, stripe_emulator: Running, is_backwards: bool
) -> None:
    async with webhooks_of(stripe_emulator) as taken:
        await paid_there(payments, environment, stripe_emulator)
        await until(lambda: any(b"checkout.session.completed" in body for _, body in taken))
    came = taken[::-1] if is_backwards else taken
    await deliver(payments, came + came, stripe_emulator.keys.webhook_secret, time.time())
    assert (await money(environment), await states(environment)) == (("authorised", "capture"), ["booked"])
    assert await facts(environment) == [("authorised", "webhook")]


@pytest.mark.breaks_invariants  # `healthplus check` says so, and people have to look
async def test_an_authorisation_that_lapsed_is_seen_at_its_capture(
    payments: Payments, environment: Environment, stripe_emulator: Running
) -> None:
    held = await paid_there(payments, environment, stripe_emulator)
    assert (await pay(payments, environment, held, "card")).outcome.code == "booked"
    name = await environment.db.fetch_value("SELECT authorisation FROM ledger.payment")
    await stripe_emulator.control("lapse", payment_intent=name.partition("/")[2])
    await environment.pass_time(seconds=30)
    assert await payments.captures.poll() == (1, 0)
    assert await money(environment) == ("voided", None)


async def test_no_secret_is_in_a_row_or_a_log(
    payments: Payments, environment: Environment, stripe_emulator: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with webhooks_of(stripe_emulator) as taken:
        held = await paid_there(payments, environment, stripe_emulator)
        await until(lambda: any(b"checkout.session.completed" in body for _, body in taken))
    await deliver(payments, taken, stripe_emulator.keys.webhook_secret, time.time())
    assert (await pay(payments, environment, held, "card")).outcome.code == "booked"
    tables = await environment.db.fetch(
        """SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
    )
    kept = ""
    for table in tables:
        kept += str(await environment.db.fetch(f"SELECT t::text FROM {table['name']} AS t"))
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "pi_" in kept
    for text in (kept, said):
        for secret in (stripe_emulator.keys.secret, stripe_emulator.keys.webhook_secret, "_secret_", "last4", "v1="):
            assert secret not in text


def test_who_has_no_account_there_does_not_load_its_library() -> None:
    """It takes 11 MB and a sixth of a second of each process."""
    loads = "import sys, healthplus.web.app; sys.exit('stripe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loads], check=False).returncode == 0
