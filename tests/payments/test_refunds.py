"""Refunds that are rows: of a part of what stands, pending, failed and tried again, made by hand at the bank."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import msgspec
import pytest

from healthplus.accounts.actors import Staff
from healthplus.errors import BadInput
from healthplus.ops.check import all_violations
from healthplus.payments.gateway import GatewayRefund, PaymentState
from healthplus.payments.gateways.sandbox import WebhookBody
from healthplus.payments.gateways.sandbox_process import bank_url
from healthplus.payments.payments import Payments
from healthplus.settings import Settings
from healthplus_sandbox.bank import FaultPlan
from tests.fixtures.environment import PROVIDER, Environment
from tests.fixtures.races import rewrite
from tests.payments.conftest import Bank
from tests.payments.steps import capture, money, pay, send

FEE = 50000
_REFUNDS = (
    """SELECT amount_minor, why, is_rest, state::text, tries, is_last FROM ledger.refund ORDER BY ordered_at, tries"""
)


async def refunds(environment: Environment) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await environment.db.fetch(_REFUNDS)]


async def visited(payments: Payments, environment: Environment) -> UUID:
    """Return an appointment of Asha's, paid and taken place."""
    held = await environment.held()
    await pay(payments, environment, held)
    await capture(payments, environment)
    await environment.pass_until(environment.instant(9) + timedelta(minutes=1))
    for act in ("arrived", "fulfilled"):
        await environment.db.execute(
            """SELECT booking.lock_book($1);""".replace("$1", str(PROVIDER))
            + f"UPDATE booking.booking SET state = '{act}' WHERE booking_id = '{held}';"
            + f"SELECT booking.append_event({PROVIDER}, public.app_now(), '{act}', '{held}', NULL, 'staff:1')"
        )
    return held


async def give_back(environment: Environment, held: UUID, amount: int | None, actor: str = "staff:1") -> str:
    refund = "SELECT (booking.refund($1, $2, $3, $4)).code"
    code: str = await environment.db.fetch_value(refund, PROVIDER, held, actor, amount)
    return code


async def settle(payments: Payments, environment: Environment, minutes: int = 4) -> None:
    for _ in range(minutes):
        await environment.pass_time(minutes=1)
        while (await payments.captures.poll())[0]:
            pass


async def plan(settings: Settings, faults: FaultPlan) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{bank_url(settings)}/fault-plan", data=msgspec.json.encode(faults)) as response,
    ):
        assert response.status == 200


async def gone(bank: Bank, held: UUID) -> tuple[PaymentState, int]:
    (payment,) = await bank.fetch(f"{PROVIDER}:{held}")
    return payment.state, payment.refunded_minor


async def test_parts_go_back_after_three_minutes_and_the_rest_as_it_is_cancelled_whole(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    held = await visited(payments, environment)
    assert await give_back(environment, held, 10000) == "refunded"
    await environment.pass_time(minutes=2, seconds=50)
    assert await payments.captures.poll() == (0, 0)
    await settle(payments, environment)
    assert await gone(bank, held) == ("captured", 10000)
    assert await give_back(environment, held, 39999) == "refunded"
    assert await give_back(environment, held, 2) == "amount"
    await settle(payments, environment)
    assert await give_back(environment, held, 1) == "refunded"  # all that is left
    await settle(payments, environment)
    assert await gone(bank, held) == ("refunded", FEE)
    assert await money(environment) == ("refunded", None)
    assert await refunds(environment) == [
        (10000, "desk", False, "processed", 1, True),
        (39999, "desk", False, "processed", 1, True),
        (1, "desk", True, "processed", 1, True),
    ]
    assert await give_back(environment, held, 1) == "wrong_state"
    assert await all_violations(environment.db) == []


async def test_a_part_is_taken_back_within_three_minutes(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    held = await visited(payments, environment)
    assert await give_back(environment, held, 10000) == "refunded"
    await environment.pass_time(minutes=4)
    while (await payments.captures.poll())[0]:
        pass
    assert await give_back(environment, held, 20000) == "refunded"
    undo = "SELECT booking.undo_act($1, $2, (SELECT clinic_id FROM booking.booking), $3)"
    assert await environment.db.fetch_value(undo, PROVIDER, held, "staff:2") == "too_late"  # not theirs
    assert await environment.db.fetch_value(undo, PROVIDER, held, "staff:1") == "undone"
    await settle(payments, environment)
    assert await gone(bank, held) == ("captured", 10000)
    assert [state for _, _, _, state, _, _ in await refunds(environment)] == ["processed", "withdrawn"]
    assert await all_violations(environment.db) == []


async def test_of_two_orders_at_once_no_more_goes_back_than_was_taken(
    payments: Payments, environment: Environment
) -> None:
    """Below the lock of the book, which keeps desks apart, the table itself refuses; without that, both would go."""
    held = await visited(payments, environment)
    insert = """INSERT INTO ledger.refund (
            provider_id, hold_id, authorisation, booking_id, key, is_rest, amount_minor, why, ordered_by, ordered_at,
            from_at)
        SELECT provider_id, hold_id, authorisation, booking_id, gen_random_uuid()::text, false, 30000, 'desk',
            'staff:1', public.app_now(), public.app_now() FROM ledger.payment"""

    async def order() -> str:
        try:
            async with environment.db.transaction() as session:
                await session.execute(insert)
                await asyncio.sleep(0.2)
        except asyncpg.CheckViolationError:
            return "refused"
        return "ordered"

    assert sorted(await asyncio.gather(order(), order())) == ["ordered", "refused"]
    await rewrite(environment.db, "ledger.refuse_too_much", ("\nBEGIN\n", "\nBEGIN\n    RETURN NEW;\n"))
    assert await order() == "ordered"
    assert {one.invariant for one in await all_violations(environment.db)} >= {"refunds_within_payments"}
    assert held


async def test_what_is_written_of_a_refund_stays(payments: Payments, environment: Environment) -> None:
    held = await visited(payments, environment)
    await give_back(environment, held, 10000)
    await settle(payments, environment)
    for change in (
        "amount_minor = 1",
        "state = 'ordered'",
        "processed_at = processed_at + interval '1 s'",
        "key = 'x'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="written once"):
            await environment.db.execute(f"UPDATE ledger.refund SET {change}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await environment.db.execute("DELETE FROM ledger.refund")


async def test_cancelling_keeps_and_returns_what_parts_have_left(
    payments: Payments, bank: Bank, environment: Environment
) -> None:
    held = await environment.held()
    await pay(payments, environment, held)
    await capture(payments, environment)
    assert await give_back(environment, held, FEE) == "wrong_state"  # cancel it instead
    assert await give_back(environment, held, 20000) == "refunded"
    shown = await environment.book.terms(PROVIDER, held, environment.ids["asha"])
    assert shown is not None
    assert shown.returned_minor == 30000
    assert (await environment.book.cancel(PROVIDER, held, Staff(1))).code == "cancelled"
    await settle(payments, environment, 8)
    assert await gone(bank, held) == ("refunded", FEE)
    assert [(amount, why) for amount, why, *_ in await refunds(environment)] == [(20000, "desk"), (30000, "cancelled")]
    assert await all_violations(environment.db) == []


async def told(environment: Environment) -> list[tuple[str, int]]:
    """Return the notices about refunds as they would be sent now, and how much each names."""
    from healthplus.notices.notices import queries  # noqa: PLC0415
    from healthplus.notices.texts import template_of  # noqa: PLC0415

    rows = await environment.db.fetch(queries.take_due, "email", 20, timedelta(minutes=1), timedelta(hours=1), 5)
    await environment.db.execute(
        queries.mark, *map(list, zip(*((row["provider_id"], row["notice_id"], "sent") for row in rows), strict=True))
    ) if rows else None
    return [
        (template_of(dict(row)), row["returned_minor"])
        for row in rows
        if row["kind"] == "refunded" and not row["outcome"]
    ]


async def test_pending_is_said_to_be_started_and_processed_once_it_is(
    payments: Payments, bank: Bank, sandbox_bank: Settings, environment: Environment
) -> None:
    for known in ("email = 'a@b.example'", "email_verified_at = app_now()"):
        await environment.db.execute(f"UPDATE accounts.patient SET {known} WHERE name = 'asha'")
    held = await visited(payments, environment)
    await plan(sandbox_bank, FaultPlan(refund_pending=1, later_seconds=0.3, webhooks="none"))
    try:
        await give_back(environment, held, 10000)
        await environment.pass_time(minutes=3, seconds=1)
        assert await payments.captures.poll() == (1, 0)
        assert [state for _, _, _, state, _, _ in await refunds(environment)] == ["pending"]
        assert await told(environment) == [("refund_started", 10000)]
        await asyncio.sleep(0.5)
        await settle(payments, environment, 6)
    finally:
        await plan(sandbox_bank, FaultPlan())
    assert [state for _, _, _, state, _, _ in await refunds(environment)] == ["processed"]
    assert await environment.db.fetch_value("SELECT reference FROM ledger.refund") is not None
    assert await told(environment) == [("refunded_part", 10000)]
    assert await all_violations(environment.db) == []


async def test_one_that_fails_is_tried_again_under_another_key_and_then_left_to_people(
    payments: Payments, bank: Bank, sandbox_bank: Settings, environment: Environment
) -> None:
    for known in ("email = 'a@b.example'", "email_verified_at = app_now()"):
        await environment.db.execute(f"UPDATE accounts.patient SET {known} WHERE name = 'asha'")
    held = await environment.held()
    await pay(payments, environment, held)
    await capture(payments, environment)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    await plan(sandbox_bank, FaultPlan(refund_fails=1, webhooks="none"))
    try:
        for _ in range(40):
            await environment.pass_time(minutes=15)
            while (await payments.captures.poll())[0]:
                pass
    finally:
        await plan(sandbox_bank, FaultPlan())
    assert await refunds(environment) == [(FEE, "cancelled", True, "failed", n, n == 4) for n in (1, 2, 3, 4)]
    (payment,) = await bank.fetch(f"{PROVIDER}:{held}")
    assert len({refund.key for refund in payment.refunds}) == 4
    assert (await payments.money(PROVIDER, held)).money == "refund_due"  # type: ignore[union-attr]
    assert await told(environment) == [("refund_failed", FEE)]
    assert await all_violations(environment.db) == []
    failed = "SELECT ledger.try_refund_again(refund, 'staff:1', public.app_now()) FROM ledger.refund WHERE is_last"
    await environment.db.execute(failed)
    await settle(payments, environment)
    assert await gone(bank, held) == ("refunded", FEE)
    assert (await payments.money(PROVIDER, held)).money == "refunded"  # type: ignore[union-attr]
    assert await all_violations(environment.db) == []


async def test_what_the_gateway_refuses_for_good_has_failed(
    payments: Payments, bank: Bank, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await visited(payments, environment)

    async def refuse(*_: object) -> GatewayRefund:
        raise BadInput("no balance")

    with monkeypatch.context() as patch:
        patch.setattr(bank, "refund", refuse)
        await give_back(environment, held, 10000)
        await settle(payments, environment)
    assert [state for _, _, _, state, _, _ in await refunds(environment)] == ["failed", "ordered"]
    await settle(payments, environment, 15)
    assert await gone(bank, held) == ("captured", 10000)


async def test_late_and_repeated_reports_of_refunds_change_nothing_wrong(
    payments: Payments, bank: Bank, environment: Environment, secret: str
) -> None:
    """By hand at the bank, processed, and then failed at the person's bank; in any order, each twice."""
    held = await visited(payments, environment)
    name = f"sandbox-{PROVIDER}:{held}"

    def report(event: str, *made: GatewayRefund) -> bytes:
        key, sum_minor = f"{PROVIDER}:{held}", sum(refund.amount_minor for refund in made if refund.state != "failed")
        return msgspec.json.encode(WebhookBody(event, "payment.captured", key, name, FEE, "INR", sum_minor, list(made)))

    processed = GatewayRefund("re_1", "", 7000, "processed", "412345678901")
    failed = GatewayRefund("re_1", "", 7000, "failed")
    other = GatewayRefund("re_2", "", 7000, "pending")
    for event, made in (
        *(("1", [processed]), ("1", [processed]), ("3", [failed, other])),
        *(("2", [processed, other]), ("4", [failed, other])),
    ):
        await send(payments, secret, report(event, *made))
    assert await refunds(environment) == [
        (7000, "gateway", False, "failed", 1, True),
        (7000, "gateway", False, "pending", 1, True),
    ]
    assert await money(environment) == ("captured", None)
