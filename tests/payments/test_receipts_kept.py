"""What becomes of receipts: the accountant's list, what is exported and erased of a person, and when they go."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import TypeAlias
from uuid import UUID

import pytest
from click.testing import CliRunner

from healthplus.accounts.patients import Patients
from healthplus.accounts.sessions import KnownTokens
from healthplus.cli import main
from healthplus.database.server_files import as_app_role
from healthplus.ops.check import violations
from healthplus.payments.payments import Payments
from healthplus.privacy.privacy import queries
from healthplus.retention.retention import Retention
from tests.fixtures.clock import freeze_clock, product_now, set_clock
from tests.fixtures.codes import SECRET
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.terms import set_terms
from tests.payments.test_receipts import ISSUE, TWICE, documents, numbers, paid, settle

Export: TypeAlias = Callable[..., Awaitable[list[dict[str, str]]]]


@pytest.fixture
async def export(environment: Environment, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Export:
    """What runs `healthplus receipts export` for these days, and returns its rows."""
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))

    async def run(first: str, last: str, *words: str) -> list[dict[str, str]]:
        asked = ["receipts", "export", "--from", first, "--to", last, *words]
        result = await asyncio.to_thread(CliRunner().invoke, main, asked)
        assert result.exit_code == 0, result.output
        return list(csv.DictReader(StringIO(result.output)))

    return run


async def refunded(payments: Payments, environment: Environment) -> UUID:
    """Have ₹500 be paid, and ₹400 of it go back."""
    await set_terms(environment.db, ONLINE, {8784: "20%"})
    held = await paid(payments, environment)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    await settle(payments, environment)
    await environment.db.execute(ISSUE)
    return held


async def test_the_accountants_list_adds_up(payments: Payments, environment: Environment, export: Export) -> None:
    await environment.db.execute("UPDATE directory.clinic SET name = '=HYPERLINK(1)'")
    await refunded(payments, environment)
    today = f"{await product_now(environment.db):%Y-%m-%d}"
    receipt, note, total = await export("2026-01-01", "2027-12-31")
    assert (receipt["kind"], receipt["amount"], receipt["currency"]) == ("receipt", "500.00", "INR")
    assert (note["kind"], note["amount"], note["for_receipt"]) == ("credit_note", "-400.00", receipt["number"])
    assert (receipt["method"], receipt["gateway"], receipt["account"], receipt["settlement"]) == (
        "online",
        "sandbox",
        "sandbox",
        "",
    )
    assert receipt["clinic_name"] == "'=HYPERLINK(1)"
    assert (total["day"], total["amount"]) == ("total", "100.00")
    assert "asha" not in str((receipt, note, total))
    (day, all_days) = await export("2026-01-01", "2027-12-31", "--totals")
    assert day["day"] in {today, receipt["day"]}
    for row in (day, all_days):
        assert (row["receipts"], row["credit_notes"], row["net"]) == ("500.00", "-400.00", "100.00")
    assert await export("2026-01-01", "2026-01-31") == []
    assert await export("2026-01-01", "2027-12-31", "--clinic", "2") == []
    assert await export("2026-01-01", "2027-12-31", "--owner", "Nobody") == []


async def test_a_day_is_the_clinics_own(payments: Payments, environment: Environment, export: Export) -> None:
    """Midnight in India is half past six in the evening before, in UTC; amounts have as many decimals as they need."""
    held = await paid(payments, environment)
    instants = [datetime.fromisoformat(f"2026-06-{at}+00:00") for at in ("10T18:29:59", "10T18:30:00")]
    await environment.db.execute(TWICE, held, 1, instants)
    await environment.db.execute(ISSUE)
    assert [one["amount"] for one in await export("2026-06-10", "2026-06-10")] == ["1.01", "-1.01", "0.00"]
    assert [one["day"] for one in await export("2026-06-11", "2026-06-11")] == ["2026-06-11"] * 2 + ["total"]
    rows = await export("2026-06-01", "2027-03-31")
    amounts = [Decimal(one["amount"]) for one in rows]
    assert sum(amounts[:-1]) == amounts[-1] == 500


async def test_an_owner_is_found_by_name_and_by_account(
    payments: Payments, environment: Environment, export: Export
) -> None:
    await paid(payments, environment)
    await environment.db.execute(
        """INSERT INTO payments.account (account, gateway, owner) VALUES ('city', 'razorpay', 'City Care Ltd');
        UPDATE receipts.due SET source_name = source_name;
        ALTER TABLE ledger.payment DISABLE TRIGGER written_once;
        UPDATE ledger.payment SET authorisation = 'city/pay_7';
        ALTER TABLE ledger.payment ENABLE TRIGGER written_once;
        UPDATE receipts.due SET source_name = 'city/pay_7'"""
    )
    await environment.db.execute(ISSUE)
    for owner in ("City Care Ltd", "city"):
        row, _ = await export("2026-01-01", "2027-12-31", "--owner", owner)
        assert (row["gateway"], row["account"], row["reference"]) == ("razorpay", "city", "pay_7")


async def test_names_go_with_the_account_and_all_else_stays(payments: Payments, environment: Environment) -> None:
    held = await refunded(payments, environment)
    before = await documents(environment, held)
    assert [one.person_name for one in before] == ["asha", "asha"]
    db, asha = environment.db, environment.ids["asha"]
    async with db.transaction() as tx:
        await tx.execute(queries.erase_receipt_names, asha)
    after = await documents(environment, held)
    assert [(one.person_name, one.payer_name) for one in after] == [(None, None)] * 2
    assert [(one.number, one.amount_minor, one.said) for one in after] == [
        (one.number, one.amount_minor, one.said) for one in before
    ]
    assert await violations(db) == []


async def test_a_receipt_issued_while_its_account_was_deleted_loses_its_names(
    payments: Payments, environment: Environment
) -> None:
    held = await paid(payments, environment)
    db, asha = environment.db, environment.ids["asha"]
    await documents(environment, held)
    await environment.pass_time(days=5)
    await db.execute("UPDATE accounts.patient SET phone = '+919876543210' WHERE patient_id = $1", asha)
    async with db.transaction() as tx:
        await Patients(db, SECRET, KnownTokens(db)).erase(tx, asha)
    await Retention(db).forget()
    (receipt,) = await documents(environment, held)
    assert (receipt.person_name, receipt.payer_name) == (None, None)


@pytest.mark.breaks_invariants  # the booking stands in the far past by then
async def test_receipts_go_eight_years_after_their_financial_year(payments: Payments, environment: Environment) -> None:
    db = environment.db
    held = await paid(payments, environment)
    await db.execute(TWICE, held, 1, [datetime.fromisoformat("2026-03-31T12:00:00+00:00")])
    await db.execute(ISSUE)
    assert await numbers(db) == [1, 1]
    await freeze_clock(db)
    for at, left in (("2034-03-31T12:00:00", 2), ("2034-04-02T00:00:00", 1), ("2035-04-02T00:00:00", 0)):
        await set_clock(db, datetime.fromisoformat(f"{at}+00:00"))
        await Retention(db).forget()
        assert len(await numbers(db)) == left
        assert not {one.invariant for one in await violations(db)} & {"receipts_in_a_row", "receipts_match_money"}
    assert await db.fetch_value("SELECT count(*) FROM receipts.due") == 0
