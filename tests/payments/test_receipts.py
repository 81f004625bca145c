"""Receipts and credit notes: each movement of money has one, numbered without gaps, and what they say never changes."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import asyncpg
import pytest

from healthplus.database import Database
from healthplus.ops.check import violations
from healthplus.payments.payments import Payments
from healthplus.receipts.receipts import Document, chosen, credit_notes_of, documents_of
from tests.fixtures.clock import product_now, until
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.races import rewrite
from tests.fixtures.terms import set_terms
from tests.payments.steps import capture, pay

ISSUE = "SELECT receipts.issue(200)"
GSTIN = "27AAPFU0939F1ZV"
TWICE = """
INSERT INTO ledger.payment (
    provider_id, hold_id, booking_id, authorisation, amount_minor, state, at, authorised_at, authorised_source,
    captured_at, captured_source, refunded_at, refunded_source)
SELECT 1, $1, $1, 'more ' || number || at, 100 + number, 'refunded', at, at, 'answer', at, 'answer', at, 'answer'
FROM generate_series(1, $2::integer) AS number, unnest($3::timestamptz[]) AS at
"""
"""More payments for a booking, which came twice and have gone back, at some instants."""
SLOWLY = """
CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
CREATE TRIGGER slowly AFTER INSERT ON receipts.series FOR EACH STATEMENT EXECUTE FUNCTION public.slowly()
"""
"""Has numbers be given slowly."""
ASLEEP = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"


async def paid(payments: Payments, environment: Environment, hour: int = 9) -> UUID:
    """Book a visit that is paid for and captured."""
    held = await environment.held(hour=hour)
    assert (await pay(payments, environment, held)).outcome.code == "booked"
    await capture(payments, environment)
    return held


async def documents(environment: Environment, booking_id: UUID) -> list[Document]:
    await environment.db.execute(ISSUE)
    return await documents_of(environment.db, PROVIDER, booking_id)


async def settle(payments: Payments, environment: Environment) -> None:
    """Have the bank do all that is due."""
    for _ in range(3):
        await environment.pass_time(seconds=31)
        await payments.captures.poll()


async def many_paid(payments: Payments, environment: Environment, count: int) -> None:
    """Have so many payments be due for a receipt, all but one of them for a credit note, too."""
    held = await paid(payments, environment)
    await environment.db.execute(TWICE, held, count - 1, [await product_now(environment.db)])


async def numbers(db: Database) -> list[int]:
    rows = await db.fetch("SELECT number FROM receipts.document WHERE kind = 'receipt' ORDER BY number")
    return [row["number"] for row in rows]


async def test_a_receipt_says_what_was_so_when_it_was_issued(payments: Payments, environment: Environment) -> None:
    db = environment.db
    await db.execute("UPDATE directory.clinic SET gstin = $1, address = 'Main Road' WHERE clinic_id = 1", GSTIN)
    held = await paid(payments, environment)
    assert await documents_of(db, PROVIDER, held) == []
    (receipt,) = await documents(environment, held)
    year = await db.fetch_value("SELECT receipts.financial_year((public.app_now() AT TIME ZONE 'Asia/Kolkata')::date)")
    assert receipt.number == f"R{ONLINE}/{year % 100}-{year % 100 + 1}/1"
    assert (receipt.amount_minor, receipt.currency) == (50000, "INR")
    assert (receipt.person_name, receipt.payer_name) == ("asha", "asha")
    said = receipt.said
    assert (said.clinic, said.address, said.gstin, said.provider) == ("Clinic 1", "Main Road, Pune", GSTIN, "Dr 1")
    assert (said.tax, said.method, said.gateway, said.lines) == ("exempt", "online", "sandbox", [])
    assert said.reference == f"sandbox-{PROVIDER}:{held}"

    await db.execute("UPDATE directory.clinic SET name = 'Another', gstin = NULL, address = 'Elsewhere'")
    await db.execute("UPDATE directory.provider SET name = 'Dr Another'")
    await db.execute("UPDATE booking.booking SET patient_name = 'somebody'")
    assert await documents(environment, held) == [receipt]


async def test_what_goes_back_has_a_credit_note(payments: Payments, environment: Environment) -> None:
    await set_terms(environment.db, ONLINE, {8784: "20%"})
    held = await paid(payments, environment)
    (receipt,) = await documents(environment, held)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    assert await documents(environment, held) == [receipt]  # not before it has gone
    await settle(payments, environment)
    first, note = await documents(environment, held)
    assert first == receipt
    assert (note.kind, note.amount_minor, note.person_name) == ("credit_note", 40000, "asha")
    assert note.number == receipt.number.replace("R", "C")
    assert (note.said.of, note.said.of_at, note.said.of_minor) == (receipt.number, receipt.at, 50000)
    assert credit_notes_of([first, note], receipt) == [note]
    assert (chosen([first, note], ""), chosen([first, note], note.number)) == (receipt, note)
    assert chosen([first, note], "R1/00-01/1") is None


async def test_money_that_is_let_go_before_it_is_taken_has_none(payments: Payments, environment: Environment) -> None:
    held = await environment.held(hour=9)
    await pay(payments, environment, held)
    await environment.book.cancel(PROVIDER, held, environment.actor("asha"))
    await settle(payments, environment)
    assert await documents(environment, held) == []


async def test_numbers_are_a_series_of_the_financial_year_in_the_clinics_zone(
    payments: Payments, environment: Environment
) -> None:
    held = await paid(payments, environment)
    instants = ("2026-03-31T18:20:00", "2026-03-31T18:29:59", "2026-03-31T18:30:00")  # five and a half hours behind
    await environment.db.execute(TWICE, held, 1, [datetime.fromisoformat(f"{one}+00:00") for one in instants])
    found = {one.number: one.at.replace(tzinfo=None).isoformat() for one in await documents(environment, held)}
    for number, at in zip(("R1/25-26/1", "R1/25-26/2", "R1/26-27/1"), instants, strict=True):
        assert found[number] == at
        assert found[number.replace("R", "C")] == at
    assert sorted(found)[-1] == "R1/26-27/2"  # today's


@pytest.mark.parametrize(
    ("clinic", "year", "number", "text"),
    [
        (12, 2026, 123, "R12/26-27/123"),
        (999, 2099, 99999, "R999/99-00/99999"),
        (10127, 2026, 999999, "R10127/26/999999"),
    ],
)
async def test_numbers_have_sixteen_letters_at_most(
    db: Database, clinic: int, year: int, number: int, text: str
) -> None:
    shown = await db.fetch_value("SELECT receipts.number_text('receipt', $1, $2::smallint, $3)", clinic, year, number)
    assert shown == text
    assert len(shown) <= 16


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE receipts.document SET amount_minor = 1",
        "UPDATE receipts.document SET said = said - 'clinic'",
        "UPDATE receipts.document SET number = 7",
        "UPDATE receipts.document SET person_name = 'Somebody else'",
        "DELETE FROM receipts.document",
        "TRUNCATE receipts.document",
    ],
)
async def test_no_receipt_is_changed(payments: Payments, environment: Environment, change: str) -> None:
    before = await documents(environment, held := await paid(payments, environment))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await environment.db.execute(change)
    assert await documents(environment, held) == before


async def issue_at_once(db: Database, count: int) -> list[BaseException | int]:
    results: list[BaseException | int] = await asyncio.gather(
        *(db.fetch_value("SELECT receipts.issue(3)") for _ in range(count)), return_exceptions=True
    )
    return results


async def test_processes_that_issue_at_once_leave_no_gap_and_give_no_number_twice(
    payments: Payments, environment: Environment
) -> None:
    db = environment.db
    await many_paid(payments, environment, 20)
    while await db.fetch_value("SELECT EXISTS (SELECT FROM receipts.due)"):
        assert not [one for one in await issue_at_once(db, 4) if isinstance(one, BaseException)]
    assert await numbers(db) == list(range(1, 21))
    assert await violations(db) == []


@pytest.mark.breaks_invariants
async def test_without_the_guards_a_payment_has_two_receipts(payments: Payments, environment: Environment) -> None:
    db = environment.db
    await many_paid(payments, environment, 3)
    await rewrite(db, "receipts.issue", ("NOT pg_try_advisory_xact_lock(18, 6)", "false"))
    await db.execute(f"DROP INDEX receipts.document_source; {SLOWLY}")
    await issue_at_once(db, 2)
    assert await numbers(db) == list(range(1, 7))
    assert "receipts_match_money" in {one.invariant for one in await violations(db)}


async def test_a_process_that_dies_while_it_numbers_leaves_no_gap(payments: Payments, environment: Environment) -> None:
    db = environment.db
    await many_paid(payments, environment, 7)
    await db.execute(SLOWLY)
    issuing = asyncio.create_task(issue_at_once(db, 1))
    await until(lambda: db.fetch_value(ASLEEP))
    await db.execute("SELECT pg_terminate_backend($1)", await db.fetch_value(ASLEEP))
    (died,) = await issuing
    assert isinstance(died, BaseException)
    assert await numbers(db) == []
    await db.execute("DROP TRIGGER slowly ON receipts.series")
    await db.execute(ISSUE)
    assert await numbers(db) == list(range(1, 8))
    assert await violations(db) == []
