"""The command that writes receipts and credit notes for an accountant."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import click

from healthplus.booking.numbers import number_of
from healthplus.csv_cells import cell
from healthplus.database import Database, Record
from healthplus.directory.commands import ID, with_database
from healthplus.errors import BadInput
from healthplus.money import in_units
from healthplus.receipts.receipts import queries
from healthplus.settings import Settings

_DAY = click.DateTime(["%Y-%m-%d"])
_HEAD = (
    *("day", "method", "gateway", "account", "settlement", "clinic", "clinic_name", "gstin", "kind", "number"),
    *("for_receipt", "appointment", "reference", "amount", "currency"),
)
_TOTALS_HEAD = ("day", "method", "gateway", "account", "settlement", "receipts", "credit_notes", "net", "currency")


@click.group("receipts")
def receipts_group() -> None:
    """Receipts for what was paid, and credit notes for what went back."""


@receipts_group.command("export")
@click.option("--from", "first", type=_DAY, required=True, help="The first day, such as 2026-11-01.")
@click.option("--to", "last", type=_DAY, required=True, help="The last day.")
@click.option("--clinic", "clinic_id", type=ID, help="The clinic's id.")
@click.option("--owner", help="Who has the account at the gateway, or the account's name.")
@click.option("--totals", is_flag=True, help="Sums by day, method, gateway, account and settlement, not each document.")
@click.pass_obj
def export_command(
    settings: Settings, first: datetime, last: datetime, clinic_id: int | None, owner: str | None, *, totals: bool
) -> None:
    """Write receipts and credit notes as CSV, by the clinics' own days, and what they come to in each currency."""
    if last < first:
        raise BadInput("The last day is before the first.")

    async def exported(database: Database) -> list[Record]:
        return await database.fetch(queries.exported, first.date(), last.date(), clinic_id, owner)

    rows = with_database(settings, exported, reads=True)
    csv.writer(sys.stdout).writerows(_totals(rows) if totals else _documents(rows))


def _documents(rows: Sequence[Record]) -> Iterator[Sequence[str]]:
    """Yield each document, then what they come to in each currency."""
    yield _HEAD
    net: Counter[str] = Counter()
    for row in rows:
        net[row["currency"]] += row["amount_minor"]
        texts = row["clinic"], row["gstin"], row["kind"], row["number"], row["of"]
        yield (
            *_key(row),
            str(row["clinic_id"]),
            *map(cell, texts),
            number_of(row["booking_id"]),
            cell(row["reference"]),
            _amount(row["amount_minor"], row["currency"]),
            row["currency"],
        )
    for currency in sorted(net):
        yield ("total", *[""] * (len(_HEAD) - 3), _amount(net[currency], currency), currency)


def _totals(rows: Iterable[Record]) -> Iterator[Sequence[str]]:
    """Yield the sums of receipts and of credit notes by day, method, gateway, account and settlement, and of all."""
    yield _TOTALS_HEAD
    sums: dict[tuple[str, ...], Counter[str]] = {}
    for row in rows:
        for key in (_key(row), ("total", "", "", "", "")):
            sums.setdefault((*key, row["currency"]), Counter())[row["kind"]] += row["amount_minor"]
    for (*group, currency), by_kind in sorted(sums.items(), key=lambda one: (one[0][0] == "total", one[0])):
        amounts = by_kind["receipt"], by_kind["credit_note"], by_kind.total()
        yield (*group, *(_amount(amount, currency) for amount in amounts), currency)


def _key(row: Record) -> tuple[str, ...]:
    return (row["day"].isoformat(), *(cell(row[name]) for name in _HEAD[1:5]))


def _amount(amount_minor: int, currency: str) -> str:
    return format(in_units(amount_minor, currency), "f")
