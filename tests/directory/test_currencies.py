"""The currencies of clinics: what a file may say of them, which commands count in them, and that they stay."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from babel.numbers import list_currencies
from click.testing import CliRunner, Result

from healthplus.cli import main
from healthplus.database import Database, PostgresError
from healthplus.database.server_files import as_app_role
from healthplus.imports.import_file import import_file
from healthplus.imports.summary import Options, Summary
from healthplus.money import currency_digits, in_minor, in_units
from tests.fixtures.environment import FREE, PROVIDER, Environment

STRICT_CELLS = Options(strict_cells=True)
HEADER = "provider_identifier,type,name,clinic_identifier,clinic_name,city,state,currency,fee,fee_rupees,funding,tests"


async def store(db: Database, folder: Path, *rows: str, options: Options = STRICT_CELLS) -> Summary:
    """Import rows, each one of a doctor at a clinic of the same name: what stands after the state."""
    path = folder / "file.csv"
    doctors = (f"{row[0]},doctor,Dr {row[0]},{row[0]},Clinic {row[0]},Here,There,{row[2:]}" for row in rows)
    path.write_text("\n".join((HEADER, *doctors)) + "\n")
    return await import_file(db, path, options)


async def clinics(db: Database) -> list[tuple[str, str, int]]:
    rows = await db.fetch(
        """SELECT identifier, currency, fee_minor FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
        ORDER BY 1"""
    )
    return [tuple(row) for row in rows]


async def test_sql_and_python_agree_on_decimals(db: Database) -> None:
    currencies = sorted(list_currencies())
    rows = await db.fetch("SELECT directory.currency_digits(one) FROM unnest($1::text[]) AS one", currencies)
    assert [row[0] for row in rows] == [currency_digits(currency) for currency in currencies]
    assert [currency_digits(currency) for currency in ("INR", "USD", "JPY", "KWD")] == [2, 2, 0, 3]


def test_amounts_in_units_and_back() -> None:
    for amount, currency, minor in (("99.50", "USD", 9950), ("5000", "JPY", 5000), ("12.345", "KWD", 12345)):
        assert in_minor(Decimal(amount), currency) == minor
        assert str(in_units(minor, currency)) == amount
    for amount, currency in (("0.001", "USD"), ("0.5", "JPY"), ("1000001", "INR"), ("-1", "INR"), ("NaN", "INR")):
        assert in_minor(Decimal(amount), currency) is None


async def test_a_file_may_name_currencies(db: Database, tmp_path: Path) -> None:
    rows = ("a,,,500,,", "b,USD,99.50,,,X-ray=120.25", "c,JPY,5000,,,", "d,KWD,12.345,,,", "e,USD,,,clinic,")
    summary = await store(db, tmp_path, *rows)
    assert summary.rejected == []
    stored = [("a", "INR", 50000), ("b", "USD", 9950), ("c", "JPY", 5000), ("d", "KWD", 12345), ("e", "USD", 0)]
    assert await clinics(db) == stored
    price = await db.fetch_row("SELECT fee_minor, currency FROM directory.service")
    assert tuple(price or ()) == (12025, "USD")
    again = await store(db, tmp_path, *rows)
    assert (again.added.total(), again.updated.total()) == (0, 0)
    # A file that says nothing of it leaves it.
    assert (await store(db, tmp_path, "b,,,,,")).rejected == []
    assert (await clinics(db))[1] == ("b", "USD", 9950)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,usd,1,,,", "currency 'usd': expected a code of ISO 4217, such as INR or USD"),
        ("a,XYZ,1,,,", "currency 'XYZ': expected a code of ISO 4217, such as INR or USD"),
        ("a,,1,,,", "fee: say in which currency; fee_rupees needs none"),
        ("a,INR,1,1,,", "fee_rupees: give fee instead, in rupees"),
        ("a,USD,,1,,", "fee_rupees: give fee instead, in USD"),
        ("a,JPY,1.5,,,", "fee '1.5': between 0 and 100000000, with at most no decimals"),
        ("a,KWD,1.2345,,,", "fee '1.2345': between 0 and 100000, with at most three decimals"),
        ("a,USD,1,,free,", "a fee of 1 USD does not go with funding 'free'"),
        (
            "a,JPY,,,clinic,HbA1c=1.5",
            "tests: 'HbA1c=1.5': fee '1.5': between 0 and 100000000, with at most no decimals",
        ),
    ],
)
async def test_what_is_no_amount_of_a_currency_is_rejected(db: Database, tmp_path: Path, row: str, reason: str) -> None:
    summary = await store(db, tmp_path, row)
    assert [remark.text for remark in summary.rejected] == [reason]


async def test_a_file_cannot_turn_dollars_into_rupees(db: Database, tmp_path: Path) -> None:
    await store(db, tmp_path, "a,USD,99,,,", "b,USD,,,clinic,", "c,,,500,,")
    before = await clinics(db)
    summary = await store(db, tmp_path, "a,,,500,,", "b,,,500,,", "c,USD,5,,,")
    assert [remark.text for remark in summary.rejected] == [
        "currency: INR, but this clinic's amounts are in USD",
        "currency: INR, but this clinic's amounts are in USD",
        "currency: USD, but this clinic's amounts are in INR",
    ]
    assert await clinics(db) == before
    # As long as nothing costs money there, a mistake can be put right.
    assert (await store(db, tmp_path, "b,JPY,700,,,")).rejected == []
    assert (await clinics(db))[1] == ("b", "JPY", 700)


async def test_a_clinic_keeps_its_currency_once_money_refers_to_it(db: Database, tmp_path: Path) -> None:
    environment = await Environment.make(db)
    change = "UPDATE directory.clinic SET currency = 'USD' WHERE clinic_id = $1"
    for clinic_id in (1, 2):
        with pytest.raises(PostgresError, match=f"Clinic {clinic_id} has fees or bookings in INR"):
            await db.execute(change, clinic_id)
    with pytest.raises(PostgresError, match="violates check constraint"):
        await db.execute("UPDATE directory.clinic SET currency = 'dollar' WHERE clinic_id = $1", FREE)
    # A booking, even of what is free, has an amount in its clinic's currency.
    await db.execute(change, FREE)
    await db.execute("UPDATE directory.clinic SET currency = 'INR' WHERE clinic_id = $1", FREE)
    start = environment.instant(18)
    assert (await environment.hold(start, FREE)).code == "reserved"
    with pytest.raises(PostgresError, match="Clinic 3 has fees or bookings in INR"):
        await db.execute(change, FREE)
    path = tmp_path / "file.csv"
    path.write_text(f"{HEADER}\nprovider-1,doctor,Dr 1,clinic-3,Clinic 3,Pune,,USD,,,,\n".replace(",,USD", ",M,USD"))
    summary = await import_file(db, path, Options(strict_cells=True))
    assert [remark.text for remark in summary.rejected] == ["currency: USD, but this clinic's amounts are in INR"]


async def test_a_fee_under_way_keeps_it_too(db: Database) -> None:
    """Who changes the currency waits for fees that are being set, and then sees them."""
    await Environment.make(db)
    async with db.transaction() as other:
        await other.execute(
            "UPDATE directory.provider_clinic SET fee_minor = 1, funding = 'clinic' WHERE clinic_id = 3"
        )
        changing = asyncio.create_task(
            db.execute("UPDATE directory.clinic SET currency = 'USD' WHERE clinic_id = $1", FREE)
        )
        done, _ = await asyncio.wait([changing], timeout=0.5)
        assert not done
    with pytest.raises(PostgresError, match="has fees or bookings"):
        await changing


async def test_a_booking_under_way_keeps_it_too(db: Database) -> None:
    """Who changes the currency waits for verbs that came before, and then sees what they booked."""
    environment = await Environment.make(db)
    start = environment.instant(18)
    async with db.transaction() as other:
        await other.execute("SELECT FROM booking.book WHERE provider_id = $1 FOR UPDATE", PROVIDER)
        holding = asyncio.create_task(environment.hold(start, FREE))
        await asyncio.sleep(0.5)
        changing = asyncio.create_task(
            db.execute("UPDATE directory.clinic SET currency = 'USD' WHERE clinic_id = $1", FREE)
        )
        done, _ = await asyncio.wait([holding, changing], timeout=0.5)
        assert not done
    assert (await holding).code == "reserved"
    with pytest.raises(PostgresError, match="has fees or bookings"):
        await changing


async def run(*words: str) -> Result:
    # In a thread: a command runs an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, main, list(words))


async def test_commands_count_in_the_clinics_currency(
    db: Database, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    await store(db, tmp_path, "a,,,500,,", "b,USD,99.50,,,", "c,JPY,5000,,,")
    found = await run("find", "Dr")
    assert [line.rpartition("; ")[2] for line in found.output.splitlines()] == [
        "online, 500.00 rupees",
        "online, 99.50 USD",
        "online, 5000 JPY",
    ]
    ids = await db.fetch(
        """SELECT provider_id, clinic_id FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id)
        ORDER BY identifier"""
    )
    for (provider_id, clinic_id), fee in zip(ids, (600, 120, 7000), strict=True):
        assert (await run("fee", str(provider_id), str(clinic_id), str(fee))).output == "The fee is set.\n"
    assert await clinics(db) == [("a", "INR", 60000), ("b", "USD", 12000), ("c", "JPY", 7000)]
    refused = await run("fee", str(ids[1][0]), str(ids[1][1]), "0")
    assert "a fee of 0 USD does not go with funding 'online'" in refused.output
    assert "no such provider" in (await run("fee", "99", "99", "5")).output
