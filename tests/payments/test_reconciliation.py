"""Payments that were no answer of the gateway: webhooks, and all reports in any order."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healthplus.accounts.actors import Staff
from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.errors import BadSignature, NotFound
from healthplus.ops.check import money_invariants, violations
from healthplus.payments.accounts import queries
from healthplus.payments.gateway import NoGateway, PaymentState
from healthplus.payments.gateways.sandbox import WebhookBody
from healthplus.payments.payments import Payments
from healthplus.signatures import TOLERANCE_SECONDS, sign
from tests.fixtures.append_only import as_owner
from tests.fixtures.clock import start_clock
from tests.fixtures.environment import PROVIDER, Environment
from tests.payments.conftest import Bank
from tests.payments.steps import HEADER, ask, facts, money, pay, send, states, webhook


async def test_a_webhook_books(payments: Payments, environment: Environment, secret: str) -> None:
    held = await environment.held()
    await ask(environment, held)
    body = webhook(held, "authorised")
    for _ in range(3):
        await send(payments, secret, body)
    assert await states(environment) == ["booked"]
    assert await money(environment) == ("authorised", "capture")
    assert await facts(environment) == [("authorised", "webhook")]
    assert await environment.db.fetch_value("SELECT count(*) FROM payments.webhook_event") == 1
    actors = await environment.db.fetch("SELECT actor FROM booking.event ORDER BY seq")
    assert [row["actor"] for row in actors] == [str(environment.actor("asha")), "system:gateway"]
    # The patient's own request comes second, or again, and gets the same answer.
    assert (await pay(payments, environment, held)).outcome.code == "booked"


async def test_the_webhook_overtakes_the_answer(
    payments: Payments, bank: Bank, environment: Environment, secret: str
) -> None:
    held = await environment.held()
    bank.after["authorise"] = lambda: send(payments, secret, webhook(held, "authorised", f"sandbox-{PROVIDER}:{held}"))
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    assert await facts(environment) == [("authorised", "webhook")]


async def test_one_webhook_many_times_at_once(payments: Payments, environment: Environment, secret: str) -> None:
    held = await environment.held()
    await ask(environment, held)
    bodies = [webhook(held, state, event=state) for state in ("authorised", "captured")]
    await asyncio.gather(*(send(payments, secret, body) for body in bodies * 5))
    assert (await money(environment), await states(environment)) == (("captured", None), ["booked"])


@pytest.mark.parametrize("order", list(itertools.permutations(("authorised", "captured", "refunded"))))
async def test_in_whatever_order_webhooks_come(
    payments: Payments, environment: Environment, secret: str, order: Sequence[str]
) -> None:
    held = await environment.held()
    await ask(environment, held)
    await environment.book.release(PROVIDER, held, environment.actor("asha"))
    for state in order:
        await send(payments, secret, webhook(held, state))
    assert (await money(environment), await states(environment)) == (("refunded", None), ["released"])
    assert [state for state, _ in await facts(environment)] == ["authorised", "captured", "refunded"]


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_reports_are_recorded_however_statements_are_planned(environment: Environment, mode: str) -> None:
    """The product's connections make generic plans; an operator's psql need not."""
    held = await environment.held()
    await ask(environment, held)
    async with environment.db.transaction() as session:
        await session.execute(f"SET LOCAL plan_cache_mode = {mode}")
        for state in ("authorised", "captured"):
            report = "SELECT payments.record_gateway_event($1, $2, 'money', $3, 50000, 'INR', 'fetch')"
            assert await session.fetch_value(report, PROVIDER, held, state) == "recorded"
            assert (await session.fetch_value("SELECT state::text FROM ledger.payment")) == state
    assert await states(environment) == ["booked"]


@pytest.mark.parametrize("state", ["voided", "refunded"])
async def test_money_that_has_gone_back_books_nothing(
    payments: Payments, environment: Environment, secret: str, state: str
) -> None:
    held = await environment.held()
    await ask(environment, held)
    for one in (state, "authorised"):
        await send(payments, secret, webhook(held, one))
    assert (await money(environment), await states(environment)) == ((state, None), ["reserved"])


async def test_other_money_than_was_asked_for_goes_back(
    payments: Payments, environment: Environment, secret: str
) -> None:
    held = await environment.held()
    await ask(environment, held)
    await send(payments, secret, webhook(held, "captured", amount=49999))
    assert (await money(environment), await states(environment)) == (("captured", "refund"), ["reserved"])


async def test_money_in_another_currency_goes_back(payments: Payments, environment: Environment, secret: str) -> None:
    held = await environment.held()
    await ask(environment, held)
    for state in ("authorised", "captured"):
        await send(payments, secret, webhook(held, state, currency="USD"))
    assert (await money(environment), await states(environment)) == (("captured", "refund"), ["reserved"])
    rows = await environment.db.fetch("SELECT state::text, amount_minor, currency FROM ledger.entry ORDER BY state")
    assert [tuple(row) for row in rows] == [("authorised", 50000, "USD"), ("captured", 50000, "USD")]
    # What is then paid as it was requested books the hold; the ledger need not say in which currency.
    await send(payments, secret, webhook(held, "authorised", "rupees"))
    assert await states(environment) == ["booked"]
    assert await environment.db.fetch_value("SELECT currency FROM ledger.entry WHERE authorisation = 'rupees'") is None


async def test_what_is_not_signed_is_refused(payments: Payments, environment: Environment, secret: str) -> None:
    held = await environment.held()
    await ask(environment, held)
    body, now = webhook(held, "authorised"), time.time()
    good = sign(secret, body, now)
    for signature in (
        "",
        "nonsense",
        good[:-1],
        good.replace("v1=", "v0="),
        sign("another secret", body, now),
        sign("", body, now),
        sign(secret, body + b" ", now),
        sign(secret, body, now - TOLERANCE_SECONDS - 2),
        sign(secret, body, now + TOLERANCE_SECONDS + 2),
        good.replace(f"t={int(now)}", f"t={int(now) - 1}"),
        f"t={'9' * 5000},v1=",
        "t=٣,v1=",
    ):
        with pytest.raises(BadSignature):
            await payments.reconciliation.receive({HEADER: signature}, body)
    with pytest.raises(BadSignature):
        await payments.reconciliation.receive({}, body)
    assert await states(environment) == ["reserved"]
    await payments.reconciliation.receive({HEADER: good}, body)
    assert await states(environment) == ["booked"]
    with pytest.raises(BadSignature):
        NoGateway().read_webhook({HEADER: good}, body)


async def test_what_is_not_ours_is_not_found(payments: Payments, environment: Environment, secret: str) -> None:
    unasked = await environment.held()
    keys = [f"{PROVIDER}:{unasked}", f"{PROVIDER}:{uuid4()}", f"99:{unasked}", f"{2**63}:{unasked}", f"0:{unasked}"]
    for key in [*keys, f"{'9' * 150}:{unasked}", "x", ":", f"{PROVIDER}:", str(unasked), f" 1:{unasked}"]:
        with pytest.raises(NotFound):
            await send(
                payments,
                secret,
                msgspec.json.encode(WebhookBody("event", "payment.authorised", key, "money", 50000, "INR")),
            )
    other = (
        b"",
        b"[]",
        b"\xff",
        b'{"type": "customer.created"}',
        webhook(unasked, "disputed"),
        webhook(unasked, "voided", "\0"),
    )
    for body in other:
        await send(payments, secret, body)  # not for us
    assert await environment.db.fetch_value("SELECT count(*) FROM payments.webhook_event") == 0


LIVES = ("stays", "is released", "lapses", "lapses and is lost")
"""What has become of the hold before anything is recorded."""


async def record_all(
    db: Database, reports: Sequence[tuple[PaymentState, str, int]], life: str, day: Environment
) -> Any:
    """Record one payment's states for a new hold; return what is left."""
    book = Book(db)
    await db.execute(
        as_owner(
            """TRUNCATE booking.booking, booking.event_log, booking.claim, booking.book, ledger.payment,
                ledger.refund, payments.intent, payments.webhook_event""",
            "booking.event_log",
            *("ledger.payment", "ledger.refund"),
        )
    )
    await start_clock(db)
    held = await day.held()
    await ask(day, held)
    if life == "is released":
        await book.release(PROVIDER, held, Staff(1))
    elif life != "stays":
        await day.pass_time(seconds=306)
    if life == "lapses and is lost":
        await day.held(name="bina")
    for state, source, number in reports:
        event = f"{state} {number}" if source == "webhook" else None
        await db.execute(
            *(queries.record_gateway_event, PROVIDER, held, "money", state, 50000, "INR", source, event),
            *(None, None, None),
        )
    payment = await db.fetch("SELECT state::text, due::text, booking_id = hold_id FROM ledger.payment")
    return (
        [tuple(row) for row in payment],
        [state for state, _ in await facts(day)],
        sorted(await states(day)),
        await violations(db) + await violations(db, money_invariants),
    )


def test_any_reports_in_any_order_however_often_end_the_same(dsn: str) -> None:
    """However one payment's states come, twice, mixed, by webhook or found: only which they are counts."""
    with asyncio.Runner() as runner:
        db = runner.run(Database.connect(dsn, min_size=1, max_size=1))
        environment = runner.run(Environment.make(db))

        @settings(
            max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @given(data=st.data(), life=st.sampled_from(LIVES))
        def play(data: st.DataObject, life: str) -> None:
            # What is booked was not given back: our own gateway never does that unasked.
            ends: list[list[PaymentState]] = [["authorised"], ["authorised", "captured"]]
            if life in ("is released", "lapses and is lost"):
                ends += [["authorised", "voided"], ["authorised", "captured", "refunded"]]
            wanted = data.draw(st.sampled_from(ends))
            more = data.draw(st.lists(st.sampled_from(wanted), max_size=5))
            one = st.tuples(st.sampled_from(("webhook", "fetch")), st.integers(0, 2))
            mixed = [(state, *data.draw(one)) for state in data.draw(st.permutations([*wanted, *more]))]
            straight = runner.run(record_all(db, [(state, "webhook", 0) for state in wanted], life, environment))
            assert runner.run(record_all(db, mixed, life, environment)) == straight
            assert straight[3] == []

        play()
        runner.run(db.close())
