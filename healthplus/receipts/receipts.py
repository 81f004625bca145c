"""Receipts and credit notes: issued in the background for money that has moved, and read (docs/decisions/0072)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec

from healthplus.database import Database, Record, load, repeat

queries = load(Path(__file__).with_name("queries.sql"))

EVERY_SECONDS = 1.0
BATCH_MAX = 100
"""How many are issued a second: each takes the database 0.2 ms, and in a rush receipts take nobody's place."""


class Line(msgspec.Struct, frozen=True):
    """A service or test that was paid for."""

    name: str
    minor: int
    is_test: bool


class Said(msgspec.Struct, frozen=True):
    """What a document says besides its number, amount and names, as it was when it was issued.

    `tax`: "exempt" where health care is, by the law of the clinic's country. `of`, `of_at` and `of_minor`: of a credit
    note, the receipt that it takes back, or a part of it.
    """

    clinic: str
    time_zone: str
    provider: str
    address: str
    starts_at: datetime
    ends_at: datetime
    method: str
    gateway: str
    account: str
    reference: str
    lines: list[Line]
    gstin: str | None = None
    tax: Literal["exempt"] | None = None
    of: str | None = None
    of_at: datetime | None = None
    of_minor: int | None = None


class Document(msgspec.Struct, frozen=True):
    """A receipt or credit note. The names are None once their account is deleted."""

    kind: Literal["receipt", "credit_note"]
    number: str
    provider_id: int
    booking_id: UUID
    amount_minor: int
    currency: str
    at: datetime
    issued_at: datetime
    person_name: str | None
    payer_name: str | None
    said: Said


class Receipts:
    """Issues what is due, in every app process; one of them works at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Run until cancelled. A lost database is waited for."""
        await repeat(self._issue, EVERY_SECONDS, "receipts could not be issued", self._database, name="receipts")

    async def _issue(self) -> None:
        await self._database.fetch_value(queries.issue, BATCH_MAX)


async def documents_of(database: Database, provider_id: int, booking_id: UUID) -> list[Document]:
    """Return the receipts for a booking, and their credit notes behind them."""
    return [document_of(row) for row in await database.fetch(queries.of_booking, provider_id, booking_id)]


def chosen(documents: Sequence[Document], number: str) -> Document | None:
    """Return the document with a number; for none, the receipt for what is kept, or else the first.

    Of several payments for a booking, those that came twice have gone back.
    """
    if number:
        return next((one for one in documents if one.number == number), None)
    taken_back = {one.said.of for one in documents if one.amount_minor == one.said.of_minor}
    receipts = [one for one in documents if one.kind == "receipt"]
    return next((one for one in receipts if one.number not in taken_back), receipts[0] if receipts else None)


def credit_notes_of(documents: Sequence[Document], receipt: Document) -> list[Document]:
    """Return the credit notes that take back a receipt or parts of it."""
    return [one for one in documents if one.said.of == receipt.number]


def document_of(row: Record) -> Document:
    """Return a document as a row of the function receipts.documents has it."""
    return Document(
        kind=row["kind"],
        number=row["number"],
        provider_id=row["provider_id"],
        booking_id=row["booking_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        at=row["at"],
        issued_at=row["issued_at"],
        person_name=row["person_name"],
        payer_name=row["payer_name"],
        said=msgspec.json.decode(row["said"], type=Said),
    )
