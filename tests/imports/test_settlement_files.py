"""Files of what was paid out: both gateways' reports are read, bad rows are named by their line, and twice is once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.errors import BadInput
from healthplus.imports.settlement_files import read_settlement_file
from healthplus.ops.check import money_invariants, violations

RECON = (
    "transaction_entity,entity_id,amount,currency,fee (exclusive tax),tax,debit,credit,payment_method,card_type,"
    "issuer_name,entity_created_at,payment_captured_at,payment_notes,refund_notes,arn,entity_description,order_id,"
    "order_receipt,order_notes,dispute_id,dispute_created_at,dispute_reason,settlement_id,settled_at,settlement_utr,"
    "settled_by"
)
OURS = "1:6f1d1a3e-58e0-4a94-9d0c-2f1f0a3f7c52"
KEY = f'"{{""key"": ""{OURS}""}}"'
AT = "2026-11-02T10:00:00"
PAID = f"payment,pay_1,500.0,INR,10.0,1.8,0.0,488.2,upi,,,{AT},,{KEY},,,,,,,,,,setl_1,2026-11-04T09:00:00,UTR1,Razorpay"
BACK = f"refund,rfnd_1,7.0,INR,0.0,0.0,7.0,0.0,upi,,,{AT},,,,,,,,,,,,setl_1,04/11/2026 09:00:00,UTR1,Razorpay"
RAZORPAY = f"{RECON}\n{PAID}\n{BACK}\n"
BALANCE = (
    "automatic_payout_id,automatic_payout_effective_at_utc,balance_transaction_id,created_utc,currency,gross,fee,net,"
    "reporting_category,source_id,payment_intent_id,payment_metadata[key]"
)
STRIPE = f"""{BALANCE}
po_1,2026-11-04 00:00:00,txn_1,2026-11-02 10:00:00,inr,500.00,11.80,488.20,charge,ch_1,pi_1,{OURS}
po_1,2026-11-04 00:00:00,txn_2,2026-11-02 10:00:00,inr,-7.00,0.00,-7.00,refund,re_1,pi_1,
po_1,2026-11-04 00:00:00,txn_3,2026-11-02 10:00:00,inr,-3.00,0.00,-3.00,fee,,,
po_1,2026-11-04 00:00:00,txn_4,2026-11-02 10:00:00,inr,-20.00,0.00,-20.00,dispute,dp_1,,
"""

Import: TypeAlias = Callable[..., Awaitable[Result]]


@pytest.fixture
async def imported(dsn: str, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    """What runs `healthplus settlements import` on a text."""
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    for account in ("razorpay", "stripe"):
        await db.execute("INSERT INTO payments.account (account, gateway, owner) VALUES ($1, $1, 'Owner')", account)

    async def run(text: str, account: str = "razorpay") -> Result:
        path = tmp_path / "report.csv"
        path.write_text(text, "utf-8")
        asked = ["settlements", "import", str(path), "--account", account]
        return await asyncio.to_thread(CliRunner().invoke, main, asked)

    return run


def rows_of(path: Path, text: str) -> list[tuple[object, ...]]:
    path.write_text(text, "utf-8")
    lines = [line for _, (_, line) in read_settlement_file(path).rows if line]
    money = [(line.amount_minor, line.fee_minor, line.tax_minor, line.net_minor) for line in lines]
    return [(line.name, line.kind, line.payment, line.refund, *one) for line, one in zip(lines, money, strict=True)]


def test_the_columns_of_both_gateways(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    assert rows_of(path, RAZORPAY) == [
        ("pay_1", "payment", "pay_1", "", 50000, 1180, 180, 48820),
        ("rfnd_1", "refund", "", "rfnd_1", -700, 0, 0, -700),
    ]
    (_, (first, line)), *_ = read_settlement_file(path).rows
    assert line
    assert first.settled_at == datetime(2026, 11, 4, 3, 30, tzinfo=UTC), "times are India's"
    assert (first.name, first.reference, line.keys) == ("setl_1", "UTR1", (OURS,))
    assert rows_of(path, STRIPE) == [
        ("txn_1", "payment", "pi_1", "", 50000, 1180, 0, 48820),
        ("txn_2", "refund", "pi_1", "re_1", -700, 0, 0, -700),
        ("txn_3", "fee", "", "", 0, 300, 0, -300),
        ("txn_4", "other", "", "", -2000, 0, 0, -2000),
    ]


def test_the_sums_of_both_gateways(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    for text in (
        "id,amount,status,fees,tax,utr,created_at\nsetl_1,481.20,processed,0.0,0.0,UTR1,2026-11-04T09:00:00\n"
        "setl_2,5,created,0,0,,2026-11-04T09:00:00\n",
        "payout_id,effective_at_utc,currency,gross,fee,net,reporting_category,payout_status\n"
        "po_1,2026-11-04 00:00:00,inr,-481.20,0.00,-481.20,payout,paid\n",
    ):
        path.write_text(text, "utf-8")
        ((_, (one, line)),) = read_settlement_file(path).rows
        assert (one.amount_minor, line) == (48120, None)


async def test_twice_is_once_and_what_does_not_match_is_a_case(imported: Import, db: Database) -> None:
    result = await imported(STRIPE, "stripe")
    assert result.exit_code == 0, result.output
    assert "Settlements: 1. Lines: 4 new, 0 known before, 0 not paid out yet." in result.output
    read = "SELECT * FROM payments.settlement", "SELECT * FROM payments.settlement_line ORDER BY name"
    rows = [await db.fetch(sql) for sql in read]
    ((one,), lines) = rows
    sums = [one[f"{name}_minor"] for name in ("payments", "refunds", "other", "fees")]
    assert sums == [50000, -700, -2000, 1480]
    assert len(lines) == 4
    kinds = "SELECT kind, name FROM payments.money_case WHERE closed_at IS NULL ORDER BY kind, name"
    found = [("settled_other", "txn_4"), ("settled_unknown", "pi_1"), ("settled_unknown", "re_1")]
    assert list(map(tuple, await db.fetch(kinds))) == found
    again = await imported(STRIPE, "stripe")
    assert "0 new, 4 known before" in again.output
    assert [await db.fetch(sql) for sql in read] == rows
    assert list(map(tuple, await db.fetch(kinds))) == found


@pytest.mark.breaks_invariants  # there is no booking for this money
async def test_a_file_of_another_account_is_refused(imported: Import, db: Database) -> None:
    await db.execute("INSERT INTO payments.account (account, gateway, owner) VALUES ('other', 'razorpay', 'Another')")
    await db.execute(
        """INSERT INTO ledger.payment (
            provider_id, hold_id, booking_id, authorisation, amount_minor, currency, at, authorised_at,
            authorised_source)
        SELECT 1, $1, $1, 'other/pay_1', 50000, 'INR', now_at, now_at, 'answer' FROM public.app_now() AS now_at""",
        OURS.partition(":")[2],
    )
    refused = await imported(RAZORPAY)
    assert refused.exit_code == 1
    assert "The file has payments of the account other: import it with --account other." in refused.output
    assert await db.fetch_value("SELECT count(*) FROM payments.settlement") == 0
    assert (await imported(RAZORPAY, "other")).exit_code == 0


@pytest.mark.breaks_invariants
async def test_sums_whose_lines_come_in_another_file_are_no_fault(imported: Import, db: Database) -> None:
    sums = "id,amount,status,utr,created_at\nsetl_1,481.2,processed,UTR1,2026-11-04T09:00:00\n"
    assert (await imported(sums)).exit_code == 0
    assert await violations(db, money_invariants) == []
    await imported(sums.replace("setl_1", "setl_2").replace("481.2", "482.2"))
    await imported(RAZORPAY.replace("setl_1", "setl_2"))
    broken = await violations(db, money_invariants)
    assert [(one.invariant, one.row["name"]) for one in broken] == [("settlements_add_up", "setl_2")]


async def test_bad_rows_are_named_and_the_others_stored(imported: Import, db: Database) -> None:
    bad = [
        PAID,  # repeats line 2
        PAID.replace("488.2", "488.3"),
        PAID.replace("pay_1", "pay_2").replace("500.0", "five hundred"),
        PAID.replace("pay_1", "pay_3").replace("500.0", "500.001"),
        PAID.replace("pay_1", "pay_4").replace("2026-11-04T09:00:00", "yesterday"),
        PAID.replace("pay_1", "pay_5").replace(",INR,", ",rupees,"),
        "payment,pay_6",
        PAID.replace("pay_1", ""),
        PAID.replace("pay_1", "pay_7").replace("setl_1", ""),  # not settled: no fault
    ]
    result = await imported("\n".join([RECON, PAID, *bad]) + "\n")
    assert result.exit_code == 0, result.output
    assert "Lines: 1 new, 0 known before, 1 not paid out yet." in result.output
    assert "line 3: it repeats line 2\n" in result.output
    assert "line 4: it repeats line 2, and says something else" in result.output
    assert "line 5: amount 'five hundred' is no amount of INR" in result.output
    assert all(f"line {number}: " in result.output for number in range(3, 11))
    assert "line 11" not in result.output
    assert await db.fetch_value("SELECT count(*) FROM payments.settlement_line") == 1
    other = await imported(RAZORPAY.replace("488.2", "488.1"))
    assert "line 2: pay_1 said something else before, which stays as it was" in other.output
    assert await db.fetch_value("SELECT net_minor FROM payments.settlement_line WHERE name = 'pay_1'") == 48820


def test_a_name_too_long_for_the_database_is_named_and_notes_too_deep_have_no_key(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    deep = PAID.replace(KEY, "[" * 3000).replace("pay_1", "pay_2")
    path.write_text(f"{RECON},payment_id\n{PAID},\n{BACK},{'x' * 101}\n{deep},\n", "utf-8")
    found = read_settlement_file(path)
    assert [(one.line, one.text) for one in found.left_out] == [(3, "payment_id is longer than 100 letters")]
    assert [line.keys for _, (_, line) in found.rows if line] == [(OURS,), ()]


async def test_a_file_of_another_gateway_or_kind_is_refused(imported: Import) -> None:
    for text, account in ((RAZORPAY, "stripe"), (RAZORPAY, "nobody"), ("a,b\n1,2\n", "stripe"), ("", "stripe")):
        result = await imported(text, account)
        assert result.exit_code == 1
        assert result.output.startswith("Error: ")


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_file_is_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([RAZORPAY, STRIPE]))
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.text(max_size=4) | st.sampled_from(['"', ",", "\n", "NaN", "-1e999999", "9" * 30, "\0"]))
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes((text[:at] + piece + text[at + data.draw(st.integers(0, 9)) :]).encode("utf-8", "replace"))
    try:
        found = read_settlement_file(path)
    except BadInput:
        return
    assert all(line > 1 for line, _ in found.rows)
